// The JSON API, management, OPTIONS and the page.
#include <gmock/gmock.h>

#include <string>

#include "exposition/metrics.pb.h"
#include "exposition/wire.h"
#include "tests/routes/gateway_fixture.h"

namespace pgw {
namespace {

using namespace std::chrono_literals;
using testing::GatewayFixture;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Reply;

namespace pb = ::io::prometheus::client;

constexpr char kProtobuf[] =
    "application/vnd.google.protobuf; encoding=delimited; proto=io.prometheus.client.MetricFamily";

std::string Delimited(const pb::MetricFamily& family) {
  const std::string message = family.SerializeAsString();
  std::string body;
  AppendVarint(message.size(), body);
  return body + message;
}

class ApiTest : public GatewayFixture {
 protected:
  ApiTest()
      : GatewayFixture({.options = {.routes = {.enable_admin_api = true},
                                    .enable_lifecycle = true,
                                    .build_information = {{"branch", "b"}, {"version", "<1>"}},
                                    .flags = {{"log.level", "info"}, {"web.route-prefix", ""}},
                                    .start_time = WallTime(1'583'781'848s + 5ms)}}) {
    setenv("TZ", "UTC0", 1);
    tzset();
  }

  // What stands behind "name": in the only group, up to the end of the family.
  std::string FamilyJson(const std::string& name) {
    const std::string body = Get("/api/v1/metrics").body;
    const std::size_t at = body.find("\"" + name + "\":{");
    EXPECT_NE(at, std::string::npos) << body;
    const std::string rest = body.substr(at + name.size() + 3);
    const std::size_t metrics = rest.find("\"metrics\":") + 10;
    return rest.substr(metrics, rest.find("}]}") + 2 - metrics);
  }

  void PushMessage(const pb::MetricFamily& family) {
    const Reply reply =
        Send("PUT", "/metrics/job/j", Delimited(family), {{"Content-Type", kProtobuf}});
    EXPECT_EQ(reply.status, 200) << reply.body;
  }
};

void ExpectCorsHeaders(const Reply& reply) {
  EXPECT_EQ(reply.Header("Access-Control-Allow-Headers"),
            "Accept, Authorization, Content-Type, Origin");
  EXPECT_EQ(reply.Header("Access-Control-Allow-Methods"), "GET, POST, DELETE, OPTIONS");
  EXPECT_EQ(reply.Header("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(reply.Header("Access-Control-Expose-Headers"), "Date");
  EXPECT_EQ(reply.Header("Cache-Control"), "no-cache, no-store, must-revalidate");
}

TEST_F(ApiTest, ShowsBuildFlagsAndStart) {
  const Reply reply = Get("/api/v1/status");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.Header("Content-Type"), "application/json");
  ExpectCorsHeaders(reply);
  EXPECT_EQ(
      reply.body,
      R"({"status":"success","data":{"build_information":{"branch":"b","version":"\u003c1\u003e"},)"
      R"("flags":{"log.level":"info","web.route-prefix":""},)"
      R"("start_time":"2020-03-09T19:24:08.005Z"}})");
}

TEST_F(ApiTest, ShowsNoGroups) {
  const Reply reply = Get("/api/v1/metrics");
  EXPECT_EQ(reply.body, R"({"status":"success","data":[]})");
  ExpectCorsHeaders(reply);
}

TEST_F(ApiTest, ShowsAGroupInFull) {
  Send("PUT", "/metrics/job/Bj%C3%B6rn/instance/inst%27a%22n%5Cce1",
       "# HELP dur Run time.\n# TYPE dur gauge\ndur{step=\"b\"} NaN\ndur{step=\"a\"} 1.5\n"
       "# TYPE lat histogram\nlat_bucket{le=\"0.1\"} 3\nlat_bucket{le=\"+Inf\"} 5\n"
       "lat_sum 2.25\nlat_count 5\n"
       "# TYPE req summary\nreq{quantile=\"0.5\"} 0.25\nreq_sum 1\nreq_count 4\n");
  const std::string labels = R"("instance":"inst'a\"n\\ce1","job":"Björn")";
  const std::string time = R"({"time_stamp":"2020-03-09T19:24:08.025744841Z","type":)";
  EXPECT_EQ(
      Get("/api/v1/metrics").body,
      R"({"status":"success","data":[{"dur":)" + time +
          R"("GAUGE","help":"Run time.","metrics":[{"labels":{)" + labels +
          R"(,"step":"b"},"value":"NaN"},{"labels":{)" + labels +
          R"(,"step":"a"},"value":"1.5"}]},"labels":{)" + labels +
          R"(},"last_push_successful":true,"lat":)" + time +
          R"("HISTOGRAM","metrics":[{"buckets":{"+Inf":"5","0.1":"3"},"count":"5","labels":{)" +
          labels + R"(},"sum":"2.25"}]},"push_failure_time_seconds":)" + time +
          R"("GAUGE","help":"Last Unix time when changing this group in the Pushgateway failed.",)"
          R"("metrics":[{"labels":{)" +
          labels + R"(},"value":"0"}]},"push_time_seconds":)" + time +
          R"("GAUGE","help":"Last Unix time when changing this group in the Pushgateway succeeded.",)"
          R"("metrics":[{"labels":{)" +
          labels + R"(},"value":"1.583781848025745e+09"}]},"req":)" + time +
          R"("SUMMARY","metrics":[{"count":"4","labels":{)" + labels +
          R"(},"quantiles":{"0.5":"0.25"},"sum":"1"}]}}]})");
}

TEST_F(ApiTest, AddsTheEmptyInstanceToBookkeepingAlone) {
  Send("PUT", "/metrics/job/j", "");
  const std::string body = Get("/api/v1/metrics").body;
  EXPECT_THAT(body, HasSubstr(R"("labels":{"job":"j"},"last_push_successful":true)"));
  EXPECT_THAT(FamilyJson("push_time_seconds"),
              HasSubstr(R"([{"labels":{"instance":"","job":"j"},"value":"1.58)"));
}

TEST_F(ApiTest, TellsOfTheLastFailure) {
  Send("PUT", "/metrics/job/j", "m 1 1000\n");
  EXPECT_THAT(Get("/api/v1/metrics").body, HasSubstr("\"last_push_successful\":false"));
  clock_.Advance(1s);
  Send("PUT", "/metrics/job/j", "m 1\n");
  EXPECT_THAT(Get("/api/v1/metrics").body, HasSubstr("\"last_push_successful\":true"));
}

TEST_F(ApiTest, LetsAFamilyHideTheAttributeOfItsName) {
  Send("PUT", "/metrics/job/j", "labels 1\nlast_push_successful 2\n");
  const std::string body = Get("/api/v1/metrics").body;
  EXPECT_THAT(body, HasSubstr(R"("data":[{"labels":{"time_stamp":)"));
  EXPECT_THAT(body, HasSubstr(R"("last_push_successful":{"time_stamp":)"));
  EXPECT_THAT(body, Not(HasSubstr(R"("labels":{"job":"j"})")));
}

TEST_F(ApiTest, PrintsCountsAsIntegersUnlessOneIsAFraction) {
  Send("PUT", "/metrics/job/j",
       "# TYPE h histogram\nh_bucket{le=\"1e6\"} 1000000\nh_bucket{le=\"+Inf\"} 2000000\n"
       "h_sum -0.5\nh_count 2000000\n");
  EXPECT_EQ(FamilyJson("h"),
            R"([{"buckets":{"+Inf":"2000000","1e+06":"1000000"},"count":"2000000",)"
            R"("labels":{"instance":"","job":"j"},"sum":"-0.5"}])");
  Send("PUT", "/metrics/job/j",
       "# TYPE h histogram\nh_bucket{le=\"1\"} 1.5\nh_bucket{le=\"+Inf\"} 2000000\nh_sum 0\n"
       "h_count 2000000\n");
  EXPECT_EQ(FamilyJson("h"), R"([{"buckets":{"+Inf":"2e+06","1":"1.5"},"count":"2e+06",)"
                             R"("labels":{"instance":"","job":"j"},"sum":"0"}])");
}

TEST_F(ApiTest, ShowsNativeHistograms) {
  pb::MetricFamily family;
  family.set_name("mfh");
  family.set_type(pb::HISTOGRAM);
  for (const bool is_float : {false, true}) {
    pb::Metric& metric = *family.add_metric();
    pb::LabelPair& label = *metric.add_label();
    label.set_name("f");
    label.set_value(is_float ? "1" : "0");
    pb::Histogram& histogram = *metric.mutable_histogram();
    histogram.set_schema(1);
    histogram.set_sample_sum(99.23);
    is_float ? histogram.set_sample_count_float(20) : histogram.set_sample_count(20);
    for (int i = 0; i < 2; ++i) {
      histogram.add_positive_span()->set_length(2);
      histogram.add_negative_span()->set_length(2);
    }
    for (const int delta : {0, 2, -2, 0}) {
      if (is_float) break;
      histogram.add_positive_delta(delta);
      histogram.add_negative_delta(delta);
    }
    for (const double count : {2.0, 2.0, -2.0, 0.0}) {
      if (!is_float) break;
      histogram.add_positive_count(count);
      histogram.add_negative_count(count);
    }
  }
  PushMessage(family);
  EXPECT_EQ(FamilyJson("mfh"),
            R"([{"buckets":[[1,"-1.414213562373095","-1","2"],[0,"1","1.414213562373095","2"]],)"
            R"("count":"20","labels":{"f":"0","instance":"","job":"j"},"sum":"99.23"},)"
            R"({"buckets":[[1,"-2","-1.414213562373095","-2"],[1,"-1.414213562373095","-1","2"],)"
            R"([1,"-1","-0.7071067811865475","2"],[0,"0.7071067811865475","1","2"],)"
            R"([0,"1","1.414213562373095","2"],[0,"1.414213562373095","2","-2"]],)"
            R"("count":"20","labels":{"f":"1","instance":"","job":"j"},"sum":"99.23"}])");
}

TEST_F(ApiTest, FallsBackToBucketsForSchemasWithoutBounds) {
  pb::MetricFamily family;
  family.set_name("h");
  family.set_type(pb::HISTOGRAM);
  pb::Histogram& histogram = *family.add_metric()->mutable_histogram();
  histogram.set_schema(-53);
  histogram.add_positive_span()->set_length(1);
  histogram.add_positive_delta(1);
  histogram.set_sample_count(18446744073709551615u);
  pb::Bucket& bucket = *histogram.add_bucket();
  bucket.set_upper_bound(2);
  bucket.set_cumulative_count(9007199254740993u);
  PushMessage(family);
  EXPECT_EQ(FamilyJson("h"),
            R"([{"buckets":{"2":"9007199254740993"},"count":"18446744073709551615",)"
            R"("labels":{"instance":"","job":"j"},"sum":"0"}])");
}

TEST_F(ApiTest, ShowsAnEmptySummaryAndAFamilyWithoutSamples) {
  pb::MetricFamily family;
  family.set_name("mf1");
  family.set_type(pb::SUMMARY);
  family.add_metric()->mutable_summary()->set_sample_count(0);
  PushMessage(family);
  EXPECT_EQ(FamilyJson("mf1"),
            R"([{"count":"0","labels":{"instance":"","job":"j"},"quantiles":{},"sum":"0"}])");
  pb::MetricFamily nothing;
  nothing.set_name("none");
  nothing.set_help("h");
  nothing.set_type(pb::GAUGE);
  PushMessage(nothing);
  EXPECT_THAT(Get("/api/v1/metrics").body,
              HasSubstr(R"("type":"GAUGE","help":"h","metrics":[]},)"));
}

TEST_F(ApiTest, KeepsTheSignOfZeroAndHidesGaugeHistograms) {
  pb::MetricFamily family;
  family.set_name("z");
  family.set_type(pb::GAUGE);
  family.add_metric()->mutable_gauge()->set_value(-0.0);
  PushMessage(family);
  EXPECT_EQ(FamilyJson("z"), R"([{"labels":{"instance":"","job":"j"},"value":"-0"}])");
  family.set_name("gh");
  family.set_type(pb::GAUGE_HISTOGRAM);
  family.clear_metric();
  family.add_metric()->mutable_histogram()->set_sample_count(3);
  PushMessage(family);
  EXPECT_EQ(FamilyJson("gh"), R"([{"labels":{"instance":"","job":"j"},"value":"0"}])");
}

TEST_F(ApiTest, StreamsLargeAnswersPieceByPiece) {
  std::string body;
  for (int i = 0; i < 2000; ++i) body += "m{i=\"" + std::to_string(i) + "\"} 1\n";
  for (int group = 0; group < 150; ++group) {
    const std::string target = "/metrics/job/j" + std::to_string(group);
    EXPECT_EQ(Send("PUT", target, group == 7 ? body : "m 1\n").status, 200);
  }
  const Reply reply = Get("/api/v1/metrics");
  EXPECT_TRUE(reply.streamed);
  std::size_t groups = 0;
  for (std::size_t at = 0;
       (at = reply.body.find("\"last_push_successful\"", at)) != std::string::npos; ++at) {
    ++groups;
  }
  EXPECT_EQ(groups, 150u);
  EXPECT_THAT(reply.body, HasSubstr(R"("i":"1999","instance":"","job":"j7"},"value":"1"}]})"));
  EXPECT_TRUE(reply.body.ends_with("}}]}")) << reply.body.substr(reply.body.size() - 50);
}

TEST_F(ApiTest, AnswersPreflightsEverywhereBelow) {
  for (const std::string_view target : {"/api/v1/", "/api/v1/metrics", "/api/v1/what/ever"}) {
    const Reply reply = Send("OPTIONS", target);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "");
    EXPECT_EQ(reply.Header("Allow"), "");
    ExpectCorsHeaders(reply);
  }
  EXPECT_EQ(Send("POST", "/api/v1/metrics").Header("Access-Control-Allow-Origin"), "");
}

TEST_F(ApiTest, WipesEveryGroup) {
  for (int i = 0; i < 5; ++i) Send("PUT", "/metrics/job/j" + std::to_string(i), "m 1\n");
  const Reply reply = Send("PUT", "/api/v1/admin/wipe");
  EXPECT_EQ(reply.status, 202);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(reply.headers.size(), 0u);
  EXPECT_EQ(Get("/api/v1/metrics").body, R"({"status":"success","data":[]})");
  EXPECT_THAT(Logged(), HasSubstr("level=debug"));
}

TEST_F(ApiTest, QuitsWhenAsked) {
  EXPECT_EQ(Send("PUT", "/-/quit").body, "Requesting termination... Goodbye!");
  EXPECT_EQ(quits_, 1);
  const Reply reply = Get("/-/quit");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.body, "Only POST or PUT requests allowed.");
  EXPECT_EQ(reply.Header("Allow"), "");
  EXPECT_EQ(quits_, 1);
}

TEST_F(ApiTest, IsHealthyAndReady) {
  for (const std::string_view target : {"/-/healthy", "/-/ready"}) {
    const Reply reply = Get(target);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "OK");
    EXPECT_EQ(reply.Header("Content-Type"), "text/plain; charset=utf-8");
  }
}

TEST_F(ApiTest, CountsHandlersByTheirNames) {
  Get("/");
  Get("/static/nothing");
  Get("/-/healthy");
  Get("/-/ready");
  Get("/api/v1/status");
  Get("/api/v1/metrics");
  Send("OPTIONS", "/api/v1/");
  Send("PUT", "/api/v1/admin/wipe");
  Send("PUT", "/-/quit");
  const std::string scrape = Get("/metrics").body;
  for (const std::string_view labels :
       {R"({code="200",handler="status",method="get"} 1)",
        R"({code="404",handler="static",method="get"} 1)",
        R"({code="200",handler="healthy",method="get"} 1)",
        R"({code="200",handler="ready",method="get"} 1)",
        R"({code="200",handler="api/v1/status",method="get"} 1)",
        R"({code="200",handler="api/v1/metrics",method="get"} 1)",
        R"({code="200",handler="api/v1/options",method="options"} 1)",
        R"({code="202",handler="wipe",method="put"} 1)"}) {
    EXPECT_THAT(scrape, HasSubstr("pushgateway_http_requests_total" + std::string(labels)));
  }
  EXPECT_THAT(scrape, Not(HasSubstr("quit")));
}

TEST_F(ApiTest, HasAPageWithLinks) {
  const Reply reply = Get("/status");
  EXPECT_EQ(reply.Header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_THAT(reply.body, HasSubstr("href=\"./metrics\""));
  EXPECT_EQ(Get("/").body, reply.body);
}

class LockedTest : public GatewayFixture {
 protected:
  LockedTest()
      : GatewayFixture({.options = {.routes = {.prefix = "/pg", .telemetry_path = "/pg"}}}) {}
};

TEST_F(LockedTest, RefusesToQuitAndToWipe) {
  const Reply reply = Send("POST", "/pg/-/quit");
  EXPECT_EQ(reply.status, 403);
  EXPECT_EQ(reply.body, "Lifecycle API is not enabled.");
  EXPECT_EQ(quits_, 0);
  EXPECT_EQ(Send("PUT", "/pg/api/v1/admin/wipe").status, 404);
}

TEST_F(LockedTest, LinksToATelemetryPathOutsideItsPrefix) {
  EXPECT_THAT(Get("/pg/").body, HasSubstr("href=\"/pg\""));
  EXPECT_EQ(Get("/pg").status, 200);
}

}  // namespace
}  // namespace pgw
