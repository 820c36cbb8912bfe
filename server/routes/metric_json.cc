// One sample of the JSON API. Its members come sorted, as Go writes maps.
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/number.h"
#include "server/routes/json_text.h"
#include "server/routes/message_values.h"
#include "server/routes/metrics_json.h"

namespace pgw {
namespace {

using TextPairs = std::vector<std::pair<std::string, std::string>>;

std::string FloatText(double value) {
  std::string text;
  AppendFloatKeepingZeroSign(value, text);
  return text;
}

bool IsWhole(double count) { return count >= 0 && count < 0x1p64 && std::floor(count) == count; }

// Counts print as integers of any size unless they are fractions.
std::string CountText(double count) {
  return IsWhole(count) ? std::to_string(static_cast<std::uint64_t>(count)) : FloatText(count);
}

std::string CountText(const MessageCount& count) {
  return count.real > 0 ? FloatText(count.real) : std::to_string(count.integer);
}

void AppendQuoted(std::string_view digits, std::string& out) {
  out.append("\"").append(digits).append("\"");
}

// {"key":"value",…} sorted by key; of equal keys the last counts.
void AppendObject(const TextPairs& pairs, std::string& out) {
  std::map<std::string_view, std::string_view> sorted;
  for (const auto& [key, value] : pairs) sorted.insert_or_assign(key, value);
  out.push_back('{');
  bool first = true;
  for (const auto& [key, value] : sorted) {
    if (!std::exchange(first, false)) out.push_back(',');
    AppendJsonString(key, out);
    out.push_back(':');
    AppendJsonString(value, out);
  }
  out.push_back('}');
}

void AppendLabels(const FamilySet& set, const Metric& metric, std::string& out) {
  TextPairs pairs;
  pairs.reserve(metric.label_count);
  for (std::uint32_t i = 0; i < metric.label_count; ++i) {
    const Label& label = set.labels[metric.first_label + i];
    pairs.emplace_back(label.name, label.value);
  }
  out.append("\"labels\":");
  AppendObject(pairs, out);
}

template <typename Visitor>
void VisitPoints(const FamilySet& set, const Metric& metric, Visitor visit) {
  for (std::uint32_t i = metric.first_point; i != kNoIndex; i = set.points[i].next) {
    visit(set.points[i]);
  }
}

void AppendNativeBuckets(const std::vector<NativeBucket>& buckets, std::string& out) {
  out.push_back('[');
  bool first = true;
  for (const NativeBucket& bucket : buckets) {
    if (!std::exchange(first, false)) out.push_back(',');
    out.append("[").append(std::to_string(bucket.code)).push_back(',');
    AppendQuoted(FloatText(bucket.lower), out);
    out.push_back(',');
    AppendQuoted(FloatText(bucket.upper), out);
    out.push_back(',');
    AppendQuoted(bucket.count, out);
    out.push_back(']');
  }
  out.push_back(']');
}

struct HistogramTexts {
  std::string buckets;
  std::string count;
};

HistogramTexts DescribeMessage(const Metric& metric) {
  const HistogramMessage message = ReadHistogramMessage(metric);
  HistogramTexts texts;
  texts.count = CountText(message.count);
  if (message.native) {
    if (const auto buckets = BucketsOf(*message.native)) {
      AppendNativeBuckets(*buckets, texts.buckets);
      return texts;
    }
  }
  TextPairs pairs;
  for (const HistogramMessage::Bucket& bucket : message.buckets) {
    pairs.emplace_back(FloatText(bucket.upper_bound), CountText(bucket.cumulative_count));
  }
  AppendObject(pairs, texts.buckets);
  return texts;
}

// From text: one fraction among the counts makes all of them floats.
HistogramTexts DescribeLines(const FamilySet& set, const Metric& metric) {
  bool whole = IsWhole(metric.count.value());
  VisitPoints(set, metric,
              [&](const Point& point) { whole = whole && IsWhole(point.value.value()); });
  const auto text = [&](const Number& count) {
    return whole ? CountText(count.value()) : FloatText(count.value());
  };
  TextPairs pairs;
  VisitPoints(set, metric, [&](const Point& point) {
    pairs.emplace_back(FloatText(point.bound.value()), text(point.value));
  });
  HistogramTexts texts;
  texts.count = text(metric.count);
  AppendObject(pairs, texts.buckets);
  return texts;
}

void AppendHistogram(const FamilySet& set, const Metric& metric, std::string& out) {
  const HistogramTexts texts =
      metric.message != nullptr ? DescribeMessage(metric) : DescribeLines(set, metric);
  out.append("{\"buckets\":").append(texts.buckets).append(",\"count\":");
  AppendQuoted(texts.count, out);
  out.push_back(',');
  AppendLabels(set, metric, out);
  out.append(",\"sum\":");
  AppendQuoted(FloatText(metric.sum.value()), out);
  out.push_back('}');
}

void AppendSummary(const FamilySet& set, const Metric& metric, std::string& out) {
  TextPairs quantiles;
  VisitPoints(set, metric, [&](const Point& point) {
    quantiles.emplace_back(FloatText(point.bound.value()), FloatText(point.value.value()));
  });
  out.append("{\"count\":");
  AppendQuoted(metric.message != nullptr ? std::to_string(ReadSummaryCount(metric))
                                         : CountText(metric.count.value()),
               out);
  out.push_back(',');
  AppendLabels(set, metric, out);
  out.append(",\"quantiles\":");
  AppendObject(quantiles, out);
  out.append(",\"sum\":");
  AppendQuoted(FloatText(metric.sum.value()), out);
  out.push_back('}');
}

}  // namespace

void AppendMetricJson(const FamilySet& set, const Metric& metric, MetricType type,
                      std::string& out) {
  if (type == MetricType::kHistogram) return AppendHistogram(set, metric, out);
  if (type == MetricType::kSummary) return AppendSummary(set, metric, out);
  constexpr unsigned kSingleValue = kHasGauge | kHasCounter | kHasUntyped;
  out.push_back('{');
  AppendLabels(set, metric, out);
  out.append(",\"value\":");
  // A gauge histogram has no such value and shows 0, as upstream does.
  AppendQuoted((metric.kinds & kSingleValue) != 0 ? FloatText(metric.value.value()) : "0", out);
  out.push_back('}');
}

}  // namespace pgw
