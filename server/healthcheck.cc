#include "server/healthcheck.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>
#include <utility>

namespace pgw {
namespace {

using std::chrono::milliseconds;

struct Endpoint {
  std::string host;
  std::string port = "80";
  std::string authority;  // as the Host header wants it
  std::string path = "/";
};

struct HostAndPort {
  std::string host;
  std::string port;  // empty: none given
};

// host:port, [host]:port, host. Nothing for an unclosed bracket.
std::optional<HostAndPort> SplitAuthority(std::string_view text) {
  HostAndPort result;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    result.host = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
  } else {
    const std::size_t colon = std::min(text.rfind(':'), text.size());
    result.host = text.substr(0, colon);
    text.remove_prefix(colon);
  }
  if (text.starts_with(':')) result.port = text.substr(1);
  return result;
}

std::optional<Endpoint> ParseEndpoint(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  const bool clean = std::ranges::none_of(url, [](char c) { return c >= 0 && c <= ' '; });
  if (!clean) return std::nullopt;
  url.remove_prefix(kScheme.size());
  url = url.substr(0, url.find('#'));
  const std::string_view authority = url.substr(0, url.find_first_of("/?"));
  const std::optional<HostAndPort> parts = SplitAuthority(authority);
  if (!parts || parts->host.empty()) return std::nullopt;
  Endpoint endpoint;
  endpoint.host = parts->host;
  if (!parts->port.empty()) endpoint.port = parts->port;
  const bool number = endpoint.port.find_first_not_of("0123456789") == std::string::npos;
  if (number && (endpoint.port.size() > 5 || std::stoi(endpoint.port) > 65535)) return std::nullopt;
  endpoint.authority = authority;
  const std::string_view path = url.substr(authority.size());
  if (!path.empty()) endpoint.path = path.starts_with('/') ? path : "/" + std::string(path);
  return endpoint;
}

milliseconds Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return milliseconds(now.tv_sec * 1000 + now.tv_nsec / 1'000'000);
}

// One connection attempt with one deadline for all that is done on it.
class Probe {
 public:
  Probe(const addrinfo& address, milliseconds deadline)
      : deadline_(deadline),
        fd_(socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   address.ai_protocol)) {
    if (fd_ < 0) {
      Fail();
    } else if (connect(fd_, address.ai_addr, address.ai_addrlen) != 0) {
      FinishConnecting(errno);
    }
  }
  ~Probe() {
    if (fd_ >= 0) close(fd_);
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  const std::string& error() const { return error_; }

  void Send(std::string_view text) {
    while (error_.empty() && !text.empty()) {
      const ssize_t sent = send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        text.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        Wait(POLLOUT);
      } else if (errno != EINTR) {
        Fail();
      }
    }
  }

  // Up to the end of the first line, or all there is.
  std::string ReceiveLine() {
    std::string text;
    std::array<char, 512> chunk{};
    while (error_.empty() && text.find('\n') == std::string::npos && text.size() < 4096) {
      const ssize_t size = recv(fd_, chunk.data(), chunk.size(), 0);
      if (size == 0) break;
      if (size > 0) {
        text.append(chunk.data(), static_cast<std::size_t>(size));
      } else if (errno == EAGAIN) {
        Wait(POLLIN);
      } else if (errno != EINTR) {
        Fail();
      }
    }
    return text.substr(0, text.find_first_of("\r\n"));
  }

 private:
  void FinishConnecting(int error) {
    if (error == EINPROGRESS) {
      if (!Wait(POLLOUT)) return;
      socklen_t size = sizeof(error);
      getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error != 0) Fail(error);
  }

  bool Wait(short events) {
    for (;;) {
      const milliseconds left = deadline_ - Now();
      pollfd entry{.fd = fd_, .events = events, .revents = 0};
      const int ready = left.count() > 0 ? poll(&entry, 1, static_cast<int>(left.count())) : 0;
      if (ready > 0) return true;
      if (ready < 0 && errno == EINTR) continue;
      error_ = ready == 0 ? "timed out" : std::strerror(errno);
      return false;
    }
  }

  void Fail(int code = errno) { error_ = std::strerror(code); }

  const milliseconds deadline_;
  const int fd_;
  std::string error_;
};

HealthcheckResult Ask(const Endpoint& endpoint, const addrinfo& address, milliseconds deadline) {
  Probe probe(address, deadline);
  probe.Send("GET " + endpoint.path + " HTTP/1.1\r\nHost: " + endpoint.authority +
             "\r\nUser-Agent: pushgateway-healthcheck\r\nConnection: close\r\n\r\n");
  const std::string line = probe.ReceiveLine();
  if (!probe.error().empty()) return {false, probe.error()};
  const bool http = line.size() >= 12 && line.starts_with("HTTP/1.") && line[8] == ' ';
  if (!http) return {false, "no HTTP answer"};
  return {line.substr(9, 3) == "200" && (line.size() == 12 || line[12] == ' '), line.substr(9)};
}

}  // namespace

bool IsHealthcheckUrl(std::string_view url) { return ParseEndpoint(url).has_value(); }

HealthcheckResult CheckHealth(std::string_view url, milliseconds timeout) {
  const std::string where(url);
  const std::optional<Endpoint> endpoint = ParseEndpoint(url);
  if (!endpoint) return {false, "unhealthy: not an http:// URL: " + where};
  const milliseconds deadline = Now() + timeout;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(endpoint->host.c_str(), endpoint->port.c_str(), &hints, &found);
  if (code != 0) return {false, "unhealthy: " + where + ": " + gai_strerror(code)};
  HealthcheckResult result;
  for (const addrinfo* address = found; address != nullptr && !result.healthy;
       address = address->ai_next) {
    result = Ask(*endpoint, *address, deadline);
  }
  freeaddrinfo(found);
  result.line = (result.healthy ? "healthy: " : "unhealthy: ") + where + ": " + result.line;
  return result;
}

std::string HealthcheckUrl(std::string_view listen_address, std::string_view route_prefix) {
  HostAndPort parts = SplitAuthority(listen_address).value_or(HostAndPort{});
  const bool any = parts.host.empty() || parts.host == "0.0.0.0" || parts.host == "::";
  if (any) parts.host = parts.host == "::" ? "::1" : "127.0.0.1";
  if (parts.host.find(':') != std::string::npos) parts.host = "[" + parts.host + "]";
  std::string url = "http://" + parts.host;
  if (!parts.port.empty()) url.append(":").append(parts.port);
  return url.append(route_prefix).append("/-/healthy");
}

}  // namespace pgw
