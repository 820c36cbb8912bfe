#include "store/persistence/recovery.h"

#include <algorithm>
#include <memory>

#include "store/persistence/damage.h"

namespace pgw::persistence {
namespace {

// What exists at a path as a regular file; an error if it is anything else.
Result<std::optional<FileInfo>> InspectRegular(FileSystem& files, const std::string& path) {
  Result<std::optional<FileInfo>> info = files.Inspect(path);
  if (info && *info && (*info)->kind != FileInfo::Kind::kRegular) {
    return Error{Code::kUnavailable, "open " + path + ": not a regular file"};
  }
  return info;
}

Error WithPlace(std::string_view path, std::uint64_t offset, const Error& error) {
  return DamageAt(path, offset, error.message);
}

class ChainReader {
 public:
  ChainReader(FileSystem& files, const FileNames& names, Replayer& replayer, Findings& findings)
      : files_(files), names_(names), replayer_(replayer), findings_(findings) {}

  Status Run() {
    if (Status status = ReadSnapshot(); !status) return status;
    if (Status status = OpenJournal(names_.journal_old, findings_.old_journal); !status) {
      return status;
    }
    if (Status status = OpenJournal(names_.journal, findings_.journal); !status) return status;
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      if (Status status = ReadJournal(i); !status) return status;
    }
    findings_.lsn = expected_ - 1;
    return LookForLeftovers();
  }

 private:
  struct Link {
    std::unique_ptr<File> file;
    JournalReader reader;
    JournalFinding* finding;
  };

  Status ReadSnapshot() {
    const auto info = InspectRegular(files_, names_.snapshot);
    if (!info) return info.error();
    if (!*info) return {};
    if ((*info)->size == 0) {
      findings_.placeholder_mode = (*info)->mode;
      return {};
    }
    const auto file = files_.Open(names_.snapshot, FileAccess::kRead);
    if (!file) return file.error();
    const Result<bool> ours = IsOurSnapshot(**file);
    if (!ours) return ours.error();
    SnapshotFinding& finding = findings_.snapshot.emplace();
    finding.mode = (*info)->mode;
    finding.bytes = (*info)->size;
    finding.foreign = !*ours;
    return *ours ? ReplaySnapshot(**file, finding) : replayer_.OnForeignSnapshot(**file);
  }

  Status ReplaySnapshot(const File& file, SnapshotFinding& finding) {
    Result<SnapshotReader> reader = SnapshotReader::Open(file);
    if (!reader) return reader.error();
    finding.header = reader->header();
    findings_.lineage = reader->header().lineage;
    if (Status status = replayer_.OnSnapshotMeta(reader->meta()); !status) {
      return WithPlace(file.path(), kSnapshotHeaderBytes, status.error());
    }
    while (true) {
      const std::uint64_t offset = reader->offset();
      const auto block = reader->NextBlock();
      if (!block) return block.error();
      if (!*block) break;
      if (Status status = replayer_.OnSnapshotBlock(**block); !status) {
        return WithPlace(file.path(), offset, status.error());
      }
      ++finding.blocks;
    }
    expected_ = reader->header().lsn + 1;
    findings_.lsn = reader->header().lsn;
    return {};
  }

  Status OpenJournal(const std::string& path, std::optional<JournalFinding>& slot) {
    const auto info = InspectRegular(files_, path);
    if (!info) return info.error();
    if (!*info) return {};
    auto file = files_.Open(path, FileAccess::kRead);
    if (!file) return file.error();
    Result<JournalReader> reader = JournalReader::Open(**file);
    if (!reader) return reader.error();
    JournalFinding& finding = slot.emplace();
    finding.path = path;
    finding.header = reader->header();
    finding.bytes = reader->size();
    finding.valid_bytes = kJournalHeaderBytes;
    finding.mode = (*info)->mode;
    if (findings_.lineage && *findings_.lineage != finding.header.lineage) {
      return DamageAt(path, 0, "belongs to another store than the files beside it");
    }
    findings_.lineage = finding.header.lineage;
    chain_.push_back({std::move(*file), std::move(*reader), &finding});
    return {};
  }

  Status ReadJournal(std::size_t i) {
    Link& link = chain_[i];
    if (link.finding->header.base_lsn > expected_) return MissingBefore(i);
    bool gap = false;
    while (!gap) {
      const auto frame = link.reader.Next();
      if (!frame) return frame.error();
      if (!*frame) break;
      if ((*frame)->header.first_lsn > expected_) {
        gap = true;
      } else if (Status status = TakeFrame(link, **frame); !status) {
        return status;
      }
    }
    if (gap) return JudgeGap(i);
    if (link.finding->torn_bytes() > 0) return JudgeTail(i);
    return {};
  }

  Status TakeFrame(Link& link, const JournalReader::Frame& frame) {
    JournalFinding& finding = *link.finding;
    if (frame.header.kind == FrameKind::kRecords && frame.header.first_lsn <= last_in_journals_) {
      return DamageAt(finding.path, frame.offset,
                      "repeats " + RecordRange(frame.header.first_lsn, last_in_journals_));
    }
    RecordCursor cursor(frame.header, frame.body);
    Lsn lsn = frame.header.first_lsn;
    for (auto record = cursor.Next(); record; record = cursor.Next(), ++lsn) {
      if (lsn < expected_) continue;  // the snapshot has it
      if (Status status = replayer_.OnRecord(lsn, *record); !status) {
        return WithPlace(finding.path, frame.offset,
                         {Code::kInvalidArgument,
                          "record " + std::to_string(lsn) + ": " + status.error().message});
      }
      ++findings_.replayed;
      expected_ = lsn + 1;
    }
    if (!cursor.Whole()) return DamageAt(finding.path, frame.offset, "a frame's records are odd");
    NoteFrame(finding, frame);
    findings_.lsn = expected_ - 1;
    return {};
  }

  void NoteFrame(JournalFinding& finding, const JournalReader::Frame& frame) {
    ++finding.frames;
    finding.valid_bytes = frame.offset + frame.header.frame_bytes();
    finding.durable_bytes = std::max(finding.durable_bytes, frame.header.durable);
    finding.predecessor_durable = finding.predecessor_durable || frame.header.durable > 0;
    finding.next_lsn = frame.header.next_lsn();
    finding.closed = frame.header.kind == FrameKind::kClose;
    if (finding.closed) return;
    finding.records += frame.header.record_count;
    if (finding.first_lsn == 0) finding.first_lsn = frame.header.first_lsn;
    finding.last_lsn = frame.header.next_lsn() - 1;
    last_in_journals_ = finding.last_lsn;
  }

  // Whether a journal after the i-th has a frame that was written when all before it was on the
  // disk.
  Result<bool> SuccessorProves(std::size_t i) {
    for (std::size_t j = i + 1; j < chain_.size(); ++j) {
      const Result<bool> proven = chain_[j].reader.ProvesDurable(kJournalHeaderBytes, 0);
      if (!proven || *proven) return proven;
    }
    return false;
  }

  // What follows the last valid frame is a write that a crash cut short, unless it is proven to
  // have been on the disk.
  Status JudgeTail(std::size_t i) {
    Link& link = chain_[i];
    const std::uint64_t offset = link.finding->valid_bytes;
    Result<bool> proven = link.reader.ProvesDurable(offset, offset);
    if (proven && !*proven) proven = SuccessorProves(i);
    if (!proven) return proven.error();
    if (!*proven) return {};
    return DamageAt(link.finding->path, offset,
                    "a frame that was on the disk does not match its checksum (" +
                        std::to_string(link.finding->torn_bytes()) + " bytes from there on)");
  }

  // The i-th journal's frames begin too late. If the power failed before the end of the journal
  // before it was on the disk, they have no claim either; otherwise something is missing that was.
  Status JudgeGap(std::size_t i) {
    Link& link = chain_[i];
    Result<bool> proven = i == 0;
    if (i > 0) proven = link.reader.ProvesDurable(kJournalHeaderBytes, 0);
    if (proven && !*proven) proven = SuccessorProves(i);
    if (!proven) return proven.error();
    if (!*proven) return {};
    return MissingBefore(i);
  }

  // Between the i-th journal and what comes before it.
  Error MissingBefore(std::size_t i) const {
    const std::string missing = "record " + std::to_string(expected_) + " is missing";
    if (i > 0) {
      const JournalFinding& before = *chain_[i - 1].finding;
      return DamageAt(before.path, before.valid_bytes, "the file ends too early, " + missing);
    }
    return DamageAt(chain_[i].finding->path, 0,
                    "the file begins too late, " + missing +
                        (findings_.snapshot ? " after the snapshot" : " and there is no snapshot"));
  }

  Status LookForLeftovers() {
    // Nobody writes to a journal before it has its final name.
    const auto next = files_.Inspect(names_.journal_next);
    if (!next) return next.error();
    if (*next && (*next)->size > kJournalHeaderBytes) {
      return DamageAt(names_.journal_next, kJournalHeaderBytes,
                      "this file must not hold records; move it away");
    }
    findings_.unfinished_journal = next->has_value();
    const auto temporary = files_.Inspect(names_.snapshot_new);
    if (!temporary) return temporary.error();
    findings_.unfinished_snapshot = temporary->has_value();
    return {};
  }

  FileSystem& files_;
  const FileNames& names_;
  Replayer& replayer_;
  Findings& findings_;
  std::vector<Link> chain_;
  Lsn expected_ = 1;          // the next record to be replayed
  Lsn last_in_journals_ = 0;  // the last one seen, replayed or not
};

}  // namespace

Status Replayer::OnForeignSnapshot(const File& file) {
  return DamageAt(file.path(), 0, "not a snapshot");
}

std::optional<std::string> Replayer::OnGap(std::string_view /*next*/) { return std::nullopt; }

std::uint64_t Findings::torn_bytes() const {
  return (old_journal ? old_journal->torn_bytes() : 0) + (journal ? journal->torn_bytes() : 0);
}

Status ReadBack(FileSystem& files, const FileNames& names, Replayer& replayer, Findings& findings) {
  return ChainReader(files, names, replayer, findings).Run();
}

}  // namespace pgw::persistence
