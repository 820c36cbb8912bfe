#include "store/persistence/journal.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "store/persistence/damage.h"

namespace pgw::persistence {
namespace {

// Places of the fields in the file's header.
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kChecksumAt = 12;
constexpr std::size_t kIdAt = 16;
constexpr std::size_t kLineageAt = 32;
constexpr std::size_t kBaseLsnAt = 48;

// What one large batch needed is not kept for ever.
constexpr std::size_t kScratchBytesKept = 1 << 20;

std::uint32_t HeaderChecksum(std::string_view header) {
  return ExtendCrc32c(Crc32c(header.substr(0, kChecksumAt)), header.substr(kIdAt));
}

JournalHeader DecodeHeader(std::string_view bytes) {
  JournalHeader header;
  std::copy_n(bytes.data() + kIdAt, kFileIdBytes, header.id.begin());
  std::copy_n(bytes.data() + kLineageAt, kFileIdBytes, header.lineage.begin());
  header.base_lsn = Load64(bytes.data() + kBaseLsnAt);
  return header;
}

}  // namespace

std::string EncodeJournalHeader(const JournalHeader& header) {
  std::string bytes(kJournalHeaderBytes, '\0');
  std::copy(kJournalMagic.begin(), kJournalMagic.end(), bytes.begin());
  Store32(bytes.data() + kVersionAt, kJournalVersion);
  std::copy(header.id.begin(), header.id.end(), bytes.begin() + kIdAt);
  std::copy(header.lineage.begin(), header.lineage.end(), bytes.begin() + kLineageAt);
  Store64(bytes.data() + kBaseLsnAt, header.base_lsn);
  Store32(bytes.data() + kChecksumAt, HeaderChecksum(bytes));
  return bytes;
}

Result<std::unique_ptr<Journal>> Journal::Create(FileSystem& files, const std::string& path,
                                                 const JournalHeader& header, Lsn next_lsn,
                                                 unsigned mode) {
  if (Status status = files.Remove(path); !status) return status.error();
  Result<std::unique_ptr<File>> file = files.Create(path, mode);
  if (!file) return file.error();
  Status status = (*file)->WriteAt(0, EncodeJournalHeader(header));
  if (status) status = (*file)->Sync();
  if (!status) {
    // The first error is the one to tell; the leftover is replaced by the next attempt.
    [[maybe_unused]] const bool removed = files.Remove(path).ok();
    return status.error();
  }
  return std::make_unique<Journal>(std::move(*file), header,
                                   End{kJournalHeaderBytes, next_lsn, false});
}

Journal::Journal(std::unique_ptr<File> file, const JournalHeader& header, const End& end)
    : file_(std::move(file)),
      header_(header),
      seeds_(header.id),
      size_(end.size),
      durable_(end.size),
      next_lsn_(end.next_lsn),
      closed_(end.closed) {}

Result<Lsn> Journal::Append(std::span<const std::string_view> records) {
  assert(!records.empty());
  if (FrameBodyBytes(records) > kFrameBodyBytesMax) {
    return Error{Code::kTooLarge, file_->path() + ": a batch of records exceeds " +
                                      std::to_string(kFrameBodyBytesMax) + " bytes"};
  }
  if (Status status = Write(FrameKind::kRecords, records); !status) return status.error();
  const Lsn first = next_lsn_;
  next_lsn_ += records.size();
  closed_ = false;
  return first;
}

void Journal::StartAt(Lsn lsn) {
  assert(size_ == kJournalHeaderBytes && lsn >= header_.base_lsn);
  next_lsn_ = lsn;
}

Status Journal::AppendClose() {
  if (closed_) return {};
  if (Status status = Write(FrameKind::kClose, {}); !status) return status;
  closed_ = true;
  return {};
}

Status Journal::Write(FrameKind kind, std::span<const std::string_view> records) {
  if (failure_) return *failure_;
  if (Status status = RestoreTail(); !status) return status;
  FrameHeader header;
  header.kind = kind;
  header.first_lsn = next_lsn_;
  header.durable = predecessor_durable_ ? durable_ : 0;
  scratch_.clear();
  AppendFrame(seeds_, size_, header, records, scratch_);
  Status status = file_->WriteAt(size_, scratch_);
  if (status) {
    size_ += scratch_.size();
  } else {
    // A reader would cut it off as well; but it takes room on a disk that may have no more.
    tail_is_dirty_ = true;
    [[maybe_unused]] const bool cut = file_->Truncate(size_).ok();
  }
  if (scratch_.capacity() > kScratchBytesKept) std::string().swap(scratch_);
  return status;
}

// What failed to be written is off the disk before anything else takes its place: parts of both
// must never be read as one.
Status Journal::RestoreTail() {
  if (!tail_is_dirty_) return {};
  if (Status status = file_->Truncate(size_); !status) return status;
  if (Status status = file_->SyncData(); !status) {
    NoteFailed(status.error());
    return status;
  }
  tail_is_dirty_ = false;
  return {};
}

void Journal::NoteSynced(const Mark& mark) { durable_ = std::max(durable_, mark.size); }

void Journal::NoteFailed(const Error& error) {
  if (failure_) return;
  failure_ = Error{error.code, error.message + " (the journal waits for a new snapshot)"};
}

Status Journal::Sync() {
  if (failure_) return *failure_;
  const Mark before = mark();
  if (Status status = file_->SyncData(); !status) {
    NoteFailed(status.error());
    return status;
  }
  NoteSynced(before);
  return {};
}

Result<JournalReader> JournalReader::Open(const File& file) {
  Result<FileWindow> window = FileWindow::On(file);
  if (!window) return window.error();
  const Result<std::string_view> bytes = window->At(0, kJournalHeaderBytes);
  if (!bytes) return bytes.error();
  if (bytes->substr(0, kJournalMagic.size()) != kJournalMagic) {
    return DamageAt(file.path(), 0, bytes->empty() ? "the file is empty" : "not a journal");
  }
  if (bytes->size() < kJournalHeaderBytes) {
    return DamageAt(file.path(), bytes->size(), "the header is cut off");
  }
  if (const std::uint32_t version = Load32(bytes->data() + kVersionAt);
      version != kJournalVersion) {
    return DamageAt(file.path(), kVersionAt,
                    "format version " + std::to_string(version) + ", expected " +
                        std::to_string(kJournalVersion));
  }
  if (Load32(bytes->data() + kChecksumAt) != HeaderChecksum(*bytes)) {
    return DamageAt(file.path(), kChecksumAt, "the header does not match its checksum");
  }
  const JournalHeader header = DecodeHeader(*bytes);
  if (header.base_lsn == 0 || header.base_lsn > kLsnMax) {
    return DamageAt(file.path(), kBaseLsnAt, "there is no such record");
  }
  return JournalReader(std::move(*window), header);
}

Result<JournalReader> JournalReader::OpenDamaged(const File& file) {
  Result<FileWindow> window = FileWindow::On(file);
  if (!window) return window.error();
  const Result<std::string_view> bytes = window->At(0, kJournalHeaderBytes);
  if (!bytes) return bytes.error();
  if (bytes->size() < kJournalHeaderBytes) {
    return DamageAt(file.path(), bytes->size(), "the header is cut off");
  }
  JournalHeader header = DecodeHeader(*bytes);
  header.base_lsn = 1;
  return JournalReader(std::move(*window), header);
}

Result<std::optional<JournalReader::Frame>> JournalReader::Next() {
  const Result<std::string_view> head = window_.At(offset_, kFrameHeaderBytes);
  if (!head) return head.error();
  const std::optional<FrameHeader> header = ReadFrameHeader(seeds_, offset_, *head);
  const std::optional<Frame> none;
  if (!header || header->frame_bytes() > window_.size() - offset_) return none;
  // Of the records before the base nothing can be here, and inside a file none is left out.
  if (header->first_lsn < header_.base_lsn) return none;
  if (next_lsn_ && header->first_lsn != *next_lsn_) return none;
  const Result<std::string_view> body =
      window_.At(offset_ + kFrameHeaderBytes, header->padded_body_bytes());
  if (!body) return body.error();
  if (!BodyHolds(seeds_, *header, *body)) return none;
  const std::optional<Frame> frame(Frame{offset_, *header, *body});
  offset_ += header->frame_bytes();
  next_lsn_ = header->next_lsn();
  return frame;
}

template <typename Found>
Status JournalReader::Scan(std::uint64_t from, Found found) {
  std::uint64_t offset = Aligned(from);
  while (offset + kFrameHeaderBytes <= window_.size()) {
    const Result<std::string_view> bytes = window_.At(offset, FileWindow::kReadBytes);
    if (!bytes) return bytes.error();
    if (bytes->size() < kFrameHeaderBytes) break;  // it became shorter
    std::size_t at = 0;
    for (; at + kFrameHeaderBytes <= bytes->size(); at += kAlignment) {
      const std::optional<FrameHeader> header =
          ReadFrameHeader(seeds_, offset + at, bytes->substr(at));
      if (header && found(offset + at, *header)) return {};
    }
    offset += at;
  }
  return {};
}

Result<bool> JournalReader::ProvesDurable(std::uint64_t from, std::uint64_t threshold) {
  bool proven = false;
  const Status status = Scan(from, [&](std::uint64_t, const FrameHeader& header) {
    return proven = header.durable > threshold;
  });
  if (!status) return status.error();
  return proven;
}

Result<std::uint64_t> JournalReader::FindFrame(std::uint64_t from) {
  std::uint64_t found_at = window_.size();
  const Status status = Scan(from, [&](std::uint64_t offset, const FrameHeader&) {
    found_at = offset;
    return true;
  });
  if (!status) return status.error();
  return found_at;
}

}  // namespace pgw::persistence
