// What requests come to when memory runs out in the middle of them. The engine turns what is thrown
// here into 503; what has been answered is true, and what is stored is as before or as after.

#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/memory_reserve.h"
#include "tests/routes/gateway_fixture.h"
#include "tests/routes/gunzip.h"
#include "tests/support/failing_allocation.h"
#include "tests/support/failure_sweep.h"

namespace pgw::testing {
namespace {

constexpr char kText[] = "# HELP m Words.\n# TYPE m gauge\nm{x=\"1\"} 7\n# TYPE n counter\nn 8\n";
// A gauge q of 7, delimited.
constexpr char kMessages[] = "\x12\x0a\x01q\x18\x01\x22\x0b\x12\x09\x09\0\0\0\0\0\0\x1c\x40";
// `m 9` as a block of snappy.
constexpr char kSnappy[] = "\x04\x0cm 9\n";

struct Case {
  const char* name;
  std::string_view method;
  std::string_view target;
  std::string_view body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};

  friend void PrintTo(const Case& shown, std::ostream* out) { *out << shown.name; }
};

const Case kCases[] = {
    {"Puts", "PUT", "/metrics/job/a", kText},
    {"PostsToNewGroup", "POST", "/metrics/job/new/zone@base64/eg", kText},
    {"PutsRefused", "PUT", "/metrics/job/a", "# TYPE old counter\nold 1\n"},
    {"PutsGarbage", "PUT", "/metrics/job/a", "m 1 2 3 4\n"},
    {"PutsSnappy",
     "PUT",
     "/metrics/job/a",
     {kSnappy, sizeof kSnappy - 1},
     {{"Content-Encoding", "snappy"}}},
    {"PutsCutGzip", "PUT", "/metrics/job/a", "\x1f\x8b", {{"Content-Encoding", "gzip"}}},
    {"PutsMessages",
     "PUT",
     "/metrics/job/a",
     {kMessages, sizeof kMessages - 1},
     {{"Content-Type",
       "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
       "encoding=delimited"}}},
    {"Deletes", "DELETE", "/metrics/job/a"},
    {"Wipes", "PUT", "/api/v1/admin/wipe"},
    {"Scrapes", "GET", "/metrics"},
    {"ScrapesGzip", "GET", "/metrics", {}, {{"Accept-Encoding", "gzip"}}},
    {"ScrapesMessages",
     "GET",
     "/metrics",
     {},
     {{"Accept",
       "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
       "encoding=delimited"}}},
    {"Lists", "GET", "/api/v1/metrics"},
    {"ShowsStatus", "GET", "/api/v1/status"},
    {"ShowsPage", "GET", "/"},
    {"NotFound", "GET", "/nothing/here"},
};

GatewaySetup WithAdmin() {
  GatewaySetup setup;
  setup.options.routes.enable_admin_api = true;
  return setup;
}

class RequestMemoryFailureTest : public GatewayFixture, public ::testing::WithParamInterface<Case> {
 protected:
  RequestMemoryFailureTest() : GatewayFixture(WithAdmin()) {}

  void Begin() {
    store_.Wipe(clock_.Now());
    store_.EraseExpired(clock_.Now().boot, 1'000);
    ASSERT_EQ(Send("PUT", "/metrics/job/a", kText).status, 200);
    ASSERT_EQ(Send("PUT", "/metrics/job/b", "# TYPE old gauge\nold 1\n").status, 200);
    (void)Logged();  // or the pipe fills up, and nobody reads it
  }

  Reply Command() {
    const Case& param = GetParam();
    return Send(param.method, param.target, param.body, param.headers);
  }

  // What does not change by itself of an answer.
  std::string Lasting(const Reply& reply) {
    const std::string_view target = GetParam().target;
    if (target != "/metrics") return reply.body;
    if (reply.Header("Content-Encoding") == "gzip")
      return WithoutOwnFamilies(Gunzip(reply.body, 1u << 20));
    if (reply.Header("Content-Type").starts_with("text/")) return WithoutOwnFamilies(reply.body);
    return {};
  }

  std::string Show() { return Get("/api/v1/metrics").body + ScrapePushed(); }

  bool Play(std::uint64_t number, FaultLength length) {
    Begin();
    std::optional<Reply> reply;
    FailAllocation(number, FaultScope::kThisThread, length);
    try {
      reply = Command();
    } catch (const std::bad_alloc&) {
    }
    StopFailingAllocations();
    if (AllocationsFailed() == 0) return false;
    EXPECT_TRUE(store_.CheckInvariants());
    const std::string shown = Show();
    if (reply && reply->status != 503) {
      EXPECT_EQ(reply->status, reply_.status);
      EXPECT_EQ(Lasting(*reply), lasting_);
      EXPECT_EQ(shown, after_);
    } else if (reply) {
      EXPECT_EQ(shown, before_);
    } else {
      EXPECT_TRUE(shown == before_ || shown == after_) << shown;
    }
    // And again, with all the memory it wants.
    EXPECT_EQ(Command().status, reply_.status);
    EXPECT_EQ(Show(), after_);
    return true;
  }

  void FindOut() {
    Begin();
    before_ = Show();
    reply_ = Command();
    lasting_ = Lasting(reply_);
    after_ = Show();
  }

  std::string before_;
  std::string after_;
  Reply reply_;
  std::string lasting_;
};

TEST_P(RequestMemoryFailureTest, AnswersTruthfullyOrNotAtAll) {
  FindOut();
  SweepSingleFailures(
      [this](std::uint64_t number, FaultLength length) { return Play(number, length); });
}

TEST_P(RequestMemoryFailureTest, AnswersTruthfullyOrEndsWhereMemoryDoesNotComeBack) {
  FindOut();
  SweepEndlessFailures(
      [this](std::uint64_t number, FaultLength length) { return Play(number, length); },
      kExitOutOfMemory, "pushgateway: out of memory", [] {});
}

INSTANTIATE_TEST_SUITE_P(Gateway, RequestMemoryFailureTest, ::testing::ValuesIn(kCases),
                         [](const auto& variant) { return variant.param.name; });

}  // namespace
}  // namespace pgw::testing
