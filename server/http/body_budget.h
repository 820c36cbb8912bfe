// What all unfinished request bodies may hold together. Knows nothing.
#pragma once

#include <atomic>
#include <cstdint>

namespace pgw::http {

// Thread-safe, without locks. A zero limit only counts.
class BodyBudget {
 public:
  explicit BodyBudget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Takes `bytes`, all or nothing.
  [[nodiscard]] bool Take(std::uint64_t bytes) {
    std::uint64_t used = used_.load(std::memory_order_relaxed);
    do {
      if (bytes_max_ != 0 && (used > bytes_max_ || bytes > bytes_max_ - used)) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_seq_cst));
    return true;
  }

  // For bytes that are here already.
  void TakeAnyway(std::uint64_t bytes) { used_.fetch_add(bytes, std::memory_order_seq_cst); }

  // True if somebody waits and should be told: see Wait().
  [[nodiscard]] bool Return(std::uint64_t bytes) {
    if (bytes == 0) return false;
    used_.fetch_sub(bytes, std::memory_order_seq_cst);
    return waiting_.load(std::memory_order_seq_cst) != 0;
  }

  // Announces one that could not Take() and then has to try once more: between the two attempts
  // another thread may have returned its share without having seen anybody wait.
  void Wait() { waiting_.fetch_add(1, std::memory_order_seq_cst); }
  void StopWaiting() { waiting_.fetch_sub(1, std::memory_order_seq_cst); }

  bool Exhausted() const { return bytes_max_ != 0 && used() >= bytes_max_; }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  std::uint64_t bytes_max() const { return bytes_max_; }

 private:
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> used_{0};
  std::atomic<std::uint32_t> waiting_{0};
};

}  // namespace pgw::http
