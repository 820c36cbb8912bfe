// Slow, stalled and greedy clients. Limits are short here; nothing sleeps, everything waits for the
// server to act.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/test_server.h"

namespace pgw::http::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

using Steady = std::chrono::steady_clock;

// Sends a byte again and again until the server has had enough; returns what it said.
std::string Drip(Client& client, std::string_view bytes, std::chrono::milliseconds interval) {
  std::atomic<bool> done{false};
  std::thread dripping([&] {
    for (std::size_t i = 0; !done && client.Send(bytes.substr(i % bytes.size(), 1)); ++i) {
      std::this_thread::sleep_for(interval);
    }
  });
  const std::string answer = client.ReadToEnd();
  done = true;
  dripping.join();
  return answer;
}

TEST(HeaderTimeoutTest, Answers408ToAHeaderThatNeverEnds) {
  ServerOptions options;
  options.limits.header_timeout = 60ms;
  TestServer server(options);
  Client client = server.Connect();
  const auto start = Steady::now();
  client.Send("GET / HTTP/1.1\r\nHost: h\r\nA: ");
  const std::string answer = client.ReadToEnd();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_GE(Steady::now() - start, 60ms);
  EXPECT_THAT(server.handler().seen(), IsEmpty());
}

TEST(HeaderTimeoutTest, IsNotProlongedByDripping) {
  ServerOptions options;
  options.limits.header_timeout = 80ms;
  TestServer server(options);
  Client client = server.Connect();
  client.Send("GET / HTTP/1.1\r\nHost: h\r\nA: ");
  EXPECT_THAT(Drip(client, "a", 5ms), StartsWith("HTTP/1.1 408 "));
}

TEST(HeaderTimeoutTest, ClosesAConnectionThatNeverSaysAnything) {
  ServerOptions options;
  options.limits.header_timeout = 30ms;
  TestServer server(options);
  Client client = server.Connect();
  EXPECT_EQ(client.ReadToEnd(), "");
}

TEST(HeaderTimeoutTest, CanBeSwitchedOff) {
  ServerOptions options;
  options.limits.header_timeout = 0ms;
  options.limits.idle_timeout = 20ms;  // makes the scan look every few milliseconds
  TestServer server(options);
  Client slow = server.Connect();
  slow.Send("GET / HTTP/1.1\r\nHost: h\r\n");
  Client idle = server.Connect();
  EXPECT_TRUE(idle.IsClosedByServer());
  slow.Send("\r\n");
  EXPECT_THAT(slow.ReadResponse(), StartsWith("HTTP/1.1 200"));
}

// The sum of now and such a time is no instant of the clock.
TEST(HeaderTimeoutTest, MayBeLongerThanTheClockGoes) {
  for (const std::chrono::milliseconds forever :
       {std::chrono::milliseconds::max(), std::chrono::milliseconds(9'223'372'036'854)}) {
    ServerOptions options;
    options.limits.header_timeout = options.limits.body_timeout = forever;
    options.limits.response_timeout = options.limits.drain_timeout = forever;
    options.limits.idle_timeout = 20ms;
    TestServer server(options);
    Client slow = server.Connect();
    slow.Send("PUT / HTTP/1.1\r\nHost: h\r\n");
    Client idle = server.Connect();
    idle.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(idle.ReadResponse(), StartsWith("HTTP/1.1 200"));
    EXPECT_TRUE(idle.IsClosedByServer());
    slow.Send("Content-Length: 2\r\n\r\na");
    slow.Send("b");
    EXPECT_THAT(slow.ReadResponse(), StartsWith("HTTP/1.1 200"));
  }
}

TEST(BodyTimeoutTest, Answers408ToABodyWithoutProgress) {
  ServerOptions options;
  options.limits.body_timeout = 50ms;
  TestServer server(options);
  for (const char* framing : {"Content-Length: 10", "Transfer-Encoding: chunked"}) {
    const std::string answer =
        server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\n" + std::string(framing) + "\r\n\r\n5\r\nhe");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  }
  EXPECT_THAT(server.handler().seen(), IsEmpty());
}

TEST(BodyTimeoutTest, IsProlongedByProgress) {
  ServerOptions options;
  options.limits.body_timeout = 60ms;
  options.limits.header_timeout = 60ms;
  TestServer server(options);
  Client client = server.Connect();
  client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\nConnection: close\r\n\r\n");
  const auto start = Steady::now();
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(10ms);
    ASSERT_TRUE(client.Send("x"));
  }
  EXPECT_GT(Steady::now() - start, 120ms);
  EXPECT_THAT(client.ReadToEnd(), EndsWith(std::string(20, 'x')));
}

TEST(BodyTimeoutTest, ClosesWhenTheRestOfAnAnsweredBodyDoesNotCome) {
  ServerOptions options;
  options.limits.body_timeout = 40ms;
  TestServer server(options);
  server.handler().on_header = [](const Request&) { return Response::PlainError(404, "no"); };
  const std::string answer =
      server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhe");
  EXPECT_THAT(answer, EndsWith("\r\n\r\nno\n"));
}

TEST(IdleTimeoutTest, ClosesBetweenRequests) {
  ServerOptions options;
  options.limits.idle_timeout = 40ms;
  TestServer server(options);
  Client client = server.Connect();
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(), EndsWith("Content-Length: 0\r\n\r\n"));
}

TEST(IdleTimeoutTest, KeepsWhoSendsRegularlyLongerThanItPauses) {
  ServerOptions options;
  options.limits.idle_timeout = 400ms;
  TestServer server(options);
  Client client = server.Connect();
  for (const auto pause : {0ms, 250ms, 550ms}) {  // the last one is within three times 250 ms
    std::this_thread::sleep_for(pause);
    client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 OK\r\n"));
  }
}

// What became of requests that were sent when their connection was about to be closed.
struct Fates {
  std::atomic<int> answered{0};
  std::atomic<int> closed{0};  // in order, before an answer
  std::atomic<int> reset{0};
};

// One push on a connection that has been idle for about `pause`, and if that is closed once more on
// a fresh one, as client libraries do.
void PushAfterPause(TestServer& server, const std::string& target, std::chrono::microseconds pause,
                    Fates& fates) {
  const std::string push = "PUT " + target + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
  Client client = server.Connect();
  client.Send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n");
  client.ReadResponse();
  std::this_thread::sleep_for(pause);
  char answer[1024];
  ssize_t size = client.Send(push) ? recv(client.fd(), answer, sizeof answer, 0) : -1;
  ++(size > 0 ? fates.answered : size == 0 ? fates.closed : fates.reset);
  if (size > 0) return;
  Client again = server.Connect();
  again.Send(push);
  EXPECT_THAT(again.ReadResponse(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

// Requests that meet the end of their connection are answered or not executed, and then the client
// sees the connection closed in order: libraries send such a request again.
TEST(IdleTimeoutTest, LosesNoRequestThatMeetsIt) {
  constexpr int kThreads = 20;
  constexpr int kPushesEach = 100;
  ServerOptions options;
  options.limits.idle_timeout = 10ms;
  TestServer server(options);
  server.address();
  Fates fates;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPushesEach; ++i) {
        PushAfterPause(server, "/" + std::to_string(t * kPushesEach + i),
                       9'000us + 40us * ((t + i * 7) % 100), fates);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fates.reset, 0);
  EXPECT_GT(fates.answered, 0);
  EXPECT_GT(fates.closed, 0);
  std::vector<int> executed(kThreads * kPushesEach, 0);
  for (const Seen& seen : server.handler().seen()) {
    if (seen.method == "PUT")
      ++executed[static_cast<std::size_t>(std::stoi(seen.target.substr(1)))];
  }
  EXPECT_THAT(executed, ::testing::Each(1));
}

TEST(ResponseTimeoutTest, ClosesOnAClientThatReadsNothing) {
  ServerOptions options;
  options.limits.response_timeout = 60ms;
  TestServer server(options);
  server.handler().on_request = [](const Request&) {
    Response response;
    response.body.assign(16u << 20, 'x');
    return response;
  };
  Client client = server.Connect(4096);
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  // Nothing is read until the server has given up: then what is in flight, and no more.
  Client witness = server.Connect();
  witness.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  witness.ReadUntil("\r\n\r\n");
  std::this_thread::sleep_for(200ms);
  std::size_t total = 0;
  for (std::string some = client.ReadSome(65536); !some.empty(); some = client.ReadSome(65536)) {
    total += some.size();
  }
  EXPECT_LT(total, 16u << 20);
}

TEST(ResponseTimeoutTest, IsProlongedByProgress) {
  ServerOptions options;
  options.limits.response_timeout = 250ms;
  TestServer server(options);
  server.handler().on_request = [](const Request&) {
    Response response;
    response.body.assign(12u << 20, 'x');
    response.close = true;
    return response;
  };
  Client client = server.Connect(16 * 1024);
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  std::size_t total = 0;
  for (int pause = 0;; ++pause) {
    if (pause < 20) std::this_thread::sleep_for(25ms);
    const std::string some = client.ReadSome(600'000);
    if (some.empty()) break;
    total += some.size();
  }
  EXPECT_GT(total, 12u << 20);
}

TEST(BodySizeTest, Answers413ByTheLengthAlone) {
  ServerOptions options;
  options.limits.body_bytes_max = 1000;
  TestServer server(options);
  const std::string answer =
      server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 Request Entity Too Large\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nrequest body too large: more than 1000 bytes\n"));
}

TEST(BodySizeTest, AcceptsExactlyTheLimit) {
  ServerOptions options;
  options.limits.body_bytes_max = 1000;
  TestServer server(options);
  const std::string body(1000, 'x');
  EXPECT_THAT(server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\nConnection: "
                              "close\r\n\r\n" +
                              body),
              EndsWith(body));
  EXPECT_THAT(server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                              "chunked\r\nConnection: close\r\n\r\n3e8\r\n" +
                              body + "\r\n0\r\n\r\n"),
              EndsWith(body));
}

TEST(BodySizeTest, Answers413ToTheChunkThatIsTooMuch) {
  ServerOptions options;
  options.limits.body_bytes_max = 1000;
  TestServer server(options);
  for (const char* last : {"2\r\n", "ffffffffffffffff\r\n", "7fffffff\r\n"}) {
    const std::string answer =
        server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e7\r\n" +
                        std::string(999, 'x') + "\r\n" + last);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 ")) << last;
  }
  EXPECT_THAT(server.handler().seen(), IsEmpty());
}

TEST(BodySizeTest, LetsTheClientOfARefusedUploadReadTheAnswer) {
  ServerOptions options;
  options.limits.body_bytes_max = 1000;
  TestServer server(options);
  for (int i = 0; i < 20; ++i) {
    Client client = server.Connect();
    client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n");
    client.Send(std::string(5'000'000, 'x'));  // would be answered by a reset without lingering
    EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 413 "));
  }
}

TEST(BodySizeTest, TakesLargeBodiesWhole) {
  TestServer server;
  std::string body(9'000'000, 'x');
  for (std::size_t i = 0; i < body.size(); i += 997) body[i] = static_cast<char>('a' + i % 23);
  Client client = server.Connect();
  client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n" + body +
              "GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string answers = client.ReadToEnd();
  EXPECT_TRUE(BodyOf(answers).starts_with(body));
  EXPECT_EQ(Count(answers, "HTTP/1.1 200 OK"), 2u);
}

TEST(OffloadTest, HandlesLargeBodiesOffTheIoThread) {
  ServerOptions options;
  options.threads = 1;
  options.offload_body_bytes = 1000;
  Mutex mutex;
  TestServer server(options);
  mutex.Lock();
  server.handler().on_request = [&](const Request& request) {
    if (request.has_body) {  // occupies its thread until the other request is answered
      const MutexLock lock(mutex);
    }
    Response response;
    response.body = request.target;
    return response;
  };
  Client large = server.Connect();
  large.Send("PUT /large HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" +
             std::string(1000, 'x') + "GET /pipelined HTTP/1.1\r\nHost: h\r\n\r\n");
  Client small = server.Connect();
  small.Send("GET /small HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(small.ReadResponse(), EndsWith("/small"));
  mutex.Unlock();
  EXPECT_THAT(large.ReadResponse(), EndsWith("/large"));
  EXPECT_THAT(large.ReadResponse(), EndsWith("/pipelined"));
}

TEST(OffloadTest, SurvivesAClientThatLeavesMeanwhile) {
  ServerOptions options;
  options.threads = 1;
  options.offload_body_bytes = 1;
  TestServer server(options);
  for (int i = 0; i < 50; ++i) {
    Client client = server.Connect();
    client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
    if (i % 2 == 0) client.Close();
  }
  Client client = server.Connect();
  client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nlast");
  EXPECT_THAT(client.ReadResponse(), EndsWith("last"));
}

TEST(BodyMemoryTest, StopsReadingAndAnswers503WhenNothingProgresses) {
  ServerOptions options;
  options.threads = 1;
  options.limits.bodies_bytes_max = 256 * 1024;
  options.limits.body_timeout = 400ms;
  TestServer server(options);
  Client holder = server.Connect();
  holder.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 250000\r\n\r\n" +
              std::string(200'000, 'x'));
  // Each answer here proves a turn of the thread, in which it read of the body as well.
  Client witness = server.Connect();
  for (int i = 0; i < 20; ++i) {
    witness.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    witness.ReadResponse();
  }
  Client waiting = server.Connect();
  waiting.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" +
               std::string(200'000, 'y'));
  std::atomic<bool> done{false};
  std::size_t dripped = 0;
  std::thread dripping([&] {
    for (; !done && dripped < 50'000 && holder.Send("x"); ++dripped) {
      std::this_thread::sleep_for(5ms);
    }
  });
  const std::string answer = waiting.ReadToEnd();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  done = true;
  dripping.join();
  holder.Send(std::string(50'000 - dripped, 'x'));
  EXPECT_THAT(holder.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
}

TEST(BodyMemoryTest, TakesTheReserveFromWhoDoesNotUseIt) {
  ServerOptions options;
  options.limits.bodies_bytes_max = 256 * 1024;
  options.limits.body_timeout = 400ms;
  TestServer server(options);
  std::vector<Client> stalled;
  for (int i = 0; i < 2; ++i) {
    stalled.push_back(server.Connect());
    stalled.back().Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" +
                        std::string(100'000, 'x'));  // 200 KB of 128 KB that all may use
  }
  Client good = server.Connect();
  good.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" +
            std::string(200'000, 'y'));
  EXPECT_THAT(good.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
  for (Client& client : stalled) {
    EXPECT_THAT(client.ReadToEnd(),
                ::testing::AnyOf(StartsWith("HTTP/1.1 408 "), StartsWith("HTTP/1.1 503 ")));
  }
}

TEST(BodyMemoryTest, GoesOnWhenMemoryComesBack) {
  ServerOptions options;
  options.threads = 2;
  options.limits.bodies_bytes_max = 1'000'000;
  TestServer server(options);
  // The first ones hold most of it; the others have to wait for them.
  std::vector<Client> holders;
  for (int i = 0; i < 3; ++i) {
    holders.push_back(server.Connect());
    holders.back().Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 300001\r\n\r\n" +
                        std::string(300'000, 'x'));
  }
  std::vector<std::thread> waiting;
  std::atomic<int> answered{0};
  for (int i = 0; i < 6; ++i) {
    waiting.emplace_back([&] {
      Client client = server.Connect();
      client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n");
      client.Send(std::string(500'000, 'y'));
      if (client.ReadResponse().starts_with("HTTP/1.1 200 OK")) ++answered;
    });
  }
  for (Client& holder : holders) holder.Send("x");
  for (Client& holder : holders) {
    EXPECT_THAT(holder.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
  }
  for (std::thread& thread : waiting) thread.join();
  EXPECT_EQ(answered, 6);
}

TEST(BodyMemoryTest, RefusesWhatCouldNeverFit) {
  ServerOptions options;
  options.limits.bodies_bytes_max = 1000;
  TestServer server(options);
  EXPECT_THAT(server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "3e9\r\n"),
              StartsWith("HTTP/1.1 413 "));
}

// ---- Many at once ----

// A part of a head of 60 KB.
std::string LongHead() { return "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(60'000, 'x'); }

ServerOptions RoomForThreeHeads() {
  ServerOptions options;
  options.limits.bodies_bytes_max = 200'000;  // 150,000 for all, the rest for one at a time
  options.limits.body_bytes_max = 50'000;
  return options;
}

TEST(HeadMemoryTest, StopsReadingLongHeadsAndServesShortOnes) {
  ServerOptions options = RoomForThreeHeads();
  options.limits.header_timeout = 400ms;
  TestServer server(options);
  std::vector<Client> stalled;
  for (int i = 0; i < 12; ++i) {
    stalled.push_back(server.Connect());
    stalled.back().Send(LongHead());
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                                "Content-Length: 4\r\n\r\na 1\n"),
                StartsWith("HTTP/1.1 200 OK\r\n"));
  }
  int timed_out = 0;
  int waited_in_vain = 0;
  for (Client& client : stalled) {
    const std::string answer = client.ReadToEnd();
    if (answer.starts_with("HTTP/1.1 408 ")) ++timed_out;
    if (answer.starts_with("HTTP/1.1 503 ") &&
        answer.ends_with("\r\n\r\ntoo many unfinished requests, try again later\n")) {
      ++waited_in_vain;
    }
  }
  EXPECT_EQ(timed_out + waited_in_vain, 12);
  EXPECT_GE(timed_out, 3);
  EXPECT_GE(waited_in_vain, 6);
}

TEST(HeadMemoryTest, LongHeadsGoOnWhenMemoryComesBack) {
  ServerOptions options = RoomForThreeHeads();
  options.threads = 1;
  TestServer server(options);
  std::vector<Client> stalled;
  for (int i = 0; i < 5; ++i) {  // three fill the budget, the next one has the reserve
    stalled.push_back(server.Connect());
    stalled.back().Send(LongHead());
  }
  Client late = server.Connect();
  late.Send(LongHead() + "\r\n\r\n");
  Client witness = server.Connect();
  witness.Send("GET /short HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(witness.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_EQ(server.handler().seen().size(), 1u);
  stalled.clear();
  EXPECT_THAT(late.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
}

TEST(HeadMemoryTest, CountsTheHeadsOfUnfinishedBodies) {
  ServerOptions options = RoomForThreeHeads();
  options.threads = 1;
  options.limits.header_timeout = 200ms;
  TestServer server(options);
  std::vector<Client> stalled;
  for (int i = 0; i < 3; ++i) {
    stalled.push_back(server.Connect());
    stalled.back().Send(LongHead() + "\r\nContent-Length: 5\r\n\r\nab");
  }
  Client reserve = server.Connect();
  reserve.Send(LongHead());
  Client late = server.Connect();
  late.Send(LongHead());
  EXPECT_THAT(late.ReadToEnd(), StartsWith("HTTP/1.1 503 "));
}

TEST(StalledClientsTest, DoNotDelayOthers) {
  RaiseOpenFilesLimit();
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  // Both ends of a connection are in this process.
  const std::size_t stalled_count = limit.rlim_cur == RLIM_INFINITY
                                        ? 2000
                                        : std::min<std::size_t>(2000, limit.rlim_cur / 2 - 200);
  TestServer server;
  std::vector<Client> stalled;
  for (std::size_t i = 0; i < stalled_count; ++i) {
    stalled.push_back(server.Connect());
    ASSERT_TRUE(stalled.back().Send(
        i % 2 == 0 ? "PUT /metrics/job/a HTTP/1.1\r\nHost: h\r\nContent-Le"
                   : "PUT /metrics/job/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhalf"));
  }
  const auto start = Steady::now();
  for (int i = 0; i < 50; ++i) {
    Client client = server.Connect();
    client.Send("PUT /metrics/job/b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\na 1\n");
    ASSERT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
  }
  EXPECT_LT(Steady::now() - start, 2s);
  EXPECT_EQ(server.handler().seen().size(), 50u);
  // The stalled ones are as alive as before.
  stalled[1].Send(std::string(996, 'x'));
  EXPECT_THAT(stalled[1].ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
}

TEST(AcceptTest, GoesOnWhenThereAreDescriptorsAgain) {
  Mutex mutex;
  std::atomic<bool> begun{false};
  ServerOptions options;
  options.threads = 1;
  TestServer server(options);
  server.handler().on_request = [&](const Request& request) {
    if (request.target == "/block") {
      begun = true;
      const MutexLock lock(mutex);
    }
    return Response{};
  };
  Client old = server.Connect();
  mutex.Lock();
  old.Send("GET /block HTTP/1.1\r\nHost: h\r\n\r\n");
  while (!begun) std::this_thread::yield();
  // The thread is busy: the kernel has these connections, the server has not.
  std::vector<Client> fresh;
  for (int i = 0; i < 10; ++i) {
    fresh.push_back(server.Connect());
    fresh.back().Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  rlimit none = limit;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  mutex.Unlock();
  // Others are served meanwhile.
  old.ReadResponse();
  for (int i = 0; i < 10; ++i) {
    old.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(old.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
  }
  EXPECT_EQ(server.handler().seen().size(), 11u);
  setrlimit(RLIMIT_NOFILE, &limit);
  for (Client& client : fresh) {
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
  }
}

TEST(ManyClientsTest, GetTheirOwnAnswersFromSeveralThreads) {
  ServerOptions options;
  options.threads = 3;
  options.offload_body_bytes = 3000;
  TestServer server(options);
  server.address();
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      Client client = server.Connect();
      for (int i = 0; i < 100; ++i) {
        const std::string body(static_cast<std::size_t>((t * 100 + i) * 37 % 5000),
                               static_cast<char>('a' + t));
        client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\n\r\n" + body);
        if (BodyOf(client.ReadResponse()) == body) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 800);
}

}  // namespace
}  // namespace pgw::http::testing
