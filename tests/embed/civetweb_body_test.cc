// Bodies of requests, from the header that announces them to the bounds of what they may cost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <string>

#include "tests/embed/civetweb_host.h"

namespace pgw::embed::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::string Put(const std::string& headers, const std::string& body = "") {
  return "PUT /push/x HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body;
}

TEST(CivetwebBodyTest, ReadsChunks) {
  CivetwebHost host;
  const std::string answer = host.Exchange(
      Put("Transfer-Encoding: chunked\r\n", "4\r\nm 1\n\r\n6\r\nlonger\r\n0\r\n\r\n"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  const auto seen = host.handler().seen();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].body, "m 1\nlonger");
  EXPECT_TRUE(seen[0].has_body);
  EXPECT_EQ(seen[0].content_length, std::nullopt);
}

TEST(CivetwebBodyTest, ReadsLargeBodies) {
  std::string body;
  while (body.size() < 3'000'000) body += std::to_string(body.size());
  std::string chunks;
  for (std::size_t at = 0; at < body.size(); at += 50'000) {
    const std::string part = body.substr(at, 50'000);
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    chunks += size + part + "\r\n";
  }
  CivetwebHost host;
  host.Exchange(Put("Content-Length: " + std::to_string(body.size()) + "\r\n", body));
  host.Exchange(Put("Transfer-Encoding: chunked\r\n", chunks + "0\r\n\r\n"));
  EXPECT_TRUE(host.handler().bodies() == (std::vector<std::string>{body, body}));
}

TEST(CivetwebBodyTest, AsksTheHandlerBeforeReadingTheBody) {
  CivetwebHost host;
  host.handler().on_header = [](const Request& request) -> std::optional<Response> {
    EXPECT_THAT(request.body, IsEmpty());
    EXPECT_TRUE(request.has_body);
    return Response::PlainError(404, "nope");
  };
  Client client = host.Connect();
  client.Send(Put("Content-Length: 1000000\r\n"));
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 404 Not Found\r\n"));
}

TEST(CivetwebBodyTest, SaysContinueWhenTheBodyIsWanted) {
  CivetwebHost host;
  Client client = host.Connect();
  client.Send(Put("Expect: 100-continue\r\nContent-Length: 4\r\n"));
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(host.handler().seen(), IsEmpty());
  client.Send("m 1\n");
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(host.handler().bodies(), ElementsAre("m 1\n"));
}

TEST(CivetwebBodyTest, DoesNotSayContinueBeforeARefusal) {
  CivetwebHost host(CivetwebOptions{.prefix = kPrefix}, {"enable_keep_alive", "yes"});
  host.handler().on_header = [](const Request&) -> std::optional<Response> {
    return Response::PlainError(400, "no");
  };
  const std::string answer = host.Exchange(Put("Expect: 100-continue\r\nContent-Length: 4\r\n"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
}

TEST(CivetwebBodyTest, FailsOtherExpectations) {
  CivetwebHost host;
  EXPECT_THAT(host.Exchange(Put("Expect: wonders\r\n")),
              StartsWith("HTTP/1.1 417 Expectation Failed\r\n"));
  EXPECT_THAT(host.handler().seen(), IsEmpty());
}

TEST(CivetwebBodyTest, SkipsShortBodiesThatWereAnsweredEarly) {
  CivetwebHost host(CivetwebOptions{.prefix = kPrefix}, {"enable_keep_alive", "yes"});
  host.handler().on_header = [](const Request& request) -> std::optional<Response> {
    if (!request.has_body) return std::nullopt;
    return Response::PlainError(400, "no");
  };
  const std::string rest = "GET /push/y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  for (const std::string& first :
       {Put("Content-Length: 20000\r\n", std::string(20'000, 'x')),
        Put("Transfer-Encoding: chunked\r\n", "4\r\nm 1\n\r\n0\r\n\r\n")}) {
    Client client = host.Connect();
    client.Send(first + rest);
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
  }
  EXPECT_THAT(host.handler().seen(), SizeIs(2));
}

TEST(CivetwebBodyTest, RefusesABodyOverItsLimitAndReadsOnUntilTheClientHasItsAnswer) {
  CivetwebHost host({.prefix = kPrefix, .body_bytes_max = 100'000});
  for (const std::string& request :
       {Put("Content-Length: 3000000\r\n", std::string(3'000'000, 'x')),
        Put("Transfer-Encoding: chunked\r\n",
            "2DC6C0\r\n" + std::string(3'000'000, 'x') + "\r\n0\r\n\r\n")}) {
    const std::string answer = host.Exchange(request);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 Request Entity Too Large\r\n"));
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    EXPECT_THAT(answer, EndsWith("request body too large: more than 100000 bytes\n"));
  }
  host.Exchange(Put("Content-Length: 100000\r\n", std::string(100'000, 'x')));
  EXPECT_THAT(host.handler().seen(), SizeIs(1));
}

TEST(CivetwebBodyTest, RefusesBodiesThatTogetherAreOverTheirLimit) {
  // Half of the memory is for everybody, the other half for one body that could not finish else.
  CivetwebHost host({.prefix = kPrefix, .body_bytes_max = 65'536, .bodies_bytes_max = 65'536});
  std::promise<void> first_is_read;
  std::promise<void> go_on;
  host.handler().on_request = [&](const Request& request) {
    if (request.body.size() == 60'000) {
      first_is_read.set_value();
      go_on.get_future().wait();
    }
    return Response{};
  };
  Client first = host.Connect();
  first.Send(Put("Content-Length: 60000\r\n", std::string(60'000, 'x')));
  first_is_read.get_future().wait();
  const std::string second = host.Exchange(Put("Content-Length: 4\r\n", "m 1\n"));
  EXPECT_THAT(second, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(second, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(second, EndsWith("too many request bodies in progress, try again later\n"));
  go_on.set_value();
  EXPECT_THAT(first.ReadToEnd(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(host.Exchange(Put("Content-Length: 4\r\n", "m 1\n")),
              StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(CivetwebBodyTest, HandlesNothingIfTheClientLeavesInItsBody) {
  CivetwebHost host;
  for (const std::string& begun :
       {Put("Content-Length: 100\r\n", "m 1\n"), Put("Content-Length: 100\r\n"),
        Put("Transfer-Encoding: chunked\r\n", "4\r\nm 1\n\r\n"),
        Put("Transfer-Encoding: chunked\r\n", "4\r\nm 1"),
        Put("Transfer-Encoding: chunked\r\n", "4\r\nm 1\n\r\n0")}) {
    Client client = host.Connect();
    client.Send(begun);
    client.CloseWrite();
    client.ReadToEnd();  // until the server has given it up
  }
  EXPECT_THAT(host.handler().seen(), IsEmpty());
}

TEST(CivetwebBodyTest, HandlesNothingIfChunksAreBroken) {
  CivetwebHost host;
  for (const std::string chunks :
       {"zz\r\n", "4\r\nm 1\nxx0\r\n\r\n", "-1\r\n", "ffffffffffffffff\r\nm 1\n\r\n0\r\n\r\n",
        "10000000000000004\r\nm 1\n\r\n0\r\n\r\n"}) {
    Client client = host.Connect();
    client.Send(Put("Transfer-Encoding: chunked\r\n", chunks));
    client.CloseWrite();
    EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 400 Bad Request\r\n")) << chunks;
  }
  EXPECT_THAT(host.handler().seen(), IsEmpty());
}

TEST(CivetwebBodyTest, GivesUpABodyWithoutProgress) {
  CivetwebHost host(CivetwebOptions{.prefix = kPrefix}, {"request_timeout_ms", "100"});
  EXPECT_THAT(host.Exchange(Put("Content-Length: 100\r\n", "m 1\n")),
              StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_THAT(host.Exchange(Put("Transfer-Encoding: chunked\r\n", "64\r\nm 1\n")),
              StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(host.handler().seen(), IsEmpty());
}

}  // namespace
}  // namespace pgw::embed::testing
