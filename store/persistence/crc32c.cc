#include "store/persistence/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

#include "store/persistence/bytes.h"

namespace pgw::persistence {
namespace {

constexpr std::size_t kSlices = 8;
using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

// Table k tells what a byte does to the checksum from k bytes further on.
constexpr Tables MakeTables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < kSlices; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t ExtendByInstruction(std::uint32_t crc,
                                                                    std::string_view bytes) {
  std::uint64_t state = ~crc;
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    state = __builtin_ia32_crc32di(state, word);
    bytes.remove_prefix(8);
  }
  auto narrow = static_cast<std::uint32_t>(state);
  for (const char c : bytes) {
    narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(c));
  }
  return ~narrow;
}

bool HasInstruction() {
  static const bool kHas = __builtin_cpu_supports("sse4.2") != 0;
  return kHas;
}
#elif defined(__ARM_FEATURE_CRC32)
std::uint32_t ExtendByInstruction(std::uint32_t crc, std::string_view bytes) {
  crc = ~crc;
  while (bytes.size() >= 8) {
    crc = __crc32cd(crc, Load64(bytes.data()));
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) crc = __crc32cb(crc, static_cast<unsigned char>(c));
  return ~crc;
}

constexpr bool HasInstruction() { return true; }
#else
std::uint32_t ExtendByInstruction(std::uint32_t crc, std::string_view bytes) {
  return ExtendCrc32cByTables(crc, bytes);
}

constexpr bool HasInstruction() { return false; }
#endif

}  // namespace

std::uint32_t ExtendCrc32cByTables(std::uint32_t crc, std::string_view bytes) {
  crc = ~crc;
  while (bytes.size() >= kSlices) {
    const std::uint64_t word = Load64(bytes.data()) ^ crc;
    crc = 0;
    for (std::size_t i = 0; i < kSlices; ++i) {
      crc ^= kTables[kSlices - 1 - i][(word >> (8 * i)) & 0xff];
    }
    bytes.remove_prefix(kSlices);
  }
  for (const char c : bytes) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<unsigned char>(c)) & 0xff];
  }
  return ~crc;
}

std::uint32_t ExtendCrc32c(std::uint32_t crc, std::string_view bytes) {
  return HasInstruction() ? ExtendByInstruction(crc, bytes) : ExtendCrc32cByTables(crc, bytes);
}

}  // namespace pgw::persistence
