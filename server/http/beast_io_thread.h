// One thread with its connections. Asio is seen here; include it in beast_*.cc alone.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "server/http/body_budget.h"
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
using IoTimer =
    boost::asio::basic_waitable_timer<SteadyClock, boost::asio::wait_traits<SteadyClock>,
                                      IoExecutor>;

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
  void ResumePaused();
  // The thread the next connection goes to.
  IoThread& NextThread();

  Handler& handler;
  const ServerOptions options;
  const Clock& clock;
  Logger& log;
  BodyBudget budget;
  std::vector<std::unique_ptr<IoThread>> threads;
  std::atomic<unsigned> next_thread{0};
  WorkerPool workers;  // the first to go: its tasks use the threads' queues

  // Connections and drains that Shutdown() waits for.
  Mutex mutex;
  std::condition_variable_any quiet;
  std::size_t busy PGW_GUARDED_BY(mutex) = 0;
  void AddBusy() PGW_EXCLUDES(mutex);
  void RemoveBusy() PGW_EXCLUDES(mutex);
};

// An I/O context, the one thread that runs it, and what its connections share, so that an idle
// connection owns next to nothing. Everything but Post(), mailbox() and the constructor belongs to
// that thread.
class IoThread {
 public:
  explicit IoThread(Engine& engine);
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // Runs until Stop(). No exception leaves it.
  void Run();
  // From any thread.
  void Stop();
  template <typename Task>
  void Post(Task task) {
    boost::asio::post(io_, std::move(task));
  }
  void PostResume();
  // Where answers that come later are put, from any thread.
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }

  // Accepts on a listening descriptor, which it closes in the end.
  void Accept(int listener);
  // Owns `descriptor` from now on.
  void AddConnection(int descriptor, std::string remote);
  void Remove(Connection& connection);

  // Closes the listeners; every connection ends when it has done its duty.
  void Drain();
  // Closes every connection that is not in the hands of a worker.
  void Abort();

  Engine& engine() { return engine_; }
  IoExecutor executor() { return io_.get_executor(); }
  bool draining() const { return draining_; }
  // When half-received requests are given up; valid while draining.
  SteadyTime drain_deadline() const { return drain_deadline_; }
  char* input() { return input_.get(); }
  static constexpr std::size_t kInputBytes = 64 * 1024;
  // Answers to the connection at hand; empty between two events.
  std::string& output() { return output_; }
  RequestParser& parser() { return parser_; }
  std::string_view Date(WallTime now);

  // Memory of a request that needs more than one read, from a small stock.
  std::unique_ptr<Incoming> TakeIncoming();
  void GiveBack(std::unique_ptr<Incoming> incoming);

  // A connection has this deadline now; somebody looks at it in time.
  void NoteDeadline(SteadyTime deadline) {
    if (deadline < next_scan_) ScheduleScan(deadline);
  }
  // Connections that wait for a share of the budget, in the order of their arrival.
  std::list<Connection*>& paused() { return paused_; }

 private:
  struct Listener;

  void WaitForClients(Listener& listener);
  void AcceptAll(Listener& listener);
  void ScheduleScan(SteadyTime deadline);
  void Scan();
  void TryPaused();
  void HandOutAnswers();

  Engine& engine_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<IoExecutor> work_;
  // One timer for all deadlines, set to a lower bound of them: moving a deadline further away, as
  // every request does, costs a store. It is not set while there is no connection.
  IoTimer timer_;
  SteadyTime next_scan_ = SteadyTime::max();
  SteadyTime last_scan_ = SteadyTime::min();
  SteadyClock::duration scan_interval_;
  std::unique_ptr<char[]> input_;
  std::string output_;
  RequestParser parser_;
  std::vector<std::unique_ptr<Incoming>> stock_;
  std::string date_;
  std::int64_t date_second_ = -1;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::list<Connection*> paused_;
  std::atomic<bool> resume_posted_{false};
  const std::shared_ptr<Mailbox> mailbox_;
  Connection* first_ = nullptr;  // intrusive list of all connections
  bool draining_ = false;
  SteadyTime drain_deadline_ = SteadyTime::max();
};

}  // namespace pgw::http
