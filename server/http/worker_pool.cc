#include "server/http/worker_pool.h"

#include <system_error>
#include <utility>

namespace pgw::http {

void WorkerPool::Run(std::function<void()> task) {
  {
    const MutexLock lock(mutex_);
    if (stopping_) return;
    if (tasks_.size() >= idle_ && threads_.size() < threads_max_) {
      try {
        threads_.emplace_back([this] { Work(); });
      } catch (const std::system_error&) {
        // Out of threads: those there are will come to it. Without any, the caller has to know.
        if (threads_.empty()) throw;
      }
    }
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void WorkerPool::Work() {
  for (;;) {
    std::function<void()> task;
    {
      const MutexLock lock(mutex_);
      ++idle_;
      while (tasks_.empty() && !stopping_) wake_.wait(mutex_);
      --idle_;
      if (stopping_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

void WorkerPool::Stop() {
  std::vector<std::thread> threads;
  std::deque<std::function<void()>> dropped;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
    dropped.swap(tasks_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace pgw::http
