// Finding the few bytes that matter in label values and help texts, many bytes at a time.
// Knows nothing.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pgw {

namespace byte_scan_internal {

inline constexpr std::uint64_t kLowBits = 0x0101010101010101;
inline constexpr std::uint64_t kHighBits = 0x8080808080808080;

// The high bit of each byte of `word` that equals `byte`. Exact up to and including the first such
// byte (in little-endian order), which is all that is used.
inline std::uint64_t BytesEqual(std::uint64_t word, char byte) {
  const std::uint64_t x = word ^ (kLowBits * static_cast<unsigned char>(byte));
  return (x - kLowBits) & ~x & kHighBits;
}

}  // namespace byte_scan_internal

struct QuotedScan {
  const char* stop;  // at the first quote, backslash or line feed
  bool ascii;        // no byte before it is above 0x7f; may be false although there is none
};

// Scans from `p` for what ends the plain part of a quoted text.
// REQUIRES: there is such a byte in [p, end).
inline QuotedScan ScanQuoted(const char* p, const char* end) {
  bool ascii = true;
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i line_feed = _mm_set1_epi8('\n');
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i stops =
        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                     _mm_cmpeq_epi8(bytes, line_feed));
    const auto stop = static_cast<unsigned>(_mm_movemask_epi8(stops));
    const auto high = static_cast<unsigned>(_mm_movemask_epi8(bytes));
    if (stop != 0) {
      const unsigned before = (stop & (0U - stop)) - 1;
      return {p + std::countr_zero(stop), ascii && (high & before) == 0};
    }
    ascii = ascii && high == 0;
  }
#else
  if constexpr (std::endian::native == std::endian::little) {
    using byte_scan_internal::BytesEqual;
    for (; end - p >= 8; p += 8) {
      std::uint64_t word;
      std::memcpy(&word, p, sizeof word);
      const std::uint64_t stop =
          BytesEqual(word, '"') | BytesEqual(word, '\\') | BytesEqual(word, '\n');
      ascii = ascii && (word & byte_scan_internal::kHighBits) == 0;
      if (stop != 0) return {p + std::countr_zero(stop) / 8, ascii};
    }
  }
#endif
  for (; *p != '"' && *p != '\\' && *p != '\n'; ++p) {
    ascii = ascii && static_cast<unsigned char>(*p) < 0x80;
  }
  return {p, ascii};
}

// The first line feed or backslash from `p` on.
// REQUIRES: there is a line feed in [p, end).
inline const char* FindLineFeedOrBackslash(const char* p, const char* end) {
#if defined(__SSE2__)
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i line_feed = _mm_set1_epi8('\n');
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const auto stop = static_cast<unsigned>(_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, backslash), _mm_cmpeq_epi8(bytes, line_feed))));
    if (stop != 0) return p + std::countr_zero(stop);
  }
#else
  if constexpr (std::endian::native == std::endian::little) {
    using byte_scan_internal::BytesEqual;
    for (; end - p >= 8; p += 8) {
      std::uint64_t word;
      std::memcpy(&word, p, sizeof word);
      const std::uint64_t stop = BytesEqual(word, '\\') | BytesEqual(word, '\n');
      if (stop != 0) return p + std::countr_zero(stop) / 8;
    }
  }
#endif
  while (*p != '\\' && *p != '\n') ++p;
  return p;
}

// As memcmp() == 0, for texts that are mostly so short that the call would cost as much again.
inline bool SameBytes(const char* a, const char* b, std::size_t size) {
  const auto same_words = [](const char* x, const char* y) {
    std::uint64_t word_x;
    std::uint64_t word_y;
    std::memcpy(&word_x, x, sizeof word_x);
    std::memcpy(&word_y, y, sizeof word_y);
    return word_x == word_y;
  };
  if (size < 8) {
    for (std::size_t i = 0; i < size; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }
  std::size_t i = 0;
#if defined(__SSE2__)
  for (; i + 16 <= size; i += 16) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i));
    const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + i));
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) != 0xffff) return false;
  }
#endif
  for (; i + 8 <= size; i += 8) {
    if (!same_words(a + i, b + i)) return false;
  }
  // The last word overlaps what has been compared.
  return same_words(a + size - 8, b + size - 8);
}

// How many line feeds there are. Lines are too short for memchr to get up to speed.
inline std::size_t CountLineFeeds(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  std::size_t count = 0;
#if defined(__SSE2__)
  const __m128i line_feed = _mm_set1_epi8('\n');
  // -1 in each byte that is one.
  const auto found_at = [&line_feed](const char* at) {
    return _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), line_feed);
  };
  const auto take = [&count](__m128i sums) {
    const __m128i halves = _mm_sad_epu8(sums, _mm_setzero_si128());
    count += static_cast<std::size_t>(_mm_cvtsi128_si32(halves)) +
             static_cast<std::size_t>(_mm_extract_epi16(halves, 4));
  };
  while (end - p >= 64) {
    constexpr std::ptrdiff_t kTurnsMax = 63;  // until a byte of `sums` is full
    __m128i sums = _mm_setzero_si128();
    for (std::ptrdiff_t left = std::min(kTurnsMax, (end - p) / 64); left > 0; --left, p += 64) {
      const __m128i first = _mm_add_epi8(found_at(p), found_at(p + 16));
      const __m128i second = _mm_add_epi8(found_at(p + 32), found_at(p + 48));
      sums = _mm_sub_epi8(sums, _mm_add_epi8(first, second));
    }
    take(sums);
  }
  __m128i rest = _mm_setzero_si128();
  for (; end - p >= 16; p += 16) rest = _mm_sub_epi8(rest, found_at(p));
  take(rest);
#else
  constexpr std::uint64_t kLowerBits = ~byte_scan_internal::kHighBits;
  for (; end - p >= 8; p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, sizeof word);
    const std::uint64_t x = word ^ (byte_scan_internal::kLowBits * std::uint64_t{'\n'});
    // The high bit of each byte of x that is zero, and of no other.
    const std::uint64_t equal = ~(((x & kLowerBits) + kLowerBits) | x | kLowerBits);
    count += static_cast<std::size_t>(std::popcount(equal));
  }
#endif
  for (; p != end; ++p) count += *p == '\n' ? 1 : 0;
  return count;
}

}  // namespace pgw
