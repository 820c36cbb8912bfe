#include "exposition/series_finder.h"

#include <algorithm>
#include <cstddef>

#include "exposition/keyed_hash.h"

namespace pgw {

bool SameLabelSet(std::span<const Label> a, std::span<const Label> b) {
  if (a.size() != b.size()) return false;
  std::size_t i = 0;
  while (i < a.size() && a[i] == b[i]) ++i;
  if (i == a.size()) return true;
  if (a[i].name == b[i].name) return false;  // names are unique: no other place can mend this
  std::vector<Label> rest_a(a.begin() + static_cast<std::ptrdiff_t>(i), a.end());
  std::vector<Label> rest_b(b.begin() + static_cast<std::ptrdiff_t>(i), b.end());
  std::sort(rest_a.begin(), rest_a.end());
  std::sort(rest_b.begin(), rest_b.end());
  return rest_a == rest_b;
}

std::span<const Label> SeriesFinder::LabelsOf(std::uint32_t metric) const {
  const Metric& m = set_.metrics[metric];
  return {set_.labels.data() + m.first_label, m.label_count};
}

std::uint64_t SeriesFinder::Hash(std::uint32_t family, std::span<const Label> labels) {
  // A sum, so that the order does not matter.
  std::uint64_t sum = family * std::uint64_t{0x9e3779b97f4a7c15};
  for (const Label& label : labels) sum += KeyedHash(label.name, label.value);
  return sum;
}

std::uint32_t SeriesFinder::Find(std::uint32_t family, std::span<const Label> labels) {
  asked_.reset();
  const Family& owner = set_.families[family];
  if (owner.metric_count == 0) return kNoIndex;
  if (owner.metric_count == 1) {
    return SameLabelSet(LabelsOf(owner.first_metric), labels) ? owner.first_metric : kNoIndex;
  }
  asked_ = Hash(family, labels);
  const std::uint32_t found = index_.Find(*asked_, [&](std::uint32_t i) {
    return entries_[i].family == family && SameLabelSet(LabelsOf(entries_[i].metric), labels);
  });
  return found == HashIndex::kNone ? kNoIndex : entries_[found].metric;
}

void SeriesFinder::Add(std::uint32_t family) {
  const Family& owner = set_.families[family];
  if (owner.metric_count < 2) return;
  const std::uint32_t first = owner.first_metric;
  if (owner.metric_count == 2) Insert({family, first}, Hash(family, LabelsOf(first)));
  const std::uint32_t last = owner.last_metric;
  Insert({family, last}, asked_ ? *asked_ : Hash(family, LabelsOf(last)));
}

void SeriesFinder::Insert(Entry entry, std::uint64_t hash) {
  index_.Insert(hash, static_cast<std::uint32_t>(entries_.size()));
  entries_.push_back(entry);
}

}  // namespace pgw
