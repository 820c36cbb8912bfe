// Grouping labels as samples carry them. Knows exposition.
#pragma once

#include <boost/container/small_vector.hpp>
#include <span>
#include <string_view>

#include "exposition/family_set.h"

namespace pgw {

// Views into the key it was made from.
class GroupingLabels {
 public:
  explicit GroupingLabels(std::string_view key);

  std::span<const Label> labels() const { return {labels_}; }  // sorted by name
  // The same and, if there is none, instance="": what a sample without one gets.
  std::span<const Label> with_instance() const { return {with_instance_}; }
  bool needs_escaping() const { return needs_escaping_; }

 private:
  using Labels = boost::container::small_vector<Label, 6>;

  Labels labels_;
  Labels with_instance_;
  bool needs_escaping_ = false;
};

}  // namespace pgw
