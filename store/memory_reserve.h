// Memory set aside so that a change of what is stored, once it has begun, does not fail in its
// middle. Knows base. docs/decisions/0013-when-memory-runs-out.md has the reasons.
//
//   if (!reserve.Ensure(bytes)) return OutOfMemory();  // nothing has changed yet
//   reserve.Run([&] { /* change things; every allocation succeeds */ });
//
// The reserve is a mapping that nobody writes to, so it costs no memory of the machine; it counts
// where memory can be refused to a process at all: against a limit of its address space or data,
// and where the kernel commits no more than it has. When an allocation fails inside Run(), the
// mapping is given back and the allocation is tried again. Where that is not enough, because the
// bound was wrong or another thread was faster, the process ends with one line on standard error:
// a supervisor starts it again, and a journal has what was acknowledged.
//
// An allocation that fails elsewhere gets the reserves that nobody is using, too: then commands
// that need one again are refused, and there is still room to answer, to read and to delete.
//
// This works by std::set_new_handler(). A handler that was there before is called where all
// reserves are gone. REQUIRES: nobody replaces ours later.
#pragma once

#include <atomic>
#include <cstddef>

#include "base/result.h"

namespace pgw {

// The answer to a command that there is no memory for. Makes no allocation.
inline Error OutOfMemory() { return {Code::kOverloaded, "out of memory"}; }

// The exit code of a process that cannot go on: EX_OSERR of sysexits.h.
inline constexpr int kExitOutOfMemory = 71;

// Ends the process at once, with a line on standard error.
[[noreturn]] void EndOutOfMemory() noexcept;

// Not thread-safe: the lock that guards what is changed guards the reserve as well.
class MemoryReserve {
 public:
  // So many bytes stay set aside between changes. Larger reserves are rare.
  static constexpr std::size_t kKept = 8u << 20;

  MemoryReserve();
  ~MemoryReserve();
  MemoryReserve(const MemoryReserve&) = delete;
  MemoryReserve& operator=(const MemoryReserve&) = delete;

  // Sets at least so many bytes aside, kKept if there are, and claims them for the next Run(),
  // until which nobody else can have them. False: there is not so much memory.
  bool Ensure(std::size_t bytes) {
    Claim();
    if (bytes <= size_ || Grow(bytes)) return true;
    if (uses_ == 0) Unclaim();
    return false;
  }

  // Calls `change()`, with the reserve for whatever it allocates on this thread. May be nested,
  // with other reserves: the innermost is used first.
  template <typename Change>
  void Run(const Change& change) noexcept {
    Claim();
    const Use use(*this);
    try {
      change();
    } catch (...) {
      EndOutOfMemory();
    }
  }

  // Whether this thread is inside Run(), of any reserve.
  static bool InUse() { return innermost_ != nullptr; }

 private:
  // A Run() that goes on.
  struct Use {
    explicit Use(MemoryReserve& used) : reserve(used), outer(innermost_) {
      innermost_ = this;
      ++reserve.uses_;
    }
    ~Use() {
      innermost_ = outer;
      if (--reserve.uses_ > 0) return;
      if (reserve.size_ > kKept) reserve.Shrink();
      reserve.Unclaim();
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    MemoryReserve& reserve;
    Use* const outer;
  };

  static void OnFailure();
  // Gives one back that nobody has claimed. False: there is none.
  static bool ReleaseIdle();

  // Until Unclaim() nobody else gives it back.
  void Claim() {
    if (claimed_) return;
    while (busy_.exchange(true, std::memory_order_acquire)) {
    }
    claimed_ = true;
  }
  void Unclaim() {
    claimed_ = false;
    busy_.store(false, std::memory_order_release);
  }
  bool Grow(std::size_t bytes);
  // False: there was nothing left to give back.
  bool Release();
  void Shrink();

  static thread_local constinit Use* innermost_;

  // The next two belong to the holder of the lock that guards this reserve.
  bool claimed_ = false;
  int uses_ = 0;
  // Whoever has set this flag may touch the mapping.
  std::atomic<bool> busy_ = false;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
  // The neighbours in the list of all reserves.
  MemoryReserve* previous_ = nullptr;
  MemoryReserve* next_ = nullptr;
};

}  // namespace pgw
