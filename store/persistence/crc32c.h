// CRC-32C (Castagnoli), as iSCSI, ext4 and LevelDB use it: polynomial 0x1edc6f41, reflected, both
// ends inverted. Knows nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace pgw::persistence {

// The checksum of what `crc` is the checksum of, followed by `bytes`. 0 is that of nothing.
std::uint32_t ExtendCrc32c(std::uint32_t crc, std::string_view bytes);

inline std::uint32_t Crc32c(std::string_view bytes) { return ExtendCrc32c(0, bytes); }

// The same by tables, as on processors without an instruction for it; for tests.
std::uint32_t ExtendCrc32cByTables(std::uint32_t crc, std::string_view bytes);

}  // namespace pgw::persistence
