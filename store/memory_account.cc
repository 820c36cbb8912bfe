#include "store/memory_account.h"

#include <utility>

namespace pgw {

std::size_t MemoryAccount::TakeFreed() noexcept {
  told_.store(false, std::memory_order_relaxed);
  const std::size_t freed = Fallen();
  if (freed < Worth()) return 0;
  peak_.store(in_use(), std::memory_order_relaxed);
  return freed;
}

void MemoryAccount::LetGo(std::size_t bytes) noexcept {
  if (bytes == 0) return;
  held_.fetch_sub(bytes, std::memory_order_relaxed);
  if (HasFreedMuch()) Tell(freed_much_);
}

void MemoryAccount::Recharge(std::size_t before, std::size_t after) noexcept {
  if (after < before) return LetGo(before - after);
  held_.fetch_add(after - before, std::memory_order_relaxed);
  NotePeak();
  CheckLimit();
}

void MemoryAccount::SetFreedHook(std::function<void()> freed_much) {
  const MutexLock lock(freed_much_.mutex);
  freed_much_.call = std::move(freed_much);
}

void MemoryAccount::SetLimit(std::size_t held_max, std::function<void()> over_limit) {
  held_max_.store(held_max != 0 ? held_max : kNoLimit, std::memory_order_relaxed);
  const MutexLock lock(over_limit_.mutex);
  over_limit_.call = std::move(over_limit);
}

// Nobody waits for another thread that is telling the same: that one tells it again, since what is
// new may have come too late for the call that goes on. Both flags are in one order for all
// threads, so that one of two sees the other.
void MemoryAccount::Tell(Hook& hook) noexcept {
  hook.again.store(true);
  while (hook.again.load() && !hook.busy.exchange(true)) {
    hook.again.store(false);
    {
      const MutexLock lock(hook.mutex);
      try {
        if (hook.call) hook.call();
      } catch (...) {  // NOLINT(bugprone-empty-catch): no memory to act; the next push tells again
      }
    }
    hook.busy.store(false);
  }
}

}  // namespace pgw
