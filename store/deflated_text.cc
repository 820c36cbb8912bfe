#include "store/deflated_text.h"

#include "store/prefetch.h"

namespace pgw {

struct DeflatedTexts::Node {
  Node(DeflatedText from, DeflatedBytes account)
      : text(std::move(from)),
        total(std::move(account)),
        footprint(sizeof(Node) + text.bytes.capacity()) {
    total->fetch_add(footprint, std::memory_order_relaxed);
  }
  ~Node() { total->fetch_sub(footprint, std::memory_order_relaxed); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const DeflatedText text;
  Node* older = nullptr;
  const DeflatedBytes total;
  const std::size_t footprint;
};

const DeflatedTexts::Node* DeflatedTexts::Newest() const {
  const Node* const newest = newest_.load(std::memory_order_acquire);
  if (newest != nullptr) Prefetch(newest, sizeof(DeflatedText));
  return newest;
}

const DeflatedText* DeflatedTexts::Find(const Node* newest, std::size_t text_size) {
  const Node* node = newest;
  while (node != nullptr && node->text.text_size != text_size) node = node->older;
  return node != nullptr ? &node->text : nullptr;
}

std::size_t DeflatedTexts::footprint() const {
  std::size_t bytes = 0;
  for (const Node* node = newest_.load(std::memory_order_acquire); node != nullptr;
       node = node->older) {
    bytes += node->footprint;
  }
  return bytes;
}

void DeflatedTexts::Keep(DeflatedText text, const DeflatedBytes& total) {
  const auto welcome = [&text](const Node* node) {
    int count = 0;
    for (; node != nullptr; node = node->older, ++count) {
      if (node->text.text_size == text.text_size) return false;
    }
    return count < kNodesMax;
  };
  Node* newest = newest_.load(std::memory_order_acquire);
  if (!welcome(newest)) return;
  auto node = std::make_unique<Node>(std::move(text), total);
  // Should two come at once, both are kept.
  do {
    node->older = newest;
  } while (!newest_.compare_exchange_weak(newest, node.get(), std::memory_order_acq_rel));
  static_cast<void>(node.release());
}

void DeflatedTexts::Free() {
  Node* node = newest_.exchange(nullptr, std::memory_order_acquire);
  while (node != nullptr) {
    const std::unique_ptr<Node> gone(node);
    node = gone->older;
  }
}

}  // namespace pgw
