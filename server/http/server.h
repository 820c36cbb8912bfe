// HTTP/1.x over TCP (and AF_VSOCK) on Boost.Beast. Knows base; nothing of metrics. Boost is not
// seen here: beast_*.cc alone compile it.
//
// A slow or stalled client costs a descriptor and a few KB, never a thread. Every row of the
// protocol table in docs/http.md is a promise of this class and has a test.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "server/http/handler.h"

namespace pgw::http {

// Bounds of what a client may cost. Zero switches one off.
struct Limits {
  std::size_t header_bytes_max = 64 * 1024;           // more: 431
  std::uint64_t body_bytes_max = 64ull << 20;         // one body as received; more: 413
  std::uint64_t bodies_bytes_max = 256ull << 20;      // all unfinished ones; stop reading, then 503
  std::chrono::milliseconds header_timeout{30'000};   // from the first byte; 408
  std::chrono::milliseconds body_timeout{60'000};     // without progress; 408
  std::chrono::milliseconds idle_timeout{4'033'000};  // between requests, or longer; close
  std::chrono::milliseconds response_timeout{60'000};  // without progress; close
  std::chrono::milliseconds drain_timeout{3'000};      // half-received bodies at shutdown; 503
};

struct ServerOptions {
  Limits limits;
  unsigned threads = 2;
  // Bodies from this size on are handled on a worker thread instead of the I/O thread.
  std::size_t offload_body_bytes = 1u << 20;
};

class Server {
 public:
  // All references must outlive the server. Throws std::system_error or std::bad_alloc where there
  // are no descriptors or memory for it.
  Server(Handler& handler, const ServerOptions& options, const Clock& clock, Logger& log);
  ~Server();  // as Shutdown(), then waits for a handler that is still at work
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds and listens; accepts nothing before Start(). `address` as Go's net.Listen takes it:
  // ":9091" (all interfaces, both IP versions), "127.0.0.1:0", "[::1]:9091", "localhost:http",
  // "vsock://:9100". Returns the bound address (127.0.0.1:38123, [::]:9091).
  // kUnavailable: `listen tcp 127.0.0.1:9091: bind: address already in use`, in Go's words.
  Result<std::string> Listen(std::string_view address);

  // Takes over a listening socket (socket activation) and makes it non-blocking, for all that share
  // it. Returns its address.
  Result<std::string> Adopt(int descriptor);

  // Starts the threads. Call once, after all Listen() calls. Throws std::runtime_error if the
  // system has no threads left; then none runs.
  void Start();

  // Has the I/O threads look for answers whose body has been abandoned, and reset their
  // connections. Returns at once, and costs next to nothing while they have not come to it. From
  // any thread.
  void CutOffAbandoned() noexcept;

  // Closes the listeners and idle connections at once, answers fully received requests with
  // `Connection: close`, gives half-received bodies `drain_timeout` and then 503. Returns when no
  // connection is left, within about 5 s. Idempotent; callable from any thread but the server's.
  void Shutdown();

 private:
  class Impl;
  static std::unique_ptr<Impl> NewImpl(Handler& handler, const ServerOptions& options,
                                       const Clock& clock, Logger& log);

  std::unique_ptr<Impl> impl_;
};

// Raises the soft limit of open files to the hard one, as Go's runtime does at start.
void RaiseOpenFilesLimit();

}  // namespace pgw::http
