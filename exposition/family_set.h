// Metric families between the wire and the store: what a parser fills and a writer prints.
// Knows base.
//
// Flat arrays, linked by index: filling a set allocates nothing once its arrays have grown, and
// a family's metrics, a metric's labels and points lie next to each other in the usual case.
// Strings are views: into the body that was parsed, into the set's own arena (text that had
// escapes), or into the protobuf message that the set keeps alive.
//
// Not thread-safe. A set must not outlive the body it was parsed from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string_view>
#include <vector>

#include "exposition/metric_type.h"
#include "exposition/number.h"

namespace pgw {

struct Label {
  std::string_view name;
  std::string_view value;

  friend bool operator==(const Label&, const Label&) = default;
  friend auto operator<=>(const Label&, const Label&) = default;
};

inline constexpr std::uint32_t kNoIndex = 0xffffffff;

// A bucket of a classic histogram (upper bound, cumulative count), or a quantile of a summary
// (quantile, value).
struct Point {
  Number bound;
  Number value;
  std::uint32_t next = kNoIndex;  // the metric's next point
};

// Which value messages a metric carries, as bits. Text gives exactly one; protobuf may give none
// or several, which the consistency check then refuses.
enum ValueKind : std::uint8_t {
  kHasGauge = 1,
  kHasCounter = 2,
  kHasSummary = 4,
  kHasUntyped = 8,
  kHasHistogram = 16,
};

// The value message that a metric of a family of this type must have.
constexpr std::uint8_t ValueKindOf(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return kHasCounter;
    case MetricType::kGauge:
      return kHasGauge;
    case MetricType::kSummary:
      return kHasSummary;
    case MetricType::kUntyped:
      return kHasUntyped;
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram:
      return kHasHistogram;
  }
  return 0;
}

// One sample, in the sense of protobuf's Metric: a histogram with all its buckets is one.
struct Metric {
  std::uint32_t first_label = 0;  // labels[first_label, first_label + label_count)
  std::uint32_t label_count = 0;  // without le and quantile of histograms and summaries
  std::uint32_t first_point = kNoIndex;
  std::uint32_t last_point = kNoIndex;
  std::uint32_t point_count = 0;
  std::uint32_t next = kNoIndex;  // the family's next metric
  Number value;                   // counter, gauge, untyped
  Number sum;                     // summary, histogram
  Number count;                   // summary, histogram: as text prints it
  std::uint8_t kinds = 0;         // ValueKind bits
  bool has_timestamp = false;
  // Set where the text lines of this metric, written with Escaping::kUnderscores and read back,
  // would not give this metric again: native buckets, exemplars, created timestamps, -0, a
  // histogram without +Inf bucket, counts that are no exact doubles, float counts that are all
  // integral, NaN quantiles, value messages that do not fit the type. (Names that need escaping
  // and label troubles are seen by whoever looks at the final labels.)
  bool beyond_lines = false;
  // The io.prometheus.client.Metric this came from, kept only where lines do not say everything;
  // null otherwise, and if it came from text. Owned by the set's backing.
  const void* message = nullptr;
};

struct Family {
  std::string_view name;
  std::string_view help;
  bool has_help = false;
  MetricType type = MetricType::kUntyped;
  bool type_fixed = false;      // in a text: by its TYPE line or its first sample
  std::uint64_t name_hash = 0;  // KeyedHash of the name; 0 where nobody has needed it yet
  std::uint32_t first_metric = kNoIndex;
  std::uint32_t last_metric = kNoIndex;
  std::uint32_t metric_count = 0;
};

class FamilySet {
 public:
  FamilySet();
  FamilySet(const FamilySet&) = delete;
  FamilySet& operator=(const FamilySet&) = delete;

  // Empties the set. Keeps array capacity for the next use, up to a bound.
  void Clear();

  // A copy of `text` that lives until Clear().
  std::string_view Intern(std::string_view text);

  // Bytes of memory, without what `backing` keeps alive.
  std::size_t footprint() const;

  // Appends a metric to a family and returns its index.
  std::uint32_t AddMetric(std::uint32_t family);
  // Appends a point to a metric.
  void AddPoint(std::uint32_t metric, Number bound, Number value);

  // True once the text parser has judged label names and values: they are valid. Protobuf's are
  // as they were sent.
  bool labels_valid = false;
  // True if, besides, no name in the set needs escaping: each stood bare in a text.
  bool names_plain = false;
  // A label value that lies in here holds nothing that lines escape: it stands there as they have
  // it.
  std::string_view verbatim;

  std::vector<Family> families;
  std::vector<Metric> metrics;
  std::vector<Label> labels;
  std::vector<Point> points;
  // Keeps alive what the views and Metric::message point into, where that is not the body.
  std::vector<std::shared_ptr<const void>> backing;

 private:
  std::unique_ptr<std::pmr::monotonic_buffer_resource> arena_;
  std::size_t interned_bytes_ = 0;
};

// Inline: the parsers call these once per sample line.

inline std::uint32_t FamilySet::AddMetric(std::uint32_t family) {
  const auto index = static_cast<std::uint32_t>(metrics.size());
  metrics.emplace_back();
  Family& owner = families[family];
  if (owner.metric_count++ == 0) {
    owner.first_metric = index;
  } else {
    metrics[owner.last_metric].next = index;
  }
  owner.last_metric = index;
  return index;
}

inline void FamilySet::AddPoint(std::uint32_t metric, Number bound, Number value) {
  const auto index = static_cast<std::uint32_t>(points.size());
  points.push_back({bound, value, kNoIndex});
  Metric& owner = metrics[metric];
  if (owner.point_count++ == 0) {
    owner.first_point = index;
  } else {
    points[owner.last_point].next = index;
  }
  owner.last_point = index;
}

}  // namespace pgw
