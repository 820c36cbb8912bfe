#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <csignal>
#include <exception>
#include <stdexcept>
#include <system_error>
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

}  // namespace

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
    for (const auto& thread : engine.threads) thread->Finish();
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
    const std::string failure = StartRunners();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    // All of them or none: Shutdown() waits for each, and no client is served by a start that
    // fails.
    if (!failure.empty()) {
      for (const auto& thread : engine.threads) thread->Stop();
    }
    gate_open = true;
    gate_open.notify_all();
    if (failure.empty()) return;
    for (std::thread& runner : runners) runner.join();
    runners.clear();
    throw std::runtime_error(failure);
  }

  // Why one of them could not be started; empty if all were.
  std::string StartRunners() {
    try {
      runners.reserve(engine.threads.size());
      for (const auto& thread : engine.threads) {
        runners.emplace_back([this, &thread] {
          gate_open.wait(false);
          thread->Run();
        });
      }
    } catch (const std::exception& error) {
      return std::string("cannot start a thread: ") + error.what();
    }
    return {};
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
      thread->Wake(IoThread::kDrainWanted);
    }
    const SteadyTime start = SteadyClock::now();
    if (WaitUntil(start + kAbortAfter)) return;
    for (const auto& thread : engine.threads) {
      thread->Wake(IoThread::kAbortWanted);
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
  std::atomic<bool> gate_open = false;  // all of them are there
  std::size_t listeners = 0;
  Mutex shutdown_mutex;
  bool shut_down PGW_GUARDED_BY(shutdown_mutex) = false;
};

// Asio's words name a line of its own sources.
std::unique_ptr<Server::Impl> Server::NewImpl(Handler& handler, const ServerOptions& options,
                                              const Clock& clock, Logger& log) {
  try {
    return std::make_unique<Server::Impl>(handler, options, clock, log);
  } catch (const boost::system::system_error& error) {
    throw std::system_error(error.code().value(), std::generic_category(), "epoll");
  }
}

Server::Server(Handler& handler, const ServerOptions& options, const Clock& clock, Logger& log)
    : impl_(NewImpl(handler, options, clock, log)) {}
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

void Server::CutOffAbandoned() noexcept {
  for (const auto& thread : impl_->engine.threads) thread->PostCutOff();
}

void Server::Shutdown() { impl_->Shutdown(); }

void RaiseOpenFilesLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace pgw::http
