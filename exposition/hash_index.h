// From hashes to indices into somebody else's array. Knows nothing.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pgw {

// Open addressing with linear probing; entries are never removed one by one. Needs well mixed
// hashes that nobody outside can aim: exposition/keyed_hash.h.
class HashIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  // The index under `hash` for which `is_match(index)`, or kNone.
  template <typename Match>
  std::uint32_t Find(std::uint64_t hash, const Match& is_match) const {
    if (slots_.empty()) return kNone;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
      const Slot& slot = slots_[i];
      if (slot.index == kNone) return kNone;
      if (slot.hash == hash && is_match(slot.index)) return slot.index;
    }
  }

  // REQUIRES: `index` is not kNone, and what it stands for is not in the table.
  void Insert(std::uint64_t hash, std::uint32_t index) {
    assert(index != kNone);
    if (2 * (size_ + 1) > slots_.size()) Grow();
    Place({hash, index});
    ++size_;
  }

  // Empties the table; keeps no more than a small one, so that clearing stays cheap.
  void Clear() {
    slots_.clear();
    if (slots_.capacity() > kSlotsMin) slots_.shrink_to_fit();
    size_ = 0;
  }

 private:
  static constexpr std::size_t kSlotsMin = 64;

  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t index = kNone;
  };

  void Place(Slot slot) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = slot.hash & mask;
    while (slots_[i].index != kNone) i = (i + 1) & mask;
    slots_[i] = slot;
  }

  void Grow() {
    std::vector<Slot> old(slots_.empty() ? kSlotsMin : 2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.index != kNone) Place(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two of them, at most half used
  std::size_t size_ = 0;
};

}  // namespace pgw
