// One member of a tar archive, and its header block. Knows base.
//
// The form is POSIX.1-1988's "ustar"; what does not fit into its fields goes into a pax header of
// POSIX.1-2001. docs/images.md states the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::image {

inline constexpr std::size_t kTarBlock = 512;

enum class TarType : char {
  kFile = '0',
  kHardLink = '1',
  kSymlink = '2',
  kCharacterDevice = '3',
  kBlockDevice = '4',
  kDirectory = '5',
  kFifo = '6',
};

struct TarEntry {
  std::string path;  // without a leading slash; a directory's ends with one
  TarType type = TarType::kFile;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;   // of the content that follows
  std::int64_t mtime = 0;   // seconds since the epoch
  std::string link_target;  // of links
  std::string user_name;    // never written by us
  std::string group_name;

  friend bool operator==(const TarEntry&, const TarEntry&) = default;
};

// The blocks in front of an entry's content: the ustar header, after a pax header and its records
// where a field needs one. kInvalidArgument for what no header can say (an empty path, a byte 0,
// a negative time).
Result<std::string> EncodeTarHeader(const TarEntry& entry);

// How many zero bytes follow content of that size.
constexpr std::size_t TarPadding(std::uint64_t size) {
  return static_cast<std::size_t>((kTarBlock - size % kTarBlock) % kTarBlock);
}

}  // namespace pgw::image
