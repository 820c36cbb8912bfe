// A string together with its hash, so that a growing table never reads the strings again.
// Knows exposition/keyed_hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "exposition/keyed_hash.h"

namespace pgw {

struct HashedView {
  std::uint64_t hash = 0;
  std::string_view text;

  explicit HashedView(std::string_view view) : hash(KeyedHash(view)), text(view) {}
  HashedView(std::uint64_t known_hash, std::string_view view) : hash(known_hash), text(view) {}
  friend bool operator==(const HashedView& a, const HashedView& b) {
    return a.hash == b.hash && a.text == b.text;
  }
};

struct HashedViewHash {
  using is_avalanching = void;  // tells boost that the bits are good as they are
  std::size_t operator()(const HashedView& key) const { return key.hash; }
};

}  // namespace pgw
