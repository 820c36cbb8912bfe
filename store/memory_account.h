// How much memory is taken by what is stored, and by what only readers still hold of it. Knows
// base.
//
// A block that the store replaces or drops lives on for as long as a snapshot has it: until then
// its bytes are held. What readers keep beside it, such as a rendered answer, counts as well. So
// the account knows when readers hold too much, and when so much has come free that the allocator
// should give pages back to the system, no matter on which thread that happened.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "base/mutex.h"
#include "store/prefetch.h"

namespace pgw {

// Thread-safe. Shared by a store and its readers, which may outlive it. Counting takes no lock and
// allocates nothing; neither of the hooks is called while anything is counted under the store's
// lock.
class MemoryAccount {
 public:
  // Less is not worth asking the allocator to give pages back; of a large store a sixteenth, since
  // asking costs more there.
  static constexpr std::size_t kFallWorthTelling = 2u << 20;
  static constexpr std::size_t kStorePartsPerFall = 16;

  MemoryAccount() = default;
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  // ---- For the store, under its lock.

  // What is in the store now that a command is complete. In the middle of one, blocks that it has
  // replaced are held already while the store's own figure still has them: they would count twice.
  void NoteStored(std::size_t bytes) noexcept {
    if (bytes != stored_.load(std::memory_order_relaxed)) {
      stored_.store(bytes, std::memory_order_relaxed);
    }
    NotePeak();
  }
  // A block goes on to live with readers alone.
  void Hold(std::size_t bytes) noexcept { held_.fetch_add(bytes, std::memory_order_relaxed); }
  // The readers had left it already.
  void Unhold(std::size_t bytes) noexcept { held_.fetch_sub(bytes, std::memory_order_relaxed); }
  // True if so much has come free that somebody should take it up, and nobody was told yet. Whoever
  // is told calls TakeFreed() soon.
  bool HasFreedMuch() noexcept {
    return Fallen() >= Worth() && !told_.exchange(true, std::memory_order_relaxed);
  }
  // The bytes by which less is in use than there once was since this last told any; zero if that is
  // not worth anything.
  std::size_t TakeFreed() noexcept;

  // ---- For anybody, with no lock held.

  // Readers are done with so many bytes that were held. They are free already.
  void LetGo(std::size_t bytes) noexcept;
  // What a reader keeps of its own has grown or shrunk.
  void Recharge(std::size_t before, std::size_t after) noexcept;
  // Tells whoever is to make readers let go, if they hold more than they may.
  void CheckLimit() noexcept {
    if (held() > held_max_.load(std::memory_order_relaxed)) Tell(over_limit_);
  }

  std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }

  // `freed_much` is called, on any thread, where LetGo() finds what HasFreedMuch() would.
  void SetFreedHook(std::function<void()> freed_much);
  // `over_limit` is called, on any thread, while more than `held_max` bytes are held: whenever
  // CheckLimit() finds that, but never twice at a time. Zero: no limit. When this returns, hooks
  // that were set before are not called any more.
  void SetLimit(std::size_t held_max, std::function<void()> over_limit);

 private:
  struct Hook {
    std::atomic<bool> busy = false;   // a thread is calling
    std::atomic<bool> again = false;  // and has to once more
    Mutex mutex;
    std::function<void()> call PGW_GUARDED_BY(mutex);
  };

  static void Tell(Hook& hook) noexcept;
  std::size_t in_use() const noexcept {
    return stored_.load(std::memory_order_relaxed) + held_.load(std::memory_order_relaxed);
  }
  std::size_t Fallen() const noexcept {
    const std::size_t peak = peak_.load(std::memory_order_relaxed);
    const std::size_t now = in_use();
    return peak > now ? peak - now : 0;
  }
  std::size_t Worth() const noexcept {
    const std::size_t part = in_use() / kStorePartsPerFall;
    return part > kFallWorthTelling ? part : kFallWorthTelling;
  }
  void NotePeak() noexcept {
    const std::size_t now = in_use();
    std::size_t peak = peak_.load(std::memory_order_relaxed);
    while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
  }

  static constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);

  // One cache line, read by each push.
  alignas(kCacheLine) std::atomic<std::size_t> held_ = 0;
  std::atomic<std::size_t> stored_ = 0;
  std::atomic<std::size_t> peak_ = 0;  // of both together, since TakeFreed() last told any
  std::atomic<std::size_t> held_max_ = kNoLimit;
  std::atomic<bool> told_ = false;
  Hook freed_much_;
  Hook over_limit_;
};

// What one reader keeps in memory beside the blocks it holds.
class ReaderCharge {
 public:
  explicit ReaderCharge(std::shared_ptr<MemoryAccount> account) : account_(std::move(account)) {}
  ~ReaderCharge() { Set(0); }
  ReaderCharge(const ReaderCharge&) = delete;
  ReaderCharge& operator=(const ReaderCharge&) = delete;

  void Set(std::size_t bytes) noexcept {
    if (bytes == bytes_) return;
    account_->Recharge(bytes_, bytes);
    bytes_ = bytes;
  }

 private:
  const std::shared_ptr<MemoryAccount> account_;
  std::size_t bytes_ = 0;
};

}  // namespace pgw
