#include "tests/support/fault_file_system.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <set>
#include <utility>

namespace pgw::testing {
namespace {

constexpr std::uint64_t kNeverCalled = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kSectorBytes = 512;

std::size_t Sectors(std::size_t bytes) { return (bytes + kSectorBytes - 1) / kSectorBytes; }

void Overwrite(std::string& content, std::uint64_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size(), '\0');
  content.replace(offset, bytes.size(), bytes);
}

void CopySector(const std::string& from, std::size_t sector, std::string& to) {
  const std::size_t start = sector * kSectorBytes;
  if (to.size() < start + kSectorBytes) to.resize(start + kSectorBytes, '\0');
  for (std::size_t i = start; i < start + kSectorBytes; ++i)
    to[i] = i < from.size() ? from[i] : '\0';
}

}  // namespace

// Lives as long as a lock is held.
struct FaultFileSystem::LockHold {
  explicit LockHold(bool is_shared) : shared(is_shared) {}
  const bool shared;
};

// A file's bytes as the kernel shows them, as the disk has them, and what happened in between.
struct FaultFileSystem::Inode {
  struct Change {
    bool truncation;
    std::uint64_t offset;  // or the new size
    std::string bytes;
  };

  std::string cache;
  std::string disk;
  std::string cache_before;  // what the unsynced changes were applied to
  std::vector<Change> unsynced;
  unsigned mode = kPrivateMode;
  std::uint64_t number = 0;
  // Who holds it, and in which generation of the process; the kernel knows no more of it then.
  std::weak_ptr<LockHold> lock;
  std::uint64_t lock_generation = 0;

  // Null: it is held, and not shared.
  std::shared_ptr<LockHold> TakeLock(bool shared, std::uint64_t generation) {
    auto held = lock_generation == generation ? lock.lock() : nullptr;
    if (held != nullptr) return held->shared && shared ? held : nullptr;
    held = std::make_shared<LockHold>(shared);
    lock = held;
    lock_generation = generation;
    return held;
  }

  static void Apply(const Change& change, std::string& content) {
    if (change.truncation) {
      content.resize(change.offset, '\0');
    } else {
      Overwrite(content, change.offset, change.bytes);
    }
  }

  void Do(Change change) {
    Apply(change, cache);
    unsynced.push_back(std::move(change));
  }

  // What the disk has if of sector s the first version(s) changes got there, and of the length the
  // first `length_version`.
  template <typename Version>
  std::string DiskAfter(Version version, std::size_t length_version) const {
    std::string result = disk;
    std::string view = cache_before;
    std::size_t length = disk.size();
    for (std::size_t i = 1; i <= unsynced.size(); ++i) {
      const Change& change = unsynced[i - 1];
      const std::size_t old_size = view.size();
      Apply(change, view);
      if (i <= length_version) length = view.size();
      std::size_t from = change.offset;
      std::size_t to =
          change.truncation ? std::max(old_size, view.size()) : change.offset + change.bytes.size();
      if (!change.truncation) from = std::min(from, old_size);
      if (change.truncation) from = std::min<std::size_t>(from, old_size);
      for (std::size_t s = from / kSectorBytes; s < Sectors(to); ++s) {
        if (i <= version(s)) CopySector(view, s, result);
      }
    }
    result.resize(length, '\0');
    return result;
  }

  std::string AllOnDisk() const {
    const std::size_t all = unsynced.size();
    return DiskAfter([all](std::size_t) { return all; }, all);
  }

  // One of the states that a power failure may leave.
  std::string AfterPowerFailure(Random& random) const {
    const std::size_t all = unsynced.size();
    switch (random.Below(5)) {
      case 0:
        return disk;
      case 1:
        return AllOnDisk();
      case 2: {  // in order, the last write cut short
        const std::size_t count = random.Below(all + 1);
        std::string result = DiskAfter([count](std::size_t) { return count; }, count);
        if (count < all && !unsynced[count].truncation) {
          const Change& cut = unsynced[count];
          Overwrite(result, cut.offset, cut.bytes.substr(0, random.Below(cut.bytes.size() + 1)));
        }
        return result;
      }
      default: {
        std::map<std::size_t, std::size_t> versions;
        const auto version = [&](std::size_t sector) {
          const auto [at, is_new] = versions.try_emplace(sector, 0);
          if (is_new) at->second = random.Below(all + 1);
          return at->second;
        };
        // Mostly with the length as it was last: that is what leaves holes.
        return DiskAfter(version, random.OneIn(2) ? all : random.Below(all + 1));
      }
    }
  }

  void Settle(std::string new_disk) {
    disk = std::move(new_disk);
    unsynced.clear();
    cache_before = cache;
  }
};

class FaultFileSystem::OpenFile final : public File {
 public:
  OpenFile(FaultFileSystem& files, std::shared_ptr<Inode> inode, std::string path, bool writable)
      : files_(files),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable),
        generation_(files.generation_) {}

  const std::string& path() const override { return path_; }
  void NoteRenamed(std::string path) override { path_ = std::move(path); }

  Result<std::uint64_t> Size() const override {
    if (const int error = Enter({Operation::kRead, path_, inode_->number}))
      return FileError("stat", path_, error);
    return static_cast<std::uint64_t>(inode_->cache.size());
  }

  Result<std::size_t> ReadAt(std::uint64_t offset, std::span<char> buffer) const override {
    if (const int error = Enter({Operation::kRead, path_, inode_->number}))
      return FileError("read", path_, error);
    const std::string& content = inode_->cache;
    if (offset >= content.size()) return std::size_t{0};
    const std::size_t size = std::min<std::size_t>(buffer.size(), content.size() - offset);
    std::copy_n(content.data() + offset, size, buffer.data());
    return size;
  }

  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    int error = Enter({Operation::kWrite, path_, inode_->number, offset, bytes});
    std::uint64_t written = error != 0 ? files_.random_.Below(bytes.size() + 1) : bytes.size();
    if (error == 0 && !writable_) return FileError("write", path_, EBADF);
    if (generation_ != files_.generation_ || files_.calls_ >= files_.crash_at_) written = 0;
    const std::uint64_t size = inode_->cache.size();
    const std::uint64_t grown = std::max(size, offset + written) - size;
    if (const std::uint64_t used = files_.UsedBytes(); used + grown > files_.capacity_) {
      const std::uint64_t room = files_.capacity_ > used ? files_.capacity_ - used : 0;
      written = std::min(written, size + room > offset ? size + room - offset : 0);
      error = ENOSPC;
    }
    if (written > 0) inode_->Do({false, offset, std::string(bytes.substr(0, written))});
    if (error != 0) return FileError("write", path_, error);
    return {};
  }

  Status Truncate(std::uint64_t size) override {
    if (const int error = Enter({Operation::kTruncate, path_, inode_->number})) {
      return FileError("truncate", path_, error);
    }
    inode_->Do({true, size, {}});
    return {};
  }

  Status SyncData() override {
    if (const int error = Enter({Operation::kSync, path_, inode_->number})) {
      if (generation_ == files_.generation_ && files_.calls_ < files_.crash_at_) {
        inode_->Settle(inode_->AfterPowerFailure(files_.random_));
      }
      return FileError("sync", path_, error);
    }
    inode_->Settle(inode_->AllOnDisk());
    return {};
  }

  // Nothing is on the disk for it.
  Status WriteBack() override {
    if (const int error = Enter({Operation::kWriteBack, path_, inode_->number})) {
      return FileError("write", path_, error);
    }
    return {};
  }

  Status Sync() override { return SyncData(); }

  bool IsAt(const std::string& path) const override {
    const auto found = files_.names_.find(path);
    return found != files_.names_.end() && found->second == inode_;
  }

  Result<bool> TryLock() override {
    if (const int error = Enter({Operation::kRead, path_, inode_->number}))
      return FileError("lock", path_, error);
    auto taken = inode_->TakeLock(!writable_, generation_);
    if (taken != nullptr) lock_ = std::move(taken);
    return lock_ != nullptr;
  }

 private:
  int Enter(const Call& call) const {
    if (generation_ != files_.generation_) return EBADF;
    return files_.Enter(call);
  }

  FaultFileSystem& files_;
  const std::shared_ptr<Inode> inode_;
  std::string path_;
  const bool writable_;
  const std::uint64_t generation_;
  std::shared_ptr<LockHold> lock_;
};

class FaultFileSystem::HeldLock final : public FileLock {
 public:
  HeldLock(FaultFileSystem& files, std::unique_ptr<OpenFile> file, std::shared_ptr<LockHold> hold,
           bool created)
      : files_(files), file_(std::move(file)), hold_(std::move(hold)), created_(created) {}
  bool InPlace() const override { return file_->IsAt(file_->path()); }
  void Withdraw() override {
    if (created_ && InPlace()) [[maybe_unused]]
      const bool removed = files_.Remove(file_->path()).ok();
  }

 private:
  FaultFileSystem& files_;
  const std::unique_ptr<OpenFile> file_;
  const std::shared_ptr<LockHold> hold_;
  const bool created_;
};

FaultFileSystem::FaultFileSystem(std::string folder, std::uint64_t seed)
    : folder_(std::move(folder)),
      random_(seed),
      fail_at_(kNeverCalled),
      crash_at_(kNeverCalled),
      capacity_(kNeverCalled) {}

FaultFileSystem::~FaultFileSystem() = default;

std::unique_ptr<FaultFileSystem> FaultFileSystem::Clone() const {
  auto clone = std::make_unique<FaultFileSystem>(folder_);
  clone->last_file_ = last_file_;
  std::map<const Inode*, std::shared_ptr<Inode>> copies;
  const auto copy = [&](const std::shared_ptr<Inode>& inode) {
    if (inode == nullptr) return std::shared_ptr<Inode>();
    std::shared_ptr<Inode>& found = copies[inode.get()];
    if (found == nullptr) {
      found = std::make_shared<Inode>(*inode);
      found->lock.reset();
    }
    return found;
  };
  for (const auto& [name, inode] : names_) clone->names_[name] = copy(inode);
  for (const auto& [name, inode] : names_on_disk_) clone->names_on_disk_[name] = copy(inode);
  for (const NameChange& change : unsynced_names_) {
    NameChange& to = clone->unsynced_names_.emplace_back();
    for (const auto& [name, inode] : change) to.emplace_back(name, copy(inode));
  }
  return clone;
}

void FaultFileSystem::FailCall(std::uint64_t number, int error_number, bool lasting) {
  fail_at_ = number;
  fail_with_ = error_number;
  fail_lasting_ = lasting;
}

void FaultFileSystem::Heal() {
  fail_at_ = kNeverCalled;
  capacity_ = kNeverCalled;
}

void FaultFileSystem::Kill() {
  ++generation_;
  crash_at_ = kNeverCalled;
  Heal();
}

void FaultFileSystem::StopWithin(const Call& call, std::uint64_t seed) {
  if (call.operation != Operation::kWrite) return;
  const std::size_t written = Random(seed).Below(call.bytes.size() + 1);
  for (const auto& [name, inode] : names_) {
    if (inode->number != call.file || written == 0) continue;
    inode->Do({false, call.offset, std::string(call.bytes.substr(0, written))});
    return;  // it may have a second name
  }
}

void FaultFileSystem::Reboot(std::uint64_t seed) {
  Kill();
  Random random(seed);
  const std::uint64_t mode = random.Below(4);
  const std::size_t prefix = random.Below(unsynced_names_.size() + 1);
  for (std::size_t i = 0; i < unsynced_names_.size(); ++i) {
    const bool happened = mode == 0   ? false
                          : mode == 1 ? true
                          : mode == 2 ? i < prefix
                                      : random.OneIn(2);
    if (happened) Apply(unsynced_names_[i], names_on_disk_);
  }
  unsynced_names_.clear();
  names_ = names_on_disk_;
  std::set<Inode*> done;
  for (const auto& [name, inode] : names_) {
    if (!done.insert(inode.get()).second) continue;
    std::string content = inode->AfterPowerFailure(random);
    inode->cache = content;
    inode->Settle(std::move(content));
  }
}

std::map<std::string, std::string> FaultFileSystem::Contents() const {
  std::map<std::string, std::string> contents;
  for (const auto& [name, inode] : names_) contents[name] = inode->cache;
  return contents;
}

void FaultFileSystem::Put(const std::string& path, std::string bytes) {
  auto inode = NewInode();
  inode->cache = bytes;
  inode->Settle(std::move(bytes));
  names_[path] = inode;
  names_on_disk_[path] = inode;
}

void FaultFileSystem::FlipBit(const std::string& path, std::uint64_t bit) {
  Inode* const inode = Find(path);
  for (std::string* const content : {&inode->cache, &inode->disk, &inode->cache_before}) {
    if (bit / 8 >= content->size()) continue;
    char& byte = (*content)[bit / 8];
    byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << (bit % 8)));
  }
}

void FaultFileSystem::Hide(const std::string& path) {
  names_.erase(path);
  names_on_disk_.erase(path);
}

int FaultFileSystem::Enter(const Call& call) {
  if (calls_ >= crash_at_) return EIO;
  if (before_change_ && call.operation != Operation::kRead) before_change_(call);
  const std::uint64_t number = ++calls_;
  if (number >= crash_at_) return EIO;
  if (number == fail_at_ || (fail_lasting_ && number > fail_at_)) return fail_with_;
  return 0;
}

void FaultFileSystem::Change(NameChange change) {
  Apply(change, names_);
  unsynced_names_.push_back(std::move(change));
}

void FaultFileSystem::Apply(const NameChange& change, Names& names) {
  for (const auto& [name, inode] : change) {
    if (inode == nullptr) {
      names.erase(name);
    } else {
      names[name] = inode;
    }
  }
}

std::uint64_t FaultFileSystem::UsedBytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, inode] : names_) bytes += inode->cache.size();
  return bytes;
}

std::shared_ptr<FaultFileSystem::Inode> FaultFileSystem::NewInode() {
  auto inode = std::make_shared<Inode>();
  inode->number = ++last_file_;
  return inode;
}

FaultFileSystem::Inode* FaultFileSystem::Find(const std::string& path) {
  const auto found = names_.find(path);
  return found == names_.end() ? nullptr : found->second.get();
}

Result<std::unique_ptr<File>> FaultFileSystem::Open(const std::string& path, FileAccess access) {
  if (const int error = Enter({Operation::kRead, path})) return FileError("open", path, error);
  const auto found = names_.find(path);
  if (found == names_.end()) return FileError("open", path, ENOENT);
  return std::unique_ptr<File>(
      std::make_unique<OpenFile>(*this, found->second, path, access == FileAccess::kReadWrite));
}

Result<std::unique_ptr<File>> FaultFileSystem::Create(const std::string& path, unsigned mode) {
  if (const int error = Enter({Operation::kNames, path})) return FileError("create", path, error);
  if (FolderOf(path) != folder_) return FileError("create", path, ENOENT);
  if (names_.contains(path)) return FileError("create", path, EEXIST);
  const auto inode = NewInode();
  inode->mode = mode;
  Change({{path, inode}});
  return std::unique_ptr<File>(std::make_unique<OpenFile>(*this, inode, path, true));
}

Result<std::optional<FileInfo>> FaultFileSystem::Inspect(const std::string& path) {
  if (const int error = Enter({Operation::kRead, path})) return FileError("stat", path, error);
  std::optional<FileInfo> info;
  if (path == folder_) {
    info = FileInfo{FileInfo::Kind::kFolder, 0, 0700};
  } else if (const Inode* const inode = Find(path)) {
    info = FileInfo{FileInfo::Kind::kRegular, inode->cache.size(), inode->mode};
  }
  return info;
}

Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  if (const int error = Enter({Operation::kNames, from})) return FileError("rename to", to, error);
  const auto found = names_.find(from);
  if (found == names_.end()) return FileError("rename to", to, ENOENT);
  const std::shared_ptr<Inode> inode = found->second;
  const auto target = names_.find(to);
  // POSIX: two names of one file stay as they are.
  if (target != names_.end() && target->second == inode) return {};
  Change({{from, nullptr}, {to, inode}});
  return {};
}

Status FaultFileSystem::Link(const std::string& from, const std::string& to) {
  if (const int error = Enter({Operation::kNames, from})) return FileError("link", to, error);
  if (!links_supported_) return FileError("link", to, EPERM);
  const auto found = names_.find(from);
  if (found == names_.end()) return FileError("link", to, ENOENT);
  if (names_.contains(to)) return FileError("link", to, EEXIST);
  Change({{to, found->second}});
  return {};
}

Status FaultFileSystem::Remove(const std::string& path) {
  if (const int error = Enter({Operation::kNames, path})) return FileError("remove", path, error);
  if (names_.contains(path)) Change({{path, nullptr}});
  return {};
}

Result<std::vector<std::string>> FaultFileSystem::List(const std::string& folder) {
  if (const int error = Enter({Operation::kRead, folder})) return FileError("open", folder, error);
  if (folder != folder_) return FileError("open", folder, ENOENT);
  std::vector<std::string> list;
  for (const auto& [name, inode] : names_) list.push_back(name.substr(folder_.size() + 1));
  return list;
}

Status FaultFileSystem::SyncFolder(const std::string& folder) {
  if (const int error = Enter({Operation::kSyncNames, folder})) {
    return FileError("sync", folder, error);
  }
  if (folder != folder_) return FileError("open", folder, ENOENT);
  names_on_disk_ = names_;
  unsynced_names_.clear();
  return {};
}

Result<std::uint64_t> FaultFileSystem::FreeBytes(const std::string& /*folder*/) {
  const std::uint64_t used = UsedBytes();
  return capacity_ > used ? capacity_ - used : 0;
}

Status FaultFileSystem::CheckWritable(const std::string& folder) {
  if (const int error = Enter({Operation::kRead, folder})) return FileError("stat", folder, error);
  if (folder != folder_) return FileError("stat", folder, ENOENT);
  if (!writable_) return FileError("write to", folder, EACCES);
  return {};
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::Lock(const std::string& path) {
  if (const int error = Enter({Operation::kNames, path})) return FileError("lock", path, error);
  if (FolderOf(path) != folder_) return FileError("open", path, ENOENT);
  const bool created = !names_.contains(path);
  if (created) Change({{path, NewInode()}});
  const std::shared_ptr<Inode> inode = names_[path];
  auto hold = inode->TakeLock(false, generation_);
  if (hold == nullptr) {
    return Error{Code::kUnavailable, "lock " + path + ": held by another process"};
  }
  return std::unique_ptr<FileLock>(std::make_unique<HeldLock>(
      *this, std::make_unique<OpenFile>(*this, inode, path, true), std::move(hold), created));
}

}  // namespace pgw::testing
