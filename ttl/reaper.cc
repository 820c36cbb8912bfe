#include "ttl/reaper.h"

#include <malloc.h>

#include <algorithm>
#include <new>
#include <utility>

namespace pgw {
namespace {

// About 0.1 ms under the store's lock.
constexpr std::size_t kFamiliesPerStep = 256;

// What a step takes, unless the machine was asleep in the middle of it.
constexpr std::chrono::nanoseconds kRestMax = std::chrono::milliseconds(5);

// How long to wait where there is too little memory to erase anything safely.
constexpr std::chrono::nanoseconds kMemoryRest = std::chrono::seconds(1);

// What a piece of tending takes, with the same exception.
constexpr std::chrono::nanoseconds kWorkMax = std::chrono::seconds(1);

// What is further away is looked at again: the sum of a wait and the time now must not overflow.
constexpr std::chrono::nanoseconds kSleepMax = std::chrono::hours(24);

// As many times as long as it tends it leaves the store to others.
constexpr int kRestsPerWork = 199;

// At most, should the machine have been asleep in the middle of the work.
constexpr std::chrono::nanoseconds kGiveBackRestMax = std::chrono::minutes(1);

}  // namespace

Reaper::Reaper(MetricStore& store, const Clock& clock, ExpiryObserver& observer,
               std::function<bool()> tend, std::function<void()> give_back)
    : store_(store),
      clock_(clock),
      observer_(observer),
      tend_(std::move(tend)),
      give_back_(std::move(give_back)) {
  store_.SetExpiryWaker([this] { Wake(); });
}

Reaper::~Reaper() {
  Stop();
  store_.SetExpiryWaker(nullptr);
}

void Reaper::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Reaper::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Reaper::Wake() {
  {
    MutexLock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

bool Reaper::Step(BootTime now) {
  const ExpiryProgress progress = store_.EraseExpired(now, kFamiliesPerStep);
  if (progress.families > 0 || progress.groups > 0) {
    observer_.OnExpired(progress.families, progress.groups, progress.lags);
  }
  freed_ = freed_ || progress.freed > 0;
  if (progress.grown && tend_) tend_time_ = std::min(tend_time_, now);
  out_of_memory_ = progress.out_of_memory;
  return progress.more && !out_of_memory_;
}

BootTime Reaper::Tend(BootTime now) {
  if (now < tend_time_) return tend_time_;
  const bool more = tend_();
  const BootTime end = clock_.Now().boot;
  return more ? SaturatingAdd(end, kRestsPerWork * std::min(end - now, kWorkMax)) : kNever;
}

void Reaper::TrimAllocator() { malloc_trim(0); }

BootTime Reaper::GiveBack(BootTime now) {
  if (!freed_) return kNever;
  if (now < give_back_time_) return give_back_time_;
  freed_ = false;
  give_back_();
  const BootTime end = clock_.Now().boot;
  give_back_time_ = end + std::min(kRestsPerWork * (end - now), kGiveBackRestMax);
  return kNever;
}

// Does what is to be done now. Returns when to come again; `now`: at once.
BootTime Reaper::Work(BootTime now) {
  if (Step(now)) {
    // Waiting pushes get the store's lock in between, and the processor.
    const std::chrono::nanoseconds worked = clock_.Now().boot - now;
    std::this_thread::sleep_for(std::min(worked, kRestMax));
    return now;
  }
  if (out_of_memory_) return now + kMemoryRest;
  const BootTime give_back_time = GiveBack(now);
  tend_time_ = Tend(clock_.Now().boot);
  return std::min({store_.NextExpiry(), give_back_time, tend_time_});
}

void Reaper::Run() {
  mutex_.Lock();
  while (!stopping_) {
    mutex_.Unlock();
    const BootTime now = clock_.Now().boot;
    BootTime next{};
    try {
      next = Work(now);
    } catch (const std::bad_alloc&) {
      next = now + kMemoryRest;  // nothing has changed: it is tried again
    }
    mutex_.Lock();
    if (stopping_ || next == now) continue;
    if (!woken_) {
      if (next == kNever) {
        changed_.wait(mutex_);
      } else {
        // The condition variable's clock stops in suspend; memory may then linger, nothing else.
        const auto pause = SaturatingDifference(next, clock_.Now().boot);
        if (pause.count() > 0) changed_.wait_for(mutex_, std::min(pause, kSleepMax));
      }
    }
    woken_ = false;
  }
  mutex_.Unlock();
}

}  // namespace pgw
