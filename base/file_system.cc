#include "base/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

namespace pgw {
namespace {

// Calls again what a signal interrupted.
template <typename Call>
auto Retried(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    // What has to reach the disk was synced before; there is nobody to tell about the rest.
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

Descriptor OpenDescriptor(const std::string& path, int flags, unsigned mode = 0) {
  return Descriptor(
      Retried([&] { return ::open(path.c_str(), flags | O_CLOEXEC, static_cast<mode_t>(mode)); }));
}

// Whether `path` leads to the open file.
bool LeadsTo(const std::string& path, int fd) {
  struct stat mine{};
  struct stat there{};
  return ::fstat(fd, &mine) == 0 && ::stat(path.c_str(), &there) == 0 &&
         mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

// flock, not fcntl: the latter is lost as soon as anything in the process closes the file. False:
// somebody else has it.
Result<bool> TryFlock(int fd, int operation, const std::string& path) {
  if (Retried([&] { return ::flock(fd, operation | LOCK_NB); }) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  // Who only reads may do so where a file system has no locks.
  const bool none = errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS;
  if (none && operation == LOCK_SH) return true;
  return FileError("lock", path, errno);
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path, FileAccess access)
      : fd_(std::move(fd)), path_(std::move(path)), access_(access) {}

  const std::string& path() const override { return path_; }
  void NoteRenamed(std::string path) override { path_ = std::move(path); }

  Result<std::uint64_t> Size() const override {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return FileError("stat", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

  Result<std::size_t> ReadAt(std::uint64_t offset, std::span<char> buffer) const override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const ssize_t read = Retried([&] {
        return ::pread(fd_.get(), buffer.data() + done, buffer.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (read < 0) return FileError("read", path_, errno);
      if (read == 0) break;
      done += static_cast<std::size_t>(read);
    }
    return done;
  }

  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = Retried([&] {
        return ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      });
      if (written < 0) return FileError("write", path_, errno);
      // POSIX leaves open what 0 means; it must not become an endless loop.
      if (written == 0) return FileError("write", path_, EIO);
      offset += static_cast<std::uint64_t>(written);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

  Status Truncate(std::uint64_t size) override {
    if (Retried([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0) {
      return FileError("truncate", path_, errno);
    }
    return {};
  }

  // Not repeated after EINTR: the kernel may have reported, and so forgotten, an error meanwhile.
  Status SyncData() override {
    if (::fdatasync(fd_.get()) != 0) return FileError("sync", path_, errno);
    return {};
  }

  Status WriteBack() override {
    constexpr unsigned kWaitForAll =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (::sync_file_range(fd_.get(), 0, 0, kWaitForAll) == 0) return {};
    // Of a file system that cannot.
    if (errno == ENOSYS || errno == EINVAL || errno == ESPIPE) return SyncData();
    return FileError("write", path_, errno);
  }

  Status Sync() override {
    if (::fsync(fd_.get()) != 0) return FileError("sync", path_, errno);
    return {};
  }

  bool IsAt(const std::string& path) const override { return LeadsTo(path, fd_.get()); }

  Result<bool> TryLock() override {
    return TryFlock(fd_.get(), access_ == FileAccess::kRead ? LOCK_SH : LOCK_EX, path_);
  }

 private:
  const Descriptor fd_;
  std::string path_;
  const FileAccess access_;
};

class PosixLock final : public FileLock {
 public:
  PosixLock(Descriptor fd, std::string path, bool created)
      : fd_(std::move(fd)), path_(std::move(path)), created_(created) {}

  bool InPlace() const override { return LeadsTo(path_, fd_.get()); }
  // Another process that has opened the file meanwhile gets a lock that is not in place, and tries
  // again.
  void Withdraw() override {
    if (created_ && InPlace()) ::unlink(path_.c_str());
  }

 private:
  const Descriptor fd_;
  const std::string path_;
  const bool created_;
};

// The process that holds a lock writes its number into the file.
std::string HolderOf(int fd) {
  std::array<char, 24> text{};
  const ssize_t size = Retried([&] { return ::pread(fd, text.data(), text.size(), 0); });
  long pid = 0;
  if (size > 0) std::from_chars(text.data(), text.data() + size, pid);
  return pid > 0 ? "process " + std::to_string(pid) : "another process";
}

}  // namespace

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Error FileError(std::string_view operation, std::string_view path, int error_number) {
  std::string message(operation);
  message.append(" ").append(path).append(": ");
  message.append(std::generic_category().message(error_number));
  return {Code::kUnavailable, std::move(message)};
}

Result<std::unique_ptr<File>> PosixFileSystem::Open(const std::string& path, FileAccess access) {
  const int flags = access == FileAccess::kRead ? O_RDONLY : O_RDWR;
  // O_NONBLOCK: not to hang on a pipe that somebody put there.
  Descriptor fd = OpenDescriptor(path, flags | O_NONBLOCK | O_NOCTTY);
  if (!fd) return FileError("open", path, errno);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return FileError("stat", path, errno);
  if (S_ISDIR(info.st_mode)) return FileError("open", path, EISDIR);
  if (!S_ISREG(info.st_mode)) {
    return Error{Code::kUnavailable, "open " + path + ": not a regular file"};
  }
  return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(fd), path, access));
}

Result<std::unique_ptr<File>> PosixFileSystem::Create(const std::string& path, unsigned mode) {
  Descriptor fd = OpenDescriptor(path, O_RDWR | O_CREAT | O_EXCL, mode);
  if (!fd) return FileError("create", path, errno);
  // The umask may have taken bits away.
  if (::fchmod(fd.get(), static_cast<mode_t>(mode)) != 0) return FileError("chmod", path, errno);
  return std::unique_ptr<File>(
      std::make_unique<PosixFile>(std::move(fd), path, FileAccess::kReadWrite));
}

Result<std::optional<FileInfo>> PosixFileSystem::Inspect(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::optional<FileInfo>();
    return FileError("stat", path, errno);
  }
  FileInfo found;
  found.kind = S_ISREG(info.st_mode)   ? FileInfo::Kind::kRegular
               : S_ISDIR(info.st_mode) ? FileInfo::Kind::kFolder
                                       : FileInfo::Kind::kOther;
  found.size = static_cast<std::uint64_t>(info.st_size);
  found.mode = static_cast<unsigned>(info.st_mode) & 07777U;
  return std::optional<FileInfo>(found);
}

Status PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return FileError("rename to", to, errno);
  return {};
}

Status PosixFileSystem::Link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0) return FileError("link", to, errno);
  return {};
}

Status PosixFileSystem::Remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return FileError("remove", path, errno);
  return {};
}

Result<std::vector<std::string>> PosixFileSystem::List(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(folder.c_str()), ::closedir);
  if (stream == nullptr) return FileError("open", folder, errno);
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr && errno != 0) return FileError("read", folder, errno);
    if (entry == nullptr) break;
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status PosixFileSystem::SyncFolder(const std::string& folder) {
  const Descriptor fd = OpenDescriptor(folder, O_RDONLY | O_DIRECTORY);
  if (!fd) return FileError("open", folder, errno);
  if (::fsync(fd.get()) != 0) return FileError("sync", folder, errno);
  return {};
}

Result<std::uint64_t> PosixFileSystem::FreeBytes(const std::string& folder) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0) return FileError("stat", folder, errno);
  return std::uint64_t{info.f_bavail} * info.f_frsize;
}

Status PosixFileSystem::CheckWritable(const std::string& folder) {
  struct stat info{};
  if (::stat(folder.c_str(), &info) != 0) return FileError("stat", folder, errno);
  if (!S_ISDIR(info.st_mode)) return FileError("open", folder, ENOTDIR);
  // With the effective user's rights, which are the ones that files are created with.
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return FileError("write to", folder, errno);
  }
  return {};
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::Lock(const std::string& path) {
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    constexpr int kFlags = O_RDWR | O_NONBLOCK | O_NOCTTY;
    Descriptor fd = OpenDescriptor(path, kFlags | O_CREAT | O_EXCL, kPrivateMode);
    const bool created = static_cast<bool>(fd);
    if (!fd) fd = OpenDescriptor(path, kFlags | O_CREAT, kPrivateMode);
    if (!fd) return FileError("open", path, errno);
    const Result<bool> locked = TryFlock(fd.get(), LOCK_EX, path);
    if (!locked) {
      if (created) ::unlink(path.c_str());
      return locked.error();
    }
    if (!*locked) {
      return Error{Code::kUnavailable, "lock " + path + ": held by " + HolderOf(fd.get())};
    }
    // If it was removed in between, another may have locked what is there now.
    if (!LeadsTo(path, fd.get())) continue;
    // Only a help for whoever is refused: a full disk must not keep anybody from starting.
    const std::string pid = std::to_string(::getpid()) + "\n";
    [[maybe_unused]] const bool told =
        ::ftruncate(fd.get(), 0) == 0 && ::pwrite(fd.get(), pid.data(), pid.size(), 0) > 0;
    return std::unique_ptr<FileLock>(std::make_unique<PosixLock>(std::move(fd), path, created));
  }
  return Error{Code::kUnavailable, "lock " + path + ": it is removed again and again"};
}

}  // namespace pgw
