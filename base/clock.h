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
