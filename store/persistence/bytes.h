// Little-endian numbers and varints in byte strings. Knows nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgw::persistence {

// Frames, blocks and headers start at multiples of this, so that a reader that lost its way looks
// for the next one at an eighth of all offsets.
inline constexpr std::size_t kAlignment = 8;

constexpr std::uint64_t Aligned(std::uint64_t size) {
  return (size + (kAlignment - 1)) & ~std::uint64_t{kAlignment - 1};
}

// The compiler makes one load or store of these loops.
inline void StoreLittle(char* to, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) to[i] = static_cast<char>((value >> (8 * i)) & 0xff);
}
inline std::uint64_t LoadLittle(const char* from, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
  }
  return value;
}

inline void Store32(char* to, std::uint32_t value) { StoreLittle(to, value, 4); }
inline void Store64(char* to, std::uint64_t value) { StoreLittle(to, value, 8); }
inline std::uint32_t Load32(const char* from) {
  return static_cast<std::uint32_t>(LoadLittle(from, 4));
}
inline std::uint64_t Load64(const char* from) { return LoadLittle(from, 8); }

// Base 128, least significant group first, as protobuf has it.
inline constexpr std::size_t kVarintBytesMax = 10;

constexpr std::size_t VarintBytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

inline void AppendVarint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

// Takes a varint from the front of `bytes`. Nothing, if it is cut off, too large, or longer than
// need be.
inline std::optional<std::uint64_t> TakeVarint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kVarintBytesMax && i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (i == kVarintBytesMax - 1 && byte > 1) return std::nullopt;
    value |= std::uint64_t{byte & 0x7fU} << (7 * i);
    if (byte < 0x80) {
      if (byte == 0 && i > 0) return std::nullopt;
      bytes.remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace pgw::persistence
