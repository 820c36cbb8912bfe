// What a scrape looks like in its formats, encodings and sizes.
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "exposition/metrics.pb.h"
#include "exposition/wire.h"
#include "server/routes/gzip_stream.h"
#include "tests/routes/gateway_fixture.h"
#include "tests/routes/gunzip.h"

namespace pgw {
namespace {

using testing::GatewayFixture;
using testing::GatewaySetup;
using testing::Gunzip;
using ::testing::HasSubstr;
using testing::Reply;
using ::testing::StartsWith;

namespace pb = ::io::prometheus::client;

constexpr char kAcceptProtobuf[] =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

// Gives the same text over and over, in pieces of one size.
class Repeater final : public ReaderBody {
 public:
  std::size_t buffered_bytes() const noexcept override { return 0; }
  Repeater(std::string text, int times) : text_(std::move(text)), left_(times) {}
  void Next(std::vector<std::string_view>& pieces) override {
    if (left_-- > 0) pieces.push_back(text_);
  }

 private:
  const std::string text_;
  int left_;
};

class ScrapeTest : public GatewayFixture {
 protected:
  explicit ScrapeTest(GatewaySetup setup = {}) : GatewayFixture(std::move(setup)) {}

  std::map<std::string, pb::MetricFamily> ScrapeMessages() {
    const Reply reply = Get("/metrics", {{"Accept", kAcceptProtobuf}});
    EXPECT_EQ(reply.Header("Content-Type"),
              "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
              "encoding=delimited; escaping=underscores");
    std::map<std::string, pb::MetricFamily> families;
    std::string_view rest = reply.body;
    while (!rest.empty()) {
      std::uint64_t size = 0;
      EXPECT_EQ(ConsumeVarint(rest, size), VarintStatus::kOk);
      pb::MetricFamily family;
      EXPECT_TRUE(family.ParseFromArray(rest.data(), static_cast<int>(size)));
      rest.remove_prefix(size);
      EXPECT_TRUE(families.emplace(family.name(), family).second) << family.name();
    }
    return families;
  }

  // About `bytes` of series in one group.
  void PushMuch(std::size_t bytes) {
    std::string body;
    for (int i = 0; body.size() < bytes; ++i) {
      body += "series_" + std::to_string(i % 10) + "{i=\"" + std::to_string(i) + "\"} 0.5\n";
    }
    EXPECT_EQ(Send("PUT", "/metrics/job/much", body).status, 200);
  }
};

TEST_F(ScrapeTest, HasALengthUnlessCompressed) {
  PushMuch(300'000);
  const Reply reply = Get("/metrics");  // the fixture compares stream_length
  EXPECT_TRUE(reply.streamed);
  EXPECT_EQ(reply.Header("Content-Type"),
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
  EXPECT_EQ(reply.Header("Content-Encoding"), "");
}

TEST_F(ScrapeTest, CompressesOnRequest) {
  for (const std::size_t bytes : {std::size_t{100}, std::size_t{3'000'000}}) {
    PushMuch(bytes);
    const Reply reply = Get("/metrics", {{"Accept-Encoding", "gzip, deflate"}});
    EXPECT_EQ(reply.Header("Content-Encoding"), "gzip");
    EXPECT_EQ(reply.streamed, bytes > 64 * 1024);
    EXPECT_EQ(testing::WithoutOwnFamilies(Gunzip(reply.body)), ScrapePushed());
  }
}

TEST_F(ScrapeTest, MergesFamiliesOfOneNameAcrossGroups) {
  Send("PUT", "/metrics/job/a", "# TYPE m gauge\nm 1\nonly_a 1\n");
  Send("PUT", "/metrics/job/b", "# TYPE m gauge\nm 2\n");
  const auto families = ScrapeMessages();
  EXPECT_EQ(families.at("m").metric_size(), 2);
  EXPECT_EQ(families.at("m").type(), pb::GAUGE);
  EXPECT_EQ(families.at("only_a").metric_size(), 1);
  EXPECT_FALSE(families.at("only_a").has_help());
  EXPECT_EQ(families.at("push_time_seconds").metric_size(), 2);
}

TEST_F(ScrapeTest, MergesOwnAndPushedSamplesInMessages) {
  Send("PUT", "/metrics/job/k0s", "# TYPE process_open_fds gauge\nprocess_open_fds 7\n");
  const pb::MetricFamily family = ScrapeMessages().at("process_open_fds");
  EXPECT_EQ(family.help(), "Number of open file descriptors.");
  ASSERT_EQ(family.metric_size(), 2);
  EXPECT_EQ(family.metric(0).label_size(), 0);
  EXPECT_EQ(family.metric(1).label_size(), 2);
  EXPECT_EQ(family.metric(1).gauge().value(), 7);
}

TEST_F(ScrapeTest, KeepsInMessagesWhatTextCannotCarry) {
  pb::MetricFamily family;
  family.set_name("h");
  family.set_type(pb::HISTOGRAM);
  pb::Histogram& histogram = *family.add_metric()->mutable_histogram();
  histogram.set_sample_count(3);
  histogram.set_schema(2);
  histogram.add_positive_span()->set_length(1);
  histogram.add_positive_delta(3);
  histogram.mutable_created_timestamp()->set_seconds(42);
  std::string body;
  AppendVarint(family.ByteSizeLong(), body);
  body += family.SerializeAsString();
  Send("PUT", "/metrics/job/j", body,
       {{"Content-Type",
         "application/vnd.google.protobuf; encoding=delimited; "
         "proto=io.prometheus.client.MetricFamily"}});
  const pb::MetricFamily scraped = ScrapeMessages().at("h");
  ASSERT_EQ(scraped.metric_size(), 1);
  EXPECT_EQ(scraped.metric(0).label_size(), 2);
  EXPECT_EQ(scraped.metric(0).histogram().SerializeAsString(), histogram.SerializeAsString());
  EXPECT_EQ(ScrapePushed(),
            "# TYPE h histogram\n"
            "h_bucket{instance=\"\",job=\"j\",le=\"+Inf\"} 3\n"
            "h_sum{instance=\"\",job=\"j\"} 0\n"
            "h_count{instance=\"\",job=\"j\"} 3\n");
}

TEST_F(ScrapeTest, ShowsOwnFamiliesInTheirTypes) {
  Send("PUT", "/metrics/job/j", "m 1\n");
  own_metrics_.OnExpired(2, 1, std::vector<std::chrono::nanoseconds>(2, std::chrono::seconds(2)));
  const auto families = ScrapeMessages();
  EXPECT_EQ(families.at("pushgateway_build_info").metric(0).gauge().value(), 1);
  EXPECT_EQ(families.at("pushgateway_build_info").metric(0).label(3).name(), "goversion");
  EXPECT_EQ(families.at("pushgateway_build_info").metric(0).label(3).value(), "");
  EXPECT_EQ(families.at("pushgateway_http_requests_total").type(), pb::COUNTER);
  EXPECT_EQ(families.at("pushgateway_http_push_size_bytes").metric(0).summary().quantile_size(), 3);
  EXPECT_EQ(families.at("pushgateway_groups").metric(0).gauge().value(), 1);
  EXPECT_EQ(families.at("pushgateway_series").metric(0).gauge().value(), 3);
  EXPECT_GT(families.at("pushgateway_store_bytes").metric(0).gauge().value(), 0);
  EXPECT_EQ(families.at("pushgateway_expired_families_total").metric(0).counter().value(), 2);
  EXPECT_EQ(families.at("pushgateway_expired_groups_total").metric(0).counter().value(), 1);
  const pb::Histogram& lag = families.at("pushgateway_expiry_lag_seconds").metric(0).histogram();
  EXPECT_EQ(lag.sample_count(), 2u);
  EXPECT_EQ(lag.sample_sum(), 4);
}

class DurableScrapeTest : public ScrapeTest {
 protected:
  static DurabilityFacts Facts() {
    DurabilityFacts facts;
    facts.journal_bytes = 1000;
    facts.snapshot_bytes = 2000;
    facts.recovered_records = 3;
    facts.failing = true;
    facts.last_success = WallTime(std::chrono::seconds(4));
    return facts;
  }
  DurableScrapeTest() : ScrapeTest({.options = {.durability = Facts}}) {}
};

TEST_F(DurableScrapeTest, TellsAboutPersistence) {
  own_metrics_.OnSync(std::chrono::milliseconds(2));
  own_metrics_.OnSync(std::chrono::milliseconds(3));
  own_metrics_.OnPersistenceError();
  own_metrics_.OnSnapshot();
  const auto families = ScrapeMessages();
  const auto gauge = [&](const std::string& name) {
    return families.at("pushgateway_persistence_" + name).metric(0).gauge().value();
  };
  EXPECT_EQ(gauge("failing"), 1);
  EXPECT_EQ(gauge("journal_bytes"), 1000);
  EXPECT_EQ(gauge("snapshot_bytes"), 2000);
  EXPECT_EQ(gauge("recovered_records"), 3);
  EXPECT_EQ(gauge("last_success_timestamp_seconds"), 4);
  const auto counter = [&](const std::string& name) {
    return families.at("pushgateway_persistence_" + name).metric(0).counter().value();
  };
  EXPECT_EQ(counter("errors_total"), 1);
  EXPECT_EQ(counter("snapshots_total"), 1);
  const pb::Histogram& syncs =
      families.at("pushgateway_persistence_sync_duration_seconds").metric(0).histogram();
  EXPECT_EQ(syncs.sample_count(), 2u);
  EXPECT_DOUBLE_EQ(syncs.sample_sum(), 0.005);
}

TEST_F(ScrapeTest, SaysNothingOfPersistenceWithoutIt) {
  for (const auto& [name, family] : ScrapeMessages()) {
    EXPECT_FALSE(name.starts_with("pushgateway_persistence_")) << name;
  }
}

TEST_F(DurableScrapeTest, DescribesEveryFamilyThatItShows) {
  own_metrics_.OnSync(std::chrono::milliseconds(2));
  Send("PUT", "/metrics/job/j", "");
  std::map<std::string, OwnFamily> described;
  for (const OwnFamily& family : OwnMetrics::Families()) described[family.name] = family;
  std::size_t shown = 0;
  for (const auto& [name, family] : ScrapeMessages()) {
    if (name.starts_with("push_")) continue;
    ASSERT_TRUE(described.contains(name)) << name;
    EXPECT_EQ(described[name].help, family.help());
    EXPECT_EQ(static_cast<int>(described[name].type), static_cast<int>(family.type())) << name;
    EXPECT_EQ(described[name].replaces_help, !name.starts_with("pushgateway_http_"));
    ++shown;
  }
  EXPECT_EQ(shown, described.size());
}

TEST_F(ScrapeTest, HasDebugForms) {
  Send("PUT", "/metrics/job/a", "# HELP m h\nm 1\nprocess_x 1\n");
  Send("PUT", "/metrics/job/b", "m 2\n# TYPE process_open_fds gauge\nprocess_open_fds 7\n");
  const std::string accept = kAcceptProtobuf;
  const std::string compact =
      Get("/metrics",
          {{"Accept", accept.substr(0, accept.find(";encoding")) + ";encoding=compact-text"}})
          .body;
  const std::size_t at = compact.find("name:\"m\" ");
  ASSERT_NE(at, std::string::npos) << compact;
  const std::string line = compact.substr(at, compact.find('\n', at) - at);
  EXPECT_THAT(line, HasSubstr("value:\"a\""));
  EXPECT_THAT(line, HasSubstr("value:\"b\""));
  EXPECT_THAT(line, HasSubstr("help:\"h\""));
  const std::size_t fds = compact.find("name:\"process_open_fds\" ");
  EXPECT_THAT(compact.substr(fds, compact.find('\n', fds) - fds),
              HasSubstr("help:\"Number of open file descriptors.\""));
  const Reply text =
      Get("/metrics", {{"Accept", accept.substr(0, accept.find(";encoding")) + ";encoding=text"}});
  EXPECT_THAT(text.body, HasSubstr("name: \"m\"\n"));
}

TEST_F(ScrapeTest, StaysConsistentWhilePushesGoOn) {
  PushMuch(200'000);
  const std::string before = ScrapePushed();
  Send("PUT", "/metrics/job/much", "other 1\n");
  EXPECT_EQ(ScrapePushed(), "# TYPE other untyped\nother{instance=\"\",job=\"much\"} 1\n");
  EXPECT_GT(before.size(), 200'000u);
}

TEST(GzipStreamTest, GivesSomethingInEveryCallUntilTheEnd) {
  // Compresses so well that deflate would keep megabytes to itself.
  GzipStream stream(std::make_unique<Repeater>(std::string(128 * 1024, 'x'), 200));
  std::string body;
  std::vector<std::string_view> pieces;
  int calls = 0;
  for (stream.Next(pieces); !pieces.empty(); stream.Next(pieces), ++calls) {
    for (const std::string_view piece : pieces) {
      EXPECT_FALSE(piece.empty());
      body.append(piece);
    }
    pieces.clear();
  }
  EXPECT_GE(calls, 40);  // no call takes more than about half a megabyte
  EXPECT_EQ(Gunzip(body), std::string(200 * 128 * 1024, 'x'));
}

TEST(GzipStreamTest, CompressesNothing) {
  GzipStream stream(std::make_unique<Repeater>("", 0));
  EXPECT_EQ(Gunzip(ReadAll(stream)), "");
}

}  // namespace
}  // namespace pgw
