#include "store/persistence/repair.h"

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "store/persistence/damage.h"

namespace pgw::persistence {
namespace {

// The store that is written.
class NewStore {
 public:
  NewStore(FileSystem& files, const std::string& path, const StorageOptions& options)
      : files_(files), names_(path), options_(options) {}

  // Nothing of it may exist before.
  Status CheckAbsent() const {
    for (const std::string& path : {names_.snapshot, names_.snapshot_new, names_.journal,
                                    names_.journal_old, names_.journal_next}) {
      const auto info = files_.Inspect(path);
      if (!info) return info.error();
      if (*info) return InvalidArgument("write " + path + ": it exists");
    }
    return {};
  }

  bool begun() const { return writer_ != nullptr; }

  // With a snapshot of what the records up to `lsn` did. Then blocks, then records.
  Status Begin(Lsn lsn, std::string_view meta) {
    const Result<FileId> id = options_.random_id();
    if (!id) return id.error();
    // Its files cannot be mixed up with the damaged ones.
    const Result<FileId> lineage = options_.random_id();
    if (!lineage) return lineage.error();
    lineage_ = *lineage;
    auto file = files_.Create(names_.snapshot_new, FileSystem::kPrivateMode);
    if (!file) return file.error();
    writer_ =
        std::make_unique<SnapshotWriter>(std::move(*file), SnapshotHeader{*id, lineage_, lsn});
    return writer_->WriteMeta(meta);
  }

  Status AddBlock(std::string_view block) { return writer_->WriteBlock(block); }

  // They are numbered on, whatever their numbers were.
  Status AddRecords(std::span<const std::string_view> records) {
    if (Status status = NeedJournal(); !status) return status;
    const Result<Lsn> first = journal_->Append(records);
    return first ? Status() : first.error();
  }

  // The journal is complete before the snapshot gets its name: with that, all is there.
  Status Finish() {
    if (Status status = NeedJournal(); !status) return status;
    if (Status status = journal_->Sync(); !status) return status;
    if (Status status = journal_->AppendClose(); !status) return status;
    if (Status status = journal_->Sync(); !status) return status;
    if (Status status = writer_->Finish(); !status) return status;
    if (Status status = files_.Rename(names_.snapshot_new, names_.snapshot); !status) return status;
    return files_.SyncFolder(names_.folder);
  }

  void Discard() {
    writer_.reset();
    journal_.reset();
    for (const std::string& path : {names_.snapshot_new, names_.journal, names_.journal_next}) {
      [[maybe_unused]] const bool removed = files_.Remove(path).ok();
    }
  }

 private:
  Status NeedJournal() {
    if (journal_) return {};
    const Result<FileId> id = options_.random_id();
    if (!id) return id.error();
    const Lsn first = writer_->header().lsn + 1;
    auto journal = Journal::Create(files_, names_.journal, {*id, lineage_, first}, first,
                                   FileSystem::kPrivateMode);
    if (!journal) return journal.error();
    journal_ = std::move(*journal);
    return {};
  }

  FileSystem& files_;
  const FileNames names_;
  const StorageOptions& options_;
  FileId lineage_{};
  std::unique_ptr<SnapshotWriter> writer_;
  std::unique_ptr<Journal> journal_;
};

class Repairer {
 public:
  Repairer(FileSystem& files, const std::string& from, const std::string& to,
           const StorageOptions& options, Replayer& validator)
      : files_(files), from_(from), to_(files, to, options), validator_(validator) {}

  Result<RepairReport> Run() {
    if (Status status = to_.CheckAbsent(); !status) return status.error();
    const Status status = Copy();
    if (status) return std::move(report_);
    to_.Discard();
    return status.error();
  }

 private:
  Status Copy() {
    if (Status status = CopySnapshot(); !status) return status;
    for (const std::string& path : {from_.journal_old, from_.journal}) {
      if (Status status = CopyJournal(path); !status) return status;
    }
    if (!to_.begun()) {
      if (Status status = BeginEmpty(); !status) return status;
    }
    return to_.Finish();
  }

  void Say(const std::string& line) { report_.text += line + "\n"; }
  void SayDropped(const std::string& line) {
    report_.complete = false;
    Say(line);
  }

  // A server that was stopped before anything was pushed leaves a journal without records. That is
  // a sound store, and so is what comes of it.
  Status BeginEmpty() {
    if (!(found_journal_ || found_placeholder_) || !report_.complete) {
      return InvalidArgument(from_.snapshot + ": there is nothing to be salvaged");
    }
    Say(from_.snapshot + ": nothing has been stored yet");
    return to_.Begin(0, {});
  }

  Status CopySnapshot() {
    const auto info = files_.Inspect(from_.snapshot);
    if (!info) return info.error();
    if (!*info) {
      Say(from_.snapshot + ": does not exist");
      return {};
    }
    if ((*info)->kind == FileInfo::Kind::kRegular && (*info)->size == 0) {
      Say(from_.snapshot + ": empty");
      found_placeholder_ = true;
      return {};
    }
    const auto file = files_.Open(from_.snapshot, FileAccess::kRead);
    if (!file) return file.error();
    auto salvager = SnapshotSalvager::Open(**file);
    if (!salvager && salvager.error().code == Code::kUnavailable) return salvager.error();
    if (!salvager) {
      SayDropped(salvager.error().message + "; nothing of it is kept");
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
    lineage_ = salvager->header().lineage;
    next_ = salvager->header().lsn + 1;
    if (Status status = to_.Begin(salvager->header().lsn, meta); !status) return status;
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
      if (Status status = to_.AddBlock((*block)->payload); !status) return status;
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
    found_journal_ = true;
    const auto file = files_.Open(path, FileAccess::kRead);
    if (!file) return file.error();
    Result<JournalReader> reader = JournalReader::Open(**file);
    if (!reader && reader.error().code == Code::kUnavailable) return reader.error();
    if (reader) {
      if (lineage_ && *lineage_ != reader->header().lineage) {
        SayDropped(path + ": belongs to another store than the files beside it; not read");
        return {};
      }
      lineage_ = reader->header().lineage;
      // All before it was on the disk once.
      Expect(path, 0, reader->header().base_lsn);
    } else {
      SayDropped(reader.error().message);
      // If just its identity can be read, the frames tell by themselves whether they hold.
      reader = JournalReader::OpenDamaged(**file);
      if (!reader && reader.error().code == Code::kUnavailable) return reader.error();
      if (!reader) return {};
    }
    const std::uint64_t kept_before = report_.records_kept;
    if (Status status = CopyFrames(path, *reader); !status) return status;
    const std::uint64_t kept = report_.records_kept - kept_before;
    Say(path + ": records kept: " + std::to_string(kept));
    return {};
  }

  Status CopyFrames(const std::string& path, JournalReader& reader) {
    std::optional<std::uint64_t> hole;  // where it begins
    while (true) {
      const auto frame = reader.Next();
      if (!frame) return frame.error();
      if (*frame) {
        if (hole) SayHole(path, *hole, **frame);
        hole.reset();
        if (Status status = CopyFrame(path, **frame); !status) return status;
        continue;
      }
      if (reader.offset() >= reader.size()) break;
      if (!hole) hole = reader.offset();
      const Result<std::uint64_t> next = reader.FindFrame(reader.offset() + kAlignment);
      if (!next) return next.error();
      if (*next == reader.size()) break;
      reader.Seek(*next);
    }
    return hole ? JudgeEnd(path, *hole, reader) : Status();
  }

  static std::string Hole(const std::string& path, std::uint64_t begin, std::uint64_t end) {
    return path + ": " + std::to_string(end - begin) + " bytes from offset " +
           std::to_string(begin) + " on do not hold";
  }

  // Whether it took records along, the next frame tells.
  void SayHole(const std::string& path, std::uint64_t begin, const JournalReader::Frame& next) {
    const bool harmless = next.header.first_lsn <= next_;
    Say(Hole(path, begin, next.offset) + (harmless ? "; nothing is missing for it" : ""));
  }

  // No frame that holds follows.
  Status JudgeEnd(const std::string& path, std::uint64_t hole, JournalReader& reader) {
    const std::string place = Hole(path, hole, reader.size());
    const Result<bool> was_there = reader.ProvesDurable(hole, hole);
    if (!was_there) return was_there.error();
    if (*was_there) {
      SayDropped(place + "; they were on the disk, so that record " + std::to_string(next_) +
                 " and what came behind it are missing");
    } else {
      Say(place + "; an unfinished write, or the end is damaged");
    }
    return {};
  }

  // What has not come before record `lsn` does, which is in the frame at `offset`, is missing.
  void Expect(const std::string& path, std::uint64_t offset, Lsn lsn) {
    if (lsn <= next_) return;
    report_.records_missing += lsn - next_;
    SayDropped(path + ": " + RecordRange(next_, lsn - 1) + (lsn - next_ == 1 ? " is" : " are") +
               " missing before offset " + std::to_string(offset));
    next_ = lsn;
    gap_ = true;
  }

  Status CopyFrame(const std::string& path, const JournalReader::Frame& frame) {
    Expect(path, frame.offset, frame.header.first_lsn);
    std::vector<std::string_view> records;
    RecordCursor cursor(frame.header, frame.body);
    Lsn lsn = frame.header.first_lsn;
    for (auto record = cursor.Next(); record; record = cursor.Next(), ++lsn) {
      if (lsn < next_) continue;  // the snapshot has it
      next_ = lsn + 1;
      if (gap_) {
        if (Status status = CopyRecords(records); !status) return status;
        records.clear();
        if (Status status = BridgeGap(lsn, *record); !status) return status;
      }
      if (Status status = TakeRecord(path, frame.offset, lsn, *record, records); !status) {
        return status;
      }
    }
    if (!cursor.Whole()) {
      SayDropped(path + ": the records of the frame at offset " + std::to_string(frame.offset) +
                 " are odd");
      Expect(path, frame.offset + frame.header.frame_bytes(), frame.header.next_lsn());
    }
    return CopyRecords(records);
  }

  Status TakeRecord(const std::string& path, std::uint64_t offset, Lsn lsn, std::string_view record,
                    std::vector<std::string_view>& records) {
    if (Status status = validator_.OnRecord(lsn, record); !status) {
      ++report_.records_refused;
      gap_ = true;
      SayDropped(path + ": record " + std::to_string(lsn) + " in the frame at offset " +
                 std::to_string(offset) + " is refused: " + status.error().message);
      return {};
    }
    records.push_back(record);
    // Without the snapshot any record may be the first.
    return to_.begun() ? Status() : to_.Begin(lsn - 1, {});
  }

  Status BridgeGap(Lsn lsn, std::string_view next) {
    gap_ = false;
    // What there is nothing before needs no bridge.
    if (!to_.begun()) return {};
    const std::optional<std::string> bridge = validator_.OnGap(next);
    if (!bridge || !validator_.OnRecord(lsn, *bridge)) return {};
    ++report_.bridges;
    const std::string_view records[] = {*bridge};
    return to_.AddRecords(records);
  }

  Status CopyRecords(std::span<const std::string_view> records) {
    if (records.empty()) return {};
    report_.records_kept += records.size();
    return to_.AddRecords(records);
  }

  FileSystem& files_;
  const FileNames from_;
  NewStore to_;
  Replayer& validator_;
  RepairReport report_;
  std::optional<FileId> lineage_;  // of what is read
  Lsn next_ = 1;                   // the first record that has neither come nor been missed
  bool gap_ = false;               // something is missing right before the next record
  bool found_journal_ = false;
  bool found_placeholder_ = false;
};

}  // namespace

Result<RepairReport> Repair(FileSystem& files, const std::string& from, const std::string& to,
                            const StorageOptions& options, Replayer& validator) {
  return Repairer(files, from, to, options, validator).Run();
}

}  // namespace pgw::persistence
