// Frees the memory of what has expired, gives back to the system what has come free, and looks
// after that of a store that grows. Knows store, base.
//
// Nothing depends on it for correctness: readers decide by the clock, and an expired family is
// invisible even if the reaper is dead. It works off the request path, in steps short enough that
// no push or scrape waits noticeably for the store's lock, and sleeps until the next deadline.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <span>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "store/metric_store.h"

namespace pgw {

// Is told what has been erased. Called on the reaper's thread, with no lock held.
class ExpiryObserver {
 public:
  virtual ~ExpiryObserver() = default;
  // `lags` has one entry per family: how long after its deadline it was erased.
  virtual void OnExpired(std::size_t families, std::size_t groups,
                         std::span<const std::chrono::nanoseconds> lags) = 0;
};

class Reaper {
 public:
  // All references must outlive the reaper. Becomes the store's expiry waker.
  // `tend` does a piece of what makes much memory cheaper to use, and returns whether there are
  // more; whenever the store has grown by a good part the thread calls it, with no lock held, until
  // there are none, and rests in between.
  // `give_back` has the allocator return free pages to the system. It is called where the store
  // says that enough has come free, no matter who freed it, and rarely enough that those who wait
  // for the allocator meanwhile do not notice.
  Reaper(MetricStore& store, const Clock& clock, ExpiryObserver& observer,
         std::function<bool()> tend = {}, std::function<void()> give_back = TrimAllocator);
  ~Reaper();  // as Stop()
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // Starts the thread.
  void Start();
  // Ends it, within one step. Idempotent.
  void Stop();

  // One step at `now`; true if there is more to do at once. What the thread repeats; public for
  // tests and for programs that bring their own thread.
  bool Step(BootTime now);

 private:
  void Run();
  void Wake();
  BootTime Work(BootTime now);
  static void TrimAllocator();
  // A piece of it if it is time. Returns when to come again.
  BootTime Tend(BootTime now);
  // If there is something, and it is time. Returns when to come again.
  BootTime GiveBack(BootTime now);

  MetricStore& store_;
  const Clock& clock_;
  ExpiryObserver& observer_;
  const std::function<bool()> tend_;
  const std::function<void()> give_back_;
  std::thread thread_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopping_ PGW_GUARDED_BY(mutex_) = false;
  bool woken_ PGW_GUARDED_BY(mutex_) = false;
  // Of the thread.
  bool out_of_memory_ = false;   // the last step could erase nothing
  bool freed_ = false;           // there is something to give back
  BootTime give_back_time_{};    // not before
  BootTime tend_time_ = kNever;  // when there is something to tend
};

}  // namespace pgw
