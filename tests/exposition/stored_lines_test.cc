// ParseStoredLines: the inverse of AppendMetricLines.

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "exposition/text_parser.h"
#include "tests/exposition/dump.h"

namespace pgw {
namespace {

std::string Stored(std::string_view name, MetricType type, const std::string& lines) {
  FamilySet set;
  const Status status = ParseStoredLines(name, type, lines, set);
  return status ? Dump(set) : status.error().message;
}

TEST(StoredLinesTest, ReadsPlainMetrics) {
  EXPECT_EQ(Stored("m", MetricType::kCounter,
                   "m 1\nm{a=\"b\"} 1.5e+06\nm{a=\"b\",c:d=\"\\\\\\n\\\"\"} NaN\n"),
            "m COUNTER\n  {} value=1\n  {a=\"b\"} value=1.5e+06\n"
            "  {a=\"b\",c:d=\"\\\n\"\"} value=NaN\n");
  EXPECT_EQ(Stored("m", MetricType::kGauge, ""), "m GAUGE\n");
}

TEST(StoredLinesTest, KeepsThePushedNameOfAnEscapedOne) {
  EXPECT_EQ(Stored("a.b", MetricType::kUntyped, "a_b{c_d=\"e\"} 1\n"),
            "a.b UNTYPED\n  {c_d=\"e\"} value=1\n");
  EXPECT_EQ(Stored("a.b", MetricType::kSummary, "a_b_sum 1\na_b_count 2\n"),
            "a.b SUMMARY\n  {} sum=1 count=2\n");
}

TEST(StoredLinesTest, ReadsSummaries) {
  EXPECT_EQ(Stored("s", MetricType::kSummary,
                   "s{quantile=\"0.5\"} 1\ns{quantile=\"0.5\"} -Inf\ns_sum 3\ns_count 4\n"
                   "s_sum{a=\"b\"} 5\ns_count{a=\"b\"} 6\n"
                   "s{a=\"c\",quantile=\"1\"} 7\ns_sum{a=\"c\"} 8\ns_count{a=\"c\"} 9\n"),
            "s SUMMARY\n  {} (0.5:1) (0.5:-Inf) sum=3 count=4\n"
            "  {a=\"b\"} sum=5 count=6\n  {a=\"c\"} (1:7) sum=8 count=9\n");
}

TEST(StoredLinesTest, ReadsHistogramsOfBothTypes) {
  const std::string lines =
      "h_bucket{a=\"b\",le=\"+Inf\"} 2.5\nh_bucket{a=\"b\",le=\"1\"} 1\n"
      "h_sum{a=\"b\"} 4.4582999999999996e-05\nh_count{a=\"b\"} 2\n"
      "h_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 1e+06\n";
  const std::string metrics =
      "  {a=\"b\"} (+Inf:2.5) (1:1) sum=4.4582999999999996e-05 count=2\n"
      "  {} (+Inf:0) sum=0 count=1e+06\n";
  EXPECT_EQ(Stored("h", MetricType::kHistogram, lines), "h HISTOGRAM\n" + metrics);
  EXPECT_EQ(Stored("h", MetricType::kGaugeHistogram, lines), "h GAUGE_HISTOGRAM\n" + metrics);
}

// As unchecked pushes may store them.
TEST(StoredLinesTest, KeepsEqualLabelSetsApart) {
  const std::string one = "h_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 3\n";
  EXPECT_EQ(Stored("h", MetricType::kHistogram, one + one),
            "h HISTOGRAM\n  {} (+Inf:1) sum=2 count=3\n  {} (+Inf:1) sum=2 count=3\n");
  EXPECT_EQ(Stored("s", MetricType::kSummary, "s_sum 1\ns_count 1\ns_sum 1\ns_count 1\n"),
            "s SUMMARY\n  {} sum=1 count=1\n  {} sum=1 count=1\n");
}

TEST(StoredLinesTest, TakesOnlyTheLastLabelAsTheBound) {
  EXPECT_EQ(Stored("h", MetricType::kHistogram,
                   "h_bucket{le=\"x\",m=\"y\",le=\"+Inf\"} 1\nh_sum{le=\"x\",m=\"y\"} 2\n"
                   "h_count{le=\"x\",m=\"y\"} 3\n"),
            "h HISTOGRAM\n  {le=\"x\",m=\"y\"} (+Inf:1) sum=2 count=3\n");
  EXPECT_EQ(Stored("h", MetricType::kHistogram,
                   "h_bucket{le=\"1\",le=\"+Inf\"} 1\nh_sum{le=\"1\"} 2\nh_count{le=\"1\"} 3\n"),
            "h HISTOGRAM\n  {le=\"1\"} (+Inf:1) sum=2 count=3\n");
}

TEST(StoredLinesTest, AppendsToASetWithOtherFamilies) {
  FamilySet set;
  ASSERT_TRUE(ParseStoredLines("a", MetricType::kGauge, "a{x=\"1\"} 1\n", set));
  ASSERT_TRUE(ParseStoredLines("s", MetricType::kSummary,
                               "s{y=\"2\",quantile=\"1\"} 1\n"
                               "s_sum{y=\"2\"} 2\ns_count{y=\"2\"} 3\n",
                               set));
  EXPECT_EQ(Dump(set),
            "a GAUGE\n  {x=\"1\"} value=1\ns SUMMARY\n  {y=\"2\"} (1:1) sum=2 count=3\n");
}

TEST(StoredLinesTest, TakesBytesThatAreNoUtf8) {
  EXPECT_EQ(Stored("m", MetricType::kGauge, "m{a=\"\xff\"} 1\n"),
            "m GAUGE\n  {a=\"\xff\"} value=1\n");
}

TEST(StoredLinesTest, NamesWhatIsWrongAndWhere) {
  const struct {
    MetricType type;
    const char* lines;
    const char* problem;
  } cases[] = {
      {MetricType::kGauge, "m 1", "a line feed at the end at byte 3"},
      {MetricType::kGauge, "n 1\n", "the metric's name at byte 0"},
      {MetricType::kGauge, "m 1\nn 1\n", "the metric's name at byte 4"},
      {MetricType::kGauge, "m\n", "a blank at byte 1"},
      {MetricType::kGauge, "mm 1\n", "a blank at byte 1"},
      {MetricType::kGauge, "m  1\n", "a number at byte 2"},
      {MetricType::kGauge, "m x\n", "a number at byte 3"},
      {MetricType::kGauge, "m 1 2\n", "a number at byte 3"},
      {MetricType::kGauge, "m{} 1\n", "a label at byte 2"},
      {MetricType::kGauge, "m{a} 1\n", "an equals sign and a quote at byte 3"},
      {MetricType::kGauge, "m{a=\"b} 1\n", "a label value at byte 9"},
      {MetricType::kGauge, "m{a=\"\\t\"} 1\n", "a label value at byte 6"},
      {MetricType::kGauge, "m{a=\"b\",} 1\n", "a label at byte 8"},
      {MetricType::kGauge, "m{a=\"b\" 1\n", "a brace at byte 7"},
      {MetricType::kGauge, "# TYPE m gauge\n", "the metric's name at byte 0"},
      {MetricType::kSummary, "m 1\n", "_sum at byte 1"},
      {MetricType::kSummary, "m_sum 1\n", "the metric's name at byte 8"},
      {MetricType::kSummary, "m_count 1\nm_sum 1\n", "_sum at byte 1"},
      {MetricType::kSummary, "m{a=\"b\"} 1\nm_sum 1\nm_count 1\n", "a bound at byte 8"},
      {MetricType::kSummary, "m{quantile=\"x\"} 1\nm_sum 1\nm_count 1\n", "a number at byte 13"},
      {MetricType::kSummary, "m_sum{a=\"b\"} 1\nm_count{a=\"c\"} 1\n",
       "the labels of the line before at byte 22"},
      {MetricType::kSummary, "m_sum{a=\"b\"} 1\nm_count{a=\"b\",c=\"d\"} 1\n",
       "a brace at byte 28"},
      {MetricType::kHistogram, "m{le=\"1\"} 1\nm_sum 1\nm_count 1\n", "_sum at byte 1"},
      {MetricType::kHistogram, "m_bucket{le=\"1\"} 1\n", "the metric's name at byte 19"},
      {MetricType::kHistogram, "m_bucket{le=\"1\\n\"} 1\n", "a number at byte 14"},
      {MetricType::kHistogram, "m_bucket{a=\"b\",le=\"1\"} 1\nm_bucket{a=\"c\",le=\"2\"} 1\n",
       "_sum at byte 26"},
      {MetricType::kHistogram, "m_bucket{le=\"1\"} 1\nm_sum{a=\"b\"} 1\nm_count 1\n",
       "a blank at byte 24"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Stored("m", c.type, c.lines),
              std::string("stored lines of metric \"m\": expected ") + c.problem)
        << c.lines;
  }
  FamilySet set;
  const Status status = ParseStoredLines("m", MetricType::kGauge, "x\n", set);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kInternal);
}

}  // namespace
}  // namespace pgw
