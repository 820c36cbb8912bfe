#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>
#include <utility>

#include "server/http/beast_connection.h"
#include "server/http/beast_io_thread.h"
#include "server/http/listen_address.h"
#include "server/http/server.h"

namespace pgw::http {
namespace {

// Shutdown() as a whole. What is still there shortly before its end is cut off.
constexpr std::chrono::milliseconds kAbortAfter{4'500};
constexpr std::chrono::milliseconds kShutdownMax{5'000};
constexpr std::chrono::milliseconds kDrainMax{4'000};

constexpr std::chrono::milliseconds kAcceptDelayMin{5};
constexpr std::chrono::milliseconds kAcceptDelayMax{1'000};
constexpr int kAcceptsPerTurn = 64;

constexpr std::size_t kStockMax = 32;
// A request's memory that is not worth keeping for the next one.
constexpr std::size_t kStockBytesMax = 16 * 1024;

// Accepted sockets inherit all of these on Linux. The keepalive numbers are Go's.
void SetConnectionOptions(int listener) {
  const auto set = [&](int level, int option, int value) {
    (void)setsockopt(listener, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 9);
}

// How late a deadline may be noticed: an eighth of the shortest one.
SteadyClock::duration ScanInterval(const Limits& limits) {
  std::chrono::milliseconds shortest{2'000};
  for (const auto timeout : {limits.header_timeout, limits.body_timeout, limits.idle_timeout,
                             limits.response_timeout, limits.drain_timeout}) {
    if (timeout.count() > 0) shortest = std::min(shortest, timeout);
  }
  return std::max(shortest / 8, std::chrono::milliseconds(1));
}

}  // namespace

// ---- Engine ----

void Engine::ResumePaused() {
  for (const auto& thread : threads) thread->PostResume();
}

IoThread& Engine::NextThread() {
  return *threads[next_thread.fetch_add(1, std::memory_order_relaxed) % threads.size()];
}

void Engine::AddBusy() {
  const MutexLock lock(mutex);
  ++busy;
}

void Engine::RemoveBusy() {
  {
    const MutexLock lock(mutex);
    if (--busy != 0) return;
  }
  quiet.notify_all();
}

// ---- IoThread ----

struct IoThread::Listener {
  Listener(IoThread& thread, int fd)
      : descriptor(thread.executor(), fd),
        timer(thread.executor()),
        address(LocalAddressText(fd)) {}

  IoDescriptor descriptor;
  IoTimer timer;
  std::string address;
  std::chrono::milliseconds delay{0};  // after an error; 0: all is well
};

// Only its own thread touches an IoThread's descriptors and timers; tasks come from any.
IoThread::IoThread(Engine& engine)
    : engine_(engine),
      io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      work_(io_.get_executor()),
      timer_(io_.get_executor()),
      scan_interval_(ScanInterval(engine.options.limits)),
      input_(std::make_unique_for_overwrite<char[]>(kInputBytes)),
      mailbox_(std::make_shared<Mailbox>([this] { Post([this] { HandOutAnswers(); }); })) {}

IoThread::~IoThread() {
  mailbox_->Close();
  while (first_ != nullptr) delete first_;
}

void IoThread::Run() {
  for (;;) {
    try {
      io_.run();
      return;
    } catch (...) {  // memory ran out between two connections: go on with the next one
      output_.clear();
    }
  }
}

void IoThread::Stop() { io_.stop(); }

void IoThread::Accept(int listener) {
  SetConnectionOptions(listener);
  listeners_.push_back(std::make_unique<Listener>(*this, listener));
  WaitForClients(*listeners_.back());
}

void IoThread::WaitForClients(Listener& listener) {
  listener.descriptor.async_wait(IoDescriptor::wait_read,
                                 [this, &listener](boost::system::error_code error) {
                                   if (!error && !draining_) AcceptAll(listener);
                                 });
}

void IoThread::AcceptAll(Listener& listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd = accept4(listener.descriptor.native_handle(), reinterpret_cast<sockaddr*>(&peer),
                           &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      listener.delay = {};
      IoThread& thread = engine_.NextThread();
      std::string remote = AddressText(peer, size);
      if (&thread == this) {
        AddConnection(fd, std::move(remote));
      } else {
        thread.Post([&thread, fd, remote = std::move(remote)]() mutable {
          thread.AddConnection(fd, std::move(remote));
        });
      }
      continue;
    }
    // The client went away, or its network did, before we came to it.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO || errno == ENETDOWN ||
        errno == EHOSTUNREACH || errno == ENETUNREACH || errno == EPERM) {
      continue;
    }
    if (errno == EAGAIN) break;
    // Out of descriptors or memory: others have to end first. One line per episode.
    const bool first = listener.delay.count() == 0;
    listener.delay = first ? kAcceptDelayMin : std::min(listener.delay * 2, kAcceptDelayMax);
    if (first) {
      engine_.log.Error("cannot accept connections, retrying",
                        {{"address", listener.address}, {"err", ErrorText(errno)}});
    }
    listener.timer.expires_after(listener.delay);
    listener.timer.async_wait([this, &listener](boost::system::error_code error) {
      if (!error && !draining_) AcceptAll(listener);
    });
    return;
  }
  WaitForClients(listener);
}

void IoThread::AddConnection(int descriptor, std::string remote) {
  if (draining_) {
    close(descriptor);
    return;
  }
  Connection* connection = nullptr;
  try {
    connection = new Connection(*this, descriptor, std::move(remote));
  } catch (...) {  // no memory, or no room in epoll
    close(descriptor);
    return;
  }
  engine_.AddBusy();
  connection->next = first_;
  if (first_ != nullptr) first_->previous = connection;
  first_ = connection;
  connection->Start();
}

void IoThread::Remove(Connection& connection) {
  if (connection.previous != nullptr) connection.previous->next = connection.next;
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  if (first_ == &connection) first_ = connection.next;
}

void IoThread::Drain() {
  draining_ = true;
  const std::chrono::milliseconds patience = engine_.options.limits.drain_timeout;
  drain_deadline_ =
      SteadyClock::now() + (patience.count() == 0 ? kDrainMax : std::min(patience, kDrainMax));
  for (const auto& listener : listeners_) {
    boost::system::error_code ignored;
    listener->descriptor.close(ignored);
    listener->timer.cancel();
  }
  for (Connection *connection = first_, *next = nullptr; connection != nullptr; connection = next) {
    next = connection->next;
    connection->Drain();
  }
}

void IoThread::Abort() {
  for (Connection *connection = first_, *next = nullptr; connection != nullptr; connection = next) {
    next = connection->next;
    connection->Abort();
  }
}

std::string_view IoThread::Date(WallTime now) {
  const std::int64_t second =
      std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  if (second != date_second_) {
    date_ = HttpDate(static_cast<std::time_t>(second));
    date_second_ = second;
  }
  return date_;
}

std::unique_ptr<Incoming> IoThread::TakeIncoming() {
  if (stock_.empty()) return std::make_unique<Incoming>();
  std::unique_ptr<Incoming> incoming = std::move(stock_.back());
  stock_.pop_back();
  return incoming;
}

void IoThread::GiveBack(std::unique_ptr<Incoming> incoming) {
  if (stock_.size() >= kStockMax || incoming->bytes.capacity() > kStockBytesMax ||
      incoming->head.capacity() > kStockBytesMax) {
    return;
  }
  incoming->parsing = false;
  incoming->bytes.clear();
  incoming->parser.Reset();
  stock_.push_back(std::move(incoming));
}

void IoThread::ScheduleScan(SteadyTime deadline) {
  const SteadyTime when = std::max(deadline, last_scan_ + scan_interval_);
  if (when >= next_scan_) return;
  next_scan_ = when;
  timer_.expires_at(when);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) Scan();
  });
}

void IoThread::Scan() {
  last_scan_ = SteadyClock::now();
  next_scan_ = SteadyTime::max();
  SteadyTime earliest = SteadyTime::max();
  for (Connection *connection = first_, *next = nullptr; connection != nullptr; connection = next) {
    next = connection->next;
    earliest = std::min(earliest, connection->CheckDeadline(last_scan_));
  }
  NoteDeadline(earliest);
}

void IoThread::PostResume() {
  if (resume_posted_.exchange(true)) return;
  Post([this] {
    resume_posted_ = false;
    TryPaused();
  });
}

void IoThread::TryPaused() {
  while (!paused_.empty() && paused_.front()->Resume()) {
  }
}

void IoThread::HandOutAnswers() {
  for (std::unique_ptr<LateResponse> late = mailbox_->TakeAll(); late != nullptr;
       late = std::move(late->next)) {
    late->recipient().TakeLateResponse(std::move(late->response));
  }
}

// ---- Server ----

class Server::Impl {
 public:
  Impl(Handler& handler, const ServerOptions& options, const Clock& clock, Logger& log)
      : engine(handler, options, clock, log) {
    const unsigned threads = std::max(1u, options.threads);
    for (unsigned i = 0; i < threads; ++i) {
      engine.threads.push_back(std::make_unique<IoThread>(engine));
    }
  }

  ~Impl() {
    Shutdown();
    engine.workers.Stop();  // waits for a handler that is at work
    for (const auto& thread : engine.threads) thread->Stop();
    for (std::thread& runner : runners) runner.join();
  }

  // Spread over the threads, so that several addresses do not share one.
  std::string Add(int descriptor) {
    std::string address = LocalAddressText(descriptor);
    engine.threads[listeners++ % engine.threads.size()]->Accept(descriptor);
    return address;
  }

  void Start() {
    // Signals are for whoever called; workers inherit this from the threads that create them.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (const auto& thread : engine.threads) {
      runners.emplace_back([&thread] { thread->Run(); });
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void Shutdown() {
    const MutexLock only_one(shutdown_mutex);
    if (std::exchange(shut_down, true)) return;
    if (runners.empty()) {
      for (const auto& thread : engine.threads) thread->Drain();
      return;
    }
    for (const auto& thread : engine.threads) {
      engine.AddBusy();  // until it has begun: connections may still be on their way to it
      thread->Post([this, &thread] {
        thread->Drain();
        engine.RemoveBusy();
      });
    }
    const SteadyTime start = SteadyClock::now();
    if (WaitUntil(start + kAbortAfter)) return;
    for (const auto& thread : engine.threads) {
      thread->Post([&thread] { thread->Abort(); });
    }
    if (!WaitUntil(start + kShutdownMax)) {
      engine.log.Warn("requests are still being handled, not waiting for them any longer");
    }
  }

  // Whether everything ended by then.
  bool WaitUntil(SteadyTime deadline) {
    engine.mutex.Lock();
    while (engine.busy != 0) {
      if (engine.quiet.wait_until(engine.mutex, deadline) == std::cv_status::timeout) break;
    }
    const bool ended = engine.busy == 0;
    engine.mutex.Unlock();
    return ended;
  }

  Engine engine;
  std::vector<std::thread> runners;
  std::size_t listeners = 0;
  Mutex shutdown_mutex;
  bool shut_down PGW_GUARDED_BY(shutdown_mutex) = false;
};

Server::Server(Handler& handler, const ServerOptions& options, const Clock& clock, Logger& log)
    : impl_(std::make_unique<Impl>(handler, options, clock, log)) {}
Server::~Server() = default;

Result<std::string> Server::Listen(std::string_view address) {
  const Result<int> descriptor = OpenListener(address);
  if (!descriptor) return descriptor.error();
  return impl_->Add(*descriptor);
}

Result<std::string> Server::Adopt(int descriptor) {
  int listening = 0;
  socklen_t size = sizeof listening;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0) {
    return Error{Code::kUnavailable,
                 "descriptor " + std::to_string(descriptor) + ": " + ErrorText(errno)};
  }
  int type = 0;
  size = sizeof type;
  if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
      listening == 0) {
    return InvalidArgument("descriptor " + std::to_string(descriptor) +
                           ": not a listening stream socket");
  }
  // Whoever made the socket rarely did that (systemd: NonBlocking=no), and Asio only did
  // before 1.82.
  const int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) {
    return Error{Code::kUnavailable,
                 "descriptor " + std::to_string(descriptor) + ": " + ErrorText(errno)};
  }
  return impl_->Add(descriptor);
}

void Server::Start() { impl_->Start(); }

void Server::Shutdown() { impl_->Shutdown(); }

void RaiseOpenFilesLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace pgw::http
