// The server's own metric families, as far as pushes are checked against them. Knows exposition.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "exposition/metric_type.h"

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
  explicit OwnFamilyTable(const std::vector<OwnFamily>& families) {
    for (const OwnFamily& family : families) by_name_.emplace(family.name, family);
  }

  const OwnFamily* Find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found != by_name_.end() ? &found->second : nullptr;
  }

 private:
  std::map<std::string, OwnFamily, std::less<>> by_name_;
};

}  // namespace pgw
