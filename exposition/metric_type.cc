#include "exposition/metric_type.h"

#include <cassert>

namespace pgw {

std::string_view UpperName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "COUNTER";
    case MetricType::kGauge:
      return "GAUGE";
    case MetricType::kSummary:
      return "SUMMARY";
    case MetricType::kUntyped:
      return "UNTYPED";
    case MetricType::kHistogram:
      return "HISTOGRAM";
    case MetricType::kGaugeHistogram:
      return "GAUGE_HISTOGRAM";
  }
  assert(false);
  return "UNTYPED";
}

std::string_view TypeLineName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kSummary:
      return "summary";
    case MetricType::kUntyped:
      return "untyped";
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram:
      return "histogram";
  }
  assert(false);
  return "untyped";
}

}  // namespace pgw
