// A reader's counted references to blocks. Knows store/block, store/memory_account.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "store/block.h"
#include "store/memory_account.h"
#include "store/prefetch.h"

namespace pgw {

// What it dropped last is counted once for all of them: blocks lie anywhere, the account is one.
// Not thread-safe, but any thread may destroy it.
class BlockRefs {
 public:
  BlockRefs() = default;
  explicit BlockRefs(std::shared_ptr<MemoryAccount> account) : account_(std::move(account)) {}
  BlockRefs(BlockRefs&& other) noexcept
      : account_(std::move(other.account_)), blocks_(std::move(other.blocks_)) {
    other.blocks_.clear();
  }
  BlockRefs& operator=(BlockRefs&& other) noexcept {
    BlockRefs taken(std::move(other));
    account_.swap(taken.account_);
    blocks_.swap(taken.blocks_);
    return *this;
  }
  ~BlockRefs() { Drop(); }

  void reserve(std::size_t count) { blocks_.reserve(count); }
  // Takes a further reference. Only under the store's lock.
  void Add(Block* block) {
    blocks_.push_back(block);
    block->Ref();
  }

  std::size_t size() const { return blocks_.size(); }
  std::size_t capacity() const { return blocks_.capacity(); }
  const Block& operator[](std::size_t index) const { return *blocks_[index]; }

 private:
  // Every reference is counted in its block, and all of those are cold: so they are asked for
  // ahead.
  void Drop() noexcept {
    constexpr std::size_t kBlocksAhead = 8;
    std::size_t held = 0;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (i + kBlocksAhead < blocks_.size()) Prefetch(blocks_[i + kBlocksAhead], sizeof(Block*));
      held += blocks_[i]->Unref();
    }
    if (account_ != nullptr) account_->LetGo(held);
  }

  std::shared_ptr<MemoryAccount> account_;
  std::vector<Block*> blocks_;
};

}  // namespace pgw
