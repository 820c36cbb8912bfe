#include "store/deflated_text.h"

#include "store/block.h"

namespace pgw {

// Adds itself to the bytes of all while it exists.
struct DeflatedTexts::Counted {
  Counted(DeflatedText from, std::shared_ptr<std::atomic<std::size_t>> total)
      : text(std::move(from)), bytes(std::move(total)) {
    bytes->fetch_add(footprint(), std::memory_order_relaxed);
  }
  ~Counted() { bytes->fetch_sub(footprint(), std::memory_order_relaxed); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  std::size_t footprint() const { return sizeof(Counted) + text.bytes.capacity(); }

  const DeflatedText text;
  const std::shared_ptr<std::atomic<std::size_t>> bytes;
};

DeflatedTextRef DeflatedTexts::Find(const Block& block, std::size_t text_size) const {
  MutexLock lock(mutex_);
  const DeflatedTextRef& kept = block.deflated_;
  return kept != nullptr && kept->text_size == text_size ? kept : nullptr;
}

void DeflatedTexts::Keep(const Block& block, DeflatedText text) {
  const auto counted = std::make_shared<const Counted>(std::move(text), bytes_);
  DeflatedTextRef kept(counted, &counted->text);
  MutexLock lock(mutex_);
  block.deflated_.swap(kept);
}

}  // namespace pgw
