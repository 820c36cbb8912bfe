// Native histograms as the JSON API shows them: bounds and counts spelled out. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pgw {

struct NativeSpan {
  std::int32_t offset = 0;
  std::uint32_t length = 0;
};

// One side's buckets as they travel: spans say where, counts or deltas how many.
struct NativeSide {
  std::vector<NativeSpan> spans;
  std::vector<double> counts;        // float histograms: absolute
  std::vector<std::int64_t> deltas;  // others: each the difference to the one before
};

struct NativeHistogram {
  std::int32_t schema = 0;
  double zero_threshold = 0;
  bool is_float = false;
  std::uint64_t zero_count = 0;
  double zero_count_float = 0;
  NativeSide negative;
  NativeSide positive;
};

struct NativeBucket {
  int code = 0;  // 0 (lower, upper]   1 [lower, upper)   2 (lower, upper)   3 [lower, upper]
  double lower = 0;
  double upper = 0;
  std::string count;
};

// The buckets that are not empty, ascending. Nothing for a schema whose bounds are not known:
// above 8, and the custom bounds of -53.
std::optional<std::vector<NativeBucket>> BucketsOf(const NativeHistogram& histogram);

// The upper bound of the bucket with that index on the positive side. REQUIRES: schema <= 8.
double NativeUpperBound(std::int64_t index, std::int32_t schema);

}  // namespace pgw
