// For `pushgateway repair`: copies what can still be read of a damaged store into new files. Knows
// base.
#pragma once

#include <cstdint>
#include <string>

#include "base/file_system.h"
#include "store/persistence/recovery.h"
#include "store/persistence/storage.h"

namespace pgw::persistence {

struct RepairReport {
  std::uint64_t blocks_kept = 0;
  std::uint64_t blocks_dropped = 0;  // known to be missing; more may be if the footer is lost
  std::uint64_t records_kept = 0;
  std::uint64_t records_missing = 0;  // before others that were found
  std::uint64_t records_refused = 0;  // by the validator
  std::uint64_t bridges = 0;          // records that the validator put behind gaps: OnGap
  bool complete = true;               // nothing was dropped but unfinished writes
  std::string text;                   // what was kept and dropped, for a person, in lines
};

// Reads the store at `from`, which is not changed and should not be in use, and writes a new one at
// `to`: a snapshot of the blocks that hold, and a journal of all records behind it in frames that
// hold, numbered anew where some are missing. Files of `to` must not exist. `validator` may refuse
// meta, blocks and records, which are then treated as damaged; meta that is lost becomes empty.
// Journals without records and without damage are a sound store, which is empty. An error: nothing
// usable was written.
Result<RepairReport> Repair(FileSystem& files, const std::string& from, const std::string& to,
                            const StorageOptions& options, Replayer& validator);

}  // namespace pgw::persistence
