// A store's files: snapshot, journal and lock, and the protocol between them. Knows base.
//
//   F              the snapshot: everything up to an LSN
//   F.journal      what came since
//   F.journal.old  the journal before it, as long as no snapshot covers it
//   F.lock         held while the store is open, as are locks on the journals themselves
//
// One storage at a time; the locks see to it. docs/persistence.md tells what survives what.
//
//   auto storage = Storage::Open(files, path, {}, replayer);       // replays what is there
//   storage->Append(records); storage->Sync(lsn);                  // from now on it survives
//   storage->BeginCompaction();                                    // a fresh journal
//   auto writer = storage->StartSnapshot(storage->lsn(), meta);    // while nothing is appended
//   writer->WriteBlock(…); …; storage->CommitSnapshot(*writer);    // beside appends
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "base/mutex.h"
#include "base/result.h"
#include "store/persistence/journal.h"
#include "store/persistence/journal_locks.h"
#include "store/persistence/recovery.h"
#include "store/persistence/snapshot_file.h"

namespace pgw::persistence {

struct StorageOptions {
  // Where identities come from; tests have their own.
  std::function<Result<FileId>()> random_id = RandomFileId;
  // What a foreign file in the snapshot's place is called once a snapshot replaces it.
  std::string foreign_suffix = ".gob.bak";
};

// What is on disk, for the decision when to compact.
struct StorageSizes {
  std::uint64_t snapshot_bytes = 0;
  std::uint64_t journal_bytes = 0;      // of all journals
  std::uint64_t new_journal_bytes = 0;  // of the one that a snapshot begun now would not cover
};

// Append, Sync and the questions: any thread. BeginCompaction, StartSnapshot, CommitSnapshot and
// Close: one thread at a time. The file system must outlive it. Destroying it without Close is
// what a crash is, as far as the files are concerned.
class Storage {
 public:
  // Locks, reads back, and only then repairs: cuts torn tails, removes leftovers, brings what was
  // read to the disk. On error all files are as they were, and a lock file that was not there is
  // not there, unless that last step failed; it may be repeated.
  static Result<std::unique_ptr<Storage>> Open(FileSystem& files, const std::string& path,
                                               StorageOptions options, Replayer& replayer);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  // What Open found.
  const Findings& recovered() const { return recovered_; }

  // Adds a batch of records to the journal, all or none, and returns the LSN of the first. Does not
  // wait for the disk. After an error nothing was added and it may be tried again, unless
  // needs_snapshot().
  Result<Lsn> Append(std::span<const std::string_view> records);
  // Returns when all records up to `lsn` are on the disk, with the last LSN that is. Threads that
  // wait together share a sync, and appends go on meanwhile. After an error needs_snapshot().
  Result<Lsn> Sync(Lsn lsn);

  // None of these waits, whatever an append waits for, except for free_bytes().
  Lsn lsn() const { return facts_.lsn; }                  // of the last record
  Lsn durable_lsn() const { return facts_.durable_lsn; }  // of the last record on the disk
  StorageSizes sizes() const;
  // How much more the disk takes; all there can be, if it does not tell.
  std::uint64_t free_bytes() const;
  // An error if the journal is not where the next start would look for it: somebody has moved or
  // removed it, or its folder. What was appended since is as good as lost, so needs_snapshot().
  // Where F.lock was removed, it is made and locked again.
  Status CheckPlace();
  // A sync failed: nobody knows what of the journal is on the disk, and nothing can be appended
  // until a snapshot of everything, lsn() included, is committed. Records of which Sync has not
  // returned success may be left out of it.
  bool needs_snapshot() const { return facts_.failed; }

  // Begins a new journal, so that the one before can go once a snapshot covers it. Waits for the
  // disk; appends do not. Does nothing if that is not possible or not needed yet. After an error
  // everything goes on as before; to be tried again.
  Status BeginCompaction();
  // A snapshot that is to hold the effect of all records up to `lsn`, and nothing else.
  // REQUIRES: BeginCompaction() has returned; only one at a time.
  // kUnavailable, beside what the disk may say: neither F.lock nor the journal is in its place any
  // more, and another process uses the files by now. So for BeginCompaction and CommitSnapshot.
  Result<std::unique_ptr<SnapshotWriter>> StartSnapshot(Lsn lsn, std::string_view meta);
  // Finishes it and puts it in the place of the one before; removes the journal it covers, and ends
  // needs_snapshot() if it reaches lsn(). On error the snapshot before stays and nothing is lost.
  Status CommitSnapshot(SnapshotWriter& writer);
  // Gives a snapshot up and removes its file.
  void AbandonSnapshot(std::unique_ptr<SnapshotWriter> writer);

  // Instead of Close, for a start that is refused elsewhere: takes back what Open has made where
  // nothing was. REQUIRES: nothing has been appended. Nothing may be called after it.
  void Withdraw();
  // Syncs and notes in the journal that this was the end. Nothing may be called after it but the
  // destructor.
  Status Close();

 private:
  // How far the journals have changed places.
  enum class Rotation : unsigned char { kNone, kCreated, kOldRenamed, kOldLasting, kNewRenamed };

  Storage(FileSystem& files, const std::string& path, StorageOptions options,
          std::unique_ptr<FileLock> lock, LockedJournals found);

  // Opening, in storage_open.cc.
  Status Repair();
  Status CutTail(const JournalFinding& finding);
  Status MakeDurable(const JournalFinding& finding, bool proven);
  Status RepairNames();
  static Result<std::shared_ptr<Journal>> Adopt(std::unique_ptr<File> file,
                                                const JournalFinding& finding, Lsn next_lsn);

  Result<Lsn> SyncAll() PGW_REQUIRES(sync_mutex_);
  Result<Journal::Mark> SyncJournal(Journal& journal) PGW_REQUIRES(sync_mutex_);
  void NoteFailed(const Error& error) PGW_REQUIRES(mutex_);
  void NoteFacts() PGW_REQUIRES(mutex_);
  Result<std::shared_ptr<Journal>> CreateNext(Lsn base, Lsn next);
  Status InstallFreshJournal(Lsn lsn);
  Status Rotate();
  Status SwitchJournals();
  Status KeepForeign();
  Status CopyFile(const std::string& from, const std::string& to);
  Status DropOld(Lsn covered);
  bool IsInPlace(const Journal& journal) const;
  Status HoldLock();
  Status CheckAlone();

  FileSystem& files_;
  const FileNames names_;
  const StorageOptions options_;
  mutable Mutex lock_mutex_;
  std::unique_ptr<FileLock> lock_ PGW_GUARDED_BY(lock_mutex_);
  LockedJournals found_;  // until Open is through with them
  Findings recovered_;
  FileId lineage_{};
  unsigned mode_ = FileSystem::kPrivateMode;

  // One sync at a time: of two at once on a file, the kernel tells only one of a failure. Taken
  // before mutex_.
  mutable Mutex sync_mutex_;
  mutable Mutex mutex_;
  std::shared_ptr<Journal> journal_ PGW_GUARDED_BY(mutex_);
  std::shared_ptr<Journal> old_journal_ PGW_GUARDED_BY(mutex_);  // null without F.journal.old
  Lsn durable_lsn_ PGW_GUARDED_BY(mutex_) = 0;
  // Records whose sync failed, as ranges with their ends: they stay unacknowledged, even when a
  // later snapshot has put them aside.
  std::vector<std::pair<Lsn, Lsn>> void_ PGW_GUARDED_BY(mutex_);
  std::uint64_t snapshot_bytes_ PGW_GUARDED_BY(mutex_) = 0;

  // What of the above is asked for; an append has mutex_ while it waits for the disk.
  struct {
    std::atomic<Lsn> lsn = 0;
    std::atomic<Lsn> durable_lsn = 0;
    std::atomic<bool> failed = false;
    std::atomic<std::uint64_t> snapshot_bytes = 0;
    std::atomic<std::uint64_t> journal_bytes = 0;
    std::atomic<std::uint64_t> old_journal_bytes = 0;
  } facts_;

  // Of the compacting thread.
  Rotation rotation_ = Rotation::kNone;
  std::shared_ptr<Journal> next_journal_;
  bool foreign_ = false;  // F is a file of somebody else's
};

}  // namespace pgw::persistence
