// One run of a server, as far as what it has stored depends on it. Knows base.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "base/clock.h"

namespace pgw {

// Deadlines are instants on the clock of one boot, and come from one TTL. Who reads them back in
// another session needs both.
struct Session {
  static constexpr std::size_t kBootIdBytesMax = 64;

  // Names the boot whose clock `time.boot` is on; empty: not known, so no other session has it.
  std::string boot_id;
  std::chrono::nanoseconds ttl{0};  // 0: for ever
  // One moment of the session on both clocks, for instance its beginning.
  Instant time{};

  // Of what is pushed in it; as TtlPolicy.
  BootTime DeadlineFor(BootTime pushed) const {
    return ttl.count() == 0 ? kNever : SaturatingAdd(pushed, ttl);
  }

  bool SameBoot(const Session& other) const { return !boot_id.empty() && boot_id == other.boot_id; }
};

}  // namespace pgw
