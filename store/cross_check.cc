#include "store/cross_check.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "exposition/quote.h"

namespace pgw {
namespace {

// From so many questions on it pays to index the lines of the member that is asked.
constexpr std::uint32_t kQuestionsBeforeIndex = 8;

// Samples times shapes that one push may have compared under the lock: some 50 ms. A thousand
// jobs with as many different sets of grouping label names may still push 4,000 samples each.
constexpr std::size_t kComparisonsMax = 4'000'000;

MetricType FirstType(TypeMask mask) { return static_cast<MetricType>(std::countr_zero(mask)); }

}  // namespace

bool CrossCheck::AnyAlive(const StoredFamily& family, MetricType type, const Member* own) const {
  for (const auto& chunk : family.chunks.chunks()) {
    const Block& block = *chunk->block;
    if (block.max_deadline() <= now_) continue;
    for (std::uint32_t i = 0; i < block.slot_count(); ++i) {
      const Slot& slot = block.slot(i);
      if (slot.size == 0 || slot.type != static_cast<std::uint32_t>(type) || !slot.alive(now_)) {
        continue;
      }
      if (own == nullptr || own->chunk != chunk.get() || own->slot != i) return true;
    }
  }
  return false;
}

TypeMask CrossCheck::ResidualTypes(StoredFamily& family) {
  const Member* own = group_ != nullptr ? group_->Find(&family) : nullptr;
  // What the group has stays if this is a POST without that family.
  if (own != nullptr && !replaces_all_ && push_.FindExposed(family.escaped).name != family.name) {
    own = nullptr;
  }
  TypeMask mask = 0;
  for (int t = 0; t < kMetricTypeCount; ++t) {
    const auto type = static_cast<MetricType>(t);
    std::uint32_t count = family.type_counts[static_cast<std::size_t>(t)];
    if (own != nullptr && own->has_samples && own->type == type) --count;
    // The count includes what has expired and is not yet erased.
    if (count > 0 && AnyAlive(family, type, own)) mask |= MaskOf(type);
  }
  return mask;
}

ExposedFamily CrossCheck::Residual(std::string_view exposed) {
  ExposedFamily result;
  state_.VisitExposed(exposed, [&](StoredFamily& family) {
    const TypeMask types = ResidualTypes(family);
    if (types == 0) return;
    result.name = family.name;
    result.types |= types;
  });
  return result;
}

std::optional<std::string> CrossCheck::CheckNewName(const PreparedFamily& prepared) {
  std::optional<std::string> why;
  state_.VisitExposed(prepared.exposed, [&](StoredFamily& other) {
    if (other.name == prepared.name || why || ResidualTypes(other) == 0) return;
    why = "collected metrics named " + GoQuote(prepared.name) + " and " + GoQuote(other.name) +
          ", both exposed as " + GoQuote(prepared.exposed);
  });
  if (why) return why;
  return FindSuffixCollision(prepared.name, prepared.exposed, prepared.type,
                             [this](std::string_view exposed) { return Residual(exposed); });
}

std::size_t CrossCheck::CheckFamily(const PreparedFamily& prepared, StoredFamily* stored,
                                    const Member* own, ErrorList& errors) {
  if (!prepared.has_samples || prepared.refused) return 0;
  const std::size_t before = errors.count();
  // What the group has in the same type has been judged when it came.
  const bool known =
      own != nullptr && own->alive(now_) && own->has_samples && own->type == prepared.type;
  TypeMask types = known ? MaskOf(prepared.type) : TypeMask{0};
  if (!known) {
    if (const auto why = CheckNewName(prepared)) {
      errors.Add([&why] { return *why; });
      return 1;
    }
    if (stored != nullptr) types = ResidualTypes(*stored);
  }
  if (types == 0) return 0;
  const bool type_differs = (types & MaskOf(prepared.type)) == 0;
  if (!type_differs && shape_ != nullptr && stored->shapes.size() == 1 &&
      stored->shapes.front().first == shape_) {
    return 0;
  }
  const FamilySet& set = push_.set();
  const Family& family = set.families[prepared.family];
  comparisons_ += family.metric_count * stored->shapes.size();
  if (!type_differs && comparisons_ > kComparisonsMax) {
    errors.Add([&] {
      return "metric " + GoQuote(prepared.name) + " has " + std::to_string(stored->shapes.size()) +
             " different sets of grouping label names; the push has too many samples to be "
             "compared with all of them";
    });
    return 1;
  }
  for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set.metrics[m].next) {
    const Metric& metric = set.metrics[m];
    if (type_differs) {
      errors.Add([&] {
        return AboutMetric(set, family, metric,
                           "is not a " + std::string(UpperName(FirstType(types))));
      });
    } else if (Collides(prepared, metric, *stored)) {
      errors.Add([&] { return AboutMetric(set, family, metric, kCollectedBefore); });
    }
  }
  return errors.count() - before;
}

bool CrossCheck::Collides(const PreparedFamily& prepared, const Metric& metric,
                          StoredFamily& family) {
  std::optional<std::vector<Label>> labels;
  std::vector<Label> projected;
  for (const auto& [shape, members] : family.shapes) {
    if (shape == shape_) continue;
    if (!labels) labels = push_.ExposedLabels(metric);
    projected.clear();
    auto label = labels->begin();
    for (const std::string& name : shape->names) {
      while (label != labels->end() && label->name < name) ++label;
      if (label == labels->end() || label->name != name) break;
      projected.push_back(*label);
    }
    if (projected.size() != shape->names.size()) continue;
    Group* const other = state_.FindByExposedLabels(projected, now_);
    if (other == nullptr || other == group_) continue;
    const Member* const member = other->Find(&family);
    if (member == nullptr || !member->alive(now_)) continue;
    if (HasLine(*member, push_.LinePrefix(prepared, metric))) return true;
  }
  return false;
}

bool CrossCheck::HasLine(const Member& member, std::string_view prefix) {
  const std::string_view text = ChunkList::Text(member.slot_ref());
  auto& [questions, lines] = asked_[&member];
  if (++questions <= kQuestionsBeforeIndex) {
    for (std::size_t at = text.find(prefix); at != text.npos; at = text.find(prefix, at + 1)) {
      if (at == 0 || text[at - 1] == '\n') return true;
    }
    return false;
  }
  if (lines.empty()) {
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = text.find('\n', start);
      const std::string_view line = text.substr(start, end - start);
      lines.insert(line.substr(0, line.rfind(' ') + 1));
      start = end + 1;
    }
  }
  return lines.contains(prefix);
}

}  // namespace pgw
