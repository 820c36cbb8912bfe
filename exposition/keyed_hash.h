// SipHash-1-3 under a key drawn once per process: whoever sends us names and labels cannot
// prepare ones that collide. Knows nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace pgw {

struct HashKey {
  std::uint64_t low;
  std::uint64_t high;
};

// Random, the same for the whole life of the process. Thread-safe.
const HashKey& ProcessHashKey();

std::uint64_t SipHash13(std::string_view text, const HashKey& key);

inline std::uint64_t KeyedHash(std::string_view text) { return SipHash13(text, ProcessHashKey()); }

// Of the pair: ("a", "bc") and ("ab", "c") differ.
inline std::uint64_t KeyedHash(std::string_view first, std::string_view second) {
  HashKey key = ProcessHashKey();
  key.low ^= SipHash13(first, key);
  return SipHash13(second, key);
}

}  // namespace pgw
