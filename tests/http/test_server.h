// An engine in this process, a handler that remembers, and a client that speaks raw bytes.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "server/http/server.h"

namespace pgw::http::testing {

// One request as a handler saw it.
struct Seen {
  std::string method;
  std::string target;
  std::string host;
  std::string body;
  std::string remote_address;
  int version_minor = 1;
  bool has_body = false;
  std::optional<std::uint64_t> content_length;
};

// Answers 200 and the body it got, and remembers every request. Thread-safe.
class RecordingHandler : public Handler {
 public:
  std::optional<Response> OnHeader(const Request& request) override;
  Response OnRequest(const Request& request) override;
  Response OnBrokenBody(const Request& request, std::string_view reason) override;

  std::vector<Seen> seen() const;
  std::vector<std::string> bodies() const;

  // Set before the server starts; null does as described above.
  std::function<std::optional<Response>(const Request&)> on_header;
  std::function<Response(const Request&)> on_request;
  std::function<Response(const Request&, std::string_view)> on_broken_body;

 private:
  mutable Mutex mutex_;
  std::vector<Seen> seen_ PGW_GUARDED_BY(mutex_);
};

// A connection that says exactly what it is told. Blocks at most ten seconds.
class Client {
 public:
  explicit Client(const std::string& address, int receive_buffer_bytes = 0);
  ~Client();
  Client(Client&& other) noexcept;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // False if the connection is gone.
  bool Send(std::string_view bytes);
  void CloseWrite();
  void Close();

  // Everything until the server closes; fails the test if it does not, or resets.
  std::string ReadToEnd();
  // Until what was received since the last call ends in, or contains, `text`.
  std::string ReadUntil(std::string_view text);
  // Exactly one response: headers, and the body by Content-Length.
  std::string ReadResponse();
  // Whether the server has closed or reset the connection, waiting for it.
  bool IsClosedByServer();
  // Takes at most this much of what is there, waiting for the first byte.
  std::string ReadSome(std::size_t bytes_max);
  int fd() const { return fd_; }

 private:
  bool Fill();

  int fd_ = -1;
  bool ended_ = false;
  int error_ = 0;
  std::string buffer_;
};

// A server on a port of its own. Ends with the test.
class TestServer {
 public:
  explicit TestServer(const ServerOptions& options = {});
  ~TestServer();

  // Before the first Connect().
  RecordingHandler& handler() { return handler_; }
  Client Connect(int receive_buffer_bytes = 0);
  // One connection: sends, reads to the end.
  std::string Exchange(std::string_view bytes);
  Server& server() { return *server_; }
  const std::string& address();

 private:
  SystemClock clock_;
  int log_fd_;
  Logger log_;
  RecordingHandler handler_;
  std::unique_ptr<Server> server_;
  std::string address_;
  std::atomic<bool> started_{false};
};

// Bytes of a response without its Date line, which differs from run to run.
std::string WithoutDate(std::string response);
bool HasDate(std::string_view response);
std::string_view BodyOf(std::string_view response);
std::size_t Count(std::string_view text, std::string_view what);

}  // namespace pgw::http::testing
