// What the Go Pushgateway keeps in its persistence file, as plain views. Knows base.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace pgw {

struct GobFamily {
  std::string_view name;
  // When it was pushed. Nullopt: not recorded, or a year that nanoseconds in 64 bits do not reach
  // (1677 to 2262).
  std::optional<WallTime> pushed;
  // A serialised io.prometheus.client.MetricFamily, not looked into. Nullopt: the file has none,
  // which the Go Pushgateway reports as corruption of this family alone.
  std::optional<std::string_view> message;
};

// One group with everything that was pushed to it, the two bookkeeping families included.
struct GobGroup {
  std::vector<std::pair<std::string_view, std::string_view>> labels;  // in no order
  std::vector<GobFamily> families;                                    // in no order
};

// Called for one group after the other; its error ends the walk. The views live during the call.
using GobVisitor = std::function<Status(const GobGroup&)>;

}  // namespace pgw
