// Which family a name in a text body belongs to. Knows family_set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "exposition/family_set.h"
#include "exposition/hash_index.h"
#include "exposition/metric_type.h"

namespace pgw {

inline constexpr std::string_view kBucketLabel = "le";
inline constexpr std::string_view kQuantileLabel = "quantile";

constexpr bool IsHistogram(MetricType type) {
  return type == MetricType::kHistogram || type == MetricType::kGaugeHistogram;
}

// The label that samples of this type consume: their bound. Empty if there is none.
constexpr std::string_view BoundLabel(MetricType type) {
  if (type == MetricType::kSummary) return kQuantileLabel;
  return IsHistogram(type) ? kBucketLabel : std::string_view();
}

// What the name of a sample says beyond its family.
enum class SamplePart : std::uint8_t { kNone, kBucket, kSum, kCount };

inline constexpr std::array kSuffixedParts = {SamplePart::kBucket, SamplePart::kSum,
                                              SamplePart::kCount};

constexpr std::string_view Suffix(SamplePart part) {
  constexpr std::string_view kSuffixes[] = {"", "_bucket", "_sum", "_count"};
  return kSuffixes[static_cast<std::size_t>(part)];
}

// Whether samples of a family of this type may carry this part.
constexpr bool HasPart(MetricType type, SamplePart part) {
  return IsHistogram(type) || (type == MetricType::kSummary && part != SamplePart::kBucket);
}

// The families of a body by name. Not thread-safe.
class FamilyTable {
 public:
  struct Member {
    std::uint32_t family;
    SamplePart part;
  };

  // Families are added to `set`, which must outlive the table.
  explicit FamilyTable(FamilySet& set) : set_(set) {}

  // The family named `name`; else the summary or histogram of which it is a part; else a new one.
  Member Resolve(std::string_view name);

  // Whether there is a family whose own name ends like `part`. If there is none, a histogram's
  // name with that suffix cannot mean anything but the histogram.
  bool HasFamilyNamedLike(SamplePart part) const {
    return named_like_[static_cast<std::size_t>(part)];
  }

  // A family without a type takes one from its TYPE line or its first sample.
  bool HasType(std::uint32_t family) const { return set_.families[family].type_fixed; }
  void FixType(std::uint32_t family) { set_.families[family].type_fixed = true; }

 private:
  std::uint32_t Find(std::string_view name, std::uint64_t hash) const;

  FamilySet& set_;
  HashIndex index_;  // of families, by name
  std::array<bool, 1 + kSuffixedParts.size()> named_like_{};
};

}  // namespace pgw
