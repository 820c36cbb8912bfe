// Answers: their form, streams, the end of the connection, and handlers that fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/embed/civetweb_host.h"

namespace pgw::embed::testing {
namespace {

using http::testing::BodyOf;
using http::testing::WithoutDate;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kGet = "GET /push/x HTTP/1.1\r\nHost: x\r\n\r\n";

// Gives its batches, then throws if told so.
class Source : public http::BodySource {
 public:
  explicit Source(std::vector<std::vector<std::string>> batches, bool throws = false)
      : batches_(std::move(batches)), throws_(throws) {}

  void Next(std::vector<std::string_view>& pieces) override {
    if (at_ < batches_.size()) {
      for (const std::string& piece : batches_[at_]) pieces.push_back(piece);
      ++at_;
    } else if (throws_) {
      throw std::runtime_error("source");
    }
  }

 private:
  const std::vector<std::vector<std::string>> batches_;
  const bool throws_;
  std::size_t at_ = 0;
};

Response Streamed(std::unique_ptr<Source> source, std::optional<std::uint64_t> length = {}) {
  Response response;
  response.stream = std::move(source);
  response.stream_length = length;
  return response;
}

// A host whose handler answers everything with what `make` makes.
template <typename Make>
std::unique_ptr<CivetwebHost> HostThatAnswers(const Make& make) {
  auto host = std::make_unique<CivetwebHost>(CivetwebOptions{.prefix = kPrefix},
                                             std::vector<std::string>{"enable_keep_alive", "yes"});
  host->handler().on_request = [make](const Request&) { return make(); };
  return host;
}

TEST(CivetwebResponseTest, HasTheFormOfTheEngines) {
  const auto host = HostThatAnswers([] { return Response::PlainError(400, "why"); });
  Client client = host->Connect();
  client.Send(kGet);
  const std::string answer = client.ReadResponse();
  EXPECT_TRUE(http::testing::HasDate(answer));
  EXPECT_EQ(WithoutDate(answer),
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "X-Content-Type-Options: nosniff\r\nContent-Length: 4\r\n\r\nwhy\n");
}

TEST(CivetwebResponseTest, KeepsTheConnectionIfServerAndClientWantIt) {
  const auto host = HostThatAnswers([] { return Response{}; });
  Client client = host->Connect();
  for (int i = 0; i < 3; ++i) {
    client.Send(kGet);
    EXPECT_THAT(client.ReadResponse(), Not(HasSubstr("Connection:")));
  }
  client.Send("GET /push/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(), HasSubstr("Connection: close\r\n"));
}

TEST(CivetwebResponseTest, SaysCloseWhereTheServerKeepsNoConnections) {
  CivetwebHost host;
  EXPECT_THAT(host.Exchange(kGet), HasSubstr("Connection: close\r\n"));
}

TEST(CivetwebResponseTest, ClosesWhenTheHandlerWantsIt) {
  const auto host = HostThatAnswers([] {
    Response response;
    response.close = true;
    return response;
  });
  EXPECT_THAT(host->Exchange(kGet), HasSubstr("Connection: close\r\n"));
}

TEST(CivetwebResponseTest, StreamsWithALength) {
  const auto host = HostThatAnswers([] {
    return Streamed(
        std::make_unique<Source>(std::vector<std::vector<std::string>>{{"ab", "c"}, {"def"}}), 6);
  });
  Client client = host->Connect();
  client.Send(kGet);
  const std::string answer = client.ReadResponse();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_EQ(BodyOf(answer), "abcdef");
}

TEST(CivetwebResponseTest, StreamsInChunksWithoutALength) {
  const std::string large(200'000, 'x');
  const auto host = HostThatAnswers([large] {
    return Streamed(
        std::make_unique<Source>(std::vector<std::vector<std::string>>{{"ab", "c"}, {large}}));
  });
  Client client = host->Connect();
  client.Send(kGet);
  const std::string answer = client.ReadUntil("\r\n0\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_TRUE(BodyOf(answer) == "3\r\nabc\r\n30d40\r\n" + large + "\r\n0\r\n\r\n");
  client.Send(kGet);  // the connection is good for more
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(CivetwebResponseTest, StreamsToHttp10UntilTheEndOfTheConnection) {
  const auto host = HostThatAnswers([] {
    return Streamed(std::make_unique<Source>(std::vector<std::vector<std::string>>{{"ab"}, {"c"}}));
  });
  const std::string answer =
      host->Exchange("GET /push/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.0 200 OK\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_EQ(BodyOf(answer), "abc");
}

TEST(CivetwebResponseTest, AnswersHeadWithoutTouchingTheStream) {
  const auto host = HostThatAnswers([] {
    return Streamed(std::make_unique<Source>(std::vector<std::vector<std::string>>{}, true), 6);
  });
  Client client = host->Connect();
  client.Send("HEAD /push/x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("Content-Length: 6\r\n"));
  client.Send("HEAD /push/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(), EndsWith("\r\n\r\n"));
}

TEST(CivetwebResponseTest, CutsOffAStreamThatBreaksItsPromise) {
  for (const std::uint64_t length : {2, 4}) {
    const auto host = HostThatAnswers([length] {
      return Streamed(std::make_unique<Source>(std::vector<std::vector<std::string>>{{"abc"}}),
                      length);
    });
    const std::string answer = host->Exchange(kGet);
    EXPECT_LT(BodyOf(answer).size(), 4u) << length;
    EXPECT_THAT(answer, Not(HasSubstr("abcd")));
  }
}

TEST(CivetwebResponseTest, CutsOffAStreamThatThrows) {
  const std::string large(200'000, 'x');
  const auto host = HostThatAnswers([large] {
    return Streamed(std::make_unique<Source>(std::vector<std::vector<std::string>>{{large}}, true));
  });
  const std::string answer = host->Exchange(kGet);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, Not(EndsWith("0\r\n\r\n")));
  EXPECT_THAT(answer, Not(HasSubstr("500 Internal")));
}

TEST(CivetwebResponseTest, AnswersForAHandlerThatThrows) {
  CivetwebHost host;
  host.handler().on_header = [](const Request& request) -> std::optional<Response> {
    if (request.target == "/push/early") throw std::runtime_error("early");
    return std::nullopt;
  };
  host.handler().on_request = [](const Request&) -> Response { throw 7; };
  for (const std::string path : {"/push/early", "/push/late"}) {
    const std::string answer = host.Exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 Internal Server Error\r\n"));
    EXPECT_EQ(BodyOf(answer), "Internal Server Error\n");
  }
}

TEST(CivetwebResponseTest, Answers503WhereMemoryRunsOut) {
  CivetwebHost host;
  host.handler().on_request = [](const Request&) -> Response { throw std::bad_alloc(); };
  const std::string answer = host.Exchange("GET /push/late HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_EQ(BodyOf(answer), "out of memory\n");
}

// Answers that come later: a thread answers what it is given, in the order of its arrival.
TEST(CivetwebResponseTest, WaitsForAnAnswerThatComesLater) {
  std::promise<http::Responder> promises[3];
  std::thread answering([&] {
    for (std::promise<http::Responder>& promise : promises) {
      Response response;
      response.body = "late";
      promise.get_future().get().Send(std::move(response));
    }
  });
  std::atomic<std::size_t> asked{0};
  const auto later = [&] {
    return Response::Later(
        [&](http::Responder responder) { promises[asked++].set_value(std::move(responder)); });
  };
  const auto host = HostThatAnswers(later);
  host->handler().on_header = [&](const Request& request) -> std::optional<Response> {
    if (request.method == "DELETE") return later();
    return std::nullopt;
  };
  Client client = host->Connect();
  for (const std::string method : {"GET", "PUT", "DELETE"}) {
    client.Send(method + " /push/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    const std::string answer = client.ReadResponse();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n")) << method;
    EXPECT_EQ(BodyOf(answer), "late");
  }
  answering.join();
}

TEST(CivetwebResponseTest, Answers500WhereALaterAnswerIsForgotten) {
  const auto host = HostThatAnswers([] { return Response::Later([](const http::Responder&) {}); });
  EXPECT_THAT(host->Exchange("GET /push/x HTTP/1.0\r\n\r\n"),
              StartsWith("HTTP/1.0 500 Internal Server Error\r\n"));
}

}  // namespace
}  // namespace pgw::embed::testing
