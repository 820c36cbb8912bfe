#include "store/persistence/file_id.h"

#include <sys/random.h>

#include <cerrno>

#include "base/file_system.h"

namespace pgw::persistence {

std::string ToHex(const FileId& id) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : id) {
    hex.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    hex.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return hex;
}

Result<FileId> RandomFileId() {
  FileId id{};
  while (true) {
    // Up to 256 bytes come whole or not at all.
    const ssize_t got = ::getrandom(id.data(), id.size(), 0);
    if (got == static_cast<ssize_t>(id.size())) return id;
    if (got < 0 && errno != EINTR) return FileError("read", "random numbers", errno);
  }
}

}  // namespace pgw::persistence
