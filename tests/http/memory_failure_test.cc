// Memory that runs out at every single point of a request's way through the engine. Whatever fails:
// the process lives, nobody waits for ever, nothing is leaked and the next client is served.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "tests/http/test_server.h"
#include "tests/support/failing_allocation.h"

namespace pgw::http::testing {
namespace {

using namespace std::chrono_literals;
using pgw::testing::AllocationsFailed;
using pgw::testing::AllocationsSeen;
using pgw::testing::FailAllocation;
using pgw::testing::FaultLength;
using pgw::testing::FaultScope;
using pgw::testing::StopFailingAllocations;
using ::testing::StartsWith;

std::size_t OpenDescriptors() {
  std::size_t count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

// Waits for something that needs no event to wait for, at most five seconds.
bool Eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 5'000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

// Answers from a thread of its own, like a log that brings commands to a disk.
class LateAnswers {
 public:
  LateAnswers() : thread_([this] { Run(); }) {}
  ~LateAnswers() {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  Response Answer() {
    return Response::Later([this](Responder responder) {
      {
        const MutexLock lock(mutex_);
        waiting_.push_back(std::move(responder));
      }
      changed_.notify_one();
    });
  }

 private:
  void Run() {
    mutex_.Lock();
    while (!stopping_) {
      while (!waiting_.empty()) {
        Responder responder = std::move(waiting_.back());
        waiting_.pop_back();
        responder.Send(Response{});
      }
      changed_.wait(mutex_);
    }
    mutex_.Unlock();
  }

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Responder> waiting_ PGW_GUARDED_BY(mutex_);
  bool stopping_ PGW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// Three pieces that are made while they are sent.
class Pieces final : public BodySource {
 public:
  void Next(std::vector<std::string_view>& pieces) override {
    if (left_-- == 0) return;
    piece_ = std::make_unique<std::string>(20'000, 'x');
    pieces.push_back(*piece_);
  }

 private:
  int left_ = 3;
  std::unique_ptr<std::string> piece_;
};

Response Respond(const Request& request, LateAnswers& late) {
  if (request.target.starts_with("/late")) return late.Answer();
  Response response;
  if (request.target == "/stream") {
    response.stream = std::make_unique<Pieces>();
  } else if (request.target == "/large") {
    response.body.assign(100'000, 'x');
  } else {
    response.headers.emplace_back("X-Long-Enough", "to need memory of its own");
    response.body = std::to_string(request.body.size());
  }
  return response;
}

ServerOptions Options() {
  ServerOptions options;
  options.offload_body_bytes = 10'000;
  options.limits.bodies_bytes_max = 1 << 20;
  return options;
}

class MemoryFailureTest : public ::testing::TestWithParam<FaultLength> {
 protected:
  MemoryFailureTest() : server_(std::make_unique<TestServer>(Options())) {
    server_->handler().on_request = [this](const Request& request) {
      return Respond(request, late_);
    };
    (void)server_->address();  // starts it
    descriptors_ = OpenDescriptors();
  }
  ~MemoryFailureTest() override { StopFailingAllocations(); }

  bool IsServed() {
    Client client = server_->Connect();
    client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    return client.ReadResponse().starts_with("HTTP/1.1 200 OK\r\n");
  }

  // `exchange` gets a connection whose client is patient and returns what it was answered.
  void FailEverywhere(const std::function<std::string(Client&)>& exchange) {
    std::uint64_t last = 0;
    for (int i = 0; i < 3; ++i) {  // some memory is allocated the first time alone
      FailAllocation(0, FaultScope::kOtherThreads);
      Client client = server_->Connect();
      EXPECT_THAT(exchange(client), StartsWith("HTTP/1.1 200 OK\r\n"));
      last = std::max(last, AllocationsSeen());
    }
    ASSERT_GT(last, 2U);
    for (std::uint64_t number = 1; number <= last + 2; ++number) {
      SCOPED_TRACE("allocation " + std::to_string(number));
      FailAllocation(number, FaultScope::kOtherThreads, GetParam());
      std::string answer;
      {
        Client client = server_->Connect();
        answer = exchange(client);
        EXPECT_TRUE(client.IsClosedByServer() || !answer.empty());
      }
      const bool failed = AllocationsFailed() > 0;
      StopFailingAllocations();
      EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 ")) << answer;
      EXPECT_TRUE(failed || answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
      ASSERT_TRUE(IsServed());
      ASSERT_TRUE(Eventually([&] { return OpenDescriptors() == descriptors_; }));
    }
    const auto begin = std::chrono::steady_clock::now();
    server_->server().Shutdown();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  }

  LateAnswers late_;
  std::unique_ptr<TestServer> server_;
  std::size_t descriptors_ = 0;
};

// Everything that the server says until it closes, without minding how it does.
std::string ReadAll(Client& client) {
  std::string all;
  for (std::string some = client.ReadSome(65'536); !some.empty(); some = client.ReadSome(65'536)) {
    all += some;
  }
  return all;
}

constexpr char kClose[] = "Host: h\r\nConnection: close\r\n";

std::string SendAll(Client& client, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    if (!client.Send(part)) break;
    // The next part goes out when this one has been read.
    std::this_thread::sleep_for(1ms);
  }
  return ReadAll(client);
}

std::string Head(std::string_view line, std::string_view framing = "") {
  return std::string(line) + " HTTP/1.1\r\n" + kClose + std::string(framing) + "\r\n";
}

TEST_P(MemoryFailureTest, SmallRequest) {
  FailEverywhere([](Client& client) { return SendAll(client, {Head("GET /")}); });
}

TEST_P(MemoryFailureTest, HeadInPieces) {
  FailEverywhere([](Client& client) {
    const std::string head = Head("GET /", "X-Long: " + std::string(20'000, 'x') + "\r\n");
    return SendAll(client, {head.substr(0, 30), head.substr(30, 10'000), head.substr(10'030)});
  });
}

TEST_P(MemoryFailureTest, BodyInPieces) {
  FailEverywhere([](Client& client) {
    return SendAll(client, {Head("PUT /", "Content-Length: 3000\r\n"), std::string(1'000, 'x'),
                            std::string(2'000, 'x')});
  });
}

TEST_P(MemoryFailureTest, BodyInChunks) {
  FailEverywhere([](Client& client) {
    return SendAll(client, {Head("PUT /", "Transfer-Encoding: chunked\r\n") + "5\r\nhel",
                            "lo\r\n400", "\r\n" + std::string(1'024, 'x') + "\r\n0\r\n\r\n"});
  });
}

TEST_P(MemoryFailureTest, BodyOnAWorker) {
  FailEverywhere([](Client& client) {
    return SendAll(client, {Head("PUT /", "Content-Length: 90000\r\n"), std::string(50'000, 'x'),
                            std::string(40'000, 'x')});
  });
}

TEST_P(MemoryFailureTest, LateAnswer) {
  FailEverywhere([](Client& client) { return SendAll(client, {Head("GET /late")}); });
}

TEST_P(MemoryFailureTest, LateAnswerOnAWorker) {
  FailEverywhere([](Client& client) {
    return SendAll(client,
                   {Head("PUT /late", "Content-Length: 20000\r\n"), std::string(20'000, 'x')});
  });
}

TEST_P(MemoryFailureTest, StreamedAnswer) {
  FailEverywhere([](Client& client) { return SendAll(client, {Head("GET /stream")}); });
}

TEST_P(MemoryFailureTest, LargeAnswer) {
  FailEverywhere([](Client& client) { return SendAll(client, {Head("GET /large")}); });
}

TEST_P(MemoryFailureTest, PipelinedRequests) {
  FailEverywhere([](Client& client) {
    const std::string one = "GET /late HTTP/1.1\r\nHost: h\r\n\r\n";
    const std::string other = "GET /large HTTP/1.1\r\nHost: h\r\n\r\n";
    return SendAll(client, {other + one + other + one, other + one + Head("GET /")});
  });
}

INSTANTIATE_TEST_SUITE_P(Length, MemoryFailureTest,
                         ::testing::Values(FaultLength::kOnce, FaultLength::kFromThenOn),
                         [](const auto& length) {
                           return length.param == FaultLength::kOnce ? "Once" : "FromThenOn";
                         });

// Nothing in the process gets memory until the end of the scope.
class NoMemory {
 public:
  NoMemory() { FailAllocation(1, FaultScope::kOtherThreads, FaultLength::kFromThenOn); }
  ~NoMemory() { StopFailingAllocations(); }
  NoMemory(const NoMemory&) = delete;
  NoMemory& operator=(const NoMemory&) = delete;
};

TEST(NoMemoryTest, DeadlinesAreNoticed) {
  ServerOptions options;
  options.limits.header_timeout = 30ms;
  options.limits.body_timeout = 30ms;
  TestServer server(options);
  Client silent = server.Connect();
  Client head = server.Connect();
  head.Send("GET / HTTP/1.1\r\n");
  Client body = server.Connect();
  body.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  Client witness = server.Connect();
  witness.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  witness.ReadResponse();
  const NoMemory none;
  for (Client* const client : {&silent, &head, &body}) EXPECT_TRUE(client->IsClosedByServer());
}

TEST(NoMemoryTest, ShutdownEnds) {
  ServerOptions options;
  options.limits.drain_timeout = 50ms;
  options.offload_body_bytes = 3;
  LateAnswers late;
  TestServer server(options);
  server.handler().on_request = [&](const Request& request) { return Respond(request, late); };
  Client idle = server.Connect();
  idle.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  idle.ReadResponse();
  Client body = server.Connect();
  body.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  const auto begin = std::chrono::steady_clock::now();
  {
    FailAllocation(1, FaultScope::kAllThreads, FaultLength::kFromThenOn);
    server.server().Shutdown();
    StopFailingAllocations();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  EXPECT_TRUE(idle.IsClosedByServer());
  EXPECT_TRUE(body.IsClosedByServer());
}

// One line tells of an episode, and writing it needs no memory.
TEST(NoMemoryTest, AcceptingGoesOnAndTellsOnce) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const SystemClock clock;
  Logger log(clock, ends[1], LogLevel::kInfo, LogFormat::kLogfmt);
  RecordingHandler handler;
  Server server(handler, {}, clock, log);
  const Result<std::string> address = server.Listen("127.0.0.1:0");
  ASSERT_TRUE(address);
  server.Start();
  {
    const NoMemory none;
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(Client(*address).IsClosedByServer());
  }
  Client client(*address);
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 OK\r\n"));
  char lines[4096];
  const ssize_t size = read(ends[0], lines, sizeof lines);
  EXPECT_EQ(std::string(lines, static_cast<std::size_t>(std::max<ssize_t>(size, 0))),
            "level=error msg=\"cannot accept connections, retrying\"\n");
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace pgw::http::testing
