#include "exposition/family_table.h"

#include "exposition/keyed_hash.h"

namespace pgw {
namespace {

// The part that `name` would be of the family without the suffix, or kNone.
SamplePart SuffixPart(std::string_view name) {
  for (const SamplePart part : kSuffixedParts) {
    if (name.size() > Suffix(part).size() && name.ends_with(Suffix(part))) return part;
  }
  return SamplePart::kNone;
}

}  // namespace

FamilyTable::Member FamilyTable::Resolve(std::string_view name) {
  const std::uint64_t hash = KeyedHash(name);
  if (const std::uint32_t exact = Find(name, hash); exact != kNoIndex) {
    return {exact, SamplePart::kNone};
  }
  if (const SamplePart part = SuffixPart(name); part != SamplePart::kNone) {
    const std::string_view stem = name.substr(0, name.size() - Suffix(part).size());
    const std::uint32_t owner = Find(stem, KeyedHash(stem));
    if (owner != kNoIndex && HasPart(set_.families[owner].type, part)) return {owner, part};
    named_like_[static_cast<std::size_t>(part)] = true;
  }
  const auto created = static_cast<std::uint32_t>(set_.families.size());
  Family& family = set_.families.emplace_back();
  family.name = name;
  family.name_hash = hash;
  index_.Insert(hash, created);
  return {created, SamplePart::kNone};
}

std::uint32_t FamilyTable::Find(std::string_view name, std::uint64_t hash) const {
  return index_.Find(hash, [&](std::uint32_t i) { return set_.families[i].name == name; });
}

}  // namespace pgw
