#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "server/http/beast_connection.h"
#include "server/http/beast_io_thread.h"
#include "server/http/listen_address.h"

namespace pgw::http {
namespace {

// Half-received requests are given up in time for Shutdown() to answer them.
constexpr std::chrono::milliseconds kDrainMax{4'000};

constexpr std::chrono::milliseconds kAcceptDelayMin{5};
constexpr std::chrono::milliseconds kAcceptDelayMax{1'000};
// Failures that are no further apart are one episode, of which one line tells.
constexpr std::chrono::milliseconds kAcceptCalm{1'000};
constexpr int kAcceptsPerTurn = 64;

// A flood of unfinished requests leaves free memory in many pieces, which the allocator keeps.
constexpr std::uint64_t kBytesWorthTrimming = 4 << 20;
constexpr std::chrono::milliseconds kTrimDelay{1'000};
constexpr std::chrono::milliseconds kTrimInterval{5'000};

constexpr std::size_t kStockMax = 32;
// A request's memory that is not worth keeping for the next one.
constexpr std::size_t kStockBytesMax = 16 * 1024;
constexpr std::size_t kStockHeadersMax = 128;

// How late a deadline may be noticed: an eighth of the shortest one.
SteadyClock::duration ScanInterval(const Limits& limits) {
  std::chrono::milliseconds shortest{2'000};
  for (const auto timeout : {limits.header_timeout, limits.body_timeout, limits.idle_timeout,
                             limits.response_timeout, limits.drain_timeout}) {
    if (timeout.count() > 0) shortest = std::min(shortest, timeout);
  }
  return std::max(shortest / 8, std::chrono::milliseconds(1));
}

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

int NewTimer() {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd");
  return fd;
}

}  // namespace

// ---- Engine ----

void Engine::ResumePaused() noexcept {
  for (const auto& thread : threads) thread->Wake(IoThread::kBudgetFreed);
}

void Engine::NoteReturn() noexcept {
  if (budget.FallenBytes() < kBytesWorthTrimming || trim_wanted.exchange(true)) return;
  threads.front()->Wake(IoThread::kTrimWanted);
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
      : descriptor(thread.executor(), fd), address(LocalAddressText(fd)) {}

  HandlerMemory memory;  // of the wait for clients
  IoDescriptor descriptor;
  std::string address;
  std::chrono::milliseconds delay{0};        // after an error; 0: all is well
  SteadyTime retry_at = SteadyTime::max();   // when that is over
  SteadyTime calm_from = SteadyTime::min();  // a failure after this is another episode
};

// Only its own thread touches an IoThread's descriptors and timer; tasks come from any.
IoThread::IoThread(Engine& engine)
    : engine_(engine),
      io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      work_(io_.get_executor()),
      timer_(io_.get_executor(), NewTimer()),
      scan_interval_(ScanInterval(engine.options.limits)),
      input_(std::make_unique_for_overwrite<char[]>(kInputBytes)),
      mailbox_(std::make_shared<Mailbox>([this] { Wake(kAnswersCame); })) {
  output_.reserve(2 * kInputBytes);
  stock_.reserve(kStockMax);
  (void)Date(engine.clock.Now().wall);
  WaitForTimer();
}

IoThread::~IoThread() {
  mailbox_->Close();
  while (first_ != nullptr) delete first_;
}

// Operations that are still pending end here and not when `io_` is destroyed: their memory is in
// objects that are gone by then.
void IoThread::Finish() {
  CloseListeners();
  Abort();
  io_.restart();
  io_.poll();
}

void IoThread::Run() {
  for (;;) {
    try {
      io_.run();
      return;
    } catch (...) {  // no handler lets anything through; should one, the others go on
      output_.clear();
    }
  }
}

void IoThread::Stop() { io_.stop(); }

// ---- Being woken ----

void IoThread::Wake(WakeReason reason) noexcept {
  // `wake_memory_` is free again when whoever took it has seen all reasons.
  if (wake_reasons_.fetch_or(reason) != 0) return;
  boost::asio::post(io_, KeptIn(wake_memory_, [this] { OnWake(); }));
}

void IoThread::OnWake() noexcept {
  const unsigned reasons = wake_reasons_.exchange(0);
  if ((reasons & kAnswersCame) != 0) HandOutAnswers();
  if ((reasons & kBudgetFreed) != 0) TryPaused();
  if ((reasons & kDrainWanted) != 0) {
    Drain();
    engine_.RemoveBusy();
  }
  if ((reasons & kAbortWanted) != 0) Abort();
  if ((reasons & kTrimWanted) != 0) {
    trim_at_ = std::max(SteadyClock::now() + kTrimDelay, next_trim_);
    SetTimer(trim_at_);
  }
}

void IoThread::HandOutAnswers() {
  for (std::unique_ptr<LateResponse> late = mailbox_->TakeAll(); late != nullptr;) {
    std::unique_ptr<LateResponse> next = std::move(late->next);
    Recipient& recipient = late->recipient();
    recipient.TakeLateResponse(std::move(late));
    late = std::move(next);
  }
}

void IoThread::TryPaused() {
  while (paused_first_ != nullptr && paused_first_->Resume()) {
  }
}

void IoThread::AddPaused(Connection& connection) noexcept {
  connection.paused_previous = paused_last_;
  connection.paused_next = nullptr;
  (paused_last_ != nullptr ? paused_last_->paused_next : paused_first_) = &connection;
  paused_last_ = &connection;
}

void IoThread::RemovePaused(Connection& connection) noexcept {
  Connection* const before = connection.paused_previous;
  Connection* const behind = connection.paused_next;
  (before != nullptr ? before->paused_next : paused_first_) = behind;
  (behind != nullptr ? behind->paused_previous : paused_last_) = before;
}

// ---- Accepting ----

void IoThread::Accept(int listener) {
  SetConnectionOptions(listener);
  listeners_.push_back(std::make_unique<Listener>(*this, listener));
  WaitForClients(*listeners_.back());
}

void IoThread::WaitForClients(Listener& listener) {
  listener.descriptor.async_wait(
      IoDescriptor::wait_read,
      KeptIn(listener.memory, [this, &listener](boost::system::error_code error) {
        if (!error && !draining_) AcceptAll(listener);
      }));
}

void IoThread::AcceptAll(Listener& listener) noexcept {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (engine_.start_failed.exchange(false)) return AcceptLater(listener, ENOMEM);
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd = accept4(listener.descriptor.native_handle(), reinterpret_cast<sockaddr*>(&peer),
                           &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      if (!HandOver(Descriptor(fd), peer, size)) return AcceptLater(listener, ENOMEM);
      listener.delay = {};
      continue;
    }
    // The client went away, or its network did, before we came to it.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO || errno == ENETDOWN ||
        errno == EHOSTUNREACH || errno == ENETUNREACH || errno == EPERM) {
      continue;
    }
    if (errno == EAGAIN) break;
    // Out of descriptors or memory: others have to end first.
    return AcceptLater(listener, errno);
  }
  WaitForClients(listener);
}

// Gives the connection to the thread whose turn it is. False, and closed, if there is no memory.
bool IoThread::HandOver(Descriptor descriptor, const sockaddr_storage& peer,
                        socklen_t peer_size) noexcept {
  try {
    IoThread& thread = engine_.NextThread();
    std::string remote = AddressText(peer, peer_size);
    if (&thread == this) return AddConnection(std::move(descriptor), std::move(remote));
    thread.Post([&thread, descriptor = std::move(descriptor),
                 remote = std::move(remote)]() mutable noexcept {
      if (!thread.AddConnection(std::move(descriptor), std::move(remote))) {
        thread.engine().start_failed = true;
      }
    });
    return true;
  } catch (...) {
    return false;
  }
}

bool IoThread::AddConnection(Descriptor descriptor, std::string remote) noexcept {
  if (draining_) return true;
  Connection* connection = nullptr;
  try {
    connection = new Connection(*this, descriptor.get(), std::move(remote));
  } catch (...) {
    return false;
  }
  (void)descriptor.release();
  engine_.AddBusy();
  connection->next = first_;
  if (first_ != nullptr) first_->previous = connection;
  first_ = connection;
  connection->Start();
  return true;
}

void IoThread::AcceptLater(Listener& listener, int error) noexcept {
  const SteadyTime now = SteadyClock::now();
  listener.delay =
      listener.delay.count() == 0 ? kAcceptDelayMin : std::min(listener.delay * 2, kAcceptDelayMax);
  listener.retry_at = now + listener.delay;
  const bool same_episode = now < listener.calm_from;
  listener.calm_from = listener.retry_at + kAcceptCalm;
  SetTimer(listener.retry_at);
  if (!same_episode) LogAcceptFailure(listener, error);
}

void IoThread::LogAcceptFailure(const Listener& listener, int error) noexcept {
  constexpr std::string_view kMessage = "cannot accept connections, retrying";
  try {
    engine_.log.Error(kMessage, {{"address", listener.address}, {"err", ErrorText(error)}});
  } catch (...) {
    engine_.log.Error(kMessage);
  }
}

void IoThread::Remove(Connection& connection) {
  if (connection.previous != nullptr) connection.previous->next = connection.next;
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  if (first_ == &connection) first_ = connection.next;
}

void IoThread::CloseListeners() {
  draining_ = true;
  for (const auto& listener : listeners_) {
    boost::system::error_code ignored;
    listener->descriptor.close(ignored);
  }
}

void IoThread::Drain() {
  CloseListeners();
  const std::chrono::milliseconds patience = engine_.options.limits.drain_timeout;
  drain_deadline_ =
      SteadyClock::now() + (patience.count() == 0 ? kDrainMax : std::min(patience, kDrainMax));
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

// ---- What connections share ----

void IoThread::PostCutOff() noexcept {
  if (cut_off_posted_.exchange(true)) return;
  try {
    Post([this] {
      cut_off_posted_ = false;
      Connection* next = nullptr;
      for (Connection* connection = first_; connection != nullptr; connection = next) {
        next = connection->next;
        connection->CutOffIfAbandoned();
      }
    });
  } catch (...) {  // no memory: whoever wants it says so again
    cut_off_posted_ = false;
  }
}

std::string_view IoThread::Date(WallTime now) noexcept {
  const std::int64_t second =
      std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  if (second == date_second_) return date_;
  try {
    date_ = HttpDate(static_cast<std::time_t>(second));
    date_second_ = second;
  } catch (...) {
    return date_;  // no memory: the last one will do
  }
  return date_;
}

std::unique_ptr<Incoming> IoThread::TakeIncoming() {
  if (stock_.empty()) return std::make_unique<Incoming>();
  std::unique_ptr<Incoming> incoming = std::move(stock_.back());
  stock_.pop_back();
  return incoming;
}

void IoThread::GiveBack(std::unique_ptr<Incoming> incoming) noexcept {
  if (stock_.size() >= kStockMax || incoming->head.capacity() > kStockBytesMax ||
      incoming->parser.headers().size() > kStockHeadersMax) {
    return;
  }
  try {
    incoming->parser.Reset();
    stock_.push_back(std::move(incoming));
  } catch (...) {
    return;  // then it is not kept
  }
}

// ---- Deadlines ----

void IoThread::WaitForTimer() {
  timer_.async_wait(IoDescriptor::wait_read,
                    KeptIn(timer_memory_, [this](boost::system::error_code error) {
                      if (error) return;
                      std::uint64_t expirations = 0;
                      (void)!read(timer_.native_handle(), &expirations, sizeof expirations);
                      WaitForTimer();
                      Scan();
                    }));
}

// Scan() is called at that time or earlier.
void IoThread::SetTimer(SteadyTime when) noexcept {
  if (when >= next_scan_) return;
  next_scan_ = when;
  const auto since_boot = std::max(when.time_since_epoch(), SteadyClock::duration(1));
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
  itimerspec setting{};
  setting.it_value.tv_sec = static_cast<std::time_t>(seconds.count());
  setting.it_value.tv_nsec = static_cast<long>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot - seconds).count());
  (void)timerfd_settime(timer_.native_handle(), TFD_TIMER_ABSTIME, &setting, nullptr);
}

void IoThread::ScheduleScan(SteadyTime deadline) noexcept {
  SetTimer(std::max(deadline, last_scan_ + scan_interval_));
}

void IoThread::Scan() {
  const SteadyTime now = SteadyClock::now();
  next_scan_ = SteadyTime::max();
  for (const auto& listener : listeners_) {
    if (draining_ || listener->retry_at == SteadyTime::max()) continue;
    if (listener->retry_at > now) {
      SetTimer(listener->retry_at);
      continue;
    }
    listener->retry_at = SteadyTime::max();
    AcceptAll(*listener);
  }
  last_scan_ = now;
  SteadyTime earliest = SteadyTime::max();
  for (Connection *connection = first_, *next = nullptr; connection != nullptr; connection = next) {
    next = connection->next;
    earliest = std::min(earliest, connection->CheckDeadline(now));
  }
  NoteDeadline(earliest);
  Trim(now);
}

void IoThread::Trim(SteadyTime now) noexcept {
  if (trim_at_ == SteadyTime::max()) return;
  if (trim_at_ > now) return SetTimer(trim_at_);
  trim_at_ = SteadyTime::max();
  next_trim_ = now + kTrimInterval;
  engine_.budget.ForgetPeak();
  engine_.trim_wanted = false;
  malloc_trim(0);
}

}  // namespace pgw::http
