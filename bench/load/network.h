// Sockets, timers and one thread that waits for them. Knows ResponseParser; nothing of metrics.
//
// A plain face for Boost.Asio, which only network.cc compiles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "bench/load/response_parser.h"

namespace pgw::load {

// CLOCK_MONOTONIC. All times of the load program are on this clock.
std::int64_t NowNs();

// Where to connect to, resolved.
class Endpoint {
 public:
  Endpoint() = default;
  // `host` without the brackets of an IPv6 address. Of several addresses the first that answers, or
  // the first.
  static Result<Endpoint> Resolve(const std::string& host, const std::string& port);

 private:
  friend class Connection;
  static constexpr std::size_t kBytesMax = 128;
  alignas(8) unsigned char bytes_[kBytesMax] = {};  // a sockaddr
  std::size_t size_ = 0;
};

enum class Failure : unsigned char {
  kRefused,    // no connection: refused
  kConnect,    // no connection: anything else, descriptors and ports that ran out included
  kReset,      // the peer reset it
  kClosed,     // the peer closed before a whole response
  kTimeout,    // no whole response in time
  kMalformed,  // the response is no HTTP
  kOther,
};
inline constexpr std::size_t kFailures = 7;
std::string_view FailureName(Failure failure);

// Not thread-safe: everything that belongs to a loop is used from the thread that runs it.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Until Stop.
  void Run();
  void Stop();
  // Soon, but after what is ready now.
  void Post(std::function<void()> work);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

class Timer {
 public:
  // `loop` must outlive it; `expired` may set it again.
  Timer(Loop& loop, std::function<void()> expired);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces what was set.
  void Set(std::int64_t due_ns);
  void Cancel();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

struct Traffic {
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t connects = 0;
};

// Told what becomes of a request. Each request ends in exactly one OnResponse or OnFailure; both
// may send the next one.
class ExchangeListener {
 public:
  virtual ~ExchangeListener() = default;
  virtual void OnBody(std::string_view) {}
  // All of it but what was held back is with the kernel.
  virtual void OnSent() {}
  virtual void OnResponse(const ResponseParser& response, std::int64_t now_ns) = 0;
  virtual void OnFailure(Failure failure, std::int64_t now_ns) = 0;
  // The peer closed while no request was under way.
  virtual void OnIdleClose() {}
};

struct ConnectionOptions {
  std::size_t read_bytes = 2048;  // the buffer for one read
  bool reconnect = false;         // a new connection for each request
  std::int64_t timeout_ns = 0;    // from sending to the whole response; 0: none
};

// One request at a time, on a connection that is made when needed and kept while both sides like.
// No allocation per request while it lasts.
class Connection {
 public:
  // All references must outlive it.
  Connection(Loop& loop, const Endpoint& endpoint, ExchangeListener& listener, Traffic& traffic,
             const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Not while busy. `request` must stay until the exchange has ended. The last `held_back` bytes
  // wait for Release.
  void Send(std::string_view request, std::size_t held_back = 0);
  void Release();
  bool busy() const;
  // Fails the exchange that takes too long.
  void CheckTimeout(std::int64_t now_ns);
  // Drops the connection and what is under way, without telling.
  void Drop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace pgw::load
