// Time as a value. Knows nothing.
//
// Deadlines live on the boot clock (never set, counts suspend); the wall clock is only shown and
// recorded. Both are nanoseconds. Everything below server/main takes an Instant as an argument;
// only main creates a SystemClock.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pgw {

// Tag for time points since boot. It has no now(): ask a Clock.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};

using BootTime = BootClock::time_point;
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

// Later than any instant: the deadline of what lives for ever.
inline constexpr BootTime kNever = BootTime::max();

// A duration from a flag, a file or a client may be anything that its type holds, and so may an
// instant from a file. Where one meets the other the sum may be beyond what 64 bits of nanoseconds
// hold (the years 1677 to 2262 on the wall clock); then it is the last or the first instant there
// is.
template <typename TimePoint, typename Rep, typename Period>
constexpr TimePoint SaturatingAdd(TimePoint time, std::chrono::duration<Rep, Period> span) {
  using Span = std::chrono::duration<Rep, Period>;
  using Duration = typename TimePoint::duration;
  // A span of a coarser unit may be beyond it before anything is added.
  if (span > std::chrono::duration_cast<Span>(Duration::max())) return TimePoint::max();
  if (span < std::chrono::duration_cast<Span>(Duration::min())) return TimePoint::min();
  const Duration exact = std::chrono::duration_cast<Duration>(span);
  typename Duration::rep sum{};
  if (__builtin_add_overflow(time.time_since_epoch().count(), exact.count(), &sum)) {
    return span > Span::zero() ? TimePoint::max() : TimePoint::min();
  }
  return TimePoint(Duration(sum));
}

// From `earlier` to `later`, or the longest duration there is; negative if they are the other way
// round.
template <typename TimePoint>
constexpr typename TimePoint::duration SaturatingDifference(TimePoint later, TimePoint earlier) {
  using Duration = typename TimePoint::duration;
  typename Duration::rep difference{};
  if (__builtin_sub_overflow(later.time_since_epoch().count(), earlier.time_since_epoch().count(),
                             &difference)) {
    return later > earlier ? Duration::max() : Duration::min();
  }
  return Duration(difference);
}

// One moment, read from both clocks together.
struct Instant {
  BootTime boot;
  WallTime wall;
};

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant Now() const = 0;
  // Where the time of day does not matter: half the cost.
  virtual BootTime BootNow() const { return Now().boot; }
};

// CLOCK_BOOTTIME (CLOCK_MONOTONIC where the kernel lacks it) and CLOCK_REALTIME.
class SystemClock final : public Clock {
 public:
  Instant Now() const override;
  BootTime BootNow() const override;
};

// Names the boot that CLOCK_BOOTTIME counts from; empty if the system does not tell.
std::string SystemBootId();

// Seconds since the Unix epoch as Go computes them: nanoseconds / 1e9, in double.
double UnixSeconds(WallTime time);

}  // namespace pgw
