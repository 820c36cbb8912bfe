// One thread with its connections. Asio is seen here; include it in beast_*.cc alone.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/http/beast_handler_memory.h"
#include "server/http/body_budget.h"
#include "server/http/descriptor.h"
#include "server/http/mailbox.h"
#include "server/http/request_parser.h"
#include "server/http/server.h"
#include "server/http/worker_pool.h"

namespace pgw::http {

using IoExecutor = boost::asio::io_context::executor_type;
// Readiness alone comes through Asio; recv and sendmsg are called directly, so that an idle
// connection needs no buffer and one type serves TCP, vsock and Unix sockets.
using IoDescriptor = boost::asio::posix::basic_stream_descriptor<IoExecutor>;
using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

class Connection;
class IoThread;
struct Incoming;

// What the threads of one server share.
struct Engine {
  Engine(Handler& the_handler, const ServerOptions& the_options, const Clock& the_clock,
         Logger& the_log)
      : handler(the_handler),
        options(the_options),
        clock(the_clock),
        log(the_log),
        budget(the_options.limits.bodies_bytes_max, the_options.limits.body_bytes_max),
        workers(std::max(1u, the_options.threads)) {}

  // Lets connections that wait for a share of the budget try again.
  void ResumePaused() noexcept;
  // After something was returned to the budget: memory of a flood that is over goes back to the
  // kernel, soon and rarely.
  void NoteReturn() noexcept;
  // The thread the next connection goes to.
  IoThread& NextThread();

  Handler& handler;
  const ServerOptions options;
  const Clock& clock;
  Logger& log;
  BodyBudget budget;
  std::vector<std::unique_ptr<IoThread>> threads;
  std::atomic<unsigned> next_thread{0};
  // A thread could not start a connection that another one had accepted.
  std::atomic<bool> start_failed{false};
  std::atomic<bool> trim_wanted{false};
  WorkerPool workers;  // the first to go: its tasks use the threads' queues

  // Connections and drains that Shutdown() waits for.
  Mutex mutex;
  std::condition_variable_any quiet;
  std::size_t busy PGW_GUARDED_BY(mutex) = 0;
  void AddBusy() PGW_EXCLUDES(mutex);
  void RemoveBusy() PGW_EXCLUDES(mutex);
};

// An I/O context, the one thread that runs it, and what its connections share, so that an idle
// connection owns next to nothing. Everything but Post(), Wake(), mailbox() and the constructor
// belongs to that thread.
//
// What must happen for others to go on (waking, waiting, timers, accepting) needs no memory, so
// that its end leaves nobody behind.
class IoThread {
 public:
  // Throws what the system says where it has no descriptors or memory left.
  explicit IoThread(Engine& engine);
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // Runs until Stop(). No exception leaves it.
  void Run();
  // From any thread.
  void Stop();
  // From any thread. Throws where there is no memory for it.
  template <typename Task>
  void Post(Task task) {
    boost::asio::post(io_, std::move(task));
  }
  // What there is to do for a thread, as bits.
  enum WakeReason : unsigned {
    kAnswersCame = 1,  // look into the mailbox
    kBudgetFreed = 2,  // let those go on who wait for a share
    kDrainWanted = 4,  // Drain(), and say so to the engine: it was counted as busy
    kAbortWanted = 8,  // Abort()
    kTrimWanted = 16,  // give free memory back
  };
  // From any thread; does not fail. What is wanted several times before the thread comes to it is
  // done once.
  void Wake(WakeReason reason) noexcept;
  // Has it look for connections whose answer has been abandoned.
  void PostCutOff() noexcept;
  // Where answers that come later are put, from any thread.
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }

  // Accepts on a listening descriptor, which it closes in the end.
  void Accept(int listener);
  // False if there is no memory for it, or no room in epoll: it is closed then.
  bool AddConnection(Descriptor descriptor, std::string remote) noexcept;
  void Remove(Connection& connection);

  // Closes the listeners; every connection ends when it has done its duty.
  void Drain();
  // Closes every connection. What a worker has of one stays until it is done.
  void Abort();
  // The end of it all, before any thread of the engine is destroyed: Run() and the workers have
  // returned. On the thread that destroys it.
  void Finish();

  Engine& engine() { return engine_; }
  IoExecutor executor() { return io_.get_executor(); }
  bool draining() const { return draining_; }
  // When half-received requests are given up; valid while draining.
  SteadyTime drain_deadline() const { return drain_deadline_; }
  char* input() { return input_.get(); }
  static constexpr std::size_t kInputBytes = 64 * 1024;
  // Complete answers to the connection at hand; empty between two events. Has room for what is
  // collected before it is sent.
  std::string& output() { return output_; }
  RequestParser& parser() { return parser_; }
  std::string_view Date(WallTime now) noexcept;

  // Memory of a request that needs more than one read, from a small stock.
  std::unique_ptr<Incoming> TakeIncoming();
  void GiveBack(std::unique_ptr<Incoming> incoming) noexcept;

  // A connection has this deadline now; somebody looks at it in time.
  void NoteDeadline(SteadyTime deadline) noexcept {
    if (deadline < next_scan_) ScheduleScan(deadline);
  }
  // Connections that wait for a share of the budget, in the order of their arrival.
  void AddPaused(Connection& connection) noexcept;
  void RemovePaused(Connection& connection) noexcept;

 private:
  struct Listener;

  void CloseListeners();
  void WaitForClients(Listener& listener);
  void AcceptAll(Listener& listener) noexcept;
  bool HandOver(Descriptor descriptor, const sockaddr_storage& peer, socklen_t peer_size) noexcept;
  void AcceptLater(Listener& listener, int error) noexcept;
  void LogAcceptFailure(const Listener& listener, int error) noexcept;
  void OnWake() noexcept;
  void WaitForTimer();
  void SetTimer(SteadyTime when) noexcept;
  void ScheduleScan(SteadyTime deadline) noexcept;
  void Scan();
  void Trim(SteadyTime now) noexcept;
  void TryPaused();
  void HandOutAnswers();

  Engine& engine_;
  HandlerMemory wake_memory_;  // these two are needed until `io_` is gone
  HandlerMemory timer_memory_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<IoExecutor> work_;
  std::atomic<unsigned> wake_reasons_{0};
  // One timer for all deadlines, set to a lower bound of them: moving a deadline further away, as
  // every request does, costs a store. It is not set while there is no connection.
  IoDescriptor timer_;  // a timerfd
  SteadyTime next_scan_ = SteadyTime::max();
  SteadyTime last_scan_ = SteadyTime::min();
  SteadyClock::duration scan_interval_;
  SteadyTime trim_at_ = SteadyTime::max();
  SteadyTime next_trim_ = SteadyTime::min();  // no earlier than this
  std::unique_ptr<char[]> input_;
  std::string output_;
  RequestParser parser_;
  std::vector<std::unique_ptr<Incoming>> stock_;
  std::string date_;
  std::int64_t date_second_ = -1;
  std::vector<std::unique_ptr<Listener>> listeners_;
  Connection* paused_first_ = nullptr;
  Connection* paused_last_ = nullptr;
  std::atomic<bool> cut_off_posted_{false};
  const std::shared_ptr<Mailbox> mailbox_;
  Connection* first_ = nullptr;  // intrusive list of all connections
  bool draining_ = false;
  SteadyTime drain_deadline_ = SteadyTime::max();
};

}  // namespace pgw::http
