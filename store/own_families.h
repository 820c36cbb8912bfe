// The server's own metric families, as far as pushes are checked against them. Knows exposition.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "exposition/hash_index.h"
#include "exposition/metric_type.h"
#include "store/hashed_view.h"

namespace pgw {

// An own metric family of the server. Known from the start, so that no push can get in before the
// family's first sample and break scrapes afterwards.
struct OwnFamily {
  std::string name;
  std::string help;
  MetricType type = MetricType::kGauge;
  // True: a pushed help that differs is replaced by ours on scrapes. False: such a push is refused.
  bool replaces_help = true;
};

// Immutable after construction, hence thread-safe.
class OwnFamilyTable {
 public:
  explicit OwnFamilyTable(std::vector<OwnFamily> families) : families_(std::move(families)) {
    for (std::uint32_t i = 0; i < families_.size(); ++i) {
      index_.Insert(KeyedHash(families_[i].name), i);
    }
  }

  const OwnFamily* Find(const HashedView& name) const {
    const std::uint32_t found = index_.Find(
        name.hash, [this, &name](std::uint32_t i) { return families_[i].name == name.text; });
    return found != HashIndex::kNone ? &families_[found] : nullptr;
  }

 private:
  const std::vector<OwnFamily> families_;
  HashIndex index_;  // into families_, by name
};

}  // namespace pgw
