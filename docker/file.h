// Files, with errors that name the path. Knows byte streams.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "docker/archive/byte_stream.h"

namespace pgw::image {

// An open descriptor. Not thread-safe, but different ranges may be read from different threads.
class File {
 public:
  File() = default;
  explicit File(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~File();
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
  File& operator=(File&& other) noexcept;

  // For reading; kInvalidArgument where it is missing, no regular file, or may not be read.
  static Result<File> Open(const std::string& path);
  // A new file below an open folder.
  static Result<File> Create(const std::string& path);

  const std::string& path() const { return path_; }
  Result<std::uint64_t> Size() const;
  // Up to `buffer.size()` bytes from `offset`; 0 at the end.
  Result<std::size_t> ReadAt(std::uint64_t offset, std::span<char> buffer) const;
  Status Write(std::string_view bytes);
  // To the disk.
  Status Sync();
  Status Close();

 private:
  int fd_ = -1;
  std::string path_;
};

// Bytes [offset, offset + size) of a file that must outlive it.
class FileSource final : public ByteSource {
 public:
  FileSource(const File& file, std::uint64_t offset, std::uint64_t size)
      : file_(file), offset_(offset), left_(size) {}
  Result<std::size_t> Read(std::span<char> buffer) override;

 private:
  const File& file_;
  std::uint64_t offset_;
  std::uint64_t left_;
};

// Gathers small writes; fails after a signal (docker/interrupt.h). The file must outlive it;
// Flush() before the file is closed.
class FileSink final : public ByteSink {
 public:
  explicit FileSink(File& file) : file_(file) {}
  Status Write(std::string_view bytes) override;
  Status Flush();

 private:
  File& file_;
  std::string pending_;
};

// A whole regular file of at most `bytes_max` bytes.
Result<std::string> ReadFile(const std::string& path, std::uint64_t bytes_max);

// "path: what: reason of errno".
Error SystemError(std::string_view path, int error_number);

}  // namespace pgw::image
