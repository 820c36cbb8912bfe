// The chunks of one family: where each group's lines of it lie. Knows store/block.
//
// Guarded by the store's lock. Small texts share chunks of up to 16 KB, so that a scrape writes
// long pieces; a larger one has a chunk of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "exposition/metric_type.h"
#include "store/block.h"
#include "store/memory_account.h"
#include "store/prefetch.h"
#include "store/shared_text.h"

namespace pgw {

struct Chunk {
  Block* block = nullptr;
  std::uint32_t position = 0;    // in its list
  std::uint32_t live = 0;        // slots that members own
  std::uint32_t dead_bytes = 0;  // of dead_slots
  std::vector<std::uint16_t> free_slots;
  std::vector<std::uint16_t> dead_slots;  // forgotten: expired, their bytes still in the block
};

// Names a slot. Stays valid until the slot is replaced, removed or forgotten.
struct SlotRef {
  Chunk* chunk = nullptr;
  std::uint16_t slot = 0;
};

// What one group has of one family.
struct SlotContent {
  std::string_view text;
  MetricType type = MetricType::kUntyped;
  Deadline deadline = 0;
  SharedText message;
  SharedText error;
};

class ChunkList {
 public:
  // `footprint` is kept up to date with the bytes of all blocks; `account` is told of those that
  // only readers go on to hold. Both must outlive the list.
  ChunkList(std::size_t& footprint, MemoryAccount& account)
      : footprint_(footprint), account_(account) {}
  ~ChunkList();
  ChunkList(const ChunkList&) = delete;
  ChunkList& operator=(const ChunkList&) = delete;

  SlotRef Insert(SlotContent content);
  // The slot may move to another chunk.
  SlotRef Replace(SlotRef ref, SlotContent content);
  // REQUIRES: the slot is alive and its deadline does not shrink.
  void Renew(SlotRef ref, Deadline deadline) { ref.chunk->block->Renew(ref.slot, deadline); }
  // The text is gone for every snapshot taken from now on.
  void Remove(SlotRef ref);
  // REQUIRES: the slot has expired, so nobody sees it. Its bytes go in bulk, when a chunk is
  // empty or half dead.
  void Forget(SlotRef ref);
  // ---- For MemoryReserve: no call of these asks for more memory. Text sizes are in bytes.

  std::size_t InsertBytesMax(std::size_t text) const;
  std::size_t ReplaceBytesMax(SlotRef ref, std::size_t text) const;
  std::size_t RemoveBytesMax(SlotRef ref) const;
  std::size_t ForgetBytesMax(SlotRef ref) const;

  // ----

  // For tests, in invariants.cc: what must be true of a chunk of which members own these slots.
  Status CheckChunk(const Chunk& chunk, const std::unordered_set<std::uint32_t>& owned) const;

  // Before time goes on from an earlier point: what was forgotten would be seen again.
  void DropForgotten();

  static std::string_view Text(SlotRef ref) {
    return ref.chunk->block->text(ref.chunk->block->slot(ref.slot));
  }

  const std::vector<std::unique_ptr<Chunk>>& chunks() const { return chunks_; }
  // Asks for what ForEachBlock is about to read, of up to `count` blocks from number `from` on.
  // Returns how many that were.
  std::size_t PrefetchBlocks(std::size_t from, std::size_t count) const;
  // Calls `visit(Block*)` for all. They and their chunks lie anywhere in cold memory, so they are
  // asked for ahead: waiting for each in turn takes three times as long.
  template <typename Visit>
  void ForEachBlock(const Visit& visit) const {
    constexpr std::size_t kBlocksAhead = 8;
    constexpr std::size_t kChunksAhead = 2 * kBlocksAhead;
    const std::size_t count = chunks_.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (i + kChunksAhead < count) Prefetch(chunks_[i + kChunksAhead].get(), sizeof(Block*));
      if (i + kBlocksAhead < count) Prefetch(chunks_[i + kBlocksAhead]->block, sizeof(Block*));
      visit(chunks_[i]->block);
    }
  }

  // True if any slot is alive at `now`.
  bool AnyAlive(Deadline now) const;

 private:
  static constexpr std::uint32_t kChunkBytesMax = 16 * 1024;
  static constexpr std::uint32_t kChunkSlotsMax = 4096;
  // Several small allocations, each of which may cost a page of the system where memory is short.
  static constexpr std::size_t kSmallBytesMax = 16 * 1024;

  // How much memory a list asks for that gets one more entry.
  template <typename List>
  static std::size_t GrowthBytesMax(const List& list) {
    if (list.size() < list.capacity()) return 0;
    return 2 * (list.capacity() + 8) * sizeof(typename List::value_type);
  }

  Chunk& ChunkWithRoom(std::size_t bytes);
  Block* FirstBlock(std::size_t bytes) const;
  static bool HasRoom(const Chunk& chunk, std::size_t bytes);
  // How much memory a copy of the block asks for that has room for one more text.
  static std::size_t CloneBytesMax(const Block& block, std::size_t text);
  // Makes the block exclusive, free of dead slots if it has to be copied, and large enough.
  void MakeWritable(Chunk& chunk, std::uint32_t more_slots, std::uint32_t more_bytes);
  void SetBlock(Chunk& chunk, Block* block);
  void DropDead(Chunk& chunk, std::uint32_t slot_capacity, std::uint32_t byte_capacity);
  // Accounts for the room that a block makes for what lines cannot say.
  void SetExtra(Chunk& chunk, std::uint32_t slot, SlotContent& content);
  void Release(SlotRef ref);
  void Erase(Chunk& chunk);

  std::size_t& footprint_;
  MemoryAccount& account_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::uint32_t open_ = 0;            // position of the chunk that new texts go to
  std::vector<std::uint32_t> roomy_;  // positions that lost much text; checked when taken
};

}  // namespace pgw
