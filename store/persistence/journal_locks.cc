#include "store/persistence/journal_locks.h"

#include <string>
#include <utility>

namespace pgw::persistence {
namespace {

// What is at `path`, locked; null if nothing is.
Result<std::unique_ptr<File>> LockAt(FileSystem& files, const std::string& path, FileAccess access,
                                     const FileNames& names) {
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto info = files.Inspect(path);
    if (!info) return info.error();
    if (!*info) return std::unique_ptr<File>();
    auto file = files.Open(path, access);
    if (!file) return file.error();
    const Result<bool> locked = (*file)->TryLock();
    if (!locked) return locked.error();
    if (!*locked) {
      return Error{Code::kUnavailable,
                   "lock " + path + ": held by another process, though " + names.lock + " is not"};
    }
    // If another has taken its place meanwhile, that one counts.
    if ((*file)->IsAt(path)) return file;
  }
  return Error{Code::kUnavailable, "lock " + path + ": it is replaced again and again"};
}

}  // namespace

Result<LockedJournals> LockJournals(FileSystem& files, const FileNames& names, FileAccess access) {
  LockedJournals locked;
  // Twice, since between two looks a running server may rename it and put the next one there.
  for (const bool old : {false, true, false}) {
    std::unique_ptr<File>& slot = old ? locked.old_journal : locked.journal;
    if (slot) continue;
    auto file = LockAt(files, old ? names.journal_old : names.journal, access, names);
    if (!file) return file.error();
    slot = std::move(*file);
  }
  return locked;
}

}  // namespace pgw::persistence
