// The journals' own locks. F.lock keeps others off as long as it is there; but somebody may remove
// it under a running server, for whom it is left over from a crash. So who writes to a journal, or
// needs it to stay as it is, has that very file locked as well. Knows base.
#pragma once

#include <memory>

#include "base/file_system.h"
#include "store/persistence/recovery.h"

namespace pgw::persistence {

// Each is null where there is no such file. Closing one gives its lock back.
struct LockedJournals {
  std::unique_ptr<File> journal;
  std::unique_ptr<File> old_journal;
};

// Opens and locks what there is of F.journal and F.journal.old, without waiting. For reading,
// others may read too. kUnavailable: somebody has a lock on one of them, who need not have F.lock.
Result<LockedJournals> LockJournals(FileSystem& files, const FileNames& names, FileAccess access);

}  // namespace pgw::persistence
