// The lines of pushed metrics with the grouping labels among their own, for names that need no
// escaping. Knows exposition, store/grouping_labels.
//
// A family's metrics have the same label names nearly always, and so the same text between their
// values: that is made once, and the labels are never put together one by one.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "exposition/family_set.h"
#include "exposition/metric_type.h"
#include "store/grouping_labels.h"

namespace pgw {

// Not thread-safe. Views into the set and the grouping labels it was made from.
class LineForm {
 public:
  // Forgets everything.
  void Clear() { made_ = false; }
  // From now on it is about metrics of that family, which may well have the labels of the last one.
  void Enter(const Family& family);
  // For the label names of `pushed`. REQUIRES: these names are all different, none of them, of the
  // grouping labels' or the family's needs escaping.
  void Make(const GroupingLabels& grouping, std::span<const Label> pushed);

  // Whether it was made for these names, in this order.
  bool Fits(std::span<const Label> pushed) const;

  // None of the final names is reserved, or the bound's in this type.
  bool names_fine() const { return names_fine_; }
  // A pushed label is called like one that the group adds. If not, different labels stay different.
  bool meets_grouping() const { return meets_grouping_; }

  // No more bytes than Write() writes.
  std::size_t BytesMax(const Metric& metric, std::span<const Label> pushed) const;

  // Writes what AppendMetricLines would of the sanitised metric; returns the end of it.
  // REQUIRES: Fits(pushed), room for BytesMax(), values of the family's kind.
  char* Write(const FamilySet& set, const Metric& metric, std::span<const Label> pushed,
              char* out) const;

 private:
  // A pushed value, and where the text that stands before it ends in text_.
  struct Piece {
    std::uint32_t text_end = 0;
    std::uint32_t pushed = 0;
  };

  char* Room(std::span<const Label> pushed, std::span<const Label> forced);
  char* WriteLabels(const FamilySet& set, std::span<const Label> pushed, char* out) const;

  std::string_view name_;
  MetricType type_ = MetricType::kUntyped;
  boost::container::small_vector<std::string_view, 8> names_;
  std::string text_;  // grows and keeps its size
  std::size_t text_size_ = 0;
  boost::container::small_vector<Piece, 8> pieces_;
  bool made_ = false;
  bool names_fine_ = true;
  bool meets_grouping_ = false;
};

}  // namespace pgw
