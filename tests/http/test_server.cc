#include "tests/http/test_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace pgw::http::testing {

std::optional<Response> RecordingHandler::OnHeader(const Request& request) {
  if (on_header) return on_header(request);
  return std::nullopt;
}

Response RecordingHandler::OnRequest(const Request& request) {
  if (on_header) {  // as for a request that is complete at once
    if (auto early = on_header(request)) return std::move(*early);
  }
  {
    const MutexLock lock(mutex_);
    seen_.push_back({std::string(request.method), std::string(request.target),
                     std::string(request.host), std::string(request.body),
                     std::string(request.remote_address), request.version_minor, request.has_body,
                     request.content_length});
  }
  if (on_request) return on_request(request);
  Response response;
  response.body = request.body;
  return response;
}

Response RecordingHandler::OnBrokenBody(const Request& request, std::string_view reason) {
  return on_broken_body ? on_broken_body(request, reason) : Handler::OnBrokenBody(request, reason);
}

std::vector<Seen> RecordingHandler::seen() const {
  const MutexLock lock(mutex_);
  return seen_;
}

std::vector<std::string> RecordingHandler::bodies() const {
  std::vector<std::string> bodies;
  for (const Seen& request : seen()) bodies.push_back(request.body);
  return bodies;
}

Client::Client(const std::string& address, int receive_buffer_bytes) {
  const std::size_t colon = address.rfind(':');
  const bool v6 = address.front() == '[';
  const std::string host = v6 ? address.substr(1, colon - 2) : address.substr(0, colon);
  const auto port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  fd_ = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer_bytes > 0) {
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  const timeval patience{10, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (v6) {
    auto& in = reinterpret_cast<sockaddr_in6&>(storage);
    in.sin6_family = AF_INET6;
    in.sin6_port = port;
    inet_pton(AF_INET6, host.c_str(), &in.sin6_addr);
    size = sizeof in;
  } else {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    in.sin_family = AF_INET;
    in.sin_port = port;
    inet_pton(AF_INET, host.c_str(), &in.sin_addr);
    size = sizeof in;
  }
  if (connect(fd_, reinterpret_cast<sockaddr*>(&storage), size) != 0) {
    error_ = errno;
    ended_ = true;
  }
}

Client::~Client() { Close(); }

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      ended_(other.ended_),
      error_(other.error_),
      buffer_(std::move(other.buffer_)) {}

void Client::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

bool Client::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void Client::CloseWrite() { shutdown(fd_, SHUT_WR); }

bool Client::Fill() {
  if (ended_) return false;
  char block[64 * 1024];
  const ssize_t size = recv(fd_, block, sizeof block, 0);
  if (size > 0) {
    buffer_.append(block, static_cast<std::size_t>(size));
    return true;
  }
  ended_ = true;
  error_ = size < 0 ? errno : 0;
  return false;
}

std::string Client::ReadToEnd() {
  while (Fill()) {
  }
  EXPECT_EQ(error_, 0) << std::strerror(error_) << " after: " << buffer_.substr(0, 400);
  return std::exchange(buffer_, {});
}

std::string Client::ReadUntil(std::string_view text) {
  while (buffer_.find(text) == std::string::npos) {
    if (!Fill()) {
      ADD_FAILURE() << "no \"" << text << "\" in: " << buffer_.substr(0, 400);
      return std::exchange(buffer_, {});
    }
  }
  const std::size_t end = buffer_.find(text) + text.size();
  std::string result = buffer_.substr(0, end);
  buffer_.erase(0, end);
  return result;
}

std::string Client::ReadResponse() {
  std::string response = ReadUntil("\r\n\r\n");
  const std::size_t at = response.find("Content-Length: ");
  std::size_t length = 0;
  if (at != std::string::npos) {
    std::from_chars(response.data() + at + 16, response.data() + response.size(), length);
  }
  while (buffer_.size() < length && Fill()) {
  }
  EXPECT_GE(buffer_.size(), length);
  response += buffer_.substr(0, length);
  buffer_.erase(0, length);
  return response;
}

bool Client::IsClosedByServer() {
  while (Fill()) {
  }
  return error_ == 0 || error_ == ECONNRESET;
}

std::string Client::ReadSome(std::size_t bytes_max) {
  std::string block(bytes_max, '\0');
  const ssize_t size = recv(fd_, block.data(), block.size(), 0);
  block.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return block;
}

TestServer::TestServer(const ServerOptions& options)
    : log_fd_(open("/dev/null", O_WRONLY | O_CLOEXEC)),
      log_(clock_, log_fd_, LogLevel::kDebug, LogFormat::kLogfmt),
      server_(std::make_unique<Server>(handler_, options, clock_, log_)) {
  const Result<std::string> address = server_->Listen("127.0.0.1:0");
  EXPECT_TRUE(address) << (address ? "" : address.error().message);
  if (address) address_ = *address;
}

TestServer::~TestServer() {
  server_.reset();
  close(log_fd_);
}

const std::string& TestServer::address() {
  if (!started_.exchange(true)) server_->Start();
  return address_;
}

Client TestServer::Connect(int receive_buffer_bytes) {
  return Client(address(), receive_buffer_bytes);
}

std::string TestServer::Exchange(std::string_view bytes) {
  Client client = Connect();
  client.Send(bytes);
  return client.ReadToEnd();
}

std::string WithoutDate(std::string response) {
  const std::size_t start = response.find("\r\nDate: ");
  if (start == std::string::npos) return response;
  return response.erase(start, response.find("\r\n", start + 2) - start);
}

bool HasDate(std::string_view response) {
  return response.find("\r\nDate: ") != std::string_view::npos;
}

std::string_view BodyOf(std::string_view response) {
  const std::size_t end = response.find("\r\n\r\n");
  return end == std::string_view::npos ? std::string_view() : response.substr(end + 4);
}

std::size_t Count(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos;
       at = text.find(what, at + what.size())) {
    ++count;
  }
  return count;
}

}  // namespace pgw::http::testing
