#include "server/embed/prometheus_cpp/pushed_metrics.h"

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "exposition/family_set.h"
#include "exposition/names.h"
#include "store/snapshot.h"

namespace pgw::embed {
namespace {

using prometheus::ClientMetric;

std::string EmittedName(std::string_view name) {
  return NeedsEscaping(name) ? EscapeName(name, Escaping::kUnderscores) : std::string(name);
}

prometheus::MetricType TypeOf(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricType::kSummary:
      return prometheus::MetricType::Summary;
    case MetricType::kUntyped:
      return prometheus::MetricType::Untyped;
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

// Pushed counts may be anything a double can be.
std::uint64_t WholeCount(const Number& number) {
  constexpr double kLimit = 18446744073709551616.0;  // 2^64
  const double value = number.value();
  if (!(value > 0)) return 0;  // NaN too
  return value < kLimit ? static_cast<std::uint64_t>(value) : UINT64_MAX;
}

void SetSummary(const FamilySet& set, const Metric& metric, ClientMetric::Summary& out) {
  out.sample_count = WholeCount(metric.count);
  out.sample_sum = metric.sum.value();
  out.quantile.reserve(metric.point_count);
  for (std::uint32_t i = metric.first_point; i != kNoIndex; i = set.points[i].next) {
    const Point& point = set.points[i];
    out.quantile.push_back({point.bound.value(), point.value.value()});
  }
}

void SetHistogram(const FamilySet& set, const Metric& metric, ClientMetric::Histogram& out) {
  out.sample_count = WholeCount(metric.count);
  out.sample_sum = metric.sum.value();
  out.bucket.reserve(metric.point_count);
  for (std::uint32_t i = metric.first_point; i != kNoIndex; i = set.points[i].next) {
    const Point& point = set.points[i];
    out.bucket.push_back({WholeCount(point.value), point.bound.value()});
  }
}

ClientMetric ToClientMetric(const FamilySet& set, MetricType type, const Metric& metric) {
  ClientMetric result;
  result.label.reserve(metric.label_count);
  for (std::uint32_t i = 0; i < metric.label_count; ++i) {
    const Label& label = set.labels[metric.first_label + i];
    result.label.push_back({EmittedName(label.name), std::string(label.value)});
  }
  // A metric of another kind, which only unchecked pushes store, shows as an empty one.
  if ((metric.kinds & ValueKindOf(type)) == 0) return result;
  switch (type) {
    case MetricType::kCounter:
      result.counter.value = metric.value.value();
      break;
    case MetricType::kGauge:
      result.gauge.value = metric.value.value();
      break;
    case MetricType::kUntyped:
      result.untyped.value = metric.value.value();
      break;
    case MetricType::kSummary:
      SetSummary(set, metric, result.summary);
      break;
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram:
      SetHistogram(set, metric, result.histogram);
      break;
  }
  return result;
}

prometheus::MetricFamily ToMetricFamily(const Snapshot& snapshot, std::size_t index,
                                        FamilySet& set) {
  const Snapshot::FamilyView view = snapshot.family(index);
  prometheus::MetricFamily family;
  family.name = EmittedName(view.name);
  family.help = view.help;
  family.type = TypeOf(view.type);
  snapshot.VisitSamples(index, [&](const StoredSamples& samples) {
    set.Clear();
    // Should they not be readable, the group's part is missing.
    if (!ReadStoredSamples(view.name, view.type, samples, set)) return;
    const Family& part = set.families.front();
    for (std::uint32_t i = part.first_metric; i != kNoIndex; i = set.metrics[i].next) {
      family.metric.push_back(ToClientMetric(set, view.type, set.metrics[i]));
    }
  });
  set.Clear();  // its views end with the snapshot
  return family;
}

std::vector<prometheus::MetricFamily> Convert(const Snapshot& snapshot) {
  std::vector<prometheus::MetricFamily> families;
  families.reserve(snapshot.family_count());
  FamilySet set;
  for (std::size_t i = 0; i < snapshot.family_count(); ++i) {
    prometheus::MetricFamily family = ToMetricFamily(snapshot, i, set);
    if (!family.metric.empty()) families.push_back(std::move(family));
  }
  return families;
}

}  // namespace

std::vector<prometheus::MetricFamily> PushedMetrics::Collect() const {
  try {
    const std::shared_ptr<const Snapshot> snapshot = store_.SnapshotAt(clock_.Now());
    if (snapshot->inconsistency()) return {};
    return Convert(*snapshot);
  } catch (const std::bad_alloc&) {
    return {};
  }
}

}  // namespace pgw::embed
