#include "store/grouping_labels.h"

#include <algorithm>

#include "exposition/names.h"
#include "store/group_key.h"

namespace pgw {

GroupingLabels::GroupingLabels(std::string_view key) {
  VisitGroupKey(key, [this](std::string_view name, std::string_view value) {
    labels_.push_back({name, value});
    needs_escaping_ = needs_escaping_ || NeedsEscaping(name);
  });
  with_instance_ = labels_;
  constexpr Label kEmptyInstance{"instance", ""};
  const auto at = std::ranges::lower_bound(with_instance_, kEmptyInstance.name, {}, &Label::name);
  if (at == with_instance_.end() || at->name != kEmptyInstance.name) {
    with_instance_.insert(at, kEmptyInstance);
  }
}

}  // namespace pgw
