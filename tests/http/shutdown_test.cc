// The end of a server: nothing received is lost, nobody can hold it up.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/test_server.h"

namespace pgw::http::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

using Steady = std::chrono::steady_clock;

TEST(ShutdownTest, IsImmediateWithoutConnections) {
  TestServer server;
  server.address();
  const auto start = Steady::now();
  server.server().Shutdown();
  server.server().Shutdown();
  EXPECT_LT(Steady::now() - start, 1s);
}

TEST(ShutdownTest, WorksOnAServerThatNeverStarted) {
  TestServer server;
  server.server().Shutdown();
}

TEST(ShutdownTest, ClosesListenersAndIdleConnectionsAtOnce) {
  TestServer server;
  Client fresh = server.Connect();
  Client kept = server.Connect();
  kept.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  kept.ReadResponse();
  const auto start = Steady::now();
  server.server().Shutdown();
  EXPECT_LT(Steady::now() - start, 1s);
  EXPECT_TRUE(fresh.IsClosedByServer());
  EXPECT_EQ(kept.ReadToEnd(), "");
  Client late = server.Connect();
  EXPECT_FALSE(late.Send("x") && !late.IsClosedByServer());
}

TEST(ShutdownTest, AnswersARequestThatAWorkerHas) {
  ServerOptions options;
  options.offload_body_bytes = 1;
  std::atomic<bool> begun{false};
  TestServer server(options);
  server.handler().on_request = [&](const Request&) {
    begun = true;
    std::this_thread::sleep_for(150ms);
    return Response{};
  };
  Client client = server.Connect();
  client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  while (!begun) std::this_thread::yield();
  server.server().Shutdown();
  EXPECT_EQ(WithoutDate(client.ReadToEnd()),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(ShutdownTest, LetsAHalfReceivedBodyArrive) {
  TestServer server;
  Client client = server.Connect();
  client.Send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  client.ReadUntil("\r\n\r\n");  // now the server waits for the body
  client.Send("ha");
  std::thread stopping([&] { server.server().Shutdown(); });
  std::this_thread::sleep_for(50ms);
  client.Send("lf");
  const std::string answer = client.ReadToEnd();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nhalf"));
  stopping.join();
}

TEST(ShutdownTest, Answers503ToABodyThatDoesNotArrive) {
  ServerOptions options;
  options.limits.drain_timeout = 100ms;
  TestServer server(options);
  Client body = server.Connect();
  body.Send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  body.ReadUntil("\r\n\r\n");
  body.Send("ha");
  const auto start = Steady::now();
  std::thread stopping([&] { server.server().Shutdown(); });
  const std::string answer = body.ReadToEnd();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_GE(Steady::now() - start, 100ms);
  stopping.join();
  EXPECT_LT(Steady::now() - start, 2s);
  EXPECT_THAT(server.handler().seen(), IsEmpty());
}

TEST(ShutdownTest, AnswersRequestsThatArrivedButWereNotRead) {
  // The listener's thread is kept busy while requests arrive on connections it knows.
  ServerOptions options;
  options.threads = 1;
  Mutex mutex;
  std::atomic<bool> begun{false};
  TestServer server(options);
  server.handler().on_request = [&](const Request& request) {
    if (request.target == "/block") {
      begun = true;
      const MutexLock lock(mutex);
    }
    return Response{};
  };
  Client waiting = server.Connect();
  waiting.Send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
  waiting.ReadResponse();
  Client blocking = server.Connect();
  mutex.Lock();
  blocking.Send("GET /block HTTP/1.1\r\nHost: h\r\n\r\n");
  while (!begun) std::this_thread::yield();
  waiting.Send("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  std::thread stopping([&] { server.server().Shutdown(); });
  std::this_thread::sleep_for(50ms);
  mutex.Unlock();
  EXPECT_THAT(waiting.ReadToEnd(), StartsWith("HTTP/1.1 200 OK"));
  stopping.join();
}

TEST(ShutdownTest, FinishesAStreamThatIsBeingRead) {
  class Numbers : public BodySource {
   public:
    void Next(std::vector<std::string_view>& pieces) override {
      if (left_-- > 0) pieces.push_back(block_);
    }

   private:
    int left_ = 100;
    const std::string block_ = std::string(100'000, 'n');
  };
  TestServer server;
  server.handler().on_request = [](const Request&) {
    Response response;
    response.stream = std::make_unique<Numbers>();
    response.stream_length = 10'000'000;
    return response;
  };
  Client client = server.Connect(8192);
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  client.ReadUntil("\r\n\r\n");
  std::thread stopping([&] { server.server().Shutdown(); });
  EXPECT_GE(client.ReadToEnd().size(), 9'900'000u);
  stopping.join();
}

TEST(ShutdownTest, IsBoundedWithHostileClientsAndABusyWorker) {
  ServerOptions options;
  options.offload_body_bytes = 100;
  std::atomic<bool> begun{false};
  std::atomic<bool> release{false};
  TestServer server(options);
  server.handler().on_request = [&](const Request& request) {
    Response response;
    if (request.has_body) {
      begun = true;
      while (!release) std::this_thread::sleep_for(5ms);
    } else {
      response.body.assign(16u << 20, 'x');
    }
    return response;
  };
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(server.Connect(4096));
    clients.back().Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");  // and never reads
    clients.push_back(server.Connect());
    clients.back().Send("GET / HTT");
    clients.push_back(server.Connect());
    clients.back().Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    clients.push_back(server.Connect());
    clients.back().Send("nonsense\r\n\r\n");  // lingers
  }
  Client working = server.Connect();
  working.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'x'));
  while (!begun) std::this_thread::yield();
  std::atomic<bool> done{false};
  std::thread dripping([&] {
    while (!done) {
      for (std::size_t i = 2; i < clients.size(); i += 4) clients[i].Send("x");
      std::this_thread::sleep_for(20ms);
    }
  });
  const auto start = Steady::now();
  server.server().Shutdown();
  const auto took = Steady::now() - start;
  EXPECT_GE(took, 3s);  // the worker had it
  EXPECT_LT(took, 5500ms);
  done = true;
  dripping.join();
  release = true;
}

// ---- Listening ----

TEST(ListenTest, ReportsATakenPortInGosWords) {
  TestServer server;
  const std::string address = server.address();
  TestServer other;
  const Result<std::string> second = other.server().Listen(address);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "listen tcp " + address + ": bind: address already in use");
  EXPECT_EQ(second.error().code, Code::kUnavailable);
}

TEST(ListenTest, ServesSeveralAddressesAndBothIpVersions) {
  TestServer server;
  const Result<std::string> wildcard = server.server().Listen(":0");
  ASSERT_TRUE(wildcard) << wildcard.error().message;
  const std::string port = wildcard->substr(wildcard->rfind(':'));
  server.address();
  std::vector<std::string> addresses = {server.address(), "127.0.0.1" + port};
  if (wildcard->starts_with("[::]")) addresses.push_back("[::1]" + port);
  for (const std::string& address : addresses) {
    Client client(address);
    client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 OK")) << address;
  }
  // A client of the dual-stack socket that speaks IPv4 looks like one.
  EXPECT_THAT(server.handler().seen().at(1).remote_address, StartsWith("127.0.0.1:"));
}

TEST(ListenTest, AdoptsAListeningSocketAndNothingElse) {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  TestServer server;
  EXPECT_FALSE(server.server().Adopt(listener));
  ASSERT_EQ(listen(listener, 1), -1);  // unbound Unix sockets cannot listen
  close(listener);
  const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(listen(tcp, 16), 0);  // the kernel picks a port
  const Result<std::string> address = server.server().Adopt(tcp);
  ASSERT_TRUE(address) << address.error().message;
  // Else the thread that accepts on it would wait for the next client there, and serve no other.
  EXPECT_NE(fcntl(tcp, F_GETFL) & O_NONBLOCK, 0);
  server.address();
  Client client("127.0.0.1" + address->substr(address->rfind(':')));
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_FALSE(server.server().Adopt(-1));
}

}  // namespace
}  // namespace pgw::http::testing
