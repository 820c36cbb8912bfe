#include "exposition/protobuf_writer.h"

#include <cassert>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include "exposition/metrics.pb.h"
#include "exposition/wire.h"

namespace pgw {
namespace {

namespace pb = ::io::prometheus::client;

constexpr double kTwoTo64 = 18446744073709551616.0;

bool IsCount(double value) { return value >= 0 && value < kTwoTo64 && value == std::floor(value); }

// As an integer field takes it: cut off, and kept within its range.
std::uint64_t ToCount(double value) {
  if (!(value > 0)) return 0;
  if (value >= kTwoTo64) return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>(value);
}

template <typename Visitor>
void ForEachPoint(const FamilySet& set, const Metric& metric, Visitor visit) {
  for (std::uint32_t i = metric.first_point; i != kNoIndex; i = set.points[i].next) {
    visit(set.points[i]);
  }
}

// Appends a string field with `name` in the given form.
void AppendNameField(std::uint32_t number, std::string_view name, Escaping escaping,
                     std::string& out) {
  if (escaping == Escaping::kAllowUtf8 || !NeedsEscaping(name)) {
    AppendBytesField(number, name, out);
  } else {
    AppendBytesField(number, EscapeName(name, escaping), out);
  }
}

void AppendLabels(const FamilySet& set, const Metric& metric, Escaping escaping, std::string& out) {
  std::string pair;
  for (std::uint32_t i = 0; i < metric.label_count; ++i) {
    const Label& label = set.labels[metric.first_label + i];
    pair.clear();
    AppendNameField(pb::LabelPair::kNameFieldNumber, label.name, escaping, pair);
    AppendBytesField(pb::LabelPair::kValueFieldNumber, label.value, pair);
    AppendBytesField(pb::Metric::kLabelFieldNumber, pair, out);
  }
}

// Counter, Gauge and Untyped have their value in the same field.
std::string ScalarMessage(const Metric& metric) {
  std::string out;
  AppendDoubleField(pb::Gauge::kValueFieldNumber, metric.value.value(), out);
  return out;
}

std::string SummaryMessage(const FamilySet& set, const Metric& metric) {
  std::string out;
  AppendVarintField(pb::Summary::kSampleCountFieldNumber, ToCount(metric.count.value()), out);
  AppendDoubleField(pb::Summary::kSampleSumFieldNumber, metric.sum.value(), out);
  std::string quantile;
  ForEachPoint(set, metric, [&](const Point& point) {
    quantile.clear();
    AppendDoubleField(pb::Quantile::kQuantileFieldNumber, point.bound.value(), quantile);
    AppendDoubleField(pb::Quantile::kValueFieldNumber, point.value.value(), quantile);
    AppendBytesField(pb::Summary::kQuantileFieldNumber, quantile, out);
  });
  return out;
}

std::string HistogramMessage(const FamilySet& set, const Metric& metric) {
  // One count that is no integer turns all of them into floats, as reading text does.
  bool integral = IsCount(metric.count.value());
  ForEachPoint(set, metric, [&](const Point& point) { integral &= IsCount(point.value.value()); });

  std::string out;
  if (integral) {
    AppendVarintField(pb::Histogram::kSampleCountFieldNumber, ToCount(metric.count.value()), out);
  }
  AppendDoubleField(pb::Histogram::kSampleSumFieldNumber, metric.sum.value(), out);
  std::string bucket;
  ForEachPoint(set, metric, [&](const Point& point) {
    bucket.clear();
    if (integral) {
      AppendVarintField(pb::Bucket::kCumulativeCountFieldNumber, ToCount(point.value.value()),
                        bucket);
    }
    AppendDoubleField(pb::Bucket::kUpperBoundFieldNumber, point.bound.value(), bucket);
    if (!integral) {
      AppendDoubleField(pb::Bucket::kCumulativeCountFloatFieldNumber, point.value.value(), bucket);
    }
    AppendBytesField(pb::Histogram::kBucketFieldNumber, bucket, out);
  });
  if (!integral) {
    AppendDoubleField(pb::Histogram::kSampleCountFloatFieldNumber, metric.count.value(), out);
  }
  return out;
}

void AppendValues(const FamilySet& set, const Metric& metric, std::string& out) {
  if (metric.kinds & kHasGauge) {
    AppendBytesField(pb::Metric::kGaugeFieldNumber, ScalarMessage(metric), out);
  }
  if (metric.kinds & kHasCounter) {
    AppendBytesField(pb::Metric::kCounterFieldNumber, ScalarMessage(metric), out);
  }
  if (metric.kinds & kHasSummary) {
    AppendBytesField(pb::Metric::kSummaryFieldNumber, SummaryMessage(set, metric), out);
  }
  if (metric.kinds & kHasUntyped) {
    AppendBytesField(pb::Metric::kUntypedFieldNumber, ScalarMessage(metric), out);
  }
  // Text keeps no more of a timestamp than that there was one, which is enough to be refused.
  if (metric.has_timestamp) AppendVarintField(pb::Metric::kTimestampMsFieldNumber, 0, out);
  if (metric.kinds & kHasHistogram) {
    AppendBytesField(pb::Metric::kHistogramFieldNumber, HistogramMessage(set, metric), out);
  }
}

}  // namespace

void AppendMetricMessage(const FamilySet& set, const Metric& metric, Escaping escaping,
                         std::string& out) {
  AppendLabels(set, metric, escaping, out);
  if (metric.message == nullptr) {
    AppendValues(set, metric, out);
    return;
  }
  // Its labels are in the set alone.
  const auto* message = static_cast<const pb::Metric*>(metric.message);
  assert(message->label_size() == 0);
  message->AppendToString(&out);
}

std::string SerializeFamily(const FamilySet& set, const Family& family, Escaping escaping) {
  std::string out;
  AppendNameField(pb::MetricFamily::kNameFieldNumber, family.name, escaping, out);
  if (family.has_help) AppendBytesField(pb::MetricFamily::kHelpFieldNumber, family.help, out);
  AppendVarintField(pb::MetricFamily::kTypeFieldNumber, static_cast<std::uint64_t>(family.type),
                    out);
  std::string metric;
  for (std::uint32_t i = family.first_metric; i != kNoIndex; i = set.metrics[i].next) {
    metric.clear();
    AppendMetricMessage(set, set.metrics[i], escaping, metric);
    AppendBytesField(pb::MetricFamily::kMetricFieldNumber, metric, out);
  }
  return out;
}

void AppendDelimitedFamily(const FamilySet& set, const Family& family, Escaping escaping,
                           std::string& out) {
  const std::string message = SerializeFamily(set, family, escaping);
  AppendVarint(message.size(), out);
  out += message;
}

}  // namespace pgw
