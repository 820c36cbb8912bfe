#include "bench/load/network.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

namespace pgw::load {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;

// The clock of NowNs, for Asio's timers.
struct LoopClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<LoopClock>;
  static constexpr bool is_steady = true;
  static time_point now() { return time_point(duration(NowNs())); }
};
using AsioTimer = asio::basic_waitable_timer<LoopClock, asio::wait_traits<LoopClock>, Executor>;

// Whether somebody listens there, as far as a second tells.
bool Answers(const addrinfo& address) {
  constexpr int kPatienceMs = 1000;
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool connected = connect(fd, address.ai_addr, address.ai_addrlen) == 0;
  if (!connected && errno == EINPROGRESS) {
    pollfd wait{fd, POLLOUT, 0};
    int error = 0;
    socklen_t size = sizeof(error);
    connected = poll(&wait, 1, kPatienceMs) == 1 &&
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }
  close(fd);
  return connected;
}

Failure FailureOf(const error_code& error) {
  if (error == asio::error::connection_reset || error == asio::error::broken_pipe) {
    return Failure::kReset;
  }
  if (error == asio::error::eof) return Failure::kClosed;
  if (error == asio::error::connection_refused) return Failure::kRefused;
  return Failure::kOther;
}

}  // namespace

std::int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

Result<Endpoint> Endpoint::Resolve(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return Error{Code::kUnavailable, "cannot find " + host + ": " + gai_strerror(error)};
  }
  // localhost is ::1 and 127.0.0.1, and a server may listen on one of them.
  const addrinfo* chosen = found;
  for (const addrinfo* each = found; found->ai_next != nullptr && each != nullptr;
       each = each->ai_next) {
    if (Answers(*each)) {
      chosen = each;
      break;
    }
  }
  Endpoint endpoint;
  if (chosen->ai_addrlen <= kBytesMax) {
    endpoint.size_ = chosen->ai_addrlen;
    std::memcpy(endpoint.bytes_, chosen->ai_addr, chosen->ai_addrlen);
  }
  freeaddrinfo(found);
  if (endpoint.size_ == 0) return Error{Code::kUnavailable, "no usable address for " + host};
  return endpoint;
}

std::string_view FailureName(Failure failure) {
  switch (failure) {
    case Failure::kRefused:
      return "refused";
    case Failure::kConnect:
      return "connect";
    case Failure::kReset:
      return "reset";
    case Failure::kClosed:
      return "closed";
    case Failure::kTimeout:
      return "timeout";
    case Failure::kMalformed:
      return "malformed";
    case Failure::kOther:
      break;
  }
  return "other";
}

struct Loop::Impl {
  // One thread, nobody else: no locks.
  asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

void Loop::Run() {
  const auto work = asio::make_work_guard(impl_->context);
  impl_->context.run();
}

void Loop::Stop() { impl_->context.stop(); }

void Loop::Post(std::function<void()> work) { asio::post(impl_->context, std::move(work)); }

struct Timer::Impl {
  Impl(Loop& loop, std::function<void()> call)
      : timer(loop.impl().context.get_executor()), expired(std::move(call)) {}

  AsioTimer timer;
  std::function<void()> expired;
};

Timer::Timer(Loop& loop, std::function<void()> expired)
    : impl_(std::make_shared<Impl>(loop, std::move(expired))) {}

Timer::~Timer() {
  impl_->expired = nullptr;
  impl_->timer.cancel();
}

void Timer::Set(std::int64_t due_ns) {
  impl_->timer.expires_at(LoopClock::time_point(LoopClock::duration(due_ns)));
  impl_->timer.async_wait([impl = impl_](const error_code& error) {
    if (!error && impl->expired) impl->expired();
  });
}

void Timer::Cancel() { impl_->timer.cancel(); }

// Shared with the operations under way; after Drop they find another generation and end.
struct Connection::Impl : std::enable_shared_from_this<Impl> {
  Impl(Loop& loop, const Endpoint& to, ExchangeListener& told, Traffic& counted,
       const ConnectionOptions& chosen)
      : socket(loop.impl().context.get_executor()),
        endpoint(to),
        listener(told),
        traffic(counted),
        options(chosen),
        buffer(chosen.read_bytes) {}

  void Connect() {
    asio::ip::tcp::endpoint peer;
    peer.resize(endpoint.size_);
    std::memcpy(peer.data(), endpoint.bytes_, endpoint.size_);
    error_code error;
    socket.open(peer.protocol(), error);
    if (!error) socket.set_option(asio::ip::tcp::no_delay(true), error);
    if (!error) socket.non_blocking(true, error);
    const auto on_connect = [self = shared_from_this(), round = generation](const error_code& why) {
      if (self->generation != round) return;
      if (why) {
        return self->Fail(why == asio::error::connection_refused ? Failure::kRefused
                                                                 : Failure::kConnect);
      }
      ++self->traffic.connects;
      self->connected = true;
      self->Write();
      if (self->generation == round) self->Read();
    };
    if (error) {
      asio::post(socket.get_executor(), [on_connect, error] { on_connect(error); });
    } else {
      socket.async_connect(peer, on_connect);
    }
  }

  void Write() {
    while (written < allowed) {
      error_code error;
      const std::size_t sent =
          socket.write_some(asio::buffer(request.data() + written, allowed - written), error);
      written += sent;
      traffic.bytes_sent += sent;
      if (error == asio::error::would_block) {
        writing = true;
        socket.async_wait(Socket::wait_write,
                          [self = shared_from_this(), round = generation](const error_code& why) {
                            if (self->generation != round) return;
                            self->writing = false;
                            if (!why) self->Write();
                          });
        return;
      }
      // The read that is always under way tells what happened, perhaps after an answer.
      if (error) return;
    }
    if (written < request.size()) listener.OnSent();
  }

  void Read() {
    socket.async_read_some(asio::buffer(buffer), [self = shared_from_this(), round = generation](
                                                     const error_code& error, std::size_t size) {
      if (self->generation == round) self->OnRead(error, size, round);
    });
  }

  void OnRead(const error_code& error, std::size_t size, std::uint64_t round) {
    if (error) {
      if (!busy) {
        Drop();
        listener.OnIdleClose();
      } else if (error == asio::error::eof && parser.Close()) {
        Drop();
        Complete();
      } else {
        Fail(FailureOf(error));
      }
      return;
    }
    traffic.bytes_received += size;
    std::string_view bytes(buffer.data(), size);
    while (!bytes.empty()) {
      if (!busy) return Drop();  // bytes that nobody asked for
      const ResponseParser::Step step = parser.Next(bytes);
      bytes.remove_prefix(step.consumed);
      if (!step.body.empty()) listener.OnBody(step.body);
      if (parser.failed()) return Fail(Failure::kMalformed);
      if (!parser.done()) continue;
      const bool kept =
          parser.keep_alive() && !options.reconnect && bytes.empty() && written == request.size();
      if (!kept) Drop();
      Complete();
      if (generation != round) return;
    }
    Read();
  }

  void Complete() {
    busy = false;
    listener.OnResponse(parser, NowNs());
  }

  void Fail(Failure failure) {
    const bool was_busy = busy;
    Drop();
    if (was_busy) listener.OnFailure(failure, NowNs());
  }

  void Drop() {
    ++generation;
    busy = false;
    connected = false;
    writing = false;
    error_code ignored;
    socket.close(ignored);
  }

  void Send(std::string_view bytes, std::size_t held_back) {
    request = bytes;
    allowed = bytes.size() - held_back;
    written = 0;
    busy = true;
    parser.Reset();
    deadline_ns = options.timeout_ns > 0 ? NowNs() + options.timeout_ns : 0;
    connected ? Write() : Connect();
  }

  Socket socket;
  const Endpoint& endpoint;
  ExchangeListener& listener;
  Traffic& traffic;
  ConnectionOptions options;
  std::vector<char> buffer;
  ResponseParser parser;
  std::string_view request;
  std::size_t allowed = 0;  // of the request's bytes
  std::size_t written = 0;
  std::int64_t deadline_ns = 0;
  std::uint64_t generation = 0;  // of the socket
  bool busy = false;
  bool connected = false;
  bool writing = false;
};

Connection::Connection(Loop& loop, const Endpoint& endpoint, ExchangeListener& listener,
                       Traffic& traffic, const ConnectionOptions& options)
    : impl_(std::make_shared<Impl>(loop, endpoint, listener, traffic, options)) {}

Connection::~Connection() { impl_->Drop(); }

void Connection::Send(std::string_view request, std::size_t held_back) {
  impl_->Send(request, held_back);
}

void Connection::Release() {
  impl_->allowed = impl_->request.size();
  if (impl_->connected && !impl_->writing) impl_->Write();
}

bool Connection::busy() const { return impl_->busy; }

void Connection::CheckTimeout(std::int64_t now_ns) {
  if (impl_->busy && impl_->deadline_ns != 0 && now_ns > impl_->deadline_ns) {
    impl_->Fail(Failure::kTimeout);
  }
}

void Connection::Drop() { impl_->Drop(); }

}  // namespace pgw::load
