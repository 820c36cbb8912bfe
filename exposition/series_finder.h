// Finds the metric of a family that has given labels, whatever their order. Knows family_set.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "exposition/family_set.h"
#include "exposition/hash_index.h"

namespace pgw {

// True if both hold the same labels, in any order.
// REQUIRES: no name occurs twice in either.
bool SameLabelSet(std::span<const Label> a, std::span<const Label> b);

// Serves histograms and summaries, whose lines are spread over the body. Every metric of a family
// that is looked up here must have been announced by Add(). Not thread-safe.
class SeriesFinder {
 public:
  // `set` must outlive the finder.
  explicit SeriesFinder(const FamilySet& set) : set_(set) {}

  // The metric of `family` with exactly `labels`, or kNoIndex.
  std::uint32_t Find(std::uint32_t family, std::span<const Label> labels);

  // The last metric of `family` is new.
  // REQUIRES: the last question was for its labels, and Find() knew none with them.
  void Add(std::uint32_t family);

 private:
  struct Entry {
    std::uint32_t family;
    std::uint32_t metric;
  };

  std::span<const Label> LabelsOf(std::uint32_t metric) const;
  static std::uint64_t Hash(std::uint32_t family, std::span<const Label> labels);
  void Insert(Entry entry, std::uint64_t hash);

  const FamilySet& set_;
  std::vector<Entry> entries_;
  // Of the entries. A family's first metric enters together with the second one: most families
  // of histograms never need the table.
  HashIndex index_;
  std::optional<std::uint64_t> asked_;  // the hash of the last question, if it needed one
};

}  // namespace pgw
