#include "docker/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "docker/interrupt.h"

namespace pgw::image {

Error SystemError(std::string_view path, int error_number) {
  return {Code::kUnavailable,
          std::string(path) + ": " + std::generic_category().message(error_number)};
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

Result<File> File::Open(const std::string& path) {
  // Not to hang on a pipe that somebody put there.
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), path);
  if (file.fd_ < 0) return SystemError(path, errno);
  struct stat info{};
  if (::fstat(file.fd_, &info) != 0) return SystemError(path, errno);
  if (S_ISDIR(info.st_mode)) return SystemError(path, EISDIR);
  if (!S_ISREG(info.st_mode)) return InvalidArgument(path + ": not a regular file");
  return file;
}

Result<File> File::Create(const std::string& path) {
  File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), path);
  if (file.fd_ < 0) return SystemError(path, errno);
  return file;
}

Result<std::uint64_t> File::Size() const {
  struct stat info{};
  if (::fstat(fd_, &info) != 0) return SystemError(path_, errno);
  return static_cast<std::uint64_t>(info.st_size);
}

Result<std::size_t> File::ReadAt(std::uint64_t offset, std::span<char> buffer) const {
  while (true) {
    const ssize_t read = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (read >= 0) return static_cast<std::size_t>(read);
    if (errno != EINTR) return SystemError(path_, errno);
  }
}

Status File::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError(path_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status File::Sync() {
  if (::fsync(fd_) != 0) return SystemError(path_, errno);
  return {};
}

Status File::Close() {
  // Some file systems tell only now that the disk was full.
  if (::close(std::exchange(fd_, -1)) != 0) return SystemError(path_, errno);
  return {};
}

Result<std::size_t> FileSource::Read(std::span<char> buffer) {
  if (buffer.size() > left_) buffer = buffer.first(static_cast<std::size_t>(left_));
  if (buffer.empty()) return std::size_t{0};
  const Result<std::size_t> read = file_.ReadAt(offset_, buffer);
  if (!read) return read.error();
  if (*read == 0) return InvalidArgument(file_.path() + ": became shorter while it was read");
  offset_ += *read;
  left_ -= *read;
  return *read;
}

Status FileSink::Write(std::string_view bytes) {
  if (Status status = CheckInterrupt(); !status) return status;
  constexpr std::size_t kGathered = 1u << 16;
  if (pending_.size() + bytes.size() <= kGathered) {
    pending_.append(bytes);
    return {};
  }
  if (Status status = Flush(); !status) return status;
  if (bytes.size() >= kGathered) return file_.Write(bytes);
  pending_.append(bytes);
  return {};
}

Status FileSink::Flush() {
  Status status = file_.Write(pending_);
  pending_.clear();
  return status;
}

Result<std::string> ReadFile(const std::string& path, std::uint64_t bytes_max) {
  const Result<File> file = File::Open(path);
  if (!file) return file.error();
  const Result<std::uint64_t> size = file->Size();
  if (!size) return size.error();
  if (*size > bytes_max) {
    return Error{Code::kTooLarge, path + ": larger than " + std::to_string(bytes_max) + " bytes"};
  }
  std::string text(static_cast<std::size_t>(*size), '\0');
  FileSource source(*file, 0, *size);
  const Result<std::size_t> read = ReadFully(source, text);
  if (!read) return read.error();
  return text;
}

}  // namespace pgw::image
