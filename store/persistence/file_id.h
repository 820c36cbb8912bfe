// Random identities of files, and the checksums that only their owner can compute. Knows base.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/persistence/crc32c.h"

namespace pgw::persistence {

inline constexpr std::size_t kFileIdBytes = 16;
using FileId = std::array<char, kFileIdBytes>;

inline std::string_view Bytes(const FileId& id) { return {id.data(), id.size()}; }
std::string ToHex(const FileId& id);

// From the kernel's random number generator.
Result<FileId> RandomFileId();

// What the checksums of a file start from. Who pushes data does not know the file's identity, so
// what is pushed cannot look like a frame or block of it: two halves, since a checksum is linear
// and one secret of 32 bits for both could be cancelled out.
struct ChecksumSeeds {
  std::uint32_t header = 0;
  std::uint32_t body = 0;

  explicit ChecksumSeeds(const FileId& id)
      : header(Crc32c(Bytes(id).substr(0, kFileIdBytes / 2))),
        body(Crc32c(Bytes(id).substr(kFileIdBytes / 2))) {}
};

}  // namespace pgw::persistence
