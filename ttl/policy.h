// How long pushed metrics live. Knows base.
//
// Rules: docs/ttl.md. Pure: time is an argument.
#pragma once

#include <chrono>

#include "base/clock.h"

namespace pgw {

class TtlPolicy {
 public:
  // `ttl` counts from the instant when a push was completely received. Zero: for ever.
  // REQUIRES: not negative.
  explicit TtlPolicy(std::chrono::nanoseconds ttl) : ttl_(ttl) {}

  bool enabled() const { return ttl_.count() > 0; }
  std::chrono::nanoseconds ttl() const { return ttl_; }

  // When what was pushed at `pushed` ceases to exist: exactly then it is absent. kNever if TTL is
  // off, or so long that the clock does not get there.
  BootTime DeadlineFor(BootTime pushed) const {
    return enabled() ? SaturatingAdd(pushed, ttl_) : kNever;
  }

 private:
  std::chrono::nanoseconds ttl_;
};

}  // namespace pgw
