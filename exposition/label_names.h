// Whether a label name occurs twice in a line. Knows family_set.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "exposition/family_set.h"
#include "exposition/hash_index.h"
#include "exposition/keyed_hash.h"

namespace pgw {

// Few names are compared one by one, many are found in a table. Not thread-safe.
class LabelNames {
 public:
  // For the next line.
  void Clear() {
    if (!tabled_) return;
    table_.Clear();
    tabled_ = false;
  }

  // True if one of `labels`, the line's labels so far, has this name. If not, the name must be that
  // of the next label.
  bool Contain(std::string_view name, std::span<const Label> labels) {
    constexpr std::size_t kComparedOneByOne = 16;
    if (labels.size() < kComparedOneByOne) {
      return std::any_of(labels.begin(), labels.end(),
                         [&](const Label& label) { return label.name == name; });
    }
    if (!tabled_) {
      std::uint32_t i = 0;
      for (const Label& label : labels) table_.Insert(KeyedHash(label.name), i++);
      tabled_ = true;
    }
    const std::uint64_t hash = KeyedHash(name);
    const auto same = [&](std::uint32_t i) { return labels[i].name == name; };
    if (table_.Find(hash, same) != HashIndex::kNone) return true;
    table_.Insert(hash, static_cast<std::uint32_t>(labels.size()));
    return false;
  }

 private:
  HashIndex table_;  // of the line's labels
  bool tabled_ = false;
};

}  // namespace pgw
