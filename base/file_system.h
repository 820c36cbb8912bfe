// Files behind an interface, so that tests can take the disk's place. Knows base/result.
//
// Errors read "<operation> <path>: <reason>" and have the code kUnavailable: the disk, not the
// caller. A path that does not exist is an error of what needs it, except for Inspect and Remove.
// Only main creates a PosixFileSystem and passes it down.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pgw {

// An open regular file; destroying it closes it. Different threads may use one at the same time as
// long as what they write does not overlap.
class File {
 public:
  virtual ~File() = default;

  virtual const std::string& path() const = 0;
  // What errors call it from now on. Not beside other calls.
  virtual void NoteRenamed(std::string path) = 0;
  virtual Result<std::uint64_t> Size() const = 0;
  // Fills `buffer` from `offset`; returns less than its size only at the end of the file.
  virtual Result<std::size_t> ReadAt(std::uint64_t offset, std::span<char> buffer) const = 0;
  // Writes all bytes with one system call, or several if the kernel takes them in parts. After an
  // error any part of them may have been written. Grows the file as needed.
  virtual Status WriteAt(std::uint64_t offset, std::string_view bytes) = 0;
  // Cuts the file, or grows it with zeros.
  virtual Status Truncate(std::uint64_t size) = 0;
  // To the disk: the data, and of the metadata what is needed to read it back (fdatasync). After an
  // error nothing written since the last success can be trusted, whatever a repetition says.
  virtual Status SyncData() = 0;
  // Sends what was written on its way and waits for it, so that a sync finds less to do. Promises
  // nothing about what survives, and so does not hold up other writers of the file system.
  virtual Status WriteBack() = 0;
  // To the disk with all metadata (fsync).
  virtual Status Sync() = 0;
  // Whether `path` leads to this very file, whoever may have moved or removed what.
  virtual bool IsAt(const std::string& path) const = 0;
  // Takes the advisory lock on this very file, whatever its name is or becomes, without waiting:
  // alone, or together with others who read, if it was opened only for that. Held until the file is
  // closed. False: it is held by another File, of whichever process.
  virtual Result<bool> TryLock() = 0;
};

// Held until destroyed, or until the process ends in whatever way.
class FileLock {
 public:
  virtual ~FileLock() = default;
  // Whether the path still leads to what is locked. If not, it keeps nobody out any more.
  virtual bool InPlace() const = 0;
  // Removes the file if taking the lock has made it and it is still in its place: for who turns
  // back and wants to leave nothing. The lock is held all the same.
  virtual void Withdraw() = 0;
};

struct FileInfo {
  enum class Kind : unsigned char { kRegular, kFolder, kOther };
  Kind kind = Kind::kRegular;
  std::uint64_t size = 0;
  unsigned mode = 0;  // the permission bits
};

enum class FileAccess : unsigned char { kRead, kReadWrite };

// Thread-safe.
class FileSystem {
 public:
  static constexpr unsigned kPrivateMode = 0600;

  virtual ~FileSystem() = default;

  // An existing regular file. Never waits, whatever was put at that path.
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, FileAccess access) = 0;
  // A new, empty file for reading and writing with exactly this mode; an error if the path exists.
  virtual Result<std::unique_ptr<File>> Create(const std::string& path,
                                               unsigned mode = kPrivateMode) = 0;
  // What is at `path`, links followed; nothing if there is nothing.
  virtual Result<std::optional<FileInfo>> Inspect(const std::string& path) = 0;
  // Atomic; replaces `to`. Lasting only after SyncFolder, as are Create, Link and Remove.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // A second name for the same file; an error if `to` exists or the file system has no such thing.
  virtual Status Link(const std::string& from, const std::string& to) = 0;
  // Removing what does not exist is not an error.
  virtual Status Remove(const std::string& path) = 0;
  // The names in a folder, sorted, without . and ..
  virtual Result<std::vector<std::string>> List(const std::string& folder) = 0;
  virtual Status SyncFolder(const std::string& folder) = 0;
  // How much more this process could store in the folder.
  virtual Result<std::uint64_t> FreeBytes(const std::string& folder) = 0;
  // An error if this process could not create files in the folder, or there is none.
  virtual Status CheckWritable(const std::string& folder) = 0;
  // Takes the advisory lock on a file, which is created if need be, without waiting. If another
  // process holds it, the error says so, with its number where known.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

// The folder part of a path: "." if it has none.
std::string FolderOf(const std::string& path);

// "<operation> <path>: <reason of the error number>".
Error FileError(std::string_view operation, std::string_view path, int error_number);

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, FileAccess access) override;
  Result<std::unique_ptr<File>> Create(const std::string& path, unsigned mode) override;
  Result<std::optional<FileInfo>> Inspect(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& folder) override;
  Status SyncFolder(const std::string& folder) override;
  Result<std::uint64_t> FreeBytes(const std::string& folder) override;
  Status CheckWritable(const std::string& folder) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
};

}  // namespace pgw
