// What each byte may be in the text format, in one table. Knows nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace pgw {

// Classes of bytes, as bits.
enum ByteClass : std::uint8_t {
  kMetricNameStart = 1,  // [a-zA-Z_:]
  kMetricNameByte = 2,   // [a-zA-Z0-9_:]
  kLabelNameStart = 4,   // [a-zA-Z_]
  kLabelNameByte = 8,    // [a-zA-Z0-9_]
  kBlank = 16,           // space, tab
  kTokenEnd = 32,        // space, tab, line feed
  kFloatByte = 64,       // occurs in floats: [0-9a-zA-Z.+-]
};

inline constexpr std::array<std::uint8_t, 256> kByteClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    int bits = 0;
    if (letter || c == '_' || c == ':') bits |= kMetricNameStart | kMetricNameByte;
    if (letter || c == '_') bits |= kLabelNameStart | kLabelNameByte;
    if (digit) bits |= kMetricNameByte | kLabelNameByte;
    if (c == ' ' || c == '\t') bits |= kBlank | kTokenEnd;
    if (c == '\n') bits |= kTokenEnd;
    if (letter || digit || c == '.' || c == '+' || c == '-') bits |= kFloatByte;
    classes[static_cast<std::size_t>(c)] = static_cast<std::uint8_t>(bits);
  }
  return classes;
}();

inline bool Is(char c, ByteClass byte_class) {
  return (kByteClasses[static_cast<unsigned char>(c)] & byte_class) != 0;
}

}  // namespace pgw
