// A block: the exposition lines of many groups for one family, contiguous, with a slot for each.
// Knows base, exposition's types.
//
// Blocks are shared between the store and the snapshots that scrapes hold. Who holds the only
// reference (the store, under its lock) may change a block in place; otherwise it copies it first.
// Two things may change in a shared block: the deadline of a slot that is alive may grow, since
// that alters nothing for a snapshot that already sees it alive; and readers leave a compressed
// form of the text there for each other (deflated_text.h), which is gone with the next change of
// the text.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/metric_type.h"
#include "store/deadline.h"
#include "store/deflated_text.h"
#include "store/memory_account.h"
#include "store/prefetch.h"
#include "store/shared_text.h"

namespace pgw {

struct Slot {
  std::uint32_t offset = 0;
  std::uint32_t size : 29 = 0;  // a push renders to less than 512 MiB
  std::uint32_t type : 3 = 0;   // MetricType
  std::atomic<Deadline> deadline = kFreeSlot;

  bool alive(Deadline now) const { return deadline.load(std::memory_order_relaxed) > now; }
};

// How many line feeds there are.
std::uint32_t CountLines(std::string_view text);

// What a slot carries beside its lines, where they do not say everything.
struct SlotExtra {
  std::uint32_t slot = 0;
  SharedText message;  // serialised MetricFamily; null if the lines suffice
  SharedText error;    // why the samples are inconsistent in themselves (unchecked mode only)
};

// Aligned so that no slot behind it lies in two cache lines.
class alignas(sizeof(Slot)) Block {
 public:
  // A block with one reference, no slots, and room for the given numbers.
  static Block* Create(std::uint32_t slot_capacity, std::uint32_t byte_capacity);

  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  // Drops a reader's reference. Returns how many bytes were held until now, if it was the last one
  // and the store had left before.
  std::size_t Unref();
  // Drops the store's reference, under its lock. What the block takes is held from now on if
  // readers have it.
  void Leave(MemoryAccount& account);
  // The store has another one in its place, or none: no further reader comes.
  bool outdated() const { return held_bytes_.load(std::memory_order_relaxed) != 0; }
  bool exclusive() const { return refs_.load(std::memory_order_acquire) == 1; }

  std::uint32_t slot_count() const { return slot_count_; }
  std::uint32_t slot_capacity() const { return slot_capacity_; }
  std::uint32_t used() const { return used_; }
  std::uint32_t byte_capacity() const { return byte_capacity_; }
  std::size_t footprint() const;  // bytes of memory, without what readers left

  const Slot& slot(std::uint32_t index) const { return slots()[index]; }
  std::string_view bytes() const { return {data(), used_}; }
  // Asks for what is about to be changed of a slot, first its place, then, once that has come, its
  // text. The place is asked for to be read: four slots share a line, and without a time to live
  // most pushes leave it as it is.
  void PrefetchSlot(std::uint32_t index) const {
    Prefetch(this, sizeof(Block));
    Prefetch(slots() + index, sizeof(Slot));
  }
  void PrefetchText(std::uint32_t index) const {
    PrefetchToWrite(data() + slot(index).offset, 2 * kCacheLine);
  }
  std::string_view text(const Slot& slot) const { return {data() + slot.offset, slot.size}; }
  std::uint32_t line_count() const { return line_count_; }  // of everything in bytes()

  const std::vector<SlotExtra>& extras() const { return extras_ != nullptr ? *extras_ : kNoExtras; }
  const SlotExtra* extra(std::uint32_t slot) const;

  // Bounds over the slots in use: exact for the maximum, a lower bound for the minimum.
  Deadline min_deadline() const { return min_deadline_.load(std::memory_order_relaxed); }
  Deadline max_deadline() const { return max_deadline_.load(std::memory_order_relaxed); }
  // Scans the slots, and remembers what it finds for the next reader. Thread-safe.
  Deadline TightenMinDeadline() const;

  // Compressed forms of what is alive, left by readers for each other; what is found lives as long
  // as the reader's reference, since nobody changes a shared block's text.
  //
  // Its size alone says which text it stands for: what a block shows changes only by slots that
  // expire, so of two moments one shows a part of the other's, and parts of one size are the same.
  DeflatedTexts& deflated() const { return deflated_; }

  // ---- For the holder of the only reference.

  // Appends a slot with its text. REQUIRES: room for both.
  std::uint32_t Append(std::string_view text, MetricType type, Deadline deadline);
  // Fills the free slot `index`. REQUIRES: room for the text.
  void Fill(std::uint32_t index, std::string_view text, MetricType type, Deadline deadline);
  // Gives a slot another text; the bytes behind it move. REQUIRES: room for the difference.
  void Replace(std::uint32_t index, std::string_view text, MetricType type, Deadline deadline);
  // Frees a slot and closes the gap.
  void Clear(std::uint32_t index);
  void SetExtra(std::uint32_t index, SharedText message, SharedText error);

  // ---- For the store under its lock, also while snapshots hold the block.

  // REQUIRES: the slot is alive and its deadline does not shrink.
  void Renew(std::uint32_t index, Deadline deadline);

  // A copy with the given room, which keeps slot numbers. REQUIRES: room for what is there.
  Block* Clone(std::uint32_t slot_capacity, std::uint32_t byte_capacity) const;
  // The same without the texts of `dropped`, whose slots are free in the copy.
  Block* CloneWithout(const std::vector<std::uint16_t>& dropped, std::uint32_t slot_capacity,
                      std::uint32_t byte_capacity) const;

 private:
  Block(std::uint32_t slot_capacity, std::uint32_t byte_capacity)
      : slot_capacity_(slot_capacity), byte_capacity_(byte_capacity) {}
  ~Block() = default;

  Slot* slots() { return reinterpret_cast<Slot*>(this + 1); }
  const Slot* slots() const { return reinterpret_cast<const Slot*>(this + 1); }
  char* data() { return reinterpret_cast<char*>(slots() + slot_capacity_); }
  const char* data() const { return reinterpret_cast<const char*>(slots() + slot_capacity_); }
  void Widen(Deadline deadline);
  void RecomputeBounds();
  // Bytes of memory with all that is only kept for this block. What several versions of it share is
  // counted in each.
  std::size_t FootprintHeld() const;
  void Free();

  static const std::vector<SlotExtra> kNoExtras;

  std::atomic<std::uint32_t> refs_{1};
  std::uint32_t slot_count_ = 0;
  const std::uint32_t slot_capacity_;
  std::uint32_t used_ = 0;
  const std::uint32_t byte_capacity_;
  std::uint32_t line_count_ = 0;
  mutable std::atomic<Deadline> min_deadline_{std::numeric_limits<Deadline>::max()};
  std::atomic<Deadline> max_deadline_{kFreeSlot};
  std::unique_ptr<std::vector<SlotExtra>> extras_;  // usually null
  mutable DeflatedTexts deflated_;
  std::atomic<std::size_t> held_bytes_{0};  // as counted when the store left
};

// One cache line, so that what a push needs of a block is this, a slot's line and the text.
static_assert(sizeof(void*) < 8 || sizeof(Block) == 64);

}  // namespace pgw
