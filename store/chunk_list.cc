#include "store/chunk_list.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "store/prefetch.h"

namespace pgw {
namespace {

// Room beside what is needed: an eighth, so that a value that grows by a digit does not copy the
// block; while a shared chunk still fills up, half.
std::uint32_t WithSlack(std::uint32_t needed, std::uint32_t max) {
  if (needed >= max) return needed + needed / 64;
  return std::min(max, needed + needed / 2);
}

}  // namespace

ChunkList::~ChunkList() {
  for (const auto& chunk : chunks_) {
    footprint_ -= chunk->block->footprint();
    chunk->block->Leave(account_);
  }
}

bool ChunkList::HasRoom(const Chunk& chunk, std::size_t bytes) {
  const Block& block = *chunk.block;
  const bool slot_left = !chunk.free_slots.empty() || block.slot_count() < kChunkSlotsMax;
  return slot_left && block.used() - chunk.dead_bytes + bytes <= kChunkBytesMax;
}

Chunk& ChunkList::ChunkWithRoom(std::size_t bytes) {
  if (bytes <= kChunkBytesMax) {
    if (open_ < chunks_.size() && HasRoom(*chunks_[open_], bytes)) return *chunks_[open_];
    while (!roomy_.empty()) {
      const std::uint32_t position = roomy_.back();
      if (position < chunks_.size() && HasRoom(*chunks_[position], bytes)) {
        open_ = position;
        return *chunks_[position];
      }
      roomy_.pop_back();
    }
  }
  auto chunk = std::make_unique<Chunk>();
  chunk->position = static_cast<std::uint32_t>(chunks_.size());
  chunk->block = FirstBlock(bytes);
  footprint_ += chunk->block->footprint();
  if (bytes <= kChunkBytesMax) open_ = chunk->position;
  chunks_.push_back(std::move(chunk));
  return *chunks_.back();
}

// Of a new chunk. When one is full the next will fill up as well, so it need not grow in steps.
Block* ChunkList::FirstBlock(std::size_t bytes) const {
  if (bytes <= kChunkBytesMax && open_ < chunks_.size()) {
    const Block& full = *chunks_[open_]->block;
    if (full.slot_count() > 1) return Block::Create(full.slot_count(), kChunkBytesMax);
  }
  return Block::Create(1, static_cast<std::uint32_t>(bytes + bytes / 16));
}

void ChunkList::SetBlock(Chunk& chunk, Block* block) {
  footprint_ += block->footprint();
  footprint_ -= chunk.block->footprint();
  chunk.block->Leave(account_);
  chunk.block = block;
}

void ChunkList::DropDead(Chunk& chunk, std::uint32_t slot_capacity, std::uint32_t byte_capacity) {
  SetBlock(chunk, chunk.block->CloneWithout(chunk.dead_slots, slot_capacity, byte_capacity));
  chunk.free_slots.insert(chunk.free_slots.end(), chunk.dead_slots.begin(), chunk.dead_slots.end());
  chunk.dead_slots.clear();
  chunk.dead_bytes = 0;
}

void ChunkList::MakeWritable(Chunk& chunk, std::uint32_t more_slots, std::uint32_t more_bytes) {
  const Block& block = *chunk.block;
  const bool fits = block.slot_count() + more_slots <= block.slot_capacity() &&
                    block.used() + more_bytes <= block.byte_capacity();
  if (fits && block.exclusive()) return;
  const std::uint32_t slots_needed = block.slot_count() + more_slots;
  const std::uint32_t bytes_needed = block.used() - chunk.dead_bytes + more_bytes;
  // What fills up grows in both at once, so that it is not copied for each.
  const bool grows = more_slots > 0 && !fits;
  const std::uint32_t slot_capacity =
      grows || slots_needed > block.slot_capacity()
          ? std::max(block.slot_capacity(), WithSlack(slots_needed, kChunkSlotsMax))
          : block.slot_capacity();
  const std::uint32_t byte_capacity =
      grows || bytes_needed > block.byte_capacity()
          ? std::max(block.byte_capacity(), WithSlack(bytes_needed, kChunkBytesMax))
          : block.byte_capacity();
  if (!chunk.dead_slots.empty()) {
    DropDead(chunk, slot_capacity, byte_capacity);
  } else {
    SetBlock(chunk, block.Clone(slot_capacity, byte_capacity));
  }
}

void ChunkList::SetExtra(Chunk& chunk, std::uint32_t slot, SlotContent& content) {
  if (!content.message && !content.error && chunk.block->extras().empty()) return;
  footprint_ -= chunk.block->footprint();
  chunk.block->SetExtra(slot, std::move(content.message), std::move(content.error));
  footprint_ += chunk.block->footprint();
}

std::size_t ChunkList::CloneBytesMax(const Block& block, std::size_t text) {
  // WithSlack() adds at most a half to slots and bytes; extras grow to at most twice what is there.
  return 2 * block.footprint() + 2 * text + kSmallBytesMax;
}

std::size_t ChunkList::InsertBytesMax(std::size_t text) const {
  const std::size_t lists = GrowthBytesMax(chunks_) + kSmallBytesMax;
  const std::size_t alone = text + text / 16 + sizeof(Block) + sizeof(Slot) + kSmallBytesMax;
  if (text > kChunkBytesMax || chunks_.empty()) return lists + alone;
  // Any of the chunks that have room again may be taken, so the largest possible one counts.
  constexpr std::size_t kSharedMax =
      sizeof(Block) + kChunkSlotsMax * (sizeof(Slot) + 2 * sizeof(SlotExtra)) + 2 * kChunkBytesMax;
  if (!roomy_.empty() || open_ >= chunks_.size()) return lists + 2 * kSharedMax;
  return lists + CloneBytesMax(*chunks_[open_]->block, text) + kChunkBytesMax;
}

std::size_t ChunkList::ReplaceBytesMax(SlotRef ref, std::size_t text) const {
  const Chunk& chunk = *ref.chunk;
  const Block& block = *chunk.block;
  const std::size_t old_size = Text(ref).size();
  const std::size_t others = block.used() - chunk.dead_bytes - old_size;
  if (others > 0 && others + text > kChunkBytesMax) {
    return RemoveBytesMax(ref) + InsertBytesMax(text);
  }
  const bool fits = block.used() - old_size + text <= block.byte_capacity();
  if (!fits || !block.exclusive()) return CloneBytesMax(block, text);
  return 2 * (block.extras().size() + 8) * sizeof(SlotExtra);
}

std::size_t ChunkList::RemoveBytesMax(SlotRef ref) const {
  const Chunk& chunk = *ref.chunk;
  const std::size_t lists = GrowthBytesMax(chunk.free_slots) + GrowthBytesMax(roomy_);
  if (chunk.live == 1 || chunk.block->exclusive()) return lists;
  return lists + CloneBytesMax(*chunk.block, 0) + 2 * chunk.dead_slots.size();
}

std::size_t ChunkList::ForgetBytesMax(SlotRef ref) const {
  const Chunk& chunk = *ref.chunk;
  const std::size_t lists = GrowthBytesMax(chunk.dead_slots) + GrowthBytesMax(roomy_);
  if (chunk.live == 1) return lists;
  const bool drops = chunk.dead_bytes + Text(ref).size() > chunk.block->used() / 2;
  if (!drops) return lists;
  const std::size_t dead = 2 * sizeof(std::uint16_t) * (chunk.dead_slots.size() + 1);
  return lists + CloneBytesMax(*chunk.block, 0) + dead;
}

SlotRef ChunkList::Insert(SlotContent content) {
  Chunk& chunk = ChunkWithRoom(content.text.size());
  const auto size = static_cast<std::uint32_t>(content.text.size());
  MakeWritable(chunk, chunk.free_slots.empty() && chunk.dead_slots.empty() ? 1 : 0, size);
  if (chunk.free_slots.empty()) MakeWritable(chunk, 1, size);
  std::uint32_t slot = 0;
  if (chunk.free_slots.empty()) {
    slot = chunk.block->Append(content.text, content.type, content.deadline);
  } else {
    slot = chunk.free_slots.back();
    chunk.free_slots.pop_back();
    chunk.block->Fill(slot, content.text, content.type, content.deadline);
  }
  SetExtra(chunk, slot, content);
  ++chunk.live;
  return {&chunk, static_cast<std::uint16_t>(slot)};
}

SlotRef ChunkList::Replace(SlotRef ref, SlotContent content) {
  Chunk& chunk = *ref.chunk;
  const std::size_t old_size = Text(ref).size();
  const std::size_t others = chunk.block->used() - chunk.dead_bytes - old_size;
  if (others > 0 && others + content.text.size() > kChunkBytesMax) {
    Remove(ref);
    return Insert(std::move(content));
  }
  const std::size_t size = content.text.size();
  MakeWritable(chunk, 0, static_cast<std::uint32_t>(size > old_size ? size - old_size : 0));
  chunk.block->Replace(ref.slot, content.text, content.type, content.deadline);
  SetExtra(chunk, ref.slot, content);
  return ref;
}

void ChunkList::Release(SlotRef ref) {
  Chunk& chunk = *ref.chunk;
  assert(chunk.live > 0);
  if (--chunk.live == 0) {
    Erase(chunk);
  } else if (chunk.position != open_ &&
             chunk.block->used() - chunk.dead_bytes < kChunkBytesMax / 2 &&
             (roomy_.empty() || roomy_.back() != chunk.position) &&
             roomy_.size() < chunks_.size()) {
    roomy_.push_back(chunk.position);
  }
}

void ChunkList::Remove(SlotRef ref) {
  Chunk& chunk = *ref.chunk;
  if (chunk.live > 1) {
    MakeWritable(chunk, 0, 0);
    chunk.block->Clear(ref.slot);
    chunk.free_slots.push_back(ref.slot);
  }
  Release(ref);
}

void ChunkList::Forget(SlotRef ref) {
  Chunk& chunk = *ref.chunk;
  if (chunk.live > 1) {
    chunk.dead_slots.push_back(ref.slot);
    chunk.dead_bytes += static_cast<std::uint32_t>(Text(ref).size());
    if (chunk.dead_bytes > chunk.block->used() / 2) {
      DropDead(chunk, chunk.block->slot_count(), chunk.block->used() - chunk.dead_bytes);
    }
  }
  Release(ref);
}

void ChunkList::DropForgotten() {
  for (const auto& chunk : chunks_) {
    if (chunk->dead_slots.empty()) continue;
    DropDead(*chunk, chunk->block->slot_count(), chunk->block->used() - chunk->dead_bytes);
  }
}

void ChunkList::Erase(Chunk& chunk) {
  const std::uint32_t position = chunk.position;
  footprint_ -= chunk.block->footprint();
  chunk.block->Leave(account_);
  if (position + 1 != chunks_.size()) {
    std::swap(chunks_[position], chunks_.back());
    chunks_[position]->position = position;
    if (open_ + 1 == chunks_.size()) open_ = position;
  }
  chunks_.pop_back();
}

std::size_t ChunkList::PrefetchBlocks(std::size_t from, std::size_t count) const {
  constexpr std::size_t kChunksAhead = 16;
  const std::size_t end = std::min(from + count, chunks_.size());
  for (std::size_t i = from; i < end; ++i) {
    if (i + kChunksAhead < end) Prefetch(chunks_[i + kChunksAhead].get(), sizeof(Block*));
    Prefetch(chunks_[i]->block, sizeof(Block*));
  }
  return from < end ? end - from : 0;
}

bool ChunkList::AnyAlive(Deadline now) const {
  return std::any_of(chunks_.rbegin(), chunks_.rend(),
                     [now](const auto& chunk) { return chunk->block->max_deadline() > now; });
}

}  // namespace pgw
