// A file read from front to back through a buffer. Knows base.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/file_system.h"

namespace pgw::persistence {

// Not thread-safe. The file must outlive it and must not change meanwhile.
class FileWindow {
 public:
  // Bytes read at once, and so the memory used as long as nobody asks for more in one piece.
  static constexpr std::size_t kReadBytes = 256 * 1024;

  FileWindow(const File& file, std::uint64_t size) : file_(&file), size_(size) {}
  // Opens a window on the whole file.
  static Result<FileWindow> On(const File& file);

  const File& file() const { return *file_; }
  std::uint64_t size() const { return size_; }

  // The bytes from `offset`, contiguous and valid until the next call; fewer than `length` only at
  // the end of the file. The memory never exceeds what the file really has, whatever is asked for.
  Result<std::string_view> At(std::uint64_t offset, std::uint64_t length);

 private:
  const File* file_;
  std::uint64_t size_;
  std::vector<char> buffer_;
  std::uint64_t start_ = 0;  // of the buffer in the file
  std::size_t filled_ = 0;
};

}  // namespace pgw::persistence
