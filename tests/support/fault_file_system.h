// A file system in memory that treats programs as badly as real ones may. Knows base.
//
// It remembers what the kernel would hold in memory and what is on the disk. A power failure leaves
// one of the states that the rules allow:
// - Of the data written since a file's last sync, each 512-byte sector is on the disk as it was
//   after any of the writes, or before all of them, whatever the other sectors are; so is the
//   file's length.
// - Of the changes to names since the folder's last sync any may have happened.
// After a sync that failed, some of the data is on the disk and the rest is taken for clean: a
// later sync does not write it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "tests/support/random.h"

namespace pgw::testing {

// Not thread-safe. Has the one folder that it is created with.
class FaultFileSystem final : public FileSystem {
 public:
  enum class Operation : unsigned char {
    kRead,
    kWrite,
    kWriteBack,
    kTruncate,
    kSync,
    kNames,
    kSyncNames
  };
  struct Call {
    Operation operation;
    std::string path;
    std::uint64_t file = 0;    // which it is, whatever its name is by now; of an open file
    std::uint64_t offset = 0;  // of a write
    std::string_view bytes{};  // of a write
  };

  explicit FaultFileSystem(std::string folder, std::uint64_t seed = 0);
  ~FaultFileSystem() override;
  FaultFileSystem(const FaultFileSystem&) = delete;
  FaultFileSystem& operator=(const FaultFileSystem&) = delete;

  // Called before every call that can change or sync something.
  void set_before_change(std::function<void(const Call&)> hook) {
    before_change_ = std::move(hook);
  }
  // A copy of what is in memory and on the disk, without open files, locks, faults and hook.
  std::unique_ptr<FaultFileSystem> Clone() const;

  // All calls are counted, reads too.
  std::uint64_t calls() const { return calls_; }
  // The call with that number fails with that errno value, and if `lasting` all after it, until
  // Heal(). A write that fails leaves any part of its bytes.
  void FailCall(std::uint64_t number, int error_number, bool lasting);
  // From the call with that number on, all fail as if there were no file system any more.
  void CrashAtCall(std::uint64_t number) { crash_at_ = number; }
  // Writes fail with ENOSPC when all files together would have more bytes than this.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  void Heal();

  // The process ends: locks are free, open files can no longer be used, nothing is lost.
  void Kill();
  // A call that was being executed by then: a write leaves the first of its bytes, any number.
  void StopWithin(const Call& call, std::uint64_t seed);
  // The power fails and comes back.
  void Reboot(std::uint64_t seed);

  // For tests to look and to meddle; on disk at once, not counted.
  std::map<std::string, std::string> Contents() const;
  void Put(const std::string& path, std::string bytes);
  void FlipBit(const std::string& path, std::uint64_t bit);
  void Hide(const std::string& path);
  void set_writable(bool writable) { writable_ = writable; }
  void set_links_supported(bool supported) { links_supported_ = supported; }

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

 private:
  struct Inode;
  struct LockHold;
  class OpenFile;
  class HeldLock;
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  // Happens as a whole; an empty pointer takes the name away.
  using NameChange = std::vector<std::pair<std::string, std::shared_ptr<Inode>>>;

  // The errno value that the call has to fail with, or 0.
  int Enter(const Call& call);
  void Change(NameChange change);
  static void Apply(const NameChange& change, Names& names);
  std::uint64_t UsedBytes() const;
  Inode* Find(const std::string& path);
  std::shared_ptr<Inode> NewInode();

  const std::string folder_;
  Random random_;
  std::function<void(const Call&)> before_change_;
  Names names_;
  Names names_on_disk_;
  std::vector<NameChange> unsynced_names_;
  std::uint64_t generation_ = 0;  // of the process
  std::uint64_t calls_ = 0;
  std::uint64_t last_file_ = 0;
  std::uint64_t fail_at_;
  int fail_with_ = 0;
  bool fail_lasting_ = false;
  std::uint64_t crash_at_;
  std::uint64_t capacity_;
  bool writable_ = true;
  bool links_supported_ = true;
};

}  // namespace pgw::testing
