// The compressed form of a block's text, which a reader leaves with the block for the next one.
// Knows store/prefetch. The store keeps it and never looks inside.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace pgw {

// A part of a gzip body: such parts follow each other in any order.
struct DeflatedText {
  std::string bytes;               // raw deflate: whole bytes, refers to nothing before it
  std::uint32_t text_size = 0;     // of what it stands for
  std::uint32_t crc = 0;           // of that text, as gzip counts it
  std::uint32_t crc_operator = 0;  // zlib's crc32_combine_gen(text_size)
};

// How much memory such texts hold. Shared, since blocks may outlive their store.
using DeflatedBytes = std::shared_ptr<std::atomic<std::size_t>>;

// Those of one block, the newest first. Several only where slots expire while the block stays.
class DeflatedTexts {
 public:
  DeflatedTexts() = default;
  // No thread may still look at what was found.
  ~DeflatedTexts() { Clear(); }
  DeflatedTexts(const DeflatedTexts&) = delete;
  DeflatedTexts& operator=(const DeflatedTexts&) = delete;

  // ---- Thread-safe, beside each other.

  struct Node;
  // What Find() looks at, for who wants to ask before; asks for its memory.
  const Node* Newest() const;
  // The one that stands for `text_size` bytes, or null.
  static const DeflatedText* Find(const Node* newest, std::size_t text_size);
  const DeflatedText* Find(std::size_t text_size) const { return Find(Newest(), text_size); }
  // Bytes of memory.
  std::size_t footprint() const;
  // Drops the text instead if there is one of that size, or too many already.
  void Keep(DeflatedText text, const DeflatedBytes& total);

  // ---- For who is alone with them.

  void Clear() {
    if (newest_.load(std::memory_order_relaxed) != nullptr) Free();
  }

 private:
  // What a block shows of its text while groups in it expire is soon rewritten; more than these
  // few would be a second copy of it.
  static constexpr int kNodesMax = 4;

  void Free();

  std::atomic<Node*> newest_ = nullptr;
};

}  // namespace pgw
