// A summary of observations as upstream's client library keeps it: quantiles over a window that
// slides in steps, count and sum since the start. Knows base.
//
// Observing costs a few relaxed atomic additions, on counters that threads seldom share. Values
// are whole numbers (bytes, nanoseconds); quantiles are right to 1 %.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"

namespace pgw {

// Counts the threads that ever asked, from 0: to give each a stripe of its own of some counters.
std::size_t ThreadNumber();

// Counters of a log-linear histogram: exact up to 127, then 64 steps to the power of two. Values
// from 2^48 on (three days in nanoseconds, 256 TB) count as 2^48 - 1.
class LogLinearBuckets {
 public:
  static constexpr std::size_t kValueBits = 48;
  static constexpr std::size_t kSubBits = 6;
  static constexpr std::size_t kCount = (kValueBits - kSubBits + 1) << kSubBits;

  static std::size_t IndexOf(std::uint64_t value);
  // The middle of a bucket.
  static double ValueOf(std::size_t index);
};

// Thread-safe. Time arrives as an argument and may be a little out of order.
class SlidingSummary {
 public:
  // The window covers between four and five of these, ending now.
  static constexpr std::chrono::minutes kStep{2};
  static constexpr std::size_t kSteps = 5;

  struct Reading {
    std::uint64_t count = 0;        // since the start
    double sum = 0;                 // since the start
    std::vector<double> quantiles;  // in the order asked for; NaN if the window is empty
  };

  explicit SlidingSummary(BootTime start) : start_(start) {}
  SlidingSummary(const SlidingSummary&) = delete;
  SlidingSummary& operator=(const SlidingSummary&) = delete;
  ~SlidingSummary();

  void Observe(std::uint64_t value, BootTime now);

  // `quantiles` in [0, 1].
  Reading Read(BootTime now, const std::vector<double>& quantiles) const;

  // True once something was observed.
  bool touched() const;

 private:
  static constexpr std::size_t kStripes = 4;
  static constexpr std::size_t kCacheLine = 64;

  // One step of the window.
  struct Slot {
    std::atomic<std::int64_t> step{-1};
    std::array<std::atomic<std::uint32_t>, LogLinearBuckets::kCount> counts{};
  };

  // What the threads of one stripe write. Allocated when first used.
  struct alignas(kCacheLine) Stripe {
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::uint64_t> sum{0};
    Mutex turning;  // held to empty a slot for its next step
    std::array<Slot, kSteps> slots;
  };

  std::int64_t StepOf(BootTime now) const;
  Stripe& StripeOfThisThread();
  static void TurnTo(Stripe& stripe, Slot& slot, std::int64_t step);

  const BootTime start_;
  std::array<std::atomic<Stripe*>, kStripes> stripes_{};
};

}  // namespace pgw
