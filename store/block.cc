#include "store/block.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

#include "exposition/byte_scan.h"

namespace pgw {

const std::vector<SlotExtra> Block::kNoExtras;

std::uint32_t CountLines(std::string_view text) {
  return static_cast<std::uint32_t>(CountLineFeeds(text));
}

Block* Block::Create(std::uint32_t slot_capacity, std::uint32_t byte_capacity) {
  static_assert(alignof(Block) >= alignof(Slot) && sizeof(Block) % alignof(Slot) == 0);
  const std::size_t size =
      sizeof(Block) + std::size_t{slot_capacity} * sizeof(Slot) + byte_capacity;
  return new (::operator new(size, std::align_val_t(kCacheLine)))
      Block(slot_capacity, byte_capacity);
}

std::size_t Block::Unref() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return 0;
  const std::size_t held = held_bytes_.load(std::memory_order_relaxed);
  Free();
  return held;
}

void Block::Leave(MemoryAccount& account) {
  if (exclusive()) return Free();  // readers come under the store's lock only
  const std::size_t held = FootprintHeld();
  held_bytes_.store(held, std::memory_order_relaxed);
  account.Hold(held);  // first: the last reader may be gone at once
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  Free();
  account.Unhold(held);
}

void Block::Free() {
  this->~Block();
  ::operator delete(this, std::align_val_t(kCacheLine));
}

std::size_t Block::footprint() const {
  std::size_t bytes = sizeof(Block) + std::size_t{slot_capacity_} * sizeof(Slot) + byte_capacity_;
  if (extras_ != nullptr)
    bytes += sizeof(std::vector<SlotExtra>) + extras_->capacity() * sizeof(SlotExtra);
  return bytes;
}

std::size_t Block::FootprintHeld() const {
  std::size_t bytes = footprint() + deflated_.footprint();
  for (const SlotExtra& extra : extras()) {
    bytes += extra.message.view().size() + extra.error.view().size();
  }
  return bytes;
}

const SlotExtra* Block::extra(std::uint32_t slot) const {
  const std::vector<SlotExtra>& all = extras();
  const auto found = std::ranges::lower_bound(all, slot, {}, &SlotExtra::slot);
  return found != all.end() && found->slot == slot ? &*found : nullptr;
}

Deadline Block::TightenMinDeadline() const {
  Deadline min = std::numeric_limits<Deadline>::max();
  for (std::uint32_t i = 0; i < slot_count_; ++i) {
    const Deadline deadline = slot(i).deadline.load(std::memory_order_relaxed);
    if (deadline != kFreeSlot) min = std::min(min, deadline);
  }
  // Deadlines in a shared block only grow, so what was read stays a lower bound.
  min_deadline_.store(min, std::memory_order_relaxed);
  return min;
}

void Block::Widen(Deadline deadline) {
  if (deadline < min_deadline()) min_deadline_.store(deadline, std::memory_order_relaxed);
  if (deadline > max_deadline()) max_deadline_.store(deadline, std::memory_order_relaxed);
}

void Block::RecomputeBounds() {
  Deadline max = kFreeSlot;
  for (std::uint32_t i = 0; i < slot_count_; ++i) {
    max = std::max(max, slot(i).deadline.load(std::memory_order_relaxed));
  }
  max_deadline_.store(max, std::memory_order_relaxed);
}

std::uint32_t Block::Append(std::string_view text, MetricType type, Deadline deadline) {
  assert(slot_count_ < slot_capacity_);
  new (slots() + slot_count_) Slot();
  const std::uint32_t index = slot_count_++;
  Fill(index, text, type, deadline);
  return index;
}

void Block::Fill(std::uint32_t index, std::string_view text, MetricType type, Deadline deadline) {
  assert(used_ + text.size() <= byte_capacity_);
  deflated_.Clear();
  Slot& slot = slots()[index];
  slot.offset = used_;
  slot.size = static_cast<std::uint32_t>(text.size());
  slot.type = static_cast<std::uint32_t>(type);
  slot.deadline.store(deadline, std::memory_order_relaxed);
  if (!text.empty()) std::memcpy(data() + used_, text.data(), text.size());
  used_ += static_cast<std::uint32_t>(text.size());
  line_count_ += CountLines(text);
  Widen(deadline);
}

void Block::Replace(std::uint32_t index, std::string_view text, MetricType type,
                    Deadline deadline) {
  deflated_.Clear();
  Slot& slot = slots()[index];
  const auto size = static_cast<std::uint32_t>(text.size());
  const std::uint32_t old_size = slot.size;
  assert(used_ - old_size + size <= byte_capacity_);
  char* const start = data() + slot.offset;
  // Only what changes is written: the block's head stays in the caches of all processors then.
  const std::uint32_t lines = CountLines(text);
  const std::uint32_t old_lines = old_size == used_ ? line_count_ : CountLines({start, old_size});
  if (lines != old_lines) line_count_ += lines - old_lines;  // modulo 2^32
  if (size != old_size) {
    const std::uint32_t behind = slot.offset + old_size;
    std::memmove(start + size, start + old_size, used_ - behind);
    const std::uint32_t delta = size - old_size;  // modulo 2^32
    for (std::uint32_t i = 0; i < slot_count_; ++i) {
      Slot& other = slots()[i];
      if (other.offset >= behind && i != index) other.offset += delta;
    }
    used_ += delta;
    slot.size = size;
  }
  if (size > 0) std::memcpy(start, text.data(), size);
  slot.type = static_cast<std::uint32_t>(type);
  // Writers are alone: no exchange, which would be ten times as dear.
  const Deadline old_deadline = slot.deadline.load(std::memory_order_relaxed);
  slot.deadline.store(deadline, std::memory_order_relaxed);
  Widen(deadline);
  if (deadline < old_deadline && old_deadline == max_deadline()) RecomputeBounds();
}

void Block::Clear(std::uint32_t index) {
  Slot& slot = slots()[index];
  const Deadline deadline = slot.deadline.load(std::memory_order_relaxed);
  Replace(index, {}, MetricType::kCounter, deadline);
  slot.offset = 0;
  slot.deadline.store(kFreeSlot, std::memory_order_relaxed);
  SetExtra(index, {}, {});
  if (deadline == max_deadline()) RecomputeBounds();
}

void Block::SetExtra(std::uint32_t index, SharedText message, SharedText error) {
  if (extras_ == nullptr) {
    if (!message && !error) return;
    extras_ = std::make_unique<std::vector<SlotExtra>>();
  }
  const auto found = std::ranges::lower_bound(*extras_, index, {}, &SlotExtra::slot);
  const bool exists = found != extras_->end() && found->slot == index;
  if (!message && !error) {
    if (exists) extras_->erase(found);
    return;
  }
  SlotExtra extra{index, std::move(message), std::move(error)};
  if (exists) {
    *found = std::move(extra);
  } else {
    extras_->insert(found, std::move(extra));
  }
}

void Block::Renew(std::uint32_t index, Deadline deadline) {
  Slot& slot = slots()[index];
  assert(deadline >= slot.deadline.load(std::memory_order_relaxed));
  slot.deadline.store(deadline, std::memory_order_relaxed);
  if (deadline > max_deadline()) max_deadline_.store(deadline, std::memory_order_relaxed);
}

Block* Block::Clone(std::uint32_t slot_capacity, std::uint32_t byte_capacity) const {
  assert(slot_capacity >= slot_count_ && byte_capacity >= used_);
  Block* copy = Create(slot_capacity, byte_capacity);
  for (std::uint32_t i = 0; i < slot_count_; ++i) {
    Slot* to = new (copy->slots() + i) Slot();
    const Slot& from = slot(i);
    to->offset = from.offset;
    to->size = from.size;
    to->type = from.type;
    to->deadline.store(from.deadline.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  if (used_ > 0) std::memcpy(copy->data(), data(), used_);
  copy->slot_count_ = slot_count_;
  copy->used_ = used_;
  copy->line_count_ = line_count_;
  copy->min_deadline_.store(min_deadline(), std::memory_order_relaxed);
  copy->max_deadline_.store(max_deadline(), std::memory_order_relaxed);
  if (extras_ != nullptr) copy->extras_ = std::make_unique<std::vector<SlotExtra>>(*extras_);
  return copy;
}

Block* Block::CloneWithout(const std::vector<std::uint16_t>& dropped, std::uint32_t slot_capacity,
                           std::uint32_t byte_capacity) const {
  std::vector<bool> keep(slot_count_, true);
  for (const std::uint16_t index : dropped) keep[index] = false;
  Block* copy = Create(slot_capacity, byte_capacity);
  for (std::uint32_t i = 0; i < slot_count_; ++i) {
    new (copy->slots() + i) Slot();
    ++copy->slot_count_;
    const Slot& from = slot(i);
    const Deadline deadline = from.deadline.load(std::memory_order_relaxed);
    if (!keep[i] || deadline == kFreeSlot) continue;
    copy->Fill(i, text(from), static_cast<MetricType>(from.type), deadline);
    if (const SlotExtra* const more = extra(i)) copy->SetExtra(i, more->message, more->error);
  }
  return copy;
}

}  // namespace pgw
