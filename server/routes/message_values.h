// Values of samples pushed as protobuf that the flat Metric does not carry: exact integer counts,
// counts that are floats, native buckets. Knows exposition; the .cc alone knows protobuf.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "exposition/family_set.h"
#include "server/routes/native_histogram.h"

namespace pgw {

// A count that protobuf carries twice: the float one holds if it is above zero.
struct MessageCount {
  std::uint64_t integer = 0;
  double real = 0;
};

struct HistogramMessage {
  struct Bucket {
    double upper_bound = 0;
    MessageCount cumulative_count;
  };

  MessageCount count;
  std::vector<Bucket> buckets;
  std::optional<NativeHistogram> native;  // if there is at least one span
};

// REQUIRES of both: metric.message is set.
HistogramMessage ReadHistogramMessage(const Metric& metric);
std::uint64_t ReadSummaryCount(const Metric& metric);

}  // namespace pgw
