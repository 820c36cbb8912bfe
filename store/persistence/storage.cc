#include "store/persistence/storage.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace pgw::persistence {
namespace {

// Of failed syncs whose records are remembered: far more than there can be threads that still ask.
constexpr std::size_t kVoidRangesMax = 64;

}  // namespace

Result<Lsn> Storage::Append(std::span<const std::string_view> records) {
  const MutexLock lock(mutex_);
  Result<Lsn> first = journal_->Append(records);
  if (journal_->failure()) NoteFailed(*journal_->failure());
  facts_.journal_bytes.store(journal_->size(), std::memory_order_relaxed);
  facts_.lsn = journal_->next_lsn() - 1;
  return first;
}

// Whatever has happened beside an append.
void Storage::NoteFacts() {
  facts_.lsn = journal_->next_lsn() - 1;
  facts_.durable_lsn = durable_lsn_;
  facts_.failed = journal_->failure().has_value();
  facts_.snapshot_bytes = snapshot_bytes_;
  // In this order, and read in the other one: what moves from one to the other is seen at least
  // once.
  facts_.old_journal_bytes = old_journal_ ? old_journal_->size() : 0;
  facts_.journal_bytes = journal_->size();
}

StorageSizes Storage::sizes() const {
  const std::uint64_t now = facts_.journal_bytes;
  const std::uint64_t old = facts_.old_journal_bytes;
  return {facts_.snapshot_bytes, old + now, old == 0 ? 0 : now};
}

std::uint64_t Storage::free_bytes() const {
  const Result<std::uint64_t> free = files_.FreeBytes(FolderOf(names_.journal));
  return free ? *free : std::numeric_limits<std::uint64_t>::max();
}

Status Storage::CheckPlace() {
  std::shared_ptr<Journal> journal;
  {
    const MutexLock lock(mutex_);
    if (journal_->failure()) return *journal_->failure();
    journal = journal_;
  }
  if (IsInPlace(*journal)) {
    // Without it the journal's own lock keeps others off, maybe one that is trying right now.
    [[maybe_unused]] const bool held = HoldLock().ok();
    return {};
  }
  const MutexLock lock(mutex_);
  if (journal_ != journal) return {};
  const Error error{Code::kUnavailable, "write " + names_.journal + ": it is not there any more"};
  NoteFailed(error);
  return error;
}

// While journals change places it has one name or the other.
bool Storage::IsInPlace(const Journal& journal) const {
  const File& file = journal.file();
  return file.IsAt(names_.journal) || file.IsAt(names_.journal_old) || file.IsAt(names_.journal);
}

// Again, if somebody has removed its file.
Status Storage::HoldLock() {
  const MutexLock lock(lock_mutex_);
  if (lock_->InPlace()) return {};
  Result<std::unique_ptr<FileLock>> again = files_.Lock(names_.lock);
  if (!again) return again.error();
  lock_ = std::move(*again);
  return {};
}

// Before anything is put in the place of what is there. Without lock and journal, which another
// process would have met, there may be one by now.
Status Storage::CheckAlone() {
  Status held = HoldLock();
  if (held) return {};
  std::shared_ptr<Journal> journal;
  {
    const MutexLock lock(mutex_);
    journal = journal_;
  }
  return IsInPlace(*journal) ? Status() : held;
}

Result<Lsn> Storage::Sync(Lsn lsn) {
  const MutexLock one_at_a_time(sync_mutex_);
  {
    const MutexLock lock(mutex_);
    assert(lsn < journal_->next_lsn());
    for (const auto& [first, last] : void_) {
      if (lsn < first || lsn > last) continue;
      return Error{Code::kUnavailable, "sync " + names_.journal + ": failed"};
    }
    if (durable_lsn_ >= lsn) return durable_lsn_;
  }
  return SyncAll();
}

// The journals in their order, so that what is on the disk of the later one has no gap before it.
Result<Lsn> Storage::SyncAll() {
  std::shared_ptr<Journal> old;
  std::shared_ptr<Journal> current;
  {
    const MutexLock lock(mutex_);
    if (journal_->failure()) return *journal_->failure();
    if (old_journal_ && !old_journal_->fully_durable()) old = old_journal_;
    current = journal_;
  }
  if (old) {
    const Result<Journal::Mark> synced = SyncJournal(*old);
    if (!synced) return synced.error();
    const MutexLock lock(mutex_);
    current->set_predecessor_durable(true);
  }
  const Result<Journal::Mark> synced = SyncJournal(*current);
  if (!synced) return synced.error();
  const MutexLock lock(mutex_);
  durable_lsn_ = std::max(durable_lsn_, synced->next_lsn - 1);
  NoteFacts();
  return durable_lsn_;
}

Result<Journal::Mark> Storage::SyncJournal(Journal& journal) {
  Journal::Mark mark{};
  {
    const MutexLock lock(mutex_);
    mark = journal.mark();
  }
  const Status status = journal.file().SyncData();
  const MutexLock lock(mutex_);
  if (!status) {
    journal.NoteFailed(status.error());
    NoteFailed(status.error());
    return status.error();
  }
  // An append beside this sync may have learnt of the failure instead.
  if (journal.failure()) return *journal.failure();
  journal.NoteSynced(mark);
  return mark;
}

void Storage::NoteFailed(const Error& error) {
  journal_->NoteFailed(error);
  NoteFacts();
  const Lsn last = journal_->next_lsn() - 1;
  if (last <= durable_lsn_) return;
  const std::pair<Lsn, Lsn> range(durable_lsn_ + 1, last);
  if (!void_.empty() && void_.back() == range) return;
  if (void_.size() == kVoidRangesMax) void_.erase(void_.begin());
  void_.push_back(range);
}

Result<std::shared_ptr<Journal>> Storage::CreateNext(Lsn base, Lsn next) {
  const Result<FileId> id = options_.random_id();
  if (!id) return id.error();
  Result<std::unique_ptr<Journal>> journal =
      Journal::Create(files_, names_.journal_next, {*id, lineage_, base}, next, mode_);
  if (!journal) return journal.error();
  // Before it has the name under which others would find it.
  const Result<bool> locked = (*journal)->file().TryLock();
  if (!locked) return locked.error();
  if (!*locked) {
    return Error{Code::kUnavailable, "lock " + names_.journal_next + ": held by another process"};
  }
  return std::shared_ptr<Journal>(std::move(*journal));
}

// An empty journal in place of all there are. REQUIRES: the snapshot up to `lsn` is lasting, or
// there has never been a record; nothing is appended meanwhile.
Status Storage::InstallFreshJournal(Lsn lsn) {
  Result<std::shared_ptr<Journal>> fresh = CreateNext(lsn + 1, lsn + 1);
  if (!fresh) return fresh.error();
  if (Status status = files_.Rename(names_.journal_next, names_.journal); !status) return status;
  (*fresh)->file().NoteRenamed(names_.journal);
  if (Status status = files_.Remove(names_.journal_old); !status) return status;
  if (Status status = files_.SyncFolder(names_.folder); !status) return status;
  rotation_ = Rotation::kNone;
  next_journal_.reset();
  // Closed without the lock: with its last descriptor a file that has no name any more is freed.
  std::shared_ptr<Journal> retired = std::move(*fresh);
  std::shared_ptr<Journal> retired_old;
  const MutexLock lock(mutex_);
  journal_.swap(retired);
  old_journal_.swap(retired_old);
  durable_lsn_ = lsn;
  NoteFacts();
  return {};
}

Status Storage::BeginCompaction() {
  {
    const MutexLock lock(mutex_);
    if (journal_->failure() || old_journal_) return {};
    if (rotation_ == Rotation::kNone && journal_->size() == kJournalHeaderBytes) return {};
  }
  if (Status status = CheckAlone(); !status) return status;
  if (rotation_ == Rotation::kNone) {
    const Result<Lsn> durable = Sync(lsn());
    if (!durable) return durable.error();
    Result<std::shared_ptr<Journal>> next = CreateNext(*durable + 1, *durable + 1);
    if (!next) return next.error();
    next_journal_ = std::move(*next);
    rotation_ = Rotation::kCreated;
  }
  if (Status status = Rotate(); !status) return status;
  return SwitchJournals();
}

// The names change places while appends go on in the file they know. Both renames at once could,
// if a crash left only the second of them, take the journal's only name away; so the first is made
// lasting before.
Status Storage::Rotate() {
  if (rotation_ == Rotation::kCreated) {
    if (Status status = files_.Rename(names_.journal, names_.journal_old); !status) return status;
    rotation_ = Rotation::kOldRenamed;
  }
  if (rotation_ == Rotation::kOldRenamed) {
    if (Status status = files_.SyncFolder(names_.folder); !status) return status;
    rotation_ = Rotation::kOldLasting;
  }
  if (rotation_ == Rotation::kOldLasting) {
    if (Status status = files_.Rename(names_.journal_next, names_.journal); !status) return status;
    next_journal_->file().NoteRenamed(names_.journal);
    rotation_ = Rotation::kNewRenamed;
  }
  return files_.SyncFolder(names_.folder);
}

Status Storage::SwitchJournals() {
  const MutexLock lock(mutex_);
  // What failed to be written there must not come back beside what is written here instead.
  Status restored = journal_->RestoreTail();
  // A journal that has failed is replaced when a snapshot is committed.
  if (journal_->failure()) {
    NoteFailed(*journal_->failure());
    return {};
  }
  if (!restored) return restored;
  next_journal_->StartAt(journal_->next_lsn());
  next_journal_->set_predecessor_durable(journal_->fully_durable());
  old_journal_ = std::move(journal_);
  journal_ = std::move(next_journal_);
  rotation_ = Rotation::kNone;
  NoteFacts();
  return {};
}

Result<std::unique_ptr<SnapshotWriter>> Storage::StartSnapshot(Lsn lsn, std::string_view meta) {
  if (Status status = CheckAlone(); !status) return status.error();
  const Result<FileId> id = options_.random_id();
  if (!id) return id.error();
  if (Status status = files_.Remove(names_.snapshot_new); !status) return status.error();
  Result<std::unique_ptr<File>> file = files_.Create(names_.snapshot_new, mode_);
  if (!file) return file.error();
  auto writer =
      std::make_unique<SnapshotWriter>(std::move(*file), SnapshotHeader{*id, lineage_, lsn});
  if (Status status = writer->WriteMeta(meta); !status) return status.error();
  return writer;
}

Status Storage::CommitSnapshot(SnapshotWriter& writer) {
  if (!writer.finished()) {
    if (Status status = writer.Finish(); !status) return status;
  }
  if (Status status = CheckAlone(); !status) return status;
  if (foreign_) {
    if (Status status = KeepForeign(); !status) return status;
  }
  if (Status status = files_.Rename(names_.snapshot_new, names_.snapshot); !status) return status;
  foreign_ = false;
  if (Status status = files_.SyncFolder(names_.folder); !status) return status;
  const Lsn covered = writer.header().lsn;
  bool heals = false;
  {
    const MutexLock lock(mutex_);
    snapshot_bytes_ = writer.bytes();
    NoteFacts();
    heals = journal_->failure() && covered + 1 == journal_->next_lsn();
  }
  return heals ? InstallFreshJournal(covered) : DropOld(covered);
}

Status Storage::DropOld(Lsn covered) {
  {
    const MutexLock lock(mutex_);
    if (!old_journal_ || old_journal_->next_lsn() > covered + 1) return {};
  }
  if (Status status = files_.Remove(names_.journal_old); !status) return status;
  // Only a lasting removal takes the question away whether all of it was on the disk.
  if (Status status = files_.SyncFolder(names_.folder); !status) return status;
  std::shared_ptr<Journal> retired;  // closed without the lock, as above
  const MutexLock lock(mutex_);
  old_journal_.swap(retired);
  journal_->set_predecessor_durable(true);
  NoteFacts();
  return {};
}

void Storage::AbandonSnapshot(std::unique_ptr<SnapshotWriter> writer) {
  writer.reset();
  // What stays is removed by the next attempt or the next start.
  [[maybe_unused]] const bool removed = files_.Remove(names_.snapshot_new).ok();
}

// The foreign file gets a second name before the first is taken from it, so that at no moment both
// it and the snapshot are missing.
Status Storage::KeepForeign() {
  const std::string kept = names_.snapshot + options_.foreign_suffix;
  const std::string temporary = kept + ".tmp";
  if (Status status = files_.Remove(temporary); !status) return status;
  if (!files_.Link(names_.snapshot, temporary)) {
    // Not every file system has links.
    if (Status status = CopyFile(names_.snapshot, temporary); !status) return status;
  }
  if (Status status = files_.Rename(temporary, kept); !status) return status;
  // Renaming one name of a file to another of the same file leaves both.
  if (Status status = files_.Remove(temporary); !status) return status;
  return files_.SyncFolder(names_.folder);
}

Status Storage::CopyFile(const std::string& from, const std::string& to) {
  const auto source = files_.Open(from, FileAccess::kRead);
  if (!source) return source.error();
  if (Status status = files_.Remove(to); !status) return status;
  const auto target = files_.Create(to, mode_);
  if (!target) return target.error();
  std::string piece(FileWindow::kReadBytes, '\0');
  for (std::uint64_t offset = 0;; offset += piece.size()) {
    const Result<std::size_t> read = (*source)->ReadAt(offset, piece);
    if (!read) return read.error();
    const std::string_view bytes(piece.data(), *read);
    if (Status status = (*target)->WriteAt(offset, bytes); !status) return status;
    if (*read < piece.size()) break;
  }
  return (*target)->Sync();
}

Status Storage::Close() {
  if (Status status = CheckPlace(); !status) return status;
  const MutexLock one_at_a_time(sync_mutex_);
  if (const Result<Lsn> synced = SyncAll(); !synced) return synced.error();
  std::shared_ptr<Journal> journal;
  {
    const MutexLock lock(mutex_);
    if (Status status = journal_->AppendClose(); !status) return status;
    if (journal_->fully_durable()) return {};
    journal = journal_;
  }
  const Result<Journal::Mark> synced = SyncJournal(*journal);
  return synced ? Status() : Status(synced.error());
}

}  // namespace pgw::persistence
