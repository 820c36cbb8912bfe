// Opening a store's files: reading back, then repairing what a crash left.
#include <algorithm>
#include <string>
#include <utility>

#include "store/persistence/storage.h"

namespace pgw::persistence {

Result<std::unique_ptr<Storage>> Storage::Open(FileSystem& files, const std::string& path,
                                               StorageOptions options, Replayer& replayer) {
  const FileNames names(path);
  if (Status status = files.CheckWritable(names.folder); !status) return status.error();
  Result<std::unique_ptr<FileLock>> lock = files.Lock(names.lock);
  if (!lock) return lock.error();
  Result<LockedJournals> found = LockJournals(files, names, FileAccess::kReadWrite);
  if (!found) {
    (*lock)->Withdraw();
    return found.error();
  }
  std::unique_ptr<Storage> storage(new Storage(  // a private constructor
      files, path, std::move(options), std::move(*lock), std::move(*found)));
  Status status = ReadBack(files, names, replayer, storage->recovered_);
  if (status) status = storage->Repair();
  if (status) return storage;
  const MutexLock held(storage->lock_mutex_);
  storage->lock_->Withdraw();
  return status.error();
}

void Storage::Withdraw() {
  const bool fresh = !recovered_.journal && !recovered_.old_journal && lsn() == recovered_.lsn;
  if (fresh) [[maybe_unused]]
    const bool removed = files_.Remove(names_.journal).ok();
  const MutexLock held(lock_mutex_);
  lock_->Withdraw();
}

Storage::Storage(FileSystem& files, const std::string& path, StorageOptions options,
                 std::unique_ptr<FileLock> lock, LockedJournals found)
    : files_(files),
      names_(path),
      options_(std::move(options)),
      lock_(std::move(lock)),
      found_(std::move(found)) {}

Storage::~Storage() = default;

Status Storage::Repair() {
  const Findings& found = recovered_;
  if (found.lineage) {
    lineage_ = *found.lineage;
  } else {
    const Result<FileId> id = options_.random_id();
    if (!id) return id.error();
    lineage_ = *id;
  }
  if (found.snapshot) {
    mode_ = found.snapshot->mode & 0777U;
    foreign_ = found.snapshot->foreign;
    const MutexLock lock(mutex_);
    snapshot_bytes_ = found.snapshot->bytes;
  } else if (found.placeholder_mode) {
    mode_ = *found.placeholder_mode & 0777U;
  }
  // The later file first: without its end, the earlier one would have a successor that does not
  // fit, and another crash between the two would leave it so.
  if (found.journal) {
    if (Status status = CutTail(*found.journal); !status) return status;
  }
  if (found.old_journal) {
    const bool proven = found.journal && found.journal->predecessor_durable;
    if (Status status = CutTail(*found.old_journal); !status) return status;
    if (Status status = MakeDurable(*found.old_journal, proven); !status) return status;
  }
  if (found.journal) {
    if (Status status = MakeDurable(*found.journal, false); !status) return status;
  }
  return RepairNames();
}

Status Storage::CutTail(const JournalFinding& finding) {
  if (finding.torn_bytes() == 0) return {};
  const auto file = files_.Open(finding.path, FileAccess::kReadWrite);
  if (!file) return file.error();
  return (*file)->Truncate(finding.valid_bytes);  // synced by MakeDurable
}

// What was read may come from the kernel's memory alone, and a process that saw a sync fail may
// have died since: then the kernel takes those pages for clean, and a sync alone would not write
// them. So what is not proven to be on the disk is written once more.
Status Storage::MakeDurable(const JournalFinding& finding, bool proven) {
  if (proven) return {};
  const auto file = files_.Open(finding.path, FileAccess::kReadWrite);
  if (!file) return file.error();
  std::string piece;
  std::uint64_t offset = finding.closed ? finding.valid_bytes : finding.durable_bytes;
  while (offset < finding.valid_bytes) {
    constexpr std::uint64_t kPieceBytes = FileWindow::kReadBytes;
    piece.resize(std::min(kPieceBytes, finding.valid_bytes - offset));
    const Result<std::size_t> read = (*file)->ReadAt(offset, piece);
    if (!read) return read.error();
    if (*read != piece.size()) {
      return Error{Code::kUnavailable, "read " + finding.path + ": it became shorter"};
    }
    if (Status status = (*file)->WriteAt(offset, piece); !status) return status;
    offset += piece.size();
  }
  return (*file)->SyncData();
}

Status Storage::RepairNames() {
  // What was renamed before the crash has to be lasting before anything is removed because of it.
  if (Status status = files_.SyncFolder(names_.folder); !status) return status;
  if (recovered_.unfinished_journal) {
    if (Status status = files_.Remove(names_.journal_next); !status) return status;
  }
  if (recovered_.unfinished_snapshot) {
    if (Status status = files_.Remove(names_.snapshot_new); !status) return status;
  }
  const Lsn covered = recovered_.snapshot ? recovered_.snapshot->header.lsn : 0;
  std::optional<JournalFinding> old = recovered_.old_journal;
  std::optional<JournalFinding> current = recovered_.journal;
  if (old && !current) {
    if (Status status = files_.Rename(names_.journal_old, names_.journal); !status) return status;
    found_.journal = std::move(found_.old_journal);
    if (found_.journal) found_.journal->NoteRenamed(names_.journal);
    current = std::exchange(old, std::nullopt);
    current->path = names_.journal;
  } else if (old && old->last_lsn <= covered) {
    if (Status status = files_.Remove(names_.journal_old); !status) return status;
    old.reset();
  }
  const Lsn lsn = recovered_.lsn;
  // A snapshot may know more than the journals, whose ends were not yet on the disk; records must
  // not be left out inside a journal.
  if (!current || (current->frames > 0 && current->next_lsn != lsn + 1)) {
    Status status = InstallFreshJournal(lsn);
    found_ = {};
    return status;
  }
  Result<std::shared_ptr<Journal>> journal = Adopt(std::move(found_.journal), *current, lsn + 1);
  if (!journal) return journal.error();
  std::shared_ptr<Journal> old_journal;
  if (old) {
    Result<std::shared_ptr<Journal>> adopted =
        Adopt(std::move(found_.old_journal), *old, old->last_lsn + 1);
    if (!adopted) return adopted.error();
    old_journal = std::move(*adopted);
  }
  found_ = {};
  const MutexLock lock(mutex_);
  journal_ = std::move(*journal);
  old_journal_ = std::move(old_journal);
  durable_lsn_ = lsn;
  NoteFacts();
  return {};
}

Result<std::shared_ptr<Journal>> Storage::Adopt(std::unique_ptr<File> file,
                                                const JournalFinding& finding, Lsn next_lsn) {
  if (!file) return Error{Code::kUnavailable, "lock " + finding.path + ": it has just appeared"};
  const Journal::End end{finding.valid_bytes, next_lsn, finding.closed};
  return std::make_shared<Journal>(std::move(file), finding.header, end);
}

}  // namespace pgw::persistence
