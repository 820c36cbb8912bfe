// Answers that are produced while they are sent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/test_server.h"

namespace pgw::http::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Told when a source is gone.
class Latch {
 public:
  void Open() {
    {
      const MutexLock lock(mutex_);
      open_ = true;
    }
    opened_.notify_all();
  }
  bool Wait() {
    mutex_.Lock();
    while (!open_) {
      if (opened_.wait_for(mutex_, 10s) == std::cv_status::timeout) break;
    }
    const bool open = open_;
    mutex_.Unlock();
    return open;
  }

 private:
  Mutex mutex_;
  std::condition_variable_any opened_;
  bool open_ PGW_GUARDED_BY(mutex_) = false;
};

// Batches of given pieces, and a word when it is destroyed.
class Batches : public BodySource {
 public:
  Batches(std::deque<std::vector<std::string>> batches, Latch* gone)
      : batches_(std::move(batches)), gone_(gone) {}
  ~Batches() override {
    if (gone_ != nullptr) gone_->Open();
  }

  void Next(std::vector<std::string_view>& pieces) override {
    EXPECT_TRUE(pieces.empty());
    if (batches_.empty()) return;
    current_ = std::move(batches_.front());
    batches_.pop_front();
    pieces.assign(current_.begin(), current_.end());
  }

 private:
  std::deque<std::vector<std::string>> batches_;
  std::vector<std::string> current_;
  Latch* gone_;
};

// Never ends.
class Endless : public BodySource {
 public:
  explicit Endless(Latch* gone) : gone_(gone) {}
  ~Endless() override { gone_->Open(); }
  void Next(std::vector<std::string_view>& pieces) override { pieces.assign(4, block_); }

 private:
  const std::string block_ = std::string(64 * 1024, 'e');
  Latch* gone_;
};

const std::deque<std::vector<std::string>> kThree = {{"one ", "two "}, {"three"}};

Response Streamed(std::deque<std::vector<std::string>> batches, Latch* gone = nullptr) {
  Response response;
  response.stream = std::make_unique<Batches>(std::move(batches), gone);
  return response;
}

TEST(StreamingTest, SendsChunksWhenTheLengthIsUnknown) {
  TestServer server;
  server.handler().on_request = [](const Request&) { return Streamed(kThree); };
  Client client = server.Connect();
  client.Send(
      "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(WithoutDate(client.ReadUntil("0\r\n\r\n")),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            "8\r\none two \r\n5\r\nthree\r\n0\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(), EndsWith("8\r\none two \r\n5\r\nthree\r\n0\r\n\r\n"));
}

TEST(StreamingTest, SendsAnEmptyStream) {
  TestServer server;
  server.handler().on_request = [](const Request&) { return Streamed({}); };
  Client client = server.Connect();
  client.Send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), EndsWith("\r\n\r\n0\r\n\r\n"));
}

TEST(StreamingTest, SendsPlainBytesWhenTheLengthIsKnown) {
  TestServer server;
  server.handler().on_request = [](const Request&) {
    Response response = Streamed(kThree);
    response.stream_length = 13;
    return response;
  };
  Client client = server.Connect();
  for (int i = 0; i < 3; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(WithoutDate(client.ReadResponse()),
              "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\none two three");
  }
}

TEST(StreamingTest, ClosesBehindAStreamToHttp10) {
  TestServer server;
  server.handler().on_request = [](const Request&) { return Streamed(kThree); };
  EXPECT_EQ(WithoutDate(server.Exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")),
            "HTTP/1.0 200 OK\r\n\r\none two three");
}

TEST(StreamingTest, AsksNothingOfTheSourceForHead) {
  Latch gone;
  TestServer server;
  server.handler().on_request = [&](const Request&) { return Streamed(kThree, &gone); };
  Client client = server.Connect();
  client.Send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(WithoutDate(client.ReadUntil("\r\n\r\n")),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_TRUE(gone.Wait());
}

TEST(StreamingTest, BreaksOffWhenTheSourceEndsTooEarly) {
  TestServer server;
  server.handler().on_request = [](const Request&) {
    Response response = Streamed(kThree);
    response.stream_length = 14;
    return response;
  };
  EXPECT_THAT(server.Exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), EndsWith("one two three"));
}

TEST(StreamingTest, NeverSendsMoreThanWasPromised) {
  TestServer server;
  server.handler().on_request = [](const Request&) {
    Response response = Streamed(kThree);
    response.stream_length = 9;
    return response;
  };
  EXPECT_THAT(server.Exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), EndsWith("one two "));
}

TEST(StreamingTest, BreaksOffWhenTheSourceThrows) {
  class Throwing : public BodySource {
   public:
    void Next(std::vector<std::string_view>& pieces) override {
      if (std::exchange(second_, true)) throw std::bad_alloc();
      pieces.push_back("begin");
    }

   private:
    bool second_ = false;
  };
  TestServer server;
  server.handler().on_request = [](const Request&) {
    Response response;
    response.stream = std::make_unique<Throwing>();
    return response;
  };
  const std::string answer = server.Exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(answer, EndsWith("5\r\nbegin"));
}

TEST(StreamingTest, CarriesManyPiecesAndManyBatches) {
  TestServer server;
  std::deque<std::vector<std::string>> batches;
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    std::vector<std::string> pieces;
    for (int j = 0; j < 700; ++j) {
      pieces.push_back("piece " + std::to_string(i * 1000 + j) + std::string(200, '.') + "\n");
      expected += pieces.back();
    }
    batches.push_back(std::move(pieces));
  }
  server.handler().on_request = [&](const Request&) {
    Response response = Streamed(batches);
    response.stream_length = expected.size();
    response.close = true;
    return response;
  };
  Client client = server.Connect(8192);
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string answer = client.ReadToEnd();
  EXPECT_TRUE(BodyOf(answer) == expected);
}

TEST(StreamingTest, DestroysTheSourceAtOnceWhenTheClientLeaves) {
  Latch gone;
  TestServer server;
  server.handler().on_request = [&](const Request&) {
    Response response;
    response.stream = std::make_unique<Endless>(&gone);
    return response;
  };
  Client client = server.Connect();
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  client.ReadSome(100'000);
  client.Close();
  EXPECT_TRUE(gone.Wait());
}

TEST(StreamingTest, DestroysTheSourceWhenTheClientStopsReading) {
  ServerOptions options;
  options.limits.response_timeout = 50ms;
  Latch gone;
  TestServer server(options);
  server.handler().on_request = [&](const Request&) {
    Response response;
    response.stream = std::make_unique<Endless>(&gone);
    return response;
  };
  Client client = server.Connect(4096);
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(gone.Wait());
}

TEST(StreamingTest, ResetsAConnectionWhoseAnswerIsAbandonedWhileItsClientStalls) {
  class Abandoned final : public BodySource {
   public:
    Abandoned(const std::atomic<bool>* given_up, Latch* gone) : given_up_(given_up), body_(gone) {}
    void Next(std::vector<std::string_view>& pieces) override { body_.Next(pieces); }
    bool abandoned() const noexcept override { return *given_up_; }

   private:
    const std::atomic<bool>* given_up_;
    Endless body_;
  };
  for (const std::string version : {"1.0", "1.1"}) {
    std::atomic<bool> given_up = false;
    Latch gone;
    TestServer server;
    server.handler().on_request = [&](const Request&) {
      Response response;
      response.stream = std::make_unique<Abandoned>(&given_up, &gone);
      return response;
    };
    Client client = server.Connect(4096);
    client.Send("GET / HTTP/" + version + "\r\nHost: h\r\n\r\n");
    client.ReadSome(100);
    given_up = true;
    server.server().CutOffAbandoned();
    EXPECT_TRUE(gone.Wait());
    char buffer[4096];
    ssize_t size = 0;
    do {
      size = recv(client.fd(), buffer, sizeof buffer, 0);
    } while (size > 0);
    EXPECT_EQ(size, -1) << "an end could be taken for that of the body";
    EXPECT_EQ(errno, ECONNRESET);
  }
}

TEST(StreamingTest, DoesNotHoldUpOthersOnTheSameThread) {
  ServerOptions options;
  options.threads = 1;
  Latch gone;
  TestServer server(options);
  server.handler().on_request = [&](const Request& request) {
    Response response;
    if (request.target == "/endless") response.stream = std::make_unique<Endless>(&gone);
    return response;
  };
  Client greedy = server.Connect();
  greedy.Send("GET /endless HTTP/1.1\r\nHost: h\r\n\r\n");
  std::atomic<bool> done{false};
  std::thread reading([&] {
    while (!done && !greedy.ReadSome(1u << 20).empty()) {
    }
    greedy.Close();
  });
  Client other = server.Connect();
  for (int i = 0; i < 20; ++i) {
    other.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(other.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
  }
  done = true;
  reading.join();
  EXPECT_TRUE(gone.Wait());
}

TEST(StreamingTest, AnswersAreNotMixedUpWithPipelinedOnes) {
  TestServer server;
  server.handler().on_request = [](const Request& request) {
    if (request.target == "/stream") return Streamed(kThree);
    Response response;
    response.body = request.target == "/big" ? std::string(3u << 20, 'b') : "small";
    return response;
  };
  std::string requests;
  for (int i = 0; i < 10; ++i) {
    for (const char* target : {"/small", "/big", "/stream"}) {
      requests += "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    }
  }
  Client client = server.Connect(8192);
  client.Send(requests);
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\nsmall"));
    EXPECT_EQ(BodyOf(client.ReadResponse()).size(), 3u << 20);
    EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), EndsWith("5\r\nthree\r\n0\r\n\r\n"));
  }
}

}  // namespace
}  // namespace pgw::http::testing
