// What all unfinished requests may hold together: bodies, and heads beyond a few KB. Knows nothing.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace pgw::http {

// Thread-safe, without locks. A zero limit only counts.
//
// Half-received bodies could use up everything and then wait for each other for ever. So as much as
// one body may need is set aside, and one body at a time may finish with it. In all, bodies hold
// `bytes_max` (and a few KB each for what arrived together with a head); half as much again if one
// body may be larger than half of it.
class BodyBudget {
 public:
  // `body_bytes_max`: of one body; 0 if that is unlimited.
  BodyBudget(std::uint64_t bytes_max, std::uint64_t body_bytes_max)
      : bytes_max_(bytes_max),
        common_bytes_max_(bytes_max - (body_bytes_max == 0
                                           ? bytes_max / 2
                                           : std::min(body_bytes_max, bytes_max / 2))) {}

  // Takes `bytes`, all or nothing.
  [[nodiscard]] bool Take(std::uint64_t bytes) {
    std::uint64_t used = used_.load();
    do {
      if (bytes_max_ != 0 && (used > common_bytes_max_ || bytes > common_bytes_max_ - used)) {
        return false;
      }
    } while (!used_.compare_exchange_weak(used, used + bytes));
    NotePeak(used + bytes);
    return true;
  }

  // Whoever holds the reserve takes anyway.
  [[nodiscard]] bool ClaimReserve() { return !reserve_claimed_.exchange(true); }
  void ReleaseReserve() { reserve_claimed_.store(false); }

  // Also for bytes that are here already.
  void TakeAnyway(std::uint64_t bytes) { NotePeak(used_.fetch_add(bytes) + bytes); }

  // True if somebody waits and should be told: see Wait().
  [[nodiscard]] bool Return(std::uint64_t bytes) {
    used_.fetch_sub(bytes);
    return waiting_.load() != 0;
  }

  // Announces one that could not take anything, and then has to try once more: between the two
  // attempts another thread may have returned its share without having seen anybody wait.
  void Wait() { waiting_.fetch_add(1); }
  void StopWaiting() { waiting_.fetch_sub(1); }

  bool Exhausted() const { return bytes_max_ != 0 && used() >= common_bytes_max_; }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }

  // By how much less is used now than at the most since ForgetPeak(). Approximate while others take
  // and return.
  std::uint64_t FallenBytes() const {
    const std::uint64_t peak = peak_.load(std::memory_order_relaxed);
    return peak - std::min(peak, used());
  }
  void ForgetPeak() { peak_.store(used(), std::memory_order_relaxed); }

 private:
  void NotePeak(std::uint64_t used) {
    std::uint64_t peak = peak_.load(std::memory_order_relaxed);
    while (used > peak && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
    }
  }

  const std::uint64_t bytes_max_;
  const std::uint64_t common_bytes_max_;
  std::atomic<std::uint64_t> used_{0};
  std::atomic<std::uint64_t> peak_{0};
  std::atomic<std::uint32_t> waiting_{0};
  std::atomic<bool> reserve_claimed_{false};
};

}  // namespace pgw::http
