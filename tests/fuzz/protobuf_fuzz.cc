// Delimited protobuf bodies: whatever we accept, the protobuf library accepts and reads alike, and
// survives being written and read again; the text lines of a metric give it again, unless
// beyond_lines says otherwise.
#include <google/protobuf/repeated_field.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "exposition/debug_string.h"
#include "exposition/metrics.pb.h"
#include "exposition/names.h"
#include "exposition/protobuf_reader.h"
#include "exposition/protobuf_writer.h"
#include "exposition/wire.h"
#include "tests/fuzz/text_round_trip.h"

namespace {

namespace pb = ::io::prometheus::client;
using namespace pgw;  // NOLINT: a program of one file

void CheckFailed(const char* condition, int line) {
  std::fprintf(stderr, "line %d: %s\n", line, condition);
  std::abort();
}
#define CHECK(condition) ((condition) ? void() : CheckFailed(#condition, __LINE__))

bool SameBits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

double CountOf(double floating, std::uint64_t integer) {
  return floating > 0 ? floating : static_cast<double>(integer);
}

// One after the other the points of `metric`.
class PointWalk {
 public:
  PointWalk(const FamilySet& set, const Metric& metric) : set_(set), next_(metric.first_point) {}
  void Expect(double bound, double value) {
    CHECK(next_ != kNoIndex);
    const Point& point = set_.points[next_];
    CHECK(SameBits(point.bound.value(), bound));
    CHECK(SameBits(point.value.value(), value));
    next_ = point.next;
  }
  void ExpectEnd() const { CHECK(next_ == kNoIndex); }

 private:
  const FamilySet& set_;
  std::uint32_t next_;
};

void CheckHistogram(const pb::Histogram& expected, const Metric& metric, PointWalk& points) {
  CHECK(SameBits(metric.sum.value(), expected.sample_sum()));
  CHECK(SameBits(metric.count.value(),
                 CountOf(expected.sample_count_float(), expected.sample_count())));
  for (const pb::Bucket& bucket : expected.bucket()) {
    points.Expect(bucket.upper_bound(),
                  CountOf(bucket.cumulative_count_float(), bucket.cumulative_count()));
  }
}

void CheckSummary(const pb::Summary& expected, const Metric& metric, PointWalk& points) {
  CHECK(SameBits(metric.sum.value(), expected.sample_sum()));
  CHECK(SameBits(metric.count.value(), static_cast<double>(expected.sample_count())));
  for (const pb::Quantile& quantile : expected.quantile()) {
    points.Expect(quantile.quantile(), quantile.value());
  }
}

void CheckValues(const pb::Metric& expected, MetricType type, const FamilySet& set,
                 const Metric& metric) {
  double value = expected.untyped().value();
  if (expected.has_counter()) value = expected.counter().value();
  if (expected.has_gauge()) value = expected.gauge().value();
  if (type == MetricType::kUntyped && expected.has_untyped()) value = expected.untyped().value();
  if (type == MetricType::kCounter && expected.has_counter()) value = expected.counter().value();
  CHECK(SameBits(metric.value.value(), value));

  PointWalk points(set, metric);
  if (expected.has_summary() && (type == MetricType::kSummary || !expected.has_histogram())) {
    CheckSummary(expected.summary(), metric, points);
  } else {
    CheckHistogram(expected.histogram(), metric, points);
  }
  points.ExpectEnd();
}

void CheckMetric(const pb::Metric& expected, MetricType type, const FamilySet& set,
                 const Metric& metric) {
  CHECK(metric.label_count == static_cast<std::uint32_t>(expected.label_size()));
  for (std::uint32_t i = 0; i < metric.label_count; ++i) {
    const Label& label = set.labels.at(metric.first_label + i);
    CHECK(label.name == expected.label(static_cast<int>(i)).name());
    CHECK(label.value == expected.label(static_cast<int>(i)).value());
  }
  const int kinds =
      (expected.has_gauge() ? kHasGauge : 0) | (expected.has_counter() ? kHasCounter : 0) |
      (expected.has_summary() ? kHasSummary : 0) | (expected.has_untyped() ? kHasUntyped : 0) |
      (expected.has_histogram() ? kHasHistogram : 0);
  CHECK(metric.kinds == kinds);
  CHECK(metric.has_timestamp == expected.has_timestamp_ms());
  CHECK((metric.message != nullptr) == metric.beyond_lines);
  CheckValues(expected, type, set, metric);

  // What is written carries everything but the unknown fields of labels.
  std::string written;
  AppendMetricMessage(set, metric, Escaping::kAllowUtf8, written);
  pb::Metric again;
  CHECK(again.ParseFromString(written));
  if (metric.message != nullptr) {
    pb::Metric bare = expected;
    bare.clear_label();
    again.clear_label();
    CHECK(again.SerializeAsString() == bare.SerializeAsString());
  }
}

void CheckFamily(const pb::MetricFamily& expected, const FamilySet& set, const Family& family) {
  CHECK(family.name == expected.name());
  CHECK(!family.name.empty() && IsValidUtf8(family.name));
  CHECK(family.help == expected.help());
  CHECK(family.has_help == expected.has_help());
  CHECK(static_cast<int>(family.type) == static_cast<int>(expected.type()));
  CHECK(family.metric_count == static_cast<std::uint32_t>(expected.metric_size()));
  std::uint32_t index = family.first_metric;
  for (const pb::Metric& metric : expected.metric()) {
    CHECK(index != kNoIndex);
    CheckMetric(metric, family.type, set, set.metrics[index]);
    index = set.metrics[index].next;
  }
  CHECK(index == kNoIndex);
}

// Labels that lines can carry: the concern of whoever looks at the final ones.
bool HasTidyLabels(const FamilySet& set, const Metric& metric) {
  std::set<std::string_view> names;
  for (std::uint32_t i = 0; i < metric.label_count; ++i) {
    const Label& label = set.labels[metric.first_label + i];
    if (!IsLegacyLabelName(label.name) || !IsValidUtf8(label.value) || label.name == "le" ||
        label.name == "quantile" || label.name == "__name__" || !names.insert(label.name).second) {
      return false;
    }
  }
  return true;
}

void CheckLines(const FamilySet& set, const Family& family, const Metric& metric) {
  if (metric.beyond_lines || !HasTidyLabels(set, metric)) return;
  FamilySet single;
  single.families.push_back(family);
  single.families[0].metric_count = 0;
  Metric& copy = single.metrics.at(single.AddMetric(0));
  copy = metric;
  copy.next = kNoIndex;
  single.labels = set.labels;
  single.points = set.points;
  const std::string problem = StoredLinesProblem(single, single.families[0]);
  if (!problem.empty()) std::fprintf(stderr, "%s\n", problem.c_str());
  CHECK(problem.empty());
}

void CheckRoundTrip(const FamilySet& set, const Family& family) {
  const std::string bytes = SerializeFamily(set, family, Escaping::kAllowUtf8);
  FamilySet again;
  CHECK(ParseFamilyMessage(bytes, again).ok());
  CHECK(again.families.size() == 1);
  CHECK(SerializeFamily(again, again.families[0], Escaping::kAllowUtf8) == bytes);
  std::string text;
  std::string text_again;
  for (const bool compact : {true, false}) {
    AppendFamilyDebugText(set, family, Escaping::kValues, compact, text);
    AppendFamilyDebugText(again, again.families[0], Escaping::kValues, compact, text_again);
  }
  CHECK(text == text_again);
  CHECK(IsValidUtf8(text));
}

void CheckAgainstLibrary(std::string_view body, const FamilySet& set) {
  std::map<std::string, pb::MetricFamily> last_of_name;
  while (!body.empty()) {
    std::uint64_t size = 0;
    CHECK(ConsumeVarint(body, size) == VarintStatus::kOk);
    CHECK(size <= body.size());
    pb::MetricFamily family;
    CHECK(family.ParseFromArray(body.data(), static_cast<int>(size)));
    body.remove_prefix(static_cast<std::size_t>(size));
    last_of_name[family.name()] = std::move(family);
  }
  CHECK(set.families.size() == last_of_name.size());
  for (const Family& family : set.families) {
    const auto expected = last_of_name.find(std::string(family.name));
    CHECK(expected != last_of_name.end());
    CheckFamily(expected->second, set, family);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  FamilySet set;
  if (!ParseDelimited(body, set).ok()) return 0;
  CheckAgainstLibrary(body, set);
  for (const Family& family : set.families) {
    CheckRoundTrip(set, family);
    for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set.metrics[m].next) {
      CheckLines(set, family, set.metrics[m]);
    }
  }
  return 0;
}
