// The types a metric family can have. Numbers as in io.prometheus.client.MetricType.
#pragma once

#include <cstdint>
#include <string_view>

namespace pgw {

enum class MetricType : std::uint8_t {
  kCounter = 0,
  kGauge = 1,
  kSummary = 2,
  kUntyped = 3,
  kHistogram = 4,
  kGaugeHistogram = 5,
};

inline constexpr int kMetricTypeCount = 6;

// COUNTER, GAUGE, …, GAUGE_HISTOGRAM: as the JSON API and error texts spell them.
std::string_view UpperName(MetricType type);

// counter, gauge, summary, untyped, histogram: as a TYPE line spells them. A gauge histogram
// prints as histogram, as upstream does.
std::string_view TypeLineName(MetricType type);

}  // namespace pgw
