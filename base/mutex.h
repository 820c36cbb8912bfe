// A mutex with clang's thread-safety annotations, which libstdc++'s own lacks. Knows nothing.
//
// Made for sections of a few microseconds: who finds it taken looks again for about as long before
// going to sleep, since a sleep and a wake-up cost more than most sections.
#pragma once

#include <mutex>

#if defined(__clang__)
#define PGW_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define PGW_THREAD_ANNOTATION(x)
#endif

#define PGW_GUARDED_BY(x) PGW_THREAD_ANNOTATION(guarded_by(x))
#define PGW_REQUIRES(...) PGW_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define PGW_EXCLUDES(...) PGW_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace pgw {

class PGW_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void Lock() PGW_THREAD_ANNOTATION(acquire_capability()) {
    if (!LockSoon()) mutex_.lock();
  }
  bool TryLock() PGW_THREAD_ANNOTATION(try_acquire_capability(true)) { return mutex_.try_lock(); }
  // Without going to sleep: looks that often, by default for as long as Lock() does before that.
  bool LockSoon(int looks = kLooks) PGW_THREAD_ANNOTATION(try_acquire_capability(true)) {
    for (int look = 0; look < looks; ++look) {
      if (TryLock()) return true;
      Relax();
    }
    return false;
  }
  void Unlock() PGW_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

  // Tells clang that the mutex is held, in a lambda that whoever holds it calls at once. Checks
  // nothing.
  void AssumeHeld() const PGW_THREAD_ANNOTATION(assert_capability(this)) {}

  // For std::condition_variable_any and std::unique_lock.
  void lock() PGW_THREAD_ANNOTATION(acquire_capability()) { Lock(); }
  void unlock() PGW_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  static constexpr int kLooks = 60;

  // Tells the processor that this is a loop that waits.
  static void Relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    asm volatile("yield");
#endif
  }

  std::mutex mutex_;
};

// Holds a Mutex for a scope.
class PGW_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) PGW_THREAD_ANNOTATION(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() PGW_THREAD_ANNOTATION(release_capability()) { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace pgw
