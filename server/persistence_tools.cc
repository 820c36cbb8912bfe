#include "server/persistence_tools.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "server/routes/own_metrics.h"
#include "store/durable/gob_export.h"
#include "store/durable/gob_import.h"
#include "store/durable/replay.h"
#include "store/metric_store.h"
#include "store/persistence/check.h"
#include "store/persistence/gob_reader.h"
#include "store/persistence/journal_locks.h"
#include "store/persistence/repair.h"

namespace pgw {
namespace {

using persistence::CheckReport;
using persistence::FileNames;

constexpr int kFailed = 1;
constexpr int kIncomplete = 2;

std::string Count(std::uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string GroupsAndFamilies(std::uint64_t groups, std::uint64_t families) {
  return Count(groups, "group", "groups") + " with " + Count(families, "family", "families");
}

ToolResult Failed(const Error& error) { return {kFailed, {}, error.message}; }

// A store as a server with default flags fills it from files, thrown away afterwards.
struct Replayed {
  Replayed()
      : store({.check_consistency = true, .own_families = OwnMetrics::Families()}),
        replayer(store, [this](const File& file, MetricStore& into) {
          return ImportGob(file, into, imported);
        }) {}

  MetricStore store;
  ImportReport imported;
  StoreReplayer replayer;
};

bool FoundNothing(const CheckReport& report) {
  const persistence::Findings& found = report.findings;
  return report.sound() && !found.snapshot && !found.placeholder_mode && !found.old_journal &&
         !found.journal;
}

// What a Go Pushgateway's file comes to, line by line.
std::string DescribeImport(const std::string& path, const ImportReport& imported) {
  std::string text = path + ": a persistence file of the Go Pushgateway; a start takes over " +
                     GroupsAndFamilies(imported.groups, imported.families) + "\n";
  for (const std::string& note : imported.notes) text += "  " + note + "\n";
  if (imported.more_notes > 0) {
    text += "  and " + std::to_string(imported.more_notes) + " more such lines\n";
  }
  return text;
}

// What it means that records are missing.
std::string DescribeGaps(const persistence::RepairReport& report) {
  std::string text;
  if (report.records_missing + report.records_refused > 0) {
    text +=
        "what missing records pushed is not there; what they deleted is there again, or still "
        "there\n";
  }
  if (report.bridges > 0) {
    text +=
        "behind a gap neither the boot nor the time to live is known for certain: nothing expires "
        "there until the next start, which goes by the wall clock\n";
  }
  return text;
}

// A server on these files is kept from starting, or the attempt fails since one runs. Where there
// is no lock file none has run, at least not at this place, and none is left behind; unless it was
// removed, which the journals' own locks tell.
class QuietFiles {
 public:
  static Result<QuietFiles> At(FileSystem& files, const std::string& path) {
    const FileNames names(path);
    QuietFiles quiet(files, names.lock);
    const auto found = files.Inspect(quiet.path_);
    if (!found) return found.error();
    if (*found) {
      auto lock = files.Lock(quiet.path_);
      if (!lock) return lock.error();
      quiet.lock_ = std::move(*lock);
    }
    auto journals = persistence::LockJournals(files, names, FileAccess::kRead);
    if (!journals) return journals.error();
    quiet.journals_ = std::move(*journals);
    return quiet;
  }

  // After the files have been read: whether a server has been started meanwhile.
  Status StillQuiet() const {
    if (lock_) return {};
    const auto found = files_->Inspect(path_);
    if (!found) return found.error();
    if (!*found) return {};
    return Error{Code::kUnavailable,
                 path_ + " has appeared: a server has been started on these files"};
  }

 private:
  QuietFiles(FileSystem& files, std::string path) : files_(&files), path_(std::move(path)) {}

  FileSystem* files_;
  std::string path_;
  std::unique_ptr<FileLock> lock_;
  persistence::LockedJournals journals_;
};

Status MustNotExist(FileSystem& files, const std::string& path) {
  const auto found = files.Inspect(path);
  if (!found) return found.error();
  return *found ? Status(InvalidArgument("write " + path + ": it exists")) : Status();
}

// A file that has its name once it is complete and on the disk.
class NewFile {
 public:
  static Result<std::unique_ptr<NewFile>> Create(FileSystem& files, const std::string& path) {
    const std::string temporary = path + ".tmp";
    for (const std::string& taken : {path, temporary}) {
      if (Status status = MustNotExist(files, taken); !status) return status.error();
    }
    auto file = files.Create(temporary, FileSystem::kPrivateMode);
    if (!file) return file.error();
    return std::unique_ptr<NewFile>(new NewFile(files, path, temporary, std::move(*file)));
  }
  ~NewFile() {
    file_.reset();
    if (!finished_) [[maybe_unused]]
      const bool removed = files_.Remove(temporary_).ok();
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  Status Append(std::string_view bytes) {
    constexpr std::size_t kBufferBytes = 256 * 1024;
    buffer_.append(bytes);
    return buffer_.size() < kBufferBytes ? Status() : Flush();
  }

  Status Finish() {
    if (Status status = Flush(); !status) return status;
    if (Status status = file_->Sync(); !status) return status;
    if (Status status = MustNotExist(files_, path_); !status) return status;
    if (Status status = files_.Rename(temporary_, path_); !status) return status;
    finished_ = true;
    return files_.SyncFolder(FolderOf(path_));
  }

  std::uint64_t bytes() const { return written_; }

 private:
  NewFile(FileSystem& files, std::string path, std::string temporary, std::unique_ptr<File> file)
      : files_(files),
        path_(std::move(path)),
        temporary_(std::move(temporary)),
        file_(std::move(file)) {}

  Status Flush() {
    if (Status status = file_->WriteAt(written_, buffer_); !status) return status;
    written_ += buffer_.size();
    buffer_.clear();
    return {};
  }

  FileSystem& files_;
  const std::string path_;
  const std::string temporary_;
  std::unique_ptr<File> file_;
  std::string buffer_;
  std::uint64_t written_ = 0;
  bool finished_ = false;
};

Result<bool> IsGob(FileSystem& files, const std::string& path) {
  const auto found = files.Inspect(path);
  if (!found) return found.error();
  if (!*found) return false;
  const auto file = files.Open(path, FileAccess::kRead);
  if (!file) return file.error();
  std::array<char, 16> head{};
  const Result<std::size_t> read = (*file)->ReadAt(0, head);
  if (!read) return read.error();
  return LooksLikeGob({head.data(), *read});
}

}  // namespace

ToolResult CheckFiles(FileSystem& files, const std::string& path) {
  Replayed replayed;
  CheckReport report = persistence::Check(files, path, replayed.replayer);
  ToolResult result;
  result.text = std::move(report.text);
  const bool foreign = report.findings.snapshot && report.findings.snapshot->foreign;
  if (report.sound() && foreign) {
    // Behind the line that the file is none of ours.
    result.text.insert(result.text.find('\n') + 1, DescribeImport(path, replayed.imported));
  }
  if (FoundNothing(report)) {
    return {kFailed, {}, path + ": there is neither this file nor a journal beside it"};
  }
  if (!report.sound()) {
    result.exit_code = kFailed;
    result.error = report.problem->message;
  } else {
    result.text += Count(replayed.store.Stats().groups, "group", "groups") + " in all\n";
  }
  return result;
}

ToolResult RepairFiles(FileSystem& files, const std::string& from, const std::string& to) {
  const Result<QuietFiles> quiet = QuietFiles::At(files, from);
  if (!quiet) return Failed(quiet.error());
  const Result<bool> gob = IsGob(files, from);
  if (!gob) return Failed(gob.error());
  if (*gob) {
    return {
        kFailed, {}, from + ": a file of the Go Pushgateway, in which nothing tells what holds"};
  }
  Replayed replayed;
  const auto report = persistence::Repair(files, from, to, {}, replayed.replayer);
  if (!report) return Failed(report.error());
  ToolResult result{report->complete ? 0 : kIncomplete, report->text, {}};
  if (const Status status = quiet->StillQuiet(); !status) {
    return {kFailed, std::move(result.text), status.error().message};
  }
  // What is behind a dropped block may make no sense without it.
  Replayed again;
  const CheckReport check = persistence::Check(files, to, again.replayer);
  if (!check.sound()) {
    return {kFailed, std::move(result.text),
            "what was salvaged is not sound: " + check.problem->message};
  }
  result.text += DescribeGaps(*report);
  result.text += to + ": " + Count(report->blocks_kept, "block", "blocks") + " and " +
                 Count(report->records_kept, "record", "records") + ", " +
                 Count(again.store.Stats().groups, "group", "groups") + " in all\n";
  return result;
}

ToolResult ExportFiles(FileSystem& files, const std::string& from, const std::string& to,
                       const std::string& boot_id, Instant now) {
  const Result<QuietFiles> quiet = QuietFiles::At(files, from);
  if (!quiet) return Failed(quiet.error());
  const auto out = NewFile::Create(files, to);
  if (!out) return Failed(out.error());
  Replayed replayed;
  const CheckReport report = persistence::Check(files, from, replayed.replayer);
  if (!report.sound()) return Failed(*report.problem);
  if (FoundNothing(report)) {
    return {kFailed, {}, from + ": there is neither this file nor a journal beside it"};
  }
  if (const Status status = quiet->StillQuiet(); !status) return Failed(status.error());

  ExportReport exported;
  // A session of today's with the time to live that the files are from.
  const Session today = replayed.replayer.Begin({boot_id, replayed.replayer.session().ttl, now});
  Status status = ExportGob(
      replayed.store, today.time, [&out](std::string_view bytes) { return (*out)->Append(bytes); },
      exported);
  if (status.ok()) status = (*out)->Finish();
  if (!status) return Failed(status.error());
  ToolResult result;
  if (replayed.imported.dropped > 0) result.text = DescribeImport(from, replayed.imported);
  if (report.findings.torn_bytes() > 0) {
    result.text += from + ": left out is an unfinished write of " +
                   Count(report.findings.torn_bytes(), "byte", "bytes") + "\n";
  }
  result.text += to + ": " + GroupsAndFamilies(exported.groups, exported.families) + " in " +
                 Count((*out)->bytes(), "byte", "bytes") + "\n";
  return result;
}

}  // namespace pgw
