#include "server/embed/prometheus_cpp/pushed_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "exposition/wire.h"
#include "tests/support/store_driver.h"

namespace pgw::embed::testing {
namespace {

using pgw::testing::At;
using pgw::testing::StoreDriver;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ManualClock final : public Clock {
 public:
  Instant Now() const override { return now; }
  Instant now = At(1);
};

const StoreDriver::LabelList kJob = {{"job", "a"}};

class PushedMetricsTest : public ::testing::Test {
 protected:
  explicit PushedMetricsTest(StoreOptions options = {},
                             std::chrono::nanoseconds ttl = std::chrono::nanoseconds(0))
      : driver_(std::move(options), ttl), pushed_(driver_.store(), clock_) {}

  void Push(std::string_view body) {
    const Status status = driver_.Put(kJob, body, 1);
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  // Without the bookkeeping ones.
  std::vector<prometheus::MetricFamily> Collect() const {
    std::vector<prometheus::MetricFamily> families = pushed_.Collect();
    std::erase_if(families, [](const auto& family) {
      return family.name == "push_time_seconds" || family.name == "push_failure_time_seconds";
    });
    return families;
  }
  // As an Exposer shows it.
  std::string Exposed() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, Collect());
    return out.str();
  }

  StoreDriver driver_;
  ManualClock clock_;
  const PushedMetrics pushed_;
};

TEST_F(PushedMetricsTest, HasEveryTypeOfText) {
  Push(
      "# HELP c Counts.\n# TYPE c counter\nc{x=\"1\"} 3\nc{x=\"\\\"\"} 4.5\n"
      "# TYPE g gauge\ng -Inf\n"
      "# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 7\nh_count 3\n"
      "# TYPE s summary\ns{quantile=\"0.9\"} 2\ns_sum 5\ns_count 4\n"
      "u 1e+06\n");
  EXPECT_EQ(Exposed(),
            "# HELP c Counts.\n# TYPE c counter\n"
            "c{instance=\"\",job=\"a\",x=\"1\"} 3\nc{instance=\"\",job=\"a\",x=\"\\\"\"} 4.5\n"
            "# TYPE g gauge\ng{instance=\"\",job=\"a\"} -Inf\n"
            "# TYPE h histogram\n"
            "h_count{instance=\"\",job=\"a\"} 3\nh_sum{instance=\"\",job=\"a\"} 7\n"
            "h_bucket{instance=\"\",job=\"a\",le=\"0.5\"} 1\n"
            "h_bucket{instance=\"\",job=\"a\",le=\"+Inf\"} 3\n"
            "# TYPE s summary\n"
            "s_count{instance=\"\",job=\"a\"} 4\ns_sum{instance=\"\",job=\"a\"} 5\n"
            "s{instance=\"\",job=\"a\",quantile=\"0.9\"} 2\n"
            "# TYPE u untyped\nu{instance=\"\",job=\"a\"} 1000000\n");
}

TEST_F(PushedMetricsTest, HasBookkeeping) {
  Push("");
  const auto families = pushed_.Collect();
  ASSERT_THAT(families, SizeIs(2));
  EXPECT_EQ(families[0].name, "push_failure_time_seconds");
  EXPECT_EQ(families[1].name, "push_time_seconds");
  EXPECT_EQ(families[1].type, prometheus::MetricType::Gauge);
}

TEST_F(PushedMetricsTest, GathersGroupsInOneFamily) {
  Push("m 1\n");
  ASSERT_TRUE(driver_.Put({{"job", "b"}}, "m 2\n", 1).ok());
  const auto families = Collect();
  ASSERT_THAT(families, SizeIs(1));
  EXPECT_THAT(families[0].metric, SizeIs(2));
}

TEST_F(PushedMetricsTest, EscapesNamesThatPrometheusCppMayNotHave) {
  Push("# TYPE \"my.metric\" gauge\n{\"my.metric\",\"my label\"=\"ä\"} 1\n");
  EXPECT_EQ(Exposed(),
            "# TYPE my_metric gauge\n"
            "my_metric{instance=\"\",job=\"a\",my_label=\"ä\"} 1\n");
}

// A delimited family "h" with one histogram of these fields.
std::string HistogramBody(const std::string& histogram) {
  std::string metric;
  AppendBytesField(7, histogram, metric);
  std::string family;
  AppendBytesField(1, "h", family);
  AppendVarintField(3, 4, family);
  AppendBytesField(4, metric, family);
  std::string body;
  AppendVarint(family.size(), body);
  return body + family;
}

TEST_F(PushedMetricsTest, CutsCountsToWholeNumbers) {
  const auto counted = [this](double count) {
    std::string histogram;
    AppendDoubleField(4, count, histogram);  // sample_count_float
    EXPECT_TRUE(driver_.PostMessages(kJob, HistogramBody(histogram), 1).ok());
    const auto families = Collect();
    EXPECT_THAT(families, SizeIs(1));
    return families.empty() ? 0 : families[0].metric[0].histogram.sample_count;
  };
  EXPECT_EQ(counted(2.9), 2u);
  EXPECT_EQ(counted(0.5), 0u);
  EXPECT_EQ(counted(1e18), 1'000'000'000'000'000'000u);
  EXPECT_EQ(counted(1e300), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(counted(std::numeric_limits<double>::infinity()),
            std::numeric_limits<std::uint64_t>::max());
}

// A message that the store keeps beside its lines.
TEST_F(PushedMetricsTest, KeepsTheClassicPartOfANativeHistogram) {
  std::string bucket;
  AppendVarintField(1, 2, bucket);
  AppendDoubleField(2, 0.5, bucket);
  std::string span;
  AppendVarintField(1, 0, span);
  AppendVarintField(2, 1, span);
  std::string histogram;
  AppendVarintField(1, 3, histogram);  // sample_count
  AppendDoubleField(2, 7, histogram);  // sample_sum
  AppendBytesField(3, bucket, histogram);
  AppendVarintField(5, 6, histogram);  // schema 3, zigzag
  AppendBytesField(12, span, histogram);
  AppendVarintField(13, 6, histogram);  // delta 3, zigzag
  ASSERT_TRUE(driver_.PostMessages(kJob, HistogramBody(histogram), 1).ok());

  EXPECT_EQ(Exposed(),
            "# TYPE h histogram\n"
            "h_count{instance=\"\",job=\"a\"} 3\nh_sum{instance=\"\",job=\"a\"} 7\n"
            "h_bucket{instance=\"\",job=\"a\",le=\"0.5\"} 2\n"
            "h_bucket{instance=\"\",job=\"a\",le=\"+Inf\"} 3\n");
}

class ExpiringPushedMetricsTest : public PushedMetricsTest {
 protected:
  ExpiringPushedMetricsTest() : PushedMetricsTest({}, std::chrono::milliseconds(1000)) {}
};

TEST_F(ExpiringPushedMetricsTest, LeavesOutWhatHasExpired) {
  Push("m 1\n");
  clock_.now = At(1000);
  EXPECT_THAT(pushed_.Collect(), SizeIs(3));
  clock_.now = At(1001);
  EXPECT_THAT(pushed_.Collect(), IsEmpty());
}

class UncheckedPushedMetricsTest : public PushedMetricsTest {
 protected:
  UncheckedPushedMetricsTest()
      : PushedMetricsTest({.check_consistency = false, .own_families = {}}) {}
};

TEST_F(UncheckedPushedMetricsTest, ShowsNothingWhileTheStoreIsInconsistent) {
  Push("m{x=\"1\"} 1\n");
  EXPECT_THAT(Collect(), SizeIs(1));
  ASSERT_TRUE(driver_.Put({{"job", "b"}}, "m{job=\"b\"} 1\nm{job=\"c\"} 1\n", 1).ok());
  ASSERT_NE(driver_.Inconsistency(1), "");
  EXPECT_THAT(pushed_.Collect(), IsEmpty());
}

}  // namespace
}  // namespace pgw::embed::testing
