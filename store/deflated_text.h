// The compressed form of a block's text, which a reader leaves with the block for the next one.
// Knows store/prefetch. The store keeps it and never looks inside.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"

namespace pgw {

class Block;

// A part of a gzip body: such parts follow each other in any order.
struct DeflatedText {
  std::string bytes;               // raw deflate: whole bytes, refers to nothing before it
  std::uint32_t text_size = 0;     // of what it stands for
  std::uint32_t crc = 0;           // of that text, as gzip counts it
  std::uint32_t crc_operator = 0;  // zlib's crc32_combine_gen(text_size)
};

using DeflatedTextRef = std::shared_ptr<const DeflatedText>;

// Where readers find and leave them. There is one for each store; snapshots share it, since they
// may outlive the store. Thread-safe.
class DeflatedTexts {
 public:
  // What fits `text_size` bytes of the block's text, or null. REQUIRES: a reference to the block.
  //
  // The size alone says which text it is: what a block shows changes only by slots that expire, so
  // of two moments one shows a part of the other's, and parts of one size are the same.
  DeflatedTextRef Find(const Block& block, std::size_t text_size) const PGW_EXCLUDES(mutex_);

  // Leaves it with the block until the block changes, is freed or shows something else. REQUIRES:
  // as above.
  void Keep(const Block& block, DeflatedText text) PGW_EXCLUDES(mutex_);

  // Held by blocks, and by readers that have not finished.
  std::size_t bytes() const { return bytes_->load(std::memory_order_relaxed); }

 private:
  struct Counted;

  // For the references in blocks, while snapshots share them. Held for a few instructions.
  mutable Mutex mutex_;
  // Texts may outlive this.
  std::shared_ptr<std::atomic<std::size_t>> bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace pgw
