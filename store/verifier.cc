#include "store/verifier.h"

#include <string>
#include <string_view>
#include <unordered_set>

#include "exposition/family_set.h"
#include "exposition/names.h"
#include "exposition/quote.h"
#include "store/prepared_push.h"
#include "store/suffix_rules.h"

namespace pgw {
namespace {

// The slot's samples as they were pushed; false if there are none to be had.
bool ReadSlot(std::string_view name, const Block& block, std::uint32_t slot, FamilySet& set) {
  const SlotExtra* const extra = block.extra(slot);
  const std::string_view message =
      extra != nullptr && extra->message ? extra->message.view() : std::string_view();
  return ReadStoredSamples(name, static_cast<MetricType>(block.slot(slot).type),
                           {block.text(block.slot(slot)), message}, set)
             .ok() &&
         !set.metrics.empty();
}

}  // namespace

std::optional<Error> Verifier::Run() {
  for (const Snapshot::FamilyPart& part : snapshot_.families_) {
    by_exposed_.emplace(EscapeName(part.name.view(), Escaping::kUnderscores), &part);
  }
  for (const Snapshot::FamilyPart& part : snapshot_.families_) {
    if (!part.suspect) continue;
    CheckNames(part);
    CheckSlots(part);
  }
  if (errors_.empty()) return std::nullopt;
  return errors_.ToError();
}

void Verifier::CheckNames(const Snapshot::FamilyPart& part) {
  const std::string exposed = EscapeName(part.name.view(), Escaping::kUnderscores);
  const Snapshot::FamilyPart* twin = nullptr;
  const auto find = [&](std::string_view name) -> ExposedFamily {
    const auto [first, last] = by_exposed_.equal_range(std::string(name));
    for (auto it = first; it != last; ++it) {
      if (it->second == &part) continue;
      twin = it->second;
      return {twin->name.view(), MaskOf(twin->type)};
    }
    return {};
  };
  if (find(exposed).types != 0) {
    errors_.Add([&] {
      return "collected metrics named " + GoQuote(part.name.view()) + " and " +
             GoQuote(twin->name.view()) + ", both exposed as " + GoQuote(exposed);
    });
    return;
  }
  if (const auto why = FindSuffixCollision(part.name.view(), exposed, part.type, find)) {
    errors_.Add([&why] { return *why; });
  }
}

void Verifier::CheckSlots(const Snapshot::FamilyPart& part) {
  std::unordered_set<std::string_view> seen;  // what lines begin with
  const std::string_view name = part.name.view();
  std::optional<std::uint32_t> type;
  snapshot_.VisitSlots(part, [&](const Block& block, std::uint32_t index) {
    const Slot& slot = block.slot(index);
    if (slot.size == 0) return;
    const SlotExtra* const extra = block.extra(index);
    if (extra != nullptr && extra->error) {
      errors_.Add([extra] { return std::string(extra->error.view()); });
      return;
    }
    if (!type) type = slot.type;
    FamilySet set;
    if (*type != slot.type) {
      if (!ReadSlot(name, block, index, set)) return;
      errors_.Add([&] {
        return AboutMetric(set, set.families[0], set.metrics[0],
                           "is not a " + std::string(UpperName(static_cast<MetricType>(*type))));
      });
      return;
    }
    const std::string_view text = block.text(slot);
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = text.find('\n', start);
      const std::string_view line = text.substr(start, end - start);
      start = end + 1;
      if (seen.insert(line.substr(0, line.rfind(' '))).second) continue;
      if (set.families.empty() && !ReadSlot(name, block, index, set)) return;
      errors_.Add(
          [&] { return AboutMetric(set, set.families[0], set.metrics[0], kCollectedBefore); });
      return;  // one complaint a group
    }
  });
}

}  // namespace pgw
