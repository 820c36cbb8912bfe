// Reads snapshot and journals back: what is believed, what is a torn tail, what is damage. Changes
// nothing on disk. Knows base. docs/persistence.md gives the reasons for the rules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "store/persistence/journal.h"
#include "store/persistence/snapshot_file.h"

namespace pgw::persistence {

// The files beside each other that make up one store.
struct FileNames {
  explicit FileNames(const std::string& path)
      : folder(FolderOf(path)),
        snapshot(path),
        snapshot_new(path + ".tmp"),
        journal(path + ".journal"),
        journal_old(path + ".journal.old"),
        journal_next(path + ".journal.next"),
        lock(path + ".lock") {}

  std::string folder;
  std::string snapshot;
  std::string snapshot_new;  // being written; of no meaning after a crash
  std::string journal;
  std::string journal_old;   // until the snapshot that covers it is on the disk
  std::string journal_next;  // while the journals change places; never has a frame
  std::string lock;
};

// Takes what is read back, in order: meta and blocks of the snapshot, then records. An error ends
// the reading and is reported as damage with file and offset. Views are valid during the call.
class Replayer {
 public:
  virtual ~Replayer() = default;
  virtual Status OnSnapshotMeta(std::string_view meta) = 0;
  virtual Status OnSnapshotBlock(std::string_view block) = 0;
  virtual Status OnRecord(Lsn lsn, std::string_view record) = 0;
  // The file in the snapshot's place is none of ours. Success: it was read, as what records from
  // LSN 1 on are applied to. The error is reported as it is.
  virtual Status OnForeignSnapshot(const File& file);
  // Only asked by who salvages: records right before `next` are missing, and what they said holds
  // no more. The record to be put in their place, so that nothing wrong is concluded from what came
  // before them; nothing if `next` needs none, or by default.
  virtual std::optional<std::string> OnGap(std::string_view next);
};

struct SnapshotFinding {
  SnapshotHeader header;  // of a foreign one nothing is known
  bool foreign = false;
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
  unsigned mode = FileSystem::kPrivateMode;
};

struct JournalFinding {
  std::string path;
  JournalHeader header;
  std::uint64_t bytes = 0;        // of the file
  std::uint64_t valid_bytes = 0;  // up to where it is believed; the rest is to be cut
  std::uint64_t frames = 0;       // believed ones
  std::uint64_t records = 0;      // in them, also those that the snapshot holds
  Lsn first_lsn = 0;              // 0 without records
  Lsn last_lsn = 0;
  Lsn next_lsn = 0;  // that a further frame would have to begin with; 0 if any would do
  // How much of it is proven to have been on the disk: by its frames, or all of it by the next
  // journal's.
  std::uint64_t durable_bytes = kJournalHeaderBytes;
  bool predecessor_durable = false;  // one of its frames says so
  bool closed = false;               // a close frame is the last
  unsigned mode = FileSystem::kPrivateMode;

  std::uint64_t torn_bytes() const { return bytes - valid_bytes; }
};

struct Findings {
  std::optional<SnapshotFinding> snapshot;
  // The permission bits of an empty file in the snapshot's place, as `touch` makes one: it holds
  // nothing and says nothing.
  std::optional<unsigned> placeholder_mode;
  std::optional<JournalFinding> old_journal;
  std::optional<JournalFinding> journal;
  bool unfinished_snapshot = false;  // leftovers, to be removed
  bool unfinished_journal = false;

  Lsn lsn = 0;                    // of the last record, in snapshot or journals
  std::uint64_t replayed = 0;     // records given to the replayer
  std::optional<FileId> lineage;  // of the store

  // Bytes behind the last believed frames.
  std::uint64_t torn_bytes() const;
};

// On error `findings` has what was found until then. kInvalidArgument: damage; kUnavailable: the
// disk could not be read.
Status ReadBack(FileSystem& files, const FileNames& names, Replayer& replayer, Findings& findings);

}  // namespace pgw::persistence
