// Answers that come later than their handler returns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/http/await.h"
#include "tests/http/test_server.h"

namespace pgw::http::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

using Steady = std::chrono::steady_clock;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

Response WithBody(std::string_view body) {
  Response response;
  response.body = body;
  return response;
}

// Requests that wait for their answers, in the order of their arrival. Thread-safe.
class Waiting {
 public:
  // An answer that is given by whoever takes it from here.
  Response Later() {
    return Response::Later([this](Responder responder) {
      {
        const MutexLock lock(mutex_);
        responders_.push_back(std::move(responder));
      }
      arrived_.notify_all();
    });
  }

  // Waits at most ten seconds.
  std::vector<Responder> Take(std::size_t count) {
    std::vector<Responder> taken;
    const auto end = Steady::now() + 10s;
    mutex_.Lock();
    while (responders_.size() < count) {
      if (arrived_.wait_until(mutex_, end) == std::cv_status::timeout) break;
    }
    EXPECT_GE(responders_.size(), count);
    taken.swap(responders_);
    mutex_.Unlock();
    return taken;
  }
  // The only one there is.
  Responder Take() {
    std::vector<Responder> taken = Take(1);
    EXPECT_THAT(taken, SizeIs(1));
    return std::move(taken.at(0));
  }
  std::size_t size() {
    const MutexLock lock(mutex_);
    return responders_.size();
  }

 private:
  Mutex mutex_;
  std::condition_variable_any arrived_;
  std::vector<Responder> responders_ PGW_GUARDED_BY(mutex_);
};

// A server whose answers to everything below /later come later.
class LaterTest : public ::testing::Test {
 protected:
  explicit LaterTest(const ServerOptions& options = {}) { Restart(options); }

  void Restart(const ServerOptions& options) {
    server_.emplace(options);
    server_->handler().on_request = [this](const Request& request) {
      return request.target.starts_with("/later") ? waiting_.Later() : WithBody(request.target);
    };
  }
  void AnswerBeforeBody() {
    server_->handler().on_header = [this](const Request& request) -> std::optional<Response> {
      if (request.target.starts_with("/later")) return waiting_.Later();
      return std::nullopt;
    };
  }

  // What `request` is answered when the answer comes from another thread.
  std::string AnswerTo(std::string_view request, Client& client) {
    client.Send(request);
    std::thread([&] { waiting_.Take().Send(WithBody("late")); }).join();
    return WithoutDate(client.ReadResponse());
  }

  Waiting waiting_;
  std::optional<TestServer> server_;
};

TEST_F(LaterTest, AnswersFromAnotherThreadAndKeepsTheConnection) {
  Client client = server_->Connect();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(AnswerTo("GET /later HTTP/1.1\r\nHost: h\r\n\r\n", client),
              "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
    client.Send(kGet);
    EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n/"));
  }
}

TEST_F(LaterTest, AnswersARequestWhoseHeadOrBodyArrivedInPieces) {
  Client client = server_->Connect();
  client.Send(
      "PUT /later HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  client.ReadUntil("100 Continue\r\n\r\n");  // the head was read alone
  EXPECT_THAT(AnswerTo("body", client), EndsWith("\r\n\r\nlate"));
  EXPECT_THAT(server_->handler().bodies(), ElementsAre("body"));
  EXPECT_THAT(
      AnswerTo("PUT /later HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
               "0\r\n\r\n",
               client),
      EndsWith("\r\n\r\nlate"));
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n/"));
}

TEST_F(LaterTest, AnswersWhileItIsStarted) {
  server_->handler().on_request = [](const Request&) {
    return Response::Later([](Responder responder) { responder.Send(WithBody("at once")); });
  };
  Client client = server_->Connect();
  client.Send(std::string(kGet) + std::string(kGet));
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\nat once"));
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\nat once"));
}

TEST_F(LaterTest, Answers500WhereNobodyAnswers) {
  server_->handler().on_request = [](const Request& request) {
    if (request.target == "/drop") return Response::Later([](const Responder&) {});
    return Response::Later(
        [](Responder responder) { responder.Send(Response::Later([](const Responder&) {})); });
  };
  Client client = server_->Connect();
  for (const char* target : {"/drop", "/again"}) {
    client.Send("GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(),
                AllOf(StartsWith("HTTP/1.1 500 "), EndsWith("\r\n\r\nInternal Server Error\n")))
        << target;
  }
}

TEST_F(LaterTest, Answers503WhereStartingFails) {
  server_->handler().on_request = [](const Request&) {
    return Response::Later([](const Responder&) { throw std::bad_alloc(); });
  };
  Client client = server_->Connect();
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After: 1\r\n"),
                    EndsWith("\r\n\r\nout of memory\n")));
}

TEST_F(LaterTest, FollowsTheRulesOfTheRequestItAnswers) {
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n";
  struct Case {
    std::string_view request;
    std::string answer;
    bool keeps;
  };
  const Case cases[] = {
      {"HEAD /later HTTP/1.1\r\nHost: h\r\n\r\n", ok + "\r\n", true},
      {"GET /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
       ok + "Connection: close\r\n\r\nlate", false},
      {"GET /later HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nlate", false},
      {"GET /later HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
       "HTTP/1.0 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nlate", true},
  };
  for (const std::size_t offload : {std::size_t{0}, std::size_t{1} << 20}) {
    for (const bool early : {false, true}) {
      ServerOptions options;
      options.offload_body_bytes = offload;
      Restart(options);
      if (early) AnswerBeforeBody();
      for (const Case& tested : cases) {
        SCOPED_TRACE(tested.request);
        Client client = server_->Connect();
        client.Send(tested.request);
        waiting_.Take().Send(WithBody("late"));
        if (tested.keeps) {
          const std::string answer = WithoutDate(client.ReadUntil("\r\n\r\n"));
          EXPECT_EQ(answer + (tested.answer.ends_with("late") ? client.ReadUntil("late") : ""),
                    tested.answer);
          client.Send("GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
          EXPECT_THAT(client.ReadToEnd(), AllOf(StartsWith("HTTP/1.1 200 OK"), EndsWith("/next")));
        } else {
          EXPECT_EQ(WithoutDate(client.ReadToEnd()), tested.answer);
        }
      }
    }
  }
}

TEST_F(LaterTest, ClosesWhenTheAnswerSaysSo) {
  Client client = server_->Connect();
  client.Send("GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n");
  Response response = WithBody("bye");
  response.close = true;
  waiting_.Take().Send(std::move(response));
  EXPECT_THAT(client.ReadToEnd(), EndsWith("Connection: close\r\n\r\nbye"));
  EXPECT_THAT(server_->handler().seen(), SizeIs(1));
}

TEST_F(LaterTest, HoldsBackWhatWasPipelinedBehindItAndNothingBeforeIt) {
  Client client = server_->Connect();
  client.Send(
      "GET /first HTTP/1.1\r\nHost: h\r\n\r\nPUT /later/1 HTTP/1.1\r\nHost: h\r\n"
      "Content-Length: 3\r\n\r\noneGET /later/2 HTTP/1.1\r\nHost: h\r\n\r\n"
      "GET /last HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n/first"));
  Responder first = waiting_.Take();
  EXPECT_THAT(server_->handler().seen(), SizeIs(2));  // the handler has not seen the third
  first.Send(WithBody("1"));
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n1"));
  waiting_.Take().Send(WithBody("2"));
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n2"));
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n/last"));
}

TEST_F(LaterTest, CarriesLargeBodiesAndStreams) {
  class Once : public BodySource {
   public:
    void Next(std::vector<std::string_view>& pieces) override {
      if (!std::exchange(done_, true)) pieces.emplace_back("streamed");
    }

   private:
    bool done_ = false;
  };
  Client client = server_->Connect(4096);
  client.Send("GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string large(8u << 20, 'x');
  waiting_.Take().Send(WithBody(large));
  EXPECT_TRUE(BodyOf(client.ReadResponse()) == large);
  Response streamed;
  streamed.stream = std::make_unique<Once>();
  waiting_.Take().Send(std::move(streamed));
  EXPECT_THAT(client.ReadUntil("\r\n0\r\n\r\n"), EndsWith("\r\n\r\n8\r\nstreamed\r\n0\r\n\r\n"));
}

// Small answers fill the socket until it takes no more; from then on answers that come later find
// an earlier one still on its way out.
TEST_F(LaterTest, WaitsForEarlierAnswersThatAreStillLeaving) {
  constexpr int kPairs = 1500;
  const std::string small(15'000, 's');
  server_->handler().on_request = [&](const Request& request) {
    if (request.target == "/small") return WithBody(small);
    return Response::Later([body = std::string(request.target)](Responder responder) {
      responder.Send(WithBody(body));
    });
  };
  Client client = server_->Connect(4096);
  std::thread sending([&] {
    for (int i = 0; i < kPairs; ++i) {
      client.Send("GET /small HTTP/1.1\r\nHost: h\r\n\r\nGET /later/" + std::to_string(i) +
                  " HTTP/1.1\r\nHost: h\r\n\r\n");
    }
  });
  sending.join();  // nothing was read until here
  for (int i = 0; i < kPairs; ++i) {
    ASSERT_EQ(BodyOf(client.ReadResponse()).size(), small.size());
    ASSERT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n/later/" + std::to_string(i)));
  }
}

// ---- Workers and memory ----

TEST_F(LaterTest, AnswersFromAWorker) {
  ServerOptions options;
  options.offload_body_bytes = 1;
  Restart(options);
  Client client = server_->Connect();
  const std::string_view put = "PUT /later HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
  EXPECT_EQ(AnswerTo(put, client), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
  client.Send(std::string(put) + std::string(kGet));  // the second one waits
  waiting_.Take().Send(WithBody("late"));
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\nlate"));
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n/"));
  EXPECT_THAT(server_->handler().bodies(), ElementsAre("body", "body", ""));
}

TEST_F(LaterTest, HoldsNoBodyWhileItWaits) {
  constexpr std::size_t kBody = 200 * 1024;
  for (const std::size_t offload : {std::size_t{1}, std::size_t{1} << 20}) {
    ServerOptions options;
    options.offload_body_bytes = offload;
    options.limits.bodies_bytes_max = 2 * kBody;  // of which one is the reserve
    Restart(options);
    std::vector<Client> clients;
    for (int i = 0; i < 5; ++i) {
      clients.push_back(server_->Connect());
      clients.back().Send("PUT /later HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                          std::to_string(kBody) + "\r\n\r\n" + std::string(kBody, 'x'));
    }
    for (Responder& responder : waiting_.Take(5)) responder.Send(WithBody("late"));
    for (Client& client : clients) EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\nlate"));
  }
}

// ---- Before the body ----

TEST_F(LaterTest, SkipsTheUnreadBodyBehindAnEarlyAnswer) {
  AnswerBeforeBody();
  Client client = server_->Connect();
  // Nothing, a part, or all of the body is there when the answer comes.
  for (const std::string_view sent : {"", "ha", "half and half"}) {
    const std::string_view body = "half and half";
    EXPECT_EQ(
        AnswerTo("PUT /later HTTP/1.1\r\nHost: h\r\nContent-Length: 13\r\n\r\n" + std::string(sent),
                 client),
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
    client.Send(std::string(body.substr(sent.size())) + "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n/next"));
  }
}

TEST_F(LaterTest, SkipsUnreadChunksBehindAnEarlyAnswer) {
  AnswerBeforeBody();
  const std::string head = "PUT /later HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunks = "4\r\nhalf\r\n5\r\nagain\r\n0\r\n\r\n";
  Client client = server_->Connect();
  for (std::size_t sent = 0; sent <= chunks.size(); ++sent) {
    ASSERT_THAT(AnswerTo(head + chunks.substr(0, sent), client), EndsWith("\r\n\r\nlate")) << sent;
    client.Send(chunks.substr(sent) + "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n/next")) << sent;
  }
  client.Send(head + "nonsense\r\n");
  waiting_.Take().Send(WithBody("late"));
  EXPECT_THAT(client.ReadToEnd(), EndsWith("\r\n\r\nlate"));
}

TEST_F(LaterTest, ClosesBehindAnEarlyAnswerWhereTheBodyCannotBeSkipped) {
  AnswerBeforeBody();
  for (const std::string_view headers :
       {"Content-Length: 9\r\nExpect: 100-continue\r\n", "Content-Length: 300000\r\n",
        "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
        "Content-Length: 9\r\nConnection: close\r\n"}) {
    Client client = server_->Connect();
    client.Send("PUT /later HTTP/1.1\r\nHost: h\r\n" + std::string(headers) + "\r\n");
    waiting_.Take().Send(WithBody("late"));
    EXPECT_EQ(WithoutDate(client.ReadToEnd()),
              "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate")
        << headers;
  }
}

TEST_F(LaterTest, ClosesBehindAnEarlyAnswerThatSaysSo) {
  AnswerBeforeBody();
  Client client = server_->Connect();
  client.Send("PUT /later HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf");
  Response response = WithBody("bye");
  response.close = true;
  waiting_.Take().Send(std::move(response));
  EXPECT_THAT(client.ReadToEnd(), EndsWith("Connection: close\r\n\r\nbye"));
}

TEST_F(LaterTest, AnswersDeletesEarlyInTheirOrder) {
  AnswerBeforeBody();
  Client client = server_->Connect();
  const std::string request = "DELETE /later HTTP/1.1\r\nHost: h\r\n\r\n";
  client.Send(request + request + std::string(kGet));
  for (const char* body : {"1", "2"}) {
    waiting_.Take().Send(WithBody(body));
    EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n" + std::string(body)));
  }
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n/"));
}

// ---- Many ----

TEST_F(LaterTest, AnswersAThousandConnectionsThatWaitAtOnce) {
  constexpr std::size_t kClients = 1000;
  RaiseOpenFilesLimit();
  std::vector<Client> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(server_->Connect());
    ASSERT_TRUE(
        clients.back().Send("PUT /later HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"));
  }
  std::vector<Responder> responders = waiting_.Take(kClients);
  ASSERT_THAT(responders, SizeIs(kClients));
  std::vector<std::thread> threads;
  for (std::size_t part = 0; part < 2; ++part) {
    threads.emplace_back([&, part] {
      for (std::size_t i = part; i < kClients; i += 2) responders[i].Send(WithBody("late"));
    });
  }
  for (Client& client : clients) ASSERT_THAT(client.ReadResponse(), EndsWith("\r\n\r\nlate"));
  for (std::thread& thread : threads) thread.join();
}

// ---- The end of a connection, and of a server ----

// Never ends, and says when it is gone.
class Endless : public BodySource {
 public:
  explicit Endless(Responder gone) : gone_(std::move(gone)) {}
  void Next(std::vector<std::string_view>& pieces) override { pieces.assign(4, block_); }

 private:
  const std::string block_ = std::string(64 * 1024, 'e');
  Responder gone_;  // answers when it is destroyed
};

TEST_F(LaterTest, DropsTheAnswerOfAClientThatLeft) {
  Client client = server_->Connect();
  client.Send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  Responder responder = waiting_.Take();
  client.Close();
  const Response gone = Await(Response::Later([&](Responder told) {
    Response response;
    response.stream = std::make_unique<Endless>(std::move(told));
    responder.Send(std::move(response));
  }));
  EXPECT_EQ(gone.status, 500);
  Client next = server_->Connect();
  EXPECT_THAT(AnswerTo("GET /later HTTP/1.1\r\nHost: h\r\n\r\n", next), EndsWith("\r\n\r\nlate"));
}

class LaterShutdownTest : public LaterTest {
 protected:
  LaterShutdownTest() : LaterTest(OneThread()) {}

  static ServerOptions OneThread() {
    ServerOptions options;
    options.threads = 1;
    return options;
  }

  // Begins a shutdown; returns when the connections have been told.
  std::thread Shutdown() {
    Client idle = server_->Connect();  // the last one: it is told first, but on the same thread
    idle.Send(kGet);
    idle.ReadResponse();
    std::thread stopping([this] { server_->server().Shutdown(); });
    EXPECT_EQ(idle.ReadToEnd(), "");
    return stopping;
  }
};

TEST_F(LaterShutdownTest, AnswersWhatWaitsAndCloses) {
  server_->handler().on_header = [this](const Request& request) -> std::optional<Response> {
    if (request.target == "/later/early") return waiting_.Later();
    return std::nullopt;
  };
  Client inline_one = server_->Connect();
  inline_one.Send("GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n");
  Client early_one = server_->Connect();
  early_one.Send("PUT /later/early HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf");
  std::vector<Responder> responders = waiting_.Take(2);
  std::thread stopping = Shutdown();
  for (Responder& responder : responders) responder.Send(WithBody("late"));
  for (Client* client : {&inline_one, &early_one}) {
    EXPECT_EQ(WithoutDate(client->ReadToEnd()),
              "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate");
  }
  stopping.join();
}

TEST_F(LaterShutdownTest, IsBoundedAndOutlivedByResponders) {
  ServerOptions options = OneThread();
  options.offload_body_bytes = 4;
  Restart(options);
  server_->handler().on_header = [this](const Request& request) -> std::optional<Response> {
    if (request.target == "/later/early") return waiting_.Later();
    return std::nullopt;
  };
  std::vector<Client> clients;
  for (const char* request :
       {"GET /later HTTP/1.1\r\nHost: h\r\n\r\n",
        "PUT /later HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
        "PUT /later HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nwork",
        "PUT /later/early HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf"}) {
    for (int i = 0; i < 2; ++i) {
      clients.push_back(server_->Connect());
      clients.back().Send(request);
    }
  }
  std::vector<Responder> responders = waiting_.Take(clients.size());
  ASSERT_THAT(responders, SizeIs(clients.size()));
  const auto start = Steady::now();
  server_->server().Shutdown();
  EXPECT_GE(Steady::now() - start, 4s);
  EXPECT_LT(Steady::now() - start, 5500ms);
  for (Client& client : clients) EXPECT_TRUE(client.IsClosedByServer());
  // Half of them while the server is there, the others when it is not.
  for (std::size_t i = 0; i < responders.size(); i += 2) responders[i].Send(WithBody("late"));
  server_.reset();
  for (std::size_t i = 1; i < responders.size(); i += 2) responders[i].Send(WithBody("late"));
}

TEST_F(LaterShutdownTest, IsSafeWhileAnswersArrive) {
  for (int round = 0; round < 20; ++round) {
    Restart(OneThread());
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(server_->Connect());
      clients.back().Send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    std::vector<Responder> responders = waiting_.Take(clients.size());
    std::thread answering([&] {
      for (Responder& responder : responders) responder.Send(WithBody("late"));
    });
    server_.reset();
    answering.join();
    for (Client& client : clients) EXPECT_THAT(client.ReadToEnd(), EndsWith("\r\n\r\nlate"));
  }
}

// ---- Await ----

TEST(AwaitTest, PassesAnAnswerOn) { EXPECT_EQ(Await(WithBody("now")).body, "now"); }

TEST(AwaitTest, WaitsForTheOneThatComesLater) {
  std::thread answering;
  const Response answer = Await(Response::Later([&](Responder responder) {
    answering = std::thread(
        [responder = std::move(responder)]() mutable { responder.Send(WithBody("late")); });
  }));
  answering.join();
  EXPECT_EQ(answer.body, "late");
  EXPECT_EQ(answer.later, nullptr);
}

TEST(AwaitTest, Is500WhenNobodyAnswers) {
  EXPECT_EQ(Await(Response::Later([](const Responder&) {})).status, 500);
}

TEST(AwaitTest, Is503WhenStartingFails) {
  EXPECT_EQ(Await(Response::Later([](const Responder&) { throw std::bad_alloc(); })).status, 503);
}

}  // namespace
}  // namespace pgw::http::testing
