// A few threads for what would hold an I/O thread too long. Knows base/mutex.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace pgw::http {

// Thread-safe. Threads are created when there is work for them, at most `threads_max`, and sleep
// without waking up when there is none.
class WorkerPool {
 public:
  explicit WorkerPool(unsigned threads_max) : threads_max_(threads_max) {}
  ~WorkerPool() { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Tasks start in the order given. A task must not throw. After Stop() it is dropped.
  void Run(std::function<void()> task) PGW_EXCLUDES(mutex_);

  // Finishes what runs, drops what waits, and joins the threads.
  void Stop() PGW_EXCLUDES(mutex_);

 private:
  void Work() PGW_EXCLUDES(mutex_);

  const unsigned threads_max_;
  Mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::function<void()>> tasks_ PGW_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ PGW_GUARDED_BY(mutex_);
  unsigned idle_ PGW_GUARDED_BY(mutex_) = 0;
  bool stopping_ PGW_GUARDED_BY(mutex_) = false;
};

}  // namespace pgw::http
