#include "store/persistence/snapshot_file.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "store/persistence/damage.h"

namespace pgw::persistence {
namespace {

// Written to the file at once; blocks are collected up to this.
constexpr std::size_t kWriteBytes = 256 * 1024;

constexpr std::uint32_t kBlockMarker = 0x42574750;   // "PGWB"
constexpr std::uint32_t kFooterMarker = 0x45574750;  // "PGWE"

// Places of the fields in the header …
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kChecksumAt = 12;
constexpr std::size_t kIdAt = 16;
constexpr std::size_t kLineageAt = 32;
constexpr std::size_t kLsnAt = 48;
constexpr std::size_t kMetaBytesAt = 56;
constexpr std::size_t kMetaChecksumAt = 60;

// … in a block's header …
constexpr std::size_t kBlockHeaderChecksumAt = 4;
constexpr std::size_t kBlockChecksumAt = 8;
constexpr std::size_t kBlockBytesAt = 12;
constexpr std::size_t kBlockIndexAt = 16;

// … and in the footer, which repeats what a damaged header would take with it.
constexpr std::size_t kFooterChecksumAt = 4;
constexpr std::size_t kFooterBlocksAt = 8;
constexpr std::size_t kFooterBytesAt = 16;
constexpr std::size_t kFooterIdAt = 24;
constexpr std::size_t kFooterLineageAt = 40;
constexpr std::size_t kFooterLsnAt = 56;

std::uint32_t HeaderChecksum(std::string_view header) {
  return ExtendCrc32c(Crc32c(header.substr(0, kChecksumAt)),
                      header.substr(kIdAt, kSnapshotHeaderBytes - kIdAt));
}

std::uint32_t FooterChecksum(std::string_view footer) {
  return Crc32c(footer.substr(kFooterBlocksAt, kSnapshotFooterBytes - kFooterBlocksAt));
}

std::uint32_t BlockHeaderChecksum(const ChecksumSeeds& seeds, std::uint64_t offset,
                                  const char* header) {
  std::array<char, 8> place{};
  Store64(place.data(), offset);
  const std::uint32_t crc = ExtendCrc32c(seeds.header, {place.data(), place.size()});
  return ExtendCrc32c(crc, {header + kBlockChecksumAt, kBlockHeaderBytes - kBlockChecksumAt});
}

void PutId(const FileId& id, char* to) { std::copy(id.begin(), id.end(), to); }

SnapshotHeader HeaderAt(const char* id, const char* lineage, const char* lsn) {
  SnapshotHeader header;
  std::copy_n(id, kFileIdBytes, header.id.begin());
  std::copy_n(lineage, kFileIdBytes, header.lineage.begin());
  header.lsn = Load64(lsn);
  return header;
}

SnapshotHeader DecodeHeader(std::string_view bytes) {
  return HeaderAt(bytes.data() + kIdAt, bytes.data() + kLineageAt, bytes.data() + kLsnAt);
}

struct Footer {
  SnapshotHeader header;
  std::uint64_t blocks;
  std::uint64_t bytes;
};

std::optional<Footer> DecodeFooter(std::string_view bytes) {
  if (bytes.size() < kSnapshotFooterBytes || Load32(bytes.data()) != kFooterMarker ||
      Load32(bytes.data() + kFooterChecksumAt) != FooterChecksum(bytes)) {
    return std::nullopt;
  }
  return Footer{HeaderAt(bytes.data() + kFooterIdAt, bytes.data() + kFooterLineageAt,
                         bytes.data() + kFooterLsnAt),
                Load64(bytes.data() + kFooterBlocksAt), Load64(bytes.data() + kFooterBytesAt)};
}

struct BlockHeader {
  std::uint32_t checksum;
  std::uint32_t bytes;
  std::uint64_t index;
};

std::optional<BlockHeader> DecodeBlockHeader(const ChecksumSeeds& seeds, std::uint64_t offset,
                                             std::string_view bytes) {
  if (bytes.size() < kBlockHeaderBytes || Load32(bytes.data()) != kBlockMarker ||
      Load32(bytes.data() + kBlockHeaderChecksumAt) !=
          BlockHeaderChecksum(seeds, offset, bytes.data())) {
    return std::nullopt;
  }
  return BlockHeader{Load32(bytes.data() + kBlockChecksumAt), Load32(bytes.data() + kBlockBytesAt),
                     Load64(bytes.data() + kBlockIndexAt)};
}

// The payload of a block or the meta data at `offset`; nothing if it is not what the checksum says.
Result<std::optional<std::string_view>> ReadPayload(FileWindow& window, const ChecksumSeeds& seeds,
                                                    std::uint64_t offset, std::uint64_t bytes,
                                                    std::uint32_t checksum) {
  const std::optional<std::string_view> none;
  if (offset > window.size() || Aligned(bytes) > window.size() - offset) return none;
  const Result<std::string_view> padded = window.At(offset, Aligned(bytes));
  if (!padded) return padded.error();
  if (padded->size() != Aligned(bytes) || ExtendCrc32c(seeds.body, *padded) != checksum) {
    return none;
  }
  return std::optional<std::string_view>(padded->substr(0, bytes));
}

// `header` is the file's first bytes.
Result<std::optional<std::string_view>> ReadMeta(FileWindow& window, const ChecksumSeeds& seeds,
                                                 std::uint32_t bytes, std::uint32_t checksum) {
  if (bytes > kMetaBytesMax) return std::optional<std::string_view>();
  return ReadPayload(window, seeds, kSnapshotHeaderBytes, bytes, checksum);
}

void AppendPadded(std::string_view payload, std::string& out) {
  out.append(payload);
  out.append(Aligned(payload.size()) - payload.size(), '\0');
}

std::uint32_t PaddedChecksum(const ChecksumSeeds& seeds, std::string_view payload) {
  constexpr std::string_view kZeros("\0\0\0\0\0\0\0", kAlignment - 1);
  return ExtendCrc32c(ExtendCrc32c(seeds.body, payload),
                      kZeros.substr(0, Aligned(payload.size()) - payload.size()));
}

Error TooLarge(const File& file, std::string_view what, std::uint64_t bytes_max) {
  return {Code::kTooLarge, file.path() + ": " + std::string(what) + " exceeds " +
                               std::to_string(bytes_max) + " bytes"};
}

}  // namespace

SnapshotWriter::SnapshotWriter(std::unique_ptr<File> file, const SnapshotHeader& header)
    : file_(std::move(file)), header_(header), seeds_(header.id) {}

Status SnapshotWriter::WriteMeta(std::string_view meta) {
  assert(bytes() == 0);
  if (meta.size() > kMetaBytesMax) return TooLarge(*file_, "the meta data", kMetaBytesMax);
  pending_.assign(kSnapshotHeaderBytes, '\0');
  char* const bytes = pending_.data();
  std::copy(kSnapshotMagic.begin(), kSnapshotMagic.end(), bytes);
  Store32(bytes + kVersionAt, kSnapshotVersion);
  PutId(header_.id, bytes + kIdAt);
  PutId(header_.lineage, bytes + kLineageAt);
  Store64(bytes + kLsnAt, header_.lsn);
  Store32(bytes + kMetaBytesAt, static_cast<std::uint32_t>(meta.size()));
  Store32(bytes + kMetaChecksumAt, PaddedChecksum(seeds_, meta));
  Store32(bytes + kChecksumAt, HeaderChecksum(pending_));
  AppendPadded(meta, pending_);
  return {};
}

Status SnapshotWriter::WriteBlock(std::string_view block) {
  assert(bytes() >= kSnapshotHeaderBytes && !finished_);
  if (block.size() > kBlockBytesMax) return TooLarge(*file_, "a block", kBlockBytesMax);
  std::array<char, kBlockHeaderBytes> header{};
  Store32(header.data(), kBlockMarker);
  Store32(header.data() + kBlockChecksumAt, PaddedChecksum(seeds_, block));
  Store32(header.data() + kBlockBytesAt, static_cast<std::uint32_t>(block.size()));
  Store64(header.data() + kBlockIndexAt, blocks_);
  Store32(header.data() + kBlockHeaderChecksumAt,
          BlockHeaderChecksum(seeds_, bytes(), header.data()));
  pending_.append(header.data(), header.size());
  AppendPadded(block, pending_);
  ++blocks_;
  return pending_.size() < kWriteBytes ? Status() : Flush();
}

Status SnapshotWriter::Flush() {
  if (pending_.empty()) return {};
  if (Status status = file_->WriteAt(written_, pending_); !status) return status;
  written_ += pending_.size();
  // A large block's memory is given back.
  if (pending_.capacity() > 2 * kWriteBytes) std::string().swap(pending_);
  pending_.clear();
  return {};
}

Status SnapshotWriter::WriteBack() {
  if (Status status = Flush(); !status) return status;
  return file_->WriteBack();
}

Status SnapshotWriter::Finish() {
  assert(bytes() >= kSnapshotHeaderBytes && !finished_);
  std::string footer(kSnapshotFooterBytes, '\0');
  Store32(footer.data(), kFooterMarker);
  Store64(footer.data() + kFooterBlocksAt, blocks_);
  Store64(footer.data() + kFooterBytesAt, bytes() + kSnapshotFooterBytes);
  PutId(header_.id, footer.data() + kFooterIdAt);
  PutId(header_.lineage, footer.data() + kFooterLineageAt);
  Store64(footer.data() + kFooterLsnAt, header_.lsn);
  Store32(footer.data() + kFooterChecksumAt, FooterChecksum(footer));
  pending_.append(footer);
  if (Status status = Flush(); !status) return status;
  if (Status status = file_->Sync(); !status) return status;
  finished_ = true;
  return {};
}

Result<bool> IsOurSnapshot(const File& file) {
  std::array<char, kSnapshotMagic.size()> magic{};
  const Result<std::size_t> read = file.ReadAt(0, magic);
  if (!read) return read.error();
  if (*read == 0) return DamageAt(file.path(), 0, "the file is empty");
  std::size_t equal = 0;
  for (std::size_t i = 0; i < magic.size(); ++i) equal += magic[i] == kSnapshotMagic[i] ? 1 : 0;
  // A flipped bit must not make a foreign file of ours.
  return *read == magic.size() && equal + 2 >= magic.size();
}

Result<SnapshotReader> SnapshotReader::Open(const File& file) {
  Result<FileWindow> window = FileWindow::On(file);
  if (!window) return window.error();
  const Result<std::string_view> bytes = window->At(0, kSnapshotHeaderBytes);
  if (!bytes) return bytes.error();
  if (bytes->substr(0, kSnapshotMagic.size()) != kSnapshotMagic) {
    return DamageAt(file.path(), 0, bytes->empty() ? "the file is empty" : "not a snapshot");
  }
  if (bytes->size() < kSnapshotHeaderBytes) {
    return DamageAt(file.path(), bytes->size(), "the header is cut off");
  }
  if (const std::uint32_t version = Load32(bytes->data() + kVersionAt);
      version != kSnapshotVersion) {
    return DamageAt(file.path(), kVersionAt,
                    "format version " + std::to_string(version) + ", expected " +
                        std::to_string(kSnapshotVersion));
  }
  if (Load32(bytes->data() + kChecksumAt) != HeaderChecksum(*bytes)) {
    return DamageAt(file.path(), kChecksumAt, "the header does not match its checksum");
  }
  const SnapshotHeader header = DecodeHeader(*bytes);
  if (header.lsn >= kLsnMax) return DamageAt(file.path(), kLsnAt, "there is no such record");
  const std::uint32_t meta_bytes = Load32(bytes->data() + kMetaBytesAt);
  const std::uint32_t meta_checksum = Load32(bytes->data() + kMetaChecksumAt);
  const auto meta = ReadMeta(*window, ChecksumSeeds(header.id), meta_bytes, meta_checksum);
  if (!meta) return meta.error();
  if (!*meta) {
    return DamageAt(file.path(), kSnapshotHeaderBytes,
                    "the meta data does not match its checksum or is cut off");
  }
  std::string copy(**meta);
  return SnapshotReader(std::move(*window), header, std::move(copy),
                        kSnapshotHeaderBytes + Aligned(meta_bytes));
}

Result<std::optional<std::string_view>> SnapshotReader::NextBlock() {
  const std::string& path = window_.file().path();
  const Result<std::string_view> bytes = window_.At(offset_, kSnapshotFooterBytes);
  if (!bytes) return bytes.error();
  if (bytes->size() >= 4 && Load32(bytes->data()) == kFooterMarker) {
    if (Status status = CheckFooter(*bytes); !status) return status.error();
    return std::optional<std::string_view>();
  }
  const std::optional<BlockHeader> header = DecodeBlockHeader(seeds_, offset_, *bytes);
  if (!header || header->index != blocks_) {
    return DamageAt(
        path, offset_,
        bytes->size() < kBlockHeaderBytes
            ? "cut off after " + std::to_string(blocks_) + " blocks"
            : "the header of block " + std::to_string(blocks_) + " does not match its checksum");
  }
  auto payload =
      ReadPayload(window_, seeds_, offset_ + kBlockHeaderBytes, header->bytes, header->checksum);
  if (!payload) return payload.error();
  if (!*payload) {
    return DamageAt(
        path, offset_,
        "block " + std::to_string(blocks_) + " does not match its checksum or is cut off");
  }
  offset_ += kBlockHeaderBytes + Aligned(header->bytes);
  ++blocks_;
  return payload;
}

Status SnapshotReader::CheckFooter(std::string_view bytes) const {
  const std::string& path = window_.file().path();
  const std::optional<Footer> footer = DecodeFooter(bytes);
  if (!footer) return DamageAt(path, offset_, "the footer does not match its checksum");
  if (footer->header != header_ || footer->blocks != blocks_ ||
      footer->bytes != offset_ + kSnapshotFooterBytes) {
    return DamageAt(path, offset_, "the footer belongs to something else");
  }
  if (footer->bytes != window_.size()) {
    return DamageAt(path, footer->bytes, "something follows the footer");
  }
  return {};
}

Result<SnapshotSalvager> SnapshotSalvager::Open(const File& file) {
  Result<FileWindow> window = FileWindow::On(file);
  if (!window) return window.error();
  std::optional<Footer> footer;
  if (window->size() >= kSnapshotFooterBytes) {
    const auto bytes = window->At(window->size() - kSnapshotFooterBytes, kSnapshotFooterBytes);
    if (!bytes) return bytes.error();
    footer = DecodeFooter(*bytes);
    if (footer && (footer->bytes != window->size() || footer->header.lsn >= kLsnMax)) {
      footer.reset();
    }
  }
  const Result<std::string_view> bytes = window->At(0, kSnapshotHeaderBytes);
  if (!bytes) return bytes.error();
  const bool whole = bytes->size() == kSnapshotHeaderBytes;
  const bool header_holds = whole &&
                            Load32(bytes->data() + kChecksumAt) == HeaderChecksum(*bytes) &&
                            DecodeHeader(*bytes).lsn < kLsnMax;
  if (!header_holds && !footer) {
    return DamageAt(file.path(), 0, "neither the header nor the footer can be read");
  }
  const SnapshotHeader header = header_holds ? DecodeHeader(*bytes) : footer->header;
  const std::uint32_t meta_bytes = whole ? Load32(bytes->data() + kMetaBytesAt) : 0;
  const std::uint32_t meta_checksum = whole ? Load32(bytes->data() + kMetaChecksumAt) : 0;

  SnapshotSalvager salvager(std::move(*window), header);
  if (footer) salvager.announced_blocks_ = footer->blocks;
  const auto meta = ReadMeta(salvager.window_, salvager.seeds_, meta_bytes, meta_checksum);
  if (!meta) return meta.error();
  if (*meta && whole) salvager.meta_ = std::string(**meta);
  return salvager;
}

Result<std::optional<SnapshotSalvager::Block>> SnapshotSalvager::NextBlock() {
  while (offset_ + kBlockHeaderBytes <= window_.size()) {
    const Result<std::string_view> bytes = window_.At(offset_, kBlockHeaderBytes);
    if (!bytes) return bytes.error();
    const std::optional<BlockHeader> header = DecodeBlockHeader(seeds_, offset_, *bytes);
    if (!header || header->index < next_index_) {
      offset_ += kAlignment;
      continue;
    }
    const auto payload =
        ReadPayload(window_, seeds_, offset_ + kBlockHeaderBytes, header->bytes, header->checksum);
    if (!payload) return payload.error();
    if (!*payload) {
      offset_ += kAlignment;
      continue;
    }
    const Block block{offset_, header->index, **payload};
    offset_ += kBlockHeaderBytes + Aligned(header->bytes);
    next_index_ = header->index + 1;
    return std::optional<Block>(block);
  }
  return std::optional<Block>();
}

}  // namespace pgw::persistence
