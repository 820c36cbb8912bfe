#include "server/routes/native_histogram.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "exposition/number.h"

namespace pgw {
namespace {

constexpr std::int32_t kMaxSchema = 8;
constexpr std::int32_t kCustomBoundsSchema = -53;

constexpr std::array<double, 256> kMantissas = {
#include "server/routes/native_bounds.inc"
};

// fraction * 2^exponent for exponents of any size. What is exactly 2^1024 counts as the largest
// double, as upstream has it.
double Scale(double fraction, std::int64_t exponent) {
  if (fraction == 0.5 && exponent == 1025) return std::numeric_limits<double>::max();
  return std::ldexp(fraction, static_cast<int>(std::clamp<std::int64_t>(exponent, -5000, 5000)));
}

int CodeOf(double lower, double upper) {
  const bool lower_closed = lower < 0;
  const bool upper_closed = upper > 0;
  if (lower_closed) return upper_closed ? 3 : 1;
  return upper_closed ? 0 : 2;
}

// Calls visit(index, count text) for the filled buckets of a side, in order of index.
template <typename Visitor>
void VisitBuckets(const NativeSide& side, bool is_float, Visitor visit) {
  const std::size_t available = is_float ? side.counts.size() : side.deltas.size();
  std::size_t at = 0;
  std::int64_t index = 0;
  std::uint64_t running = 0;
  for (const NativeSpan& span : side.spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++at) {
      if (at == available) return;
      std::string text;
      if (is_float) {
        if (side.counts[at] == 0) continue;
        AppendFloatKeepingZeroSign(side.counts[at], text);
      } else {
        running += static_cast<std::uint64_t>(side.deltas[at]);
        if (running == 0) continue;
        text = std::to_string(running);
      }
      visit(index, std::move(text));
    }
  }
}

}  // namespace

double NativeUpperBound(std::int64_t index, std::int32_t schema) {
  if (schema < 0) {
    // A shift by 64 and more leaves nothing, as in Go.
    const std::int64_t shift = -static_cast<std::int64_t>(schema);
    const std::uint64_t exponent = shift >= 64 ? 0 : static_cast<std::uint64_t>(index) << shift;
    return Scale(0.5,
                 std::clamp<std::int64_t>(static_cast<std::int64_t>(exponent), -5000, 5000) + 1);
  }
  const std::int64_t buckets = std::int64_t{1} << schema;
  const std::int64_t within = index & (buckets - 1);
  const auto position = static_cast<std::size_t>(within << (kMaxSchema - schema));
  return Scale(kMantissas[position], (index >> schema) + 1);
}

std::optional<std::vector<NativeBucket>> BucketsOf(const NativeHistogram& histogram) {
  const std::int32_t schema = histogram.schema;
  if (schema > kMaxSchema || schema == kCustomBoundsSchema) return std::nullopt;
  std::vector<NativeBucket> buckets;
  const auto add = [&](double lower, double upper, std::string count) {
    buckets.push_back({CodeOf(lower, upper), lower, upper, std::move(count)});
  };
  VisitBuckets(histogram.negative, histogram.is_float, [&](std::int64_t index, std::string count) {
    add(-NativeUpperBound(index, schema), -NativeUpperBound(index - 1, schema), std::move(count));
  });
  std::ranges::reverse(buckets);
  const bool zero_filled =
      histogram.is_float ? histogram.zero_count_float != 0 : histogram.zero_count != 0;
  if (zero_filled) {
    std::string count;
    if (histogram.is_float) {
      AppendFloatKeepingZeroSign(histogram.zero_count_float, count);
    } else {
      count = std::to_string(histogram.zero_count);
    }
    buckets.push_back({3, -histogram.zero_threshold, histogram.zero_threshold, std::move(count)});
  }
  VisitBuckets(histogram.positive, histogram.is_float, [&](std::int64_t index, std::string count) {
    add(NativeUpperBound(index - 1, schema), NativeUpperBound(index, schema), std::move(count));
  });
  return buckets;
}

}  // namespace pgw
