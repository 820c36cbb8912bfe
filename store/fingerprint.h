// Tells a body that came before by 128 bits. Knows exposition/keyed_hash.
//
// Keyed, so that nobody can prepare two bodies that are taken for the same: each block of a body
// goes through NH, the universal hash of UMAC, under two keys, which two different blocks of one
// length survive as the same with a probability of 2^-128, whatever they are; what comes of the
// blocks goes through SipHash under two further keys. The keys are drawn once per process.
// docs/decisions/0011-fingerprints-of-bodies.md has the reasons.
#pragma once

#include <cstdint>
#include <string_view>

namespace pgw {

struct Fingerprint {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

// Of a body and of what else decides about what it means, as a number. Means nothing in another
// process. Thread-safe; memory of 1/128 of the body.
Fingerprint FingerprintOf(std::string_view body, std::uint64_t meaning);

}  // namespace pgw
