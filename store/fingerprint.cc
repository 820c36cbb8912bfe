#include "store/fingerprint.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <string>

#include "exposition/keyed_hash.h"

namespace pgw {
namespace {

constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kPairBytes = 16;
constexpr std::size_t kBlockWords = kBlockBytes / 8;
// The second key is the first one further on, as in UMAC: two further words make two keys of one.
constexpr std::size_t kKeyStep = 2;

struct Keys {
  std::array<std::uint64_t, kBlockWords + kKeyStep> words;
  HashKey low;
  HashKey high;
};

const Keys& ProcessKeys() {
  static const Keys keys = [] {
    std::random_device random;
    const auto word = [&random] { return std::uint64_t{random()} << 32 | random(); };
    Keys drawn;
    for (std::uint64_t& key : drawn.words) key = word();
    drawn.low = {word(), word()};
    drawn.high = {word(), word()};
    return drawn;
  }();
  return keys;
}

// A sum of products of 64-bit numbers, modulo 2^128.
class ProductSum {
 public:
  void Add(std::uint64_t a, std::uint64_t b) {
#if defined(__SIZEOF_INT128__)
    sum_ += static_cast<Wide>(a) * b;
  }
  std::uint64_t low() const { return static_cast<std::uint64_t>(sum_); }
  std::uint64_t high() const { return static_cast<std::uint64_t>(sum_ >> 64); }

 private:
  __extension__ using Wide = unsigned __int128;
  Wide sum_ = 0;
#else
    constexpr std::uint64_t kLowHalf = 0xffffffff;
    const std::uint64_t low = (a & kLowHalf) * (b & kLowHalf);
    const std::uint64_t first = (a >> 32) * (b & kLowHalf) + (low >> 32);
    const std::uint64_t second = (a & kLowHalf) * (b >> 32) + (first & kLowHalf);
    const std::uint64_t product = second << 32 | (low & kLowHalf);
    low_ += product;
    high_ += (a >> 32) * (b >> 32) + (first >> 32) + (second >> 32) + (low_ < product ? 1 : 0);
  }
  std::uint64_t low() const { return low_; }
  std::uint64_t high() const { return high_; }

 private:
  std::uint64_t low_ = 0;
  std::uint64_t high_ = 0;
#endif
};

// Of one block, in the machine's byte order, as the result never leaves it.
class BlockHash {
 public:
  void AddPair(const char* bytes, const std::uint64_t* key) {
    std::uint64_t pair[2];
    std::memcpy(pair, bytes, kPairBytes);
    sums_[0].Add(pair[0] + key[0], pair[1] + key[1]);
    sums_[1].Add(pair[0] + key[kKeyStep], pair[1] + key[kKeyStep + 1]);
  }

  void AppendTo(std::string& out) const {
    const std::uint64_t words[] = {sums_[0].low(), sums_[0].high(), sums_[1].low(),
                                   sums_[1].high()};
    out.append(reinterpret_cast<const char*>(words), sizeof words);
  }

 private:
  ProductSum sums_[2];
};

void AppendBlockHash(std::string_view block, const Keys& keys, std::string& out) {
  BlockHash hash;
  const std::uint64_t* key = keys.words.data();
  const char* p = block.data();
  const char* const end = p + block.size();
  for (; static_cast<std::size_t>(end - p) >= kPairBytes; p += kPairBytes, key += 2) {
    hash.AddPair(p, key);
  }
  if (p != end) {
    char padded[kPairBytes] = {};  // the length is hashed too
    std::memcpy(padded, p, static_cast<std::size_t>(end - p));
    hash.AddPair(padded, key);
  }
  hash.AppendTo(out);
}

}  // namespace

Fingerprint FingerprintOf(std::string_view body, std::uint64_t meaning) {
  const Keys& keys = ProcessKeys();
  const std::uint64_t facts[] = {body.size(), meaning};
  std::string digest(reinterpret_cast<const char*>(facts), sizeof facts);
  digest.reserve(digest.size() + 4 * sizeof facts[0] * (body.size() / kBlockBytes + 1));
  for (std::size_t at = 0; at < body.size(); at += kBlockBytes) {
    AppendBlockHash(body.substr(at, kBlockBytes), keys, digest);
  }
  return {SipHash13(digest, keys.low), SipHash13(digest, keys.high)};
}

}  // namespace pgw
