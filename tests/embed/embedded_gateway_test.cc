#include "server/embed/embedded_gateway.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/await.h"
#include "tests/support/store_driver.h"

namespace pgw::embed::testing {
namespace {

using pgw::testing::At;
using ::testing::HasSubstr;
using ::testing::Not;

class FixedClock final : public Clock {
 public:
  Instant Now() const override { return At(0); }
};

class EmbeddedGatewayTest : public ::testing::Test {
 protected:
  ~EmbeddedGatewayTest() override { close(null_); }

  struct Reply {
    int status;
    std::string body;
  };

  // As an engine calls it, at a time of the test's choice.
  static Reply Send(EmbeddedGateway& gateway, std::string_view method, std::string_view target,
                    std::string_view body, std::int64_t now_ms) {
    http::Request request;
    request.method = method;
    request.target = target;
    request.content_length = body.size();
    request.has_body = !body.empty();
    request.received = At(now_ms);
    std::optional<http::Response> response = gateway.handler().OnHeader(request);
    if (!response) {
      request.body = body;
      response = gateway.handler().OnRequest(request);
    }
    response = http::Await(std::move(*response));
    Reply reply{response->status, std::move(response->body)};
    if (response->stream == nullptr) return reply;
    for (std::vector<std::string_view> pieces;; pieces.clear()) {
      response->stream->Next(pieces);
      if (pieces.empty()) return reply;
      for (const std::string_view piece : pieces) reply.body.append(piece);
    }
  }

  const FixedClock clock_;
  const int null_ = open("/dev/null", O_WRONLY | O_CLOEXEC);
  Logger log_{clock_, null_, LogLevel::kError, LogFormat::kLogfmt};
};

TEST_F(EmbeddedGatewayTest, LivesBelowItsPrefix) {
  EmbeddedGateway gateway({.prefix = "/pushed"}, clock_, log_);
  EXPECT_EQ(Send(gateway, "PUT", "/pushed/metrics/job/a", "m 1\n", 1).status, 200);
  EXPECT_EQ(Send(gateway, "PUT", "/metrics/job/a", "m 1\n", 1).status, 404);
  EXPECT_THAT(Send(gateway, "GET", "/pushed/metrics", "", 2).body,
              HasSubstr("\nm{instance=\"\",job=\"a\"} 1\n"));
}

TEST_F(EmbeddedGatewayTest, ForgetsWhatHasOutlivedItsTtl) {
  EmbeddedGateway gateway({.ttl = std::chrono::seconds(2)}, clock_, log_);
  ASSERT_EQ(Send(gateway, "PUT", "/metrics/job/a", "m 1\n", 1'000).status, 200);
  EXPECT_THAT(Send(gateway, "GET", "/metrics", "", 2'999).body, HasSubstr("\nm{"));
  EXPECT_THAT(Send(gateway, "GET", "/metrics", "", 3'000).body, Not(HasSubstr("\nm{")));
}

TEST_F(EmbeddedGatewayTest, KeepsForEverWithoutTtl) {
  EmbeddedGateway gateway({}, clock_, log_);
  ASSERT_EQ(Send(gateway, "PUT", "/metrics/job/a", "m 1\n", 1).status, 200);
  EXPECT_THAT(Send(gateway, "GET", "/metrics", "", 1'000'000'000'000).body, HasSubstr("\nm{"));
}

TEST_F(EmbeddedGatewayTest, RefusesPushesOfReservedFamilies) {
  EmbedOptions options;
  options.reserved_families = {
      {.name = "own_total", .help = "Own.", .type = MetricType::kCounter, .replaces_help = false}};
  EmbeddedGateway gateway(std::move(options), clock_, log_);
  const Reply reply =
      Send(gateway, "PUT", "/metrics/job/a", "# TYPE own_total gauge\nown_total 1\n", 1);
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("own_total"));
}

TEST_F(EmbeddedGatewayTest, OffersTerminationOnlyIfThereIsSomethingToCall) {
  int quits = 0;
  EmbedOptions options;
  options.quit = [&quits] { ++quits; };
  EmbeddedGateway with(std::move(options), clock_, log_);
  EmbeddedGateway without({}, clock_, log_);
  EXPECT_EQ(Send(with, "PUT", "/-/quit", "", 1).status, 200);
  EXPECT_EQ(Send(without, "PUT", "/-/quit", "", 1).status, 403);
  EXPECT_EQ(quits, 1);
}

}  // namespace
}  // namespace pgw::embed::testing
