// Which family names exclude each other because of the lines that histograms and summaries
// expose. Knows exposition. Rules and texts: client_golang's checkSuffixCollisions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "exposition/metric_type.h"

namespace pgw {

// A set of metric types, as bits.
using TypeMask = std::uint8_t;

constexpr TypeMask MaskOf(MetricType type) {
  return static_cast<TypeMask>(1u << static_cast<unsigned>(type));
}

// A family found under an exposed name.
struct ExposedFamily {
  std::string_view name;  // as pushed; may need escaping
  TypeMask types = 0;     // 0: there is no such family
};

// Why a family of that name and type cannot join those that `find` knows, or nothing. `exposed` is
// the name in the default escaping, `pushed` as it was pushed. `find` looks an exposed name up.
std::optional<std::string> FindSuffixCollision(
    std::string_view pushed, std::string_view exposed, MetricType type,
    const std::function<ExposedFamily(std::string_view exposed)>& find);

}  // namespace pgw
