// What all unfinished request bodies may hold together. Knows nothing.
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
    return true;
  }

  // Whoever holds the reserve takes anyway.
  [[nodiscard]] bool ClaimReserve() { return !reserve_claimed_.exchange(true); }
  void ReleaseReserve() { reserve_claimed_.store(false); }

  // Also for bytes that are here already.
  void TakeAnyway(std::uint64_t bytes) { used_.fetch_add(bytes); }

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

 private:
  const std::uint64_t bytes_max_;
  const std::uint64_t common_bytes_max_;
  std::atomic<std::uint64_t> used_{0};
  std::atomic<std::uint32_t> waiting_{0};
  std::atomic<bool> reserve_claimed_{false};
};

}  // namespace pgw::http
