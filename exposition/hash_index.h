// From hashes to indices into somebody else's array. Knows nothing.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pgw {

// Open addressing with linear probing over 8 bytes an entry, of which half are the upper bits of
// the hash: they place the entry, and tell others apart. Needs well mixed hashes that nobody
// outside can aim: exposition/keyed_hash.h. A few entries fit in without any memory of its own.
class HashIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  HashIndex() = default;
  HashIndex(const HashIndex&) = delete;
  HashIndex& operator=(const HashIndex&) = delete;

  // The index under `hash` for which `is_match(index)`, or kNone. Asked of all whose hash may be
  // the same.
  template <typename Match>
  std::uint32_t Find(std::uint64_t hash, const Match& is_match) const {
    const std::uint32_t tag = TagOf(hash);
    for (std::size_t i = Home(tag);; i = Next(i)) {
      const Slot& slot = slots_[i];
      if (slot.index == kNone) return kNone;
      if (slot.tag == tag && is_match(slot.index)) return slot.index;
    }
  }

  // REQUIRES: `index` is not kNone, and what it stands for is not in the table.
  void Insert(std::uint64_t hash, std::uint32_t index) {
    assert(index != kNone);
    if (5 * (size_ + 1) > 4 * (mask_ + 1)) Grow();
    Place({TagOf(hash), index});
    ++size_;
  }

  // REQUIRES: Insert() was called with both.
  void Erase(std::uint64_t hash, std::uint32_t index) {
    std::size_t hole = Home(TagOf(hash));
    while (slots_[hole].index != index) {
      assert(slots_[hole].index != kNone);
      hole = Next(hole);
    }
    // Whatever was pushed past the hole moves back into it.
    for (std::size_t i = Next(hole); slots_[i].index != kNone; i = Next(i)) {
      const std::size_t from_home = (i - Home(slots_[i].tag)) & mask_;
      if (from_home < ((i - hole) & mask_)) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = {};
    --size_;
  }

  // Empties the table and gives its memory back.
  void Clear() {
    if (!many_.empty()) std::vector<Slot>().swap(many_);
    if (size_ > 0) few_.fill({});
    slots_ = few_.data();
    mask_ = kFew - 1;
    shift_ = ShiftFor(kFew);
    size_ = 0;
  }

  // Where a table begins and which bits of a hash count in it: enough to tell where a look-up will
  // read first, which may be asked for ahead. Stale once the table has grown.
  struct Outline {
    std::uintptr_t begin = 0;
    unsigned shift = 0;

    std::uintptr_t HomeOf(std::uint64_t hash) const {
      return begin + (TagOf(hash) >> shift) * sizeof(Slot);
    }
  };
  Outline outline() const { return {reinterpret_cast<std::uintptr_t>(slots_), shift_}; }

  // How much memory the next Insert() asks for, in bytes.
  std::size_t growth() const {
    return 5 * (size_ + 1) > 4 * (mask_ + 1) ? 2 * (mask_ + 1) * sizeof(Slot) : 0;
  }
  std::size_t memory() const { return many_.capacity() * sizeof(Slot); }  // bytes of its own

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t index = kNone;
  };

  static constexpr std::size_t kFew = 16;

  static constexpr unsigned ShiftFor(std::size_t slots) {
    return 32u - static_cast<unsigned>(std::countr_zero(slots));
  }
  static std::uint32_t TagOf(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }
  std::size_t Home(std::uint32_t tag) const { return tag >> shift_; }
  std::size_t Next(std::size_t i) const { return (i + 1) & mask_; }

  void Place(Slot slot) {
    std::size_t i = Home(slot.tag);
    while (slots_[i].index != kNone) i = Next(i);
    slots_[i] = slot;
  }

  // The order stays, so this goes through both tables from one end to the other.
  void Grow() {
    const std::size_t old_size = mask_ + 1;
    std::vector<Slot> grown(2 * old_size);
    const Slot* const old = slots_;
    slots_ = grown.data();
    mask_ = grown.size() - 1;
    shift_ = ShiftFor(grown.size());
    for (std::size_t i = 0; i < old_size; ++i) {
      if (old[i].index != kNone) Place(old[i]);
    }
    many_.swap(grown);
  }

  std::array<Slot, kFew> few_{};
  std::vector<Slot> many_;  // instead, once they do not fit
  Slot* slots_ = few_.data();
  std::size_t mask_ = kFew - 1;  // a power of two of them, at most four fifths used
  unsigned shift_ = ShiftFor(kFew);
  std::size_t size_ = 0;
};

}  // namespace pgw
