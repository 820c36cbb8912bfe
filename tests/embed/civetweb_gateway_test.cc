#include "server/embed/civetweb/civetweb_gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/embed/civetweb_host.h"

namespace pgw::embed::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class Other : public CivetHandler {
 public:
  bool handleGet(CivetServer*, mg_connection* connection) override {
    mg_printf(connection, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
    return true;
  }
  using CivetHandler::handleGet;
};

TEST(CivetwebGatewayTest, PassesTheRequestAsItWasSent) {
  CivetwebHost host;
  std::string header;
  host.handler().on_header = [&](const Request& request) -> std::optional<Response> {
    header = request.Find("X-Some").value_or("none");
    return std::nullopt;
  };
  host.Exchange(
      "PUT /push/metrics/job/a%2Fb%20c//.?q=%2F HTTP/1.1\r\nHost: some:1\r\nX-Some:  a b \r\n"
      "Content-Length: 4\r\n\r\nm 1\n");
  const auto seen = host.handler().seen();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].method, "PUT");
  EXPECT_EQ(seen[0].target, "/push/metrics/job/a%2Fb%20c//.?q=%2F");
  EXPECT_EQ(seen[0].host, "some:1");
  EXPECT_EQ(seen[0].body, "m 1\n");
  EXPECT_EQ(seen[0].content_length, 4u);
  EXPECT_EQ(seen[0].version_minor, 1);
  EXPECT_THAT(seen[0].remote_address, MatchesRegex("127\\.0\\.0\\.1:[0-9]+"));
  EXPECT_EQ(header, "a b");
}

TEST(CivetwebGatewayTest, TakesAllMethodsOfACivetHandler) {
  CivetwebHost host;
  for (const std::string method : {"GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"}) {
    EXPECT_THAT(host.Exchange(method + " /push/x HTTP/1.1\r\nHost: x\r\n\r\n"),
                StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(host.handler().seen().back().method, method);
  }
}

TEST(CivetwebGatewayTest, LeavesPathsOutsideThePrefixToTheServer) {
  Other other;
  CivetwebHost host;
  host.AddOther("/other", other);
  EXPECT_THAT(host.Exchange("GET /other HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("other"));
  for (const std::string path : {"/", "/pushed", "/push.", "/push\\x", "/x/push/y", "/push/../x"}) {
    EXPECT_THAT(host.Exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"),
                StartsWith("HTTP/1.1 404 Not Found\r\n"))
        << path;
  }
  EXPECT_THAT(host.handler().seen(), IsEmpty());
}

TEST(CivetwebGatewayTest, TakesThePrefixItselfAndPathsThatCleanToIt) {
  CivetwebHost host;
  for (const std::string path : {"/push", "/push/", "/push?x", "//push/x", "/x/../push/y"}) {
    host.Exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_THAT(host.handler().seen(), Not(IsEmpty())) << path;
    EXPECT_EQ(host.handler().seen().back().target, path);
  }
}

TEST(CivetwebGatewayTest, TakesEverythingElseWithoutAPrefix) {
  Other other;
  CivetwebHost host(CivetwebOptions{});
  host.AddOther("/other", other);
  host.Exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  host.Exchange("GET /some/path HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(host.Exchange("GET /other HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("other"));
  EXPECT_THAT(host.handler().seen(), SizeIs(2));
}

TEST(CivetwebGatewayTest, RefusesAServerThatDecodesPaths) {
  CivetwebHost host({.prefix = kPrefix}, {"decode_url", "yes"});
  const Status status = host.gateway().Mount(host.server());
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("decode_url \"no\""));
}

TEST(CivetwebGatewayTest, EncodesAcceptedDecodedPathsAgain) {
  CivetwebHost host({.prefix = kPrefix, .accept_decoded_paths = true}, {"decode_url", "yes"});
  host.Exchange("GET /push/a%20%3f%25%2525%c3%a9+?q=%20 HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_THAT(host.handler().seen(), SizeIs(1));
  EXPECT_EQ(host.handler().seen()[0].target, "/push/a%20%3F%25%2525%C3%A9+?q=%20");
}

TEST(CivetwebGatewayTest, RefusesAPrefixThatIsNone) {
  const SystemClock clock;
  RecordingHandler handler;
  CivetwebHost host;
  for (const std::string prefix : {"/", "push", "/push/"}) {
    CivetwebGateway gateway(handler, clock, {.prefix = prefix});
    EXPECT_FALSE(gateway.Mount(host.server()).ok()) << prefix;
  }
}

TEST(CivetwebGatewayTest, RefusesAServerThatIsClosed) {
  const SystemClock clock;
  RecordingHandler handler;
  CivetwebGateway gateway(handler, clock, {.prefix = kPrefix, .accept_decoded_paths = true});
  CivetServer server(std::vector<std::string>{"listening_ports", "127.0.0.1:0"});
  server.close();
  EXPECT_FALSE(gateway.Mount(server).ok());
  gateway.Unmount(server);
}

TEST(CivetwebGatewayTest, TakesNothingMoreOnceUnmounted) {
  CivetwebHost host;
  host.Exchange("GET /push/x HTTP/1.1\r\nHost: x\r\n\r\n");
  host.gateway().Unmount(host.server());
  EXPECT_THAT(host.Exchange("GET /push/x HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(host.handler().seen(), SizeIs(1));
}

// Framing that two readers could understand in two ways.
TEST(CivetwebGatewayTest, RefusesAmbiguousRequests) {
  CivetwebHost host(CivetwebOptions{.prefix = kPrefix}, {"enable_keep_alive", "yes"});
  const std::string next = "\r\nm 1\nPUT /push/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const std::string_view headers : {
           "Host: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n",
           "Host: x\r\nContent-Length: +4\r\n",
           "Host: x\r\nContent-Length: 4 4\r\n",
           "Host: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
           "Host: x\r\nHost: y\r\nContent-Length: 4\r\n",
           "Content-Length: 4\r\n",
       }) {
    EXPECT_THAT(host.Exchange("PUT /push/x HTTP/1.1\r\n" + std::string(headers) + next),
                StartsWith("HTTP/1.1 400 Bad Request"))
        << headers;
  }
  EXPECT_THAT(
      host.Exchange("PUT /push/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n" + next),
      StartsWith("HTTP/1.1 501 Not Implemented\r\n"));
  EXPECT_THAT(host.handler().seen(), IsEmpty());
}

TEST(CivetwebGatewayTest, RefusesMoreHeadersThanCivetwebKeeps) {
  CivetwebHost host(CivetwebOptions{.prefix = kPrefix}, {"enable_keep_alive", "yes"});
  std::string headers = "Host: x\r\n";
  for (int i = 0; i < 70; ++i) headers += "X: 1\r\n";
  EXPECT_THAT(
      host.Exchange("PUT /push/x HTTP/1.1\r\n" + headers + "Content-Length: 4\r\n\r\nm 1\n"),
      StartsWith("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
  EXPECT_THAT(host.handler().seen(), IsEmpty());
}

TEST(CivetwebGatewayTest, RefusesBadEscapesInThePath) {
  CivetwebHost host;
  EXPECT_THAT(host.Exchange("GET /push/%zz HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 400 Bad Request\r\n"));
}

}  // namespace
}  // namespace pgw::embed::testing
