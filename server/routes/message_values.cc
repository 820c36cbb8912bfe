#include "server/routes/message_values.h"

#include "exposition/metrics.pb.h"

namespace pgw {
namespace {

using io::prometheus::client::Histogram;

const io::prometheus::client::Metric& MessageOf(const Metric& metric) {
  return *static_cast<const io::prometheus::client::Metric*>(metric.message);
}

template <typename Spans>
std::vector<NativeSpan> ReadSpans(const Spans& spans) {
  std::vector<NativeSpan> result;
  for (const auto& span : spans) result.push_back({span.offset(), span.length()});
  return result;
}

NativeHistogram ReadNative(const Histogram& histogram) {
  NativeHistogram native;
  native.schema = histogram.schema();
  native.zero_threshold = histogram.zero_threshold();
  native.is_float = histogram.sample_count_float() > 0 || histogram.zero_count_float() > 0;
  native.zero_count = histogram.zero_count();
  native.zero_count_float = histogram.zero_count_float();
  native.negative = {ReadSpans(histogram.negative_span()),
                     {histogram.negative_count().begin(), histogram.negative_count().end()},
                     {histogram.negative_delta().begin(), histogram.negative_delta().end()}};
  native.positive = {ReadSpans(histogram.positive_span()),
                     {histogram.positive_count().begin(), histogram.positive_count().end()},
                     {histogram.positive_delta().begin(), histogram.positive_delta().end()}};
  return native;
}

}  // namespace

HistogramMessage ReadHistogramMessage(const Metric& metric) {
  const Histogram& histogram = MessageOf(metric).histogram();
  HistogramMessage result;
  result.count = {histogram.sample_count(), histogram.sample_count_float()};
  for (const auto& bucket : histogram.bucket()) {
    result.buckets.push_back(
        {bucket.upper_bound(), {bucket.cumulative_count(), bucket.cumulative_count_float()}});
  }
  if (histogram.positive_span_size() > 0 || histogram.negative_span_size() > 0) {
    result.native = ReadNative(histogram);
  }
  return result;
}

std::uint64_t ReadSummaryCount(const Metric& metric) {
  return MessageOf(metric).summary().sample_count();
}

}  // namespace pgw
