#include "store/persistence/repair.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "store/persistence/damage.h"

namespace pgw::persistence {
namespace {

class Repairer {
 public:
  Repairer(FileSystem& files, const std::string& from, const std::string& to,
           const StorageOptions& options, Replayer& validator)
      : files_(files), from_(from), to_(to), options_(options), validator_(validator) {}

  Result<RepairReport> Run() {
    Status status = CheckTarget();
    if (!status) return status.error();
    if (status = Copy(); status) return std::move(report_);
    writer_.reset();
    journal_.reset();
    // Of the target nothing existed before.
    for (const std::string& path : {to_.snapshot_new, to_.journal, to_.journal_next}) {
      [[maybe_unused]] const bool removed = files_.Remove(path).ok();
    }
    return status.error();
  }

 private:
  Status CheckTarget() {
    for (const std::string& path :
         {to_.snapshot, to_.snapshot_new, to_.journal, to_.journal_old, to_.journal_next}) {
      const auto info = files_.Inspect(path);
      if (!info) return info.error();
      if (*info) return InvalidArgument("write " + path + ": it exists");
    }
    return {};
  }

  Status Copy() {
    // The journals are written to first: with the snapshot, which gets its name last, all is there.
    if (Status status = CopySnapshot(); !status) return status;
    for (const std::string& path : {from_.journal_old, from_.journal}) {
      if (Status status = CopyJournal(path); !status) return status;
    }
    if (!writer_) return InvalidArgument(from_.snapshot + ": there is nothing to be salvaged");
    return Finish();
  }

  void Say(const std::string& line) { report_.text += line + "\n"; }
  void SayDropped(const std::string& line) {
    report_.complete = false;
    Say(line);
  }

  Result<FileId> NewId() { return options_.random_id(); }

  Status StartSnapshot(Lsn lsn, std::string_view meta) {
    const Result<FileId> id = NewId();
    if (!id) return id.error();
    // A new store: its files cannot be mixed up with the damaged ones.
    const Result<FileId> lineage = NewId();
    if (!lineage) return lineage.error();
    lineage_ = *lineage;
    auto file = files_.Create(to_.snapshot_new, FileSystem::kPrivateMode);
    if (!file) return file.error();
    writer_ =
        std::make_unique<SnapshotWriter>(std::move(*file), SnapshotHeader{*id, lineage_, lsn});
    next_lsn_ = lsn + 1;
    return writer_->WriteMeta(meta);
  }

  Status CopySnapshot() {
    const auto info = files_.Inspect(from_.snapshot);
    if (!info) return info.error();
    if (!*info) {
      Say(from_.snapshot + ": does not exist");
      return {};
    }
    const auto file = files_.Open(from_.snapshot, FileAccess::kRead);
    if (!file) return file.error();
    auto salvager = SnapshotSalvager::Open(**file);
    if (!salvager && salvager.error().code == Code::kUnavailable) return salvager.error();
    if (!salvager) {
      SayDropped(salvager.error().message + "; nothing of it is kept");
      snapshot_is_lost_ = true;
      return {};
    }
    std::string_view meta;
    if (!salvager->meta()) {
      SayDropped(from_.snapshot + ": the meta data does not hold");
    } else if (Status status = validator_.OnSnapshotMeta(*salvager->meta()); !status) {
      SayDropped(from_.snapshot + ": the meta data is refused: " + status.error().message);
    } else {
      meta = *salvager->meta();
    }
    if (Status status = StartSnapshot(salvager->header().lsn, meta); !status) return status;
    return CopyBlocks(*salvager);
  }

  Status CopyBlocks(SnapshotSalvager& salvager) {
    std::uint64_t next_index = 0;
    while (true) {
      const auto block = salvager.NextBlock();
      if (!block) return block.error();
      if (!*block) break;
      DropBlocks(next_index, (*block)->index);
      next_index = (*block)->index + 1;
      if (Status status = validator_.OnSnapshotBlock((*block)->payload); !status) {
        ++report_.blocks_dropped;
        SayDropped(from_.snapshot + ": block " + std::to_string((*block)->index) + " at offset " +
                   std::to_string((*block)->offset) + " is refused: " + status.error().message);
        continue;
      }
      if (Status status = writer_->WriteBlock((*block)->payload); !status) return status;
      ++report_.blocks_kept;
    }
    if (salvager.announced_blocks()) {
      DropBlocks(next_index, *salvager.announced_blocks());
    } else {
      SayDropped(from_.snapshot + ": the footer does not hold; what followed block " +
                 std::to_string(next_index) + " is lost, if there was anything");
    }
    Say(from_.snapshot + ": kept " + std::to_string(report_.blocks_kept) +
        " blocks, up to record " + std::to_string(salvager.header().lsn));
    return {};
  }

  void DropBlocks(std::uint64_t first, std::uint64_t end) {
    if (first >= end) return;
    report_.blocks_dropped += end - first;
    SayDropped(from_.snapshot + ": blocks " + std::to_string(first) + " to " +
               std::to_string(end - 1) + " do not hold");
  }

  Status CopyJournal(const std::string& path) {
    const auto info = files_.Inspect(path);
    if (!info) return info.error();
    if (!*info) return {};
    if (ended_) {
      SayDropped(path + ": not read, since what comes before it is missing");
      return {};
    }
    const auto file = files_.Open(path, FileAccess::kRead);
    if (!file) return file.error();
    Result<JournalReader> reader = JournalReader::Open(**file);
    if (!reader && reader.error().code == Code::kUnavailable) return reader.error();
    if (!reader) {
      SayDropped(reader.error().message);
      // If just its identity can be read, the frames tell by themselves whether they hold.
      reader = JournalReader::OpenDamaged(**file);
      if (!reader && reader.error().code == Code::kUnavailable) return reader.error();
      if (!reader) return {};
    }
    if (Status status = CopyFrames(path, *reader); !status) return status;
    Say(path + ": " +
        (last_lsn_ == 0 ? std::string("no record kept")
                        : "kept up to record " + std::to_string(last_lsn_)));
    return {};
  }

  Status CopyFrames(const std::string& path, JournalReader& reader) {
    while (!ended_) {
      const auto frame = reader.Next();
      if (!frame) return frame.error();
      if (*frame) {
        if (Status status = CopyFrame(path, **frame); !status) return status;
        continue;
      }
      const std::uint64_t offset = reader.offset();
      if (offset >= reader.size()) return {};
      const Result<std::uint64_t> next = reader.FindFrame(offset + kAlignment);
      if (!next) return next.error();
      const std::string place = path + ": " + std::to_string(*next - offset) +
                                " bytes from offset " + std::to_string(offset) + " on do not hold";
      if (*next == reader.size()) {
        Say(place + "; an unfinished write, or the end is damaged");
        return {};
      }
      SayDropped(place);
      reader.Seek(*next);
    }
    return {};
  }

  Status CopyFrame(const std::string& path, const JournalReader::Frame& frame) {
    if (frame.header.kind != FrameKind::kRecords) return {};
    // Without the snapshot any record may be the first.
    if (!writer_) {
      const Lsn first = snapshot_is_lost_ ? frame.header.first_lsn : 1;
      if (Status status = StartSnapshot(first - 1, {}); !status) return status;
    }
    if (frame.header.first_lsn > next_lsn_) {
      ended_ = true;
      SayDropped(path + ": what begins at offset " + std::to_string(frame.offset) +
                 " with record " + std::to_string(frame.header.first_lsn) +
                 " is dropped, since record " + std::to_string(next_lsn_) + " is missing");
      return {};
    }
    std::vector<std::string_view> records;
    RecordCursor cursor(frame.header, frame.body);
    Lsn lsn = frame.header.first_lsn;
    for (auto record = cursor.Next(); record; record = cursor.Next(), ++lsn) {
      if (lsn < next_lsn_) continue;
      if (Status status = validator_.OnRecord(lsn, *record); !status) {
        ended_ = true;
        SayDropped(path + ": record " + std::to_string(lsn) + " in the frame at offset " +
                   std::to_string(frame.offset) +
                   " is refused, and all after it dropped: " + status.error().message);
        break;
      }
      records.push_back(*record);
    }
    return records.empty() ? Status() : CopyRecords(records);
  }

  Status CopyRecords(const std::vector<std::string_view>& records) {
    if (Status status = NeedJournal(); !status) return status;
    const Result<Lsn> first = journal_->Append(records);
    if (!first) return first.error();
    next_lsn_ += records.size();
    last_lsn_ = next_lsn_ - 1;
    report_.records_kept += records.size();
    return {};
  }

  Status NeedJournal() {
    if (journal_) return {};
    const Result<FileId> id = NewId();
    if (!id) return id.error();
    auto journal = Journal::Create(files_, to_.journal, {*id, lineage_, next_lsn_}, next_lsn_,
                                   FileSystem::kPrivateMode);
    if (!journal) return journal.error();
    journal_ = std::move(*journal);
    return {};
  }

  Status Finish() {
    if (Status status = NeedJournal(); !status) return status;
    if (Status status = journal_->Sync(); !status) return status;
    if (Status status = journal_->AppendClose(); !status) return status;
    if (Status status = journal_->Sync(); !status) return status;
    if (Status status = writer_->Finish(); !status) return status;
    if (Status status = files_.Rename(to_.snapshot_new, to_.snapshot); !status) return status;
    return files_.SyncFolder(to_.folder);
  }

  FileSystem& files_;
  const FileNames from_;
  const FileNames to_;
  const StorageOptions& options_;
  Replayer& validator_;
  RepairReport report_;
  std::unique_ptr<SnapshotWriter> writer_;
  std::unique_ptr<Journal> journal_;
  FileId lineage_{};
  Lsn next_lsn_ = 1;
  Lsn last_lsn_ = 0;
  bool snapshot_is_lost_ = false;
  bool ended_ = false;  // a record is missing; what follows is of no use
};

}  // namespace

Result<RepairReport> Repair(FileSystem& files, const std::string& from, const std::string& to,
                            const StorageOptions& options, Replayer& validator) {
  return Repairer(files, from, to, options, validator).Run();
}

}  // namespace pgw::persistence
