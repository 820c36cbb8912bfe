#include "server/healthcheck.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>

namespace pgw {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Listens on a port of the kernel's choice; answers one connection if it is told how.
class OneAnswer {
 public:
  OneAnswer() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~OneAnswer() {
    if (thread_.joinable()) thread_.join();
    close(listener_);
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;

  void Answer(std::string text) {
    thread_ = std::thread([this, text = std::move(text)] {
      const int connection = accept(listener_, nullptr, nullptr);
      std::array<char, 1024> buffer{};
      while (request_.find("\r\n\r\n") == std::string::npos) {
        const ssize_t size = recv(connection, buffer.data(), buffer.size(), 0);
        if (size <= 0) break;
        request_.append(buffer.data(), static_cast<std::size_t>(size));
      }
      send(connection, text.data(), text.size(), MSG_NOSIGNAL);
      close(connection);
    });
  }

  std::string Url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }

  // Call when the check is over.
  const std::string& Request() {
    if (thread_.joinable()) thread_.join();
    return request_;
  }

 private:
  const int listener_;
  int port_ = 0;
  std::string request_;
  std::thread thread_;
};

TEST(HealthcheckTest, IsHealthyOn200) {
  OneAnswer server;
  server.Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK");
  const HealthcheckResult result = CheckHealth(server.Url("/pg/-/healthy"), 5s);
  EXPECT_TRUE(result.healthy);
  EXPECT_EQ(result.line, "healthy: " + server.Url("/pg/-/healthy") + ": 200 OK");
  EXPECT_THAT(server.Request(), StartsWith("GET /pg/-/healthy HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(server.Request(), HasSubstr("\r\nConnection: close\r\n"));
}

TEST(HealthcheckTest, IsUnhealthyOnAnythingElse) {
  for (const std::string answer :
       {"HTTP/1.1 500 Internal Server Error\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 301 Moved\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 2", ""}) {
    OneAnswer server;
    server.Answer(answer);
    EXPECT_FALSE(CheckHealth(server.Url("/"), 5s).healthy) << answer;
  }
}

TEST(HealthcheckTest, TellsWhyThereIsNoAnswer) {
  std::string url;
  {
    const OneAnswer server;
    url = server.Url("/x");
  }
  EXPECT_EQ(CheckHealth(url, 5s).line, "unhealthy: " + url + ": Connection refused");
  EXPECT_EQ(CheckHealth("https://h/x", 5s).line, "unhealthy: not an http:// URL: https://h/x");
  for (const std::string_view bad : {"", "http://", "http:///x", "http://[::1/x", "http://h/a b",
                                     "http://h/\r\nX: y", "ftp://h/"}) {
    EXPECT_THAT(CheckHealth(bad, 5s).line, StartsWith("unhealthy: not an http:// URL"));
  }
}

TEST(HealthcheckTest, GivesUpOnASilentServer) {
  const OneAnswer silent;  // the kernel accepts, nobody reads
  const HealthcheckResult result = CheckHealth(silent.Url("/"), 30ms);
  EXPECT_FALSE(result.healthy);
  EXPECT_THAT(result.line, EndsWith(": timed out"));
}

TEST(HealthcheckUrlTest, FollowsTheListenAddress) {
  EXPECT_EQ(HealthcheckUrl(":9091", ""), "http://127.0.0.1:9091/-/healthy");
  EXPECT_EQ(HealthcheckUrl("0.0.0.0:80", "/pg"), "http://127.0.0.1:80/pg/-/healthy");
  EXPECT_EQ(HealthcheckUrl("[::]:80", ""), "http://[::1]:80/-/healthy");
  EXPECT_EQ(HealthcheckUrl("[fe80::1]:80", ""), "http://[fe80::1]:80/-/healthy");
  EXPECT_EQ(HealthcheckUrl("host:http", ""), "http://host:http/-/healthy");
}

}  // namespace
}  // namespace pgw
