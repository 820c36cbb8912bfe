// When something ceases to exist, as the store keeps it. Knows base/clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

#include "base/clock.h"

namespace pgw {

// Nanoseconds of BootTime.
using Deadline = std::int64_t;

// The deadline of a slot that holds nothing: before any instant.
inline constexpr Deadline kFreeSlot = std::numeric_limits<Deadline>::min();

// The beginning of time, when nothing has expired yet.
inline constexpr Deadline kBeforeAll = kFreeSlot;

inline Deadline ToDeadline(BootTime time) { return time.time_since_epoch().count(); }
inline BootTime ToBootTime(Deadline deadline) {
  return BootTime(std::chrono::nanoseconds(deadline));
}

// Nanoseconds of WallTime, which is how members and groups keep when they were pushed.
inline std::int64_t ToNanoseconds(WallTime time) { return time.time_since_epoch().count(); }
inline WallTime ToWallTime(std::int64_t nanoseconds) {
  return WallTime(std::chrono::nanoseconds(nanoseconds));
}

}  // namespace pgw
