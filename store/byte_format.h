// How the store's records are spelled: little-endian integers, varints, counted bytes. Knows
// exposition/wire.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "exposition/wire.h"

namespace pgw {

inline void AppendByte(std::uint8_t value, std::string& out) {
  out.push_back(static_cast<char>(value));
}

inline void AppendFixed64(std::uint64_t value, std::string& out) {
  std::array<char, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out.append(bytes.data(), bytes.size());
}

inline void AppendCounted(std::string_view bytes, std::string& out) {
  AppendVarint(bytes.size(), out);
  out.append(bytes);
}

// Reads from the front of a buffer. After a read beyond its end everything reads as zero or empty
// and ok() is false: it is enough to ask once.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool AtEnd() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  std::uint8_t Byte() {
    const std::string_view byte = Take(1);
    return byte.empty() ? 0 : static_cast<std::uint8_t>(byte[0]);
  }

  std::uint64_t Fixed64() {
    std::uint64_t value = 0;
    int shift = 0;
    for (const char c : Take(8)) {
      value |= std::uint64_t{static_cast<std::uint8_t>(c)} << shift;
      shift += 8;
    }
    return value;
  }

  std::int64_t Signed64() { return static_cast<std::int64_t>(Fixed64()); }

  std::uint64_t Varint() {
    std::uint64_t value = 0;
    if (ConsumeVarint(rest_, value) != VarintStatus::kOk) return Fail(), 0;
    return value;
  }

  std::string_view Counted() {
    const std::uint64_t size = Varint();
    if (size > rest_.size()) return Fail(), std::string_view();
    return Take(static_cast<std::size_t>(size));
  }

 private:
  std::string_view Take(std::size_t size) {
    if (size > rest_.size()) return Fail(), std::string_view();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  void Fail() {
    ok_ = false;
    rest_ = {};
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace pgw
