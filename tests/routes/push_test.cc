// Pushes and deletes, from the request to what a scrape shows.
#include <gmock/gmock.h>
#include <zlib.h>

#include <string>

#include "tests/routes/gateway_fixture.h"

namespace pgw {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using testing::GatewayFixture;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Reply;
using ::testing::StartsWith;

constexpr char kProtobuf[] =
    "application/vnd.google.protobuf; encoding=delimited; proto=io.prometheus.client.MetricFamily";

std::string Gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class PushTest : public GatewayFixture {};

TEST_F(PushTest, StoresWhatIsPushed) {
  const Reply reply =
      Send("POST", "/metrics/job/testjob/instance/testinstance",
           "some_metric 3.14\nanother_metric{instance=\"testinstance\",job=\"testjob\"} 42\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(reply.headers.size(), 0u);
  EXPECT_EQ(ScrapePushed(),
            "# TYPE another_metric untyped\n"
            "another_metric{instance=\"testinstance\",job=\"testjob\"} 42\n"
            "# TYPE some_metric untyped\n"
            "some_metric{instance=\"testinstance\",job=\"testjob\"} 3.14\n");
}

TEST_F(PushTest, ReplacesWithPutAndMergesWithPost) {
  Send("PUT", "/metrics/job/a", "x 1\ny 1\n");
  Send("POST", "/metrics/job/a", "x 2\n");
  EXPECT_THAT(ScrapePushed(), HasSubstr("x{instance=\"\",job=\"a\"} 2\n"));
  EXPECT_THAT(ScrapePushed(), HasSubstr("y{instance=\"\",job=\"a\"} 1\n"));
  Send("PUT", "/metrics/job/a", "z 1\n");
  EXPECT_EQ(ScrapePushed(), "# TYPE z untyped\nz{instance=\"\",job=\"a\"} 1\n");
}

TEST_F(PushTest, JudgesThePathBeforeTheBody) {
  const Reply reply = Send("PUT", "/metrics/job/a/b", "x 1\n");
  EXPECT_TRUE(reply.before_body);
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.body, "odd number of components in label string \"/b\"\n");
  EXPECT_EQ(reply.Header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(reply.Header("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(Logged(), HasSubstr("msg=\"failed to parse URL\" url=/b err="));

  EXPECT_EQ(Send("POST", "/metrics/job@base64/=", "").body, "job name is required\n");
  EXPECT_THAT(Logged(), HasSubstr("level=debug caller=gateway.cc:"));
  EXPECT_EQ(Send("POST", "/metrics/job@base64/!", "").status, 400);
  EXPECT_THAT(Logged(), HasSubstr("msg=\"invalid base64 encoding in job name\" job=\"\" "
                                  "err=\"illegal base64 data at input byte 0\"\n"));
  EXPECT_EQ(store_.Stats().groups, 0u);
}

TEST_F(PushTest, LeavesNoTraceOfAMalformedBody) {
  const Reply reply = Send("POST", "/metrics/job/testjob/instance/i", "blablabla\n");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, StartsWith("text format parsing error in line 1: "));
  EXPECT_EQ(store_.Stats().groups, 0u);
  EXPECT_THAT(Logged(), HasSubstr("level=debug"));
}

TEST_F(PushTest, TellsOfInconsistencyAndLogsIt) {
  Send("POST", "/metrics/job/j", "# TYPE m counter\nm 1\n");
  Logged();
  const Reply reply = Send("POST", "/metrics/job/j/x/y", "# TYPE m gauge\nm 1\n");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, StartsWith("pushed metrics are invalid or inconsistent with existing "
                                     "metrics: collected metric \"m\" {"));
  const std::string log = Logged();
  EXPECT_THAT(log, HasSubstr("level=error caller=push.cc:"));
  EXPECT_THAT(log, HasSubstr("msg=\"pushed metrics are invalid or inconsistent with existing "
                             "metrics\" method=POST logged_source=127.0.0.1:53854 err="));
}

TEST_F(PushTest, RefusesTimestamps) {
  EXPECT_EQ(Send("PUT", "/metrics/job/j", "m 1 1000\n").body,
            "pushed metrics are invalid or inconsistent with existing metrics: pushed metrics must "
            "not have timestamps\n");
  const std::string scrape = Get("/metrics").body;
  EXPECT_THAT(scrape, HasSubstr("push_time_seconds{instance=\"\",job=\"j\"} 0\n"));
  EXPECT_THAT(scrape, HasSubstr("push_failure_time_seconds{instance=\"\",job=\"j\"} "
                                "1.583781848025745e+09\n"));
}

TEST_F(PushTest, AcceptsAnEmptyBody) {
  EXPECT_EQ(Send("POST", "/metrics/job/testjob", "").status, 200);
  EXPECT_THAT(Get("/metrics").body, HasSubstr("push_time_seconds{instance=\"\",job=\"testjob\"} "
                                              "1.583781848025745e+09\n"));
}

// Large enough to be recognised when it comes again.
std::string LargeBody(std::string_view value) {
  std::string body;
  for (int i = 0; i < 400; ++i) {
    body.append("large{n=\"").append(std::to_string(i)).append("\"} ").append(value).append("\n");
  }
  return body;
}

TEST_F(PushTest, TakesTheSameLargeBodyAgainAndAgain) {
  const std::string body = LargeBody("1");
  EXPECT_EQ(Send("POST", "/metrics/job/a", body).status, 200);
  const std::string before = ScrapePushed();
  EXPECT_THAT(before, HasSubstr("large{instance=\"\",job=\"a\",n=\"399\"} 1\n"));
  for (int i = 0; i < 3; ++i) {
    const std::string earlier = Get("/metrics").body;
    clock_.Advance(10s);
    const Reply reply = Send("POST", "/metrics/job/a", body);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "");
    EXPECT_EQ(ScrapePushed(), before);
    EXPECT_NE(Get("/metrics").body, earlier);  // push_time_seconds has moved
  }
  EXPECT_EQ(Send("POST", "/metrics/job/a", LargeBody("2")).status, 200);
  EXPECT_THAT(ScrapePushed(), HasSubstr("large{instance=\"\",job=\"a\",n=\"399\"} 2\n"));
  EXPECT_EQ(Send("POST", "/metrics/job/a", body).status, 200);
  EXPECT_EQ(ScrapePushed(), before);
}

TEST_F(PushTest, TellsLargeBodiesApartByMethodGroupAndEncoding) {
  const std::string body = LargeBody("1");
  Send("POST", "/metrics/job/a", "small 1\n");
  Send("POST", "/metrics/job/a", body);
  EXPECT_THAT(ScrapePushed(), HasSubstr("small"));
  Send("PUT", "/metrics/job/a", body);
  EXPECT_THAT(ScrapePushed(), Not(HasSubstr("small")));
  Send("POST", "/metrics/job/b", body);
  EXPECT_THAT(ScrapePushed(), HasSubstr("large{instance=\"\",job=\"b\",n=\"399\"} 1\n"));
  EXPECT_EQ(Send("POST", "/metrics/job/a", body, {{"Content-Type", kProtobuf}}).status, 400);
  EXPECT_EQ(Send("POST", "/metrics/job/a", body, {{"Content-Encoding", "snappy"}}).status, 400);
  EXPECT_EQ(Send("POST", "/metrics/job/a", body).status, 200);
}

TEST_F(PushTest, RefusesTheSameLargeBodyAgainAndAgain) {
  const std::string body = LargeBody("1 5");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Send("POST", "/metrics/job/a", body).status, 400);
  const std::string malformed = LargeBody("1,5");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Send("POST", "/metrics/job/a", malformed).status, 400);
}

TEST_F(PushTest, DecodesGzip) {
  EXPECT_EQ(
      Send("PUT", "/metrics/job/j", Gzip("a 1\n") + Gzip("b 2\n"), {{"content-encoding", "GZIP"}})
          .status,
      200);
  EXPECT_THAT(ScrapePushed(), HasSubstr("b{instance=\"\",job=\"j\"} 2\n"));
}

TEST_F(PushTest, LooksAtTheGzipHeaderBeforeAnythingElse) {
  const Headers gzip = {{"Content-Encoding", "gzip"}};
  EXPECT_EQ(Send("GET", "/metrics", "", gzip).body, "EOF\n");
  EXPECT_EQ(Send("PUT", "/nowhere", "no gzip at all", gzip).body, "gzip: invalid header\n");
  EXPECT_EQ(Send("PUT", "/metrics/job/a/b", "\x1f", gzip).body, "unexpected EOF\n");
  EXPECT_EQ(Send("PUT", "/nowhere", Gzip("x"), gzip).status, 404);
  EXPECT_EQ(Send("PUT", "/metrics/job/a/b", Gzip("x"), gzip).status, 400);
  // Redirects come before it, and the API knows nothing of it.
  EXPECT_EQ(Send("PUT", "//metrics/job/a", "", gzip).status, 307);
  EXPECT_EQ(Send("GET", "/api/v1/metrics", "", gzip).status, 200);
  EXPECT_THAT(Get("/metrics").body, Not(HasSubstr("handler=\"push\",method=\"get\"")));
}

TEST_F(PushTest, ReportsABrokenStreamUnlessALineBeforeItIsWrong) {
  const Headers gzip = {{"Content-Encoding", "gzip"}};
  std::string good = Gzip("a 1\nb 2\n");
  good.resize(good.size() - 3);
  EXPECT_EQ(Send("PUT", "/metrics/job/j", good, gzip).body, "unexpected EOF\n");
  std::string bad = Gzip("a one\nb 2\n");
  bad.resize(bad.size() - 3);
  EXPECT_THAT(Send("PUT", "/metrics/job/j", bad, gzip).body,
              StartsWith("text format parsing error in line 1: "));
  EXPECT_EQ(store_.Stats().groups, 0u);
}

TEST_F(PushTest, IgnoresOtherEncodings) {
  EXPECT_EQ(Send("PUT", "/metrics/job/j", "a 1\n", {{"Content-Encoding", "deflate"}}).status, 200);
  EXPECT_EQ(Send("PUT", "/metrics/job/j", "", {{"Content-Encoding", "snappy"}}).status, 200);
  EXPECT_EQ(Send("PUT", "/metrics/job/j", "a 1\n", {{"Content-Encoding", "snappy"}}).body,
            "snappy: corrupt input\n");
}

TEST_F(PushTest, ReadsProtobufIfTheTypeSaysSo) {
  // name: "m", type: GAUGE, metric { gauge { value: 0 } }
  const std::string body("\x12\x0a\x01m\x18\x01\x22\x0b\x12\x09\x09\0\0\0\0\0\0\0\0", 19);
  EXPECT_EQ(Send("POST", "/metrics/job/j", body, {{"Content-Type", kProtobuf}}).status, 200);
  EXPECT_EQ(ScrapePushed(), "# TYPE m gauge\nm{instance=\"\",job=\"j\"} 0\n");
  EXPECT_EQ(Send("POST", "/metrics/job/j", body.substr(0, 9), {{"Content-Type", kProtobuf}}).body,
            "unexpected EOF\n");
  EXPECT_EQ(Send("POST", "/metrics/job/j", body, {{"Content-Type", "text/plain"}}).status, 400);
  EXPECT_EQ(Send("POST", "/metrics/job/j", "a 1\n", {{"Content-Type", "application/json"}}).status,
            200);
}

TEST_F(PushTest, DeletesExactlyTheNamedGroup) {
  Send("PUT", "/metrics/job/a", "x 1\n");
  Send("PUT", "/metrics/job/a/instance/i", "x 2\n");
  const Reply reply = Send("DELETE", "/metrics/job/a", "ignored");
  EXPECT_TRUE(reply.before_body);
  EXPECT_EQ(reply.status, 202);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(ScrapePushed(), "# TYPE x untyped\nx{instance=\"i\",job=\"a\"} 2\n");
  EXPECT_EQ(Send("DELETE", "/metrics/job/nobody").status, 202);
  EXPECT_EQ(Send("DELETE", "/metrics/job@base64/=").status, 400);
}

TEST_F(PushTest, NeverCreatesAGroupFromAPathThatIsNotUtf8) {
  EXPECT_EQ(Send("PUT", "/metrics/job/p/x/%FF", "m 1\n").status, 400);
  EXPECT_EQ(store_.Stats().groups, 0u);
  EXPECT_EQ(Get("/metrics").status, 200);
}

TEST_F(PushTest, MergesAPushedOwnFamilyUnderOneHeader) {
  EXPECT_EQ(Send("POST", "/metrics/job/k0s",
                 "# HELP process_open_fds other help\n# TYPE process_open_fds gauge\n"
                 "process_open_fds 12345\n")
                .status,
            200);
  const std::string scrape = Get("/metrics").body;
  EXPECT_THAT(scrape, HasSubstr("process_open_fds{instance=\"\",job=\"k0s\"} 12345\n"));
  EXPECT_THAT(scrape, HasSubstr("# HELP process_open_fds Number of open file descriptors.\n"));
  EXPECT_THAT(scrape, Not(HasSubstr("other help")));
  const std::string type_line = "# TYPE process_open_fds gauge\n";
  EXPECT_EQ(scrape.find(type_line), scrape.rfind(type_line));
  // Own and pushed samples lie together.
  EXPECT_THAT(scrape.substr(scrape.find(type_line) + type_line.size()),
              StartsWith("process_open_fds "));
}

TEST_F(PushTest, CountsAndMeasures) {
  Send("PUT", "/metrics/job/a", "x 1\n");
  Send("PUT", "/metrics/job/a", "x\n");
  Send("POST", "/metrics/job/a/b", "");
  Send("DELETE", "/metrics/job/a");
  Send("PUT", "/nowhere", "");
  const std::string scrape = Get("/metrics").body;
  const std::string counter = "pushgateway_http_requests_total";
  EXPECT_THAT(scrape, HasSubstr(counter + "{code=\"200\",handler=\"push\",method=\"put\"} 1\n"));
  EXPECT_THAT(scrape, HasSubstr(counter + "{code=\"400\",handler=\"push\",method=\"put\"} 1\n"));
  EXPECT_THAT(scrape, HasSubstr(counter + "{code=\"400\",handler=\"push\",method=\"post\"} 1\n"));
  EXPECT_THAT(scrape,
              HasSubstr(counter + "{code=\"202\",handler=\"delete\",method=\"delete\"} 1\n"));
  EXPECT_THAT(scrape, Not(HasSubstr("code=\"404\"")));
  EXPECT_THAT(scrape, HasSubstr("pushgateway_http_push_size_bytes_count{method=\"put\"} 2\n"));
  // PUT /metrics/job/a HTTP/1.1, the host, and 4 and 2 bytes of body.
  EXPECT_THAT(scrape, HasSubstr("pushgateway_http_push_size_bytes_sum{method=\"put\"} 68\n"));
  EXPECT_THAT(scrape,
              HasSubstr("pushgateway_http_push_duration_seconds_count{method=\"post\"} 1\n"));
}

class LimitedPushTest : public GatewayFixture {
 protected:
  LimitedPushTest() : GatewayFixture({.options = {.decompressed_bytes_max = 1000}, .ttl = 120s}) {}
};

TEST_F(LimitedPushTest, RefusesBodiesThatUnpackToTooMuch) {
  const Reply reply =
      Send("PUT", "/metrics/job/j", Gzip(std::string(1001, '\n')), {{"Content-Encoding", "gzip"}});
  EXPECT_EQ(reply.status, 413);
  EXPECT_EQ(reply.body, "decompressed body is larger than 1000 bytes\n");
  EXPECT_TRUE(reply.close);
  EXPECT_EQ(
      Send("PUT", "/metrics/job/j", Gzip(std::string(1000, '\n')), {{"Content-Encoding", "gzip"}})
          .status,
      200);
}

TEST_F(LimitedPushTest, LetsMetricsLiveForTheTtlExactly) {
  Send("PUT", "/metrics/job/j", "m 1\n");
  clock_.Advance(120s - 1ns);
  EXPECT_THAT(ScrapePushed(), HasSubstr("m{"));
  clock_.Advance(1ns);
  EXPECT_EQ(ScrapePushed(), "");
  EXPECT_EQ(Get("/api/v1/metrics").body, R"({"status":"success","data":[]})");
}

TEST_F(LimitedPushTest, ShowsWhenFamiliesExpire) {
  clock_.Set({clock_.Now().boot, WallTime(1'583'781'848s)});
  Send("PUT", "/metrics/job/j", "m 1\n");
  clock_.Advance(50s);
  EXPECT_THAT(Get("/api/v1/metrics").body,
              HasSubstr(R"("value":"1"}],"expires_at":"2020-03-09T19:26:08Z"})"));
}

TEST_F(LimitedPushTest, ShowsNoExpiryBeyondWhatTimesCanSay) {
  constexpr auto kWithout = R"("value":"1"}]})";
  clock_.Set({clock_.Now().boot, WallTime::max() - 60s});  // in 2262
  Send("PUT", "/metrics/job/j", "m 1\n");
  EXPECT_THAT(Get("/api/v1/metrics").body, HasSubstr(kWithout));
  clock_.Advance(59s);
  EXPECT_THAT(Get("/api/v1/metrics").body, HasSubstr(kWithout));
  clock_.Set({clock_.Now().boot, WallTime::max() - 62s});
  EXPECT_THAT(Get("/api/v1/metrics").body, HasSubstr(R"("expires_at":"2262-04-11T23:47:15)"));
}

// 106751d: the longest that a flag can say.
class LongLivedPushTest : public GatewayFixture {
 protected:
  LongLivedPushTest() : GatewayFixture({.options = {}, .ttl = 106'751 * 24h}) {}
};

TEST_F(LongLivedPushTest, ShowsNoExpiryInThePast) {
  clock_.Set({BootTime(10s), WallTime(1'583'781'848s)});
  Send("PUT", "/metrics/job/j", "m 1\n");
  EXPECT_THAT(ScrapePushed(), HasSubstr("m{"));
  EXPECT_THAT(Get("/api/v1/metrics").body, HasSubstr(R"("value":"1"}]})"));
}

class UncheckedPushTest : public GatewayFixture {
 protected:
  UncheckedPushTest() : GatewayFixture({.options = {.check_consistency = false}}) {}
};

TEST_F(UncheckedPushTest, AnswersAcceptedWhateverHappens) {
  EXPECT_EQ(Send("PUT", "/metrics/job/j", "m 1\n").status, 202);
  EXPECT_EQ(Send("PUT", "/metrics/job/j", "m 1 1000\n").status, 202);
  EXPECT_EQ(Send("PUT", "/metrics/job/j", "m one\n").status, 400);
  EXPECT_THAT(Logged(), Not(HasSubstr("level=error")));
}

TEST_F(UncheckedPushTest, FailsScrapesWhileTheStateIsInconsistent) {
  Send("PUT", "/metrics/job/j", "m 1\nm 2\n");
  const Reply reply = Get("/metrics");
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(reply.Header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_THAT(reply.body,
              StartsWith("An error has occurred while serving metrics:\n\ncollected metric \"m\""));
  EXPECT_THAT(Logged(), HasSubstr("msg=\"error gathering metrics: collected metric"));
  Send("PUT", "/metrics/job/j", "");
  EXPECT_EQ(Get("/metrics").status, 200);
}

class Utf8PushTest : public GatewayFixture {
 protected:
  Utf8PushTest() : GatewayFixture({.options = {.validation = NameValidation::kUtf8}}) {}
};

TEST_F(Utf8PushTest, TakesEscapedLabelNamesAndQuotedMetrics) {
  EXPECT_EQ(Send("POST", "/metrics/job/testjob/U__dotted_2e_label/v",
                 "{\"another.metric\",\"dotted.label\"=\"v\"} 42\n")
                .status,
            200);
  EXPECT_EQ(ScrapePushed({{"Accept", "text/plain;version=0.0.4;escaping=allow-utf-8"}}),
            "# TYPE \"another.metric\" untyped\n"
            "{\"another.metric\",\"dotted.label\"=\"v\",instance=\"\",job=\"testjob\"} 42\n");
  EXPECT_EQ(ScrapePushed(),
            "# TYPE another_metric untyped\n"
            "another_metric{dotted_label=\"v\",instance=\"\",job=\"testjob\"} 42\n");
  EXPECT_EQ(Send("PUT", "/metrics/job/x/U______x/y", "").status, 400);
}

}  // namespace
}  // namespace pgw
