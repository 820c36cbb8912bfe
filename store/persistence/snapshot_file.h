// The snapshot file: everything up to an LSN, as opaque blocks between a header and a footer. Knows
// base.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "store/persistence/file_window.h"
#include "store/persistence/frame.h"

namespace pgw::persistence {

inline constexpr std::string_view kSnapshotMagic = "\x89PGWS\r\n\x1a";
inline constexpr std::uint32_t kSnapshotVersion = 1;
inline constexpr std::size_t kSnapshotHeaderBytes = 64;
inline constexpr std::size_t kSnapshotFooterBytes = 64;
inline constexpr std::size_t kBlockHeaderBytes = 24;
inline constexpr std::uint64_t kMetaBytesMax = 1 << 20;
// A reader's memory grows with the largest block; a writer does well to stay far below.
inline constexpr std::uint64_t kBlockBytesMax = 512U * 1024 * 1024;

struct SnapshotHeader {
  FileId id{};       // of this file
  FileId lineage{};  // of the store; the same in all its files
  Lsn lsn = 0;       // it holds what the records up to this one did

  friend bool operator==(const SnapshotHeader&, const SnapshotHeader&) = default;
};

// Writes to a file of any name; who gives it its final one is storage.h. Not thread-safe. After an
// error the file is of no use.
class SnapshotWriter {
 public:
  // The file must be empty.
  SnapshotWriter(std::unique_ptr<File> file, const SnapshotHeader& header);

  // First, once. kTooLarge: more than kMetaBytesMax.
  Status WriteMeta(std::string_view meta);
  // kTooLarge: more than kBlockBytesMax.
  Status WriteBlock(std::string_view block);
  // Sends what was written so far on its way, so that the last sync, which others may have to wait
  // for, finds little to do.
  Status WriteBack();
  // The footer; then all is on the disk.
  Status Finish();

  const SnapshotHeader& header() const { return header_; }
  std::uint64_t bytes() const { return written_ + pending_.size(); }
  std::uint64_t blocks() const { return blocks_; }
  bool finished() const { return finished_; }

 private:
  Status Flush();

  const std::unique_ptr<File> file_;
  const SnapshotHeader header_;
  const ChecksumSeeds seeds_;
  std::string pending_;
  std::uint64_t written_ = 0;
  std::uint64_t blocks_ = 0;
  bool finished_ = false;
};

// Whether a file can be meant to be a snapshot of ours. One whose magic number is only nearly right
// is ours, and damaged. An error for an empty file.
Result<bool> IsOurSnapshot(const File& file);

// Not thread-safe; the file must outlive it. Errors name file and offset.
class SnapshotReader {
 public:
  // Reads header and meta.
  static Result<SnapshotReader> Open(const File& file);

  const SnapshotHeader& header() const { return header_; }
  const std::string& meta() const { return meta_; }
  std::uint64_t size() const { return window_.size(); }
  // Where the next block, or the footer, starts.
  std::uint64_t offset() const { return offset_; }
  std::uint64_t blocks() const { return blocks_; }

  // The next block, valid until the next call; nothing after a sound footer at the file's end.
  Result<std::optional<std::string_view>> NextBlock();

 private:
  SnapshotReader(FileWindow window, const SnapshotHeader& header, std::string meta,
                 std::uint64_t offset)
      : window_(std::move(window)),
        header_(header),
        seeds_(header.id),
        meta_(std::move(meta)),
        offset_(offset) {}
  Status CheckFooter(std::string_view bytes) const;

  FileWindow window_;
  SnapshotHeader header_;
  ChecksumSeeds seeds_;
  std::string meta_;
  std::uint64_t offset_;
  std::uint64_t blocks_ = 0;
};

// What can still be read of a damaged snapshot. Not thread-safe; the file must outlive it.
class SnapshotSalvager {
 public:
  // kInvalidArgument: neither header nor footer says which file this was.
  static Result<SnapshotSalvager> Open(const File& file);

  const SnapshotHeader& header() const { return header_; }
  // Nothing if it does not hold.
  const std::optional<std::string>& meta() const { return meta_; }
  // As the footer has it; nothing if that does not hold.
  const std::optional<std::uint64_t>& announced_blocks() const { return announced_blocks_; }

  struct Block {
    std::uint64_t offset;
    std::uint64_t index;
    std::string_view payload;  // valid until the next call
  };
  // The next block that holds; nothing at the end. Of errors only those of the disk.
  Result<std::optional<Block>> NextBlock();

 private:
  SnapshotSalvager(FileWindow window, const SnapshotHeader& header)
      : window_(std::move(window)), header_(header), seeds_(header.id) {}

  FileWindow window_;
  SnapshotHeader header_;
  ChecksumSeeds seeds_;
  std::optional<std::string> meta_;
  std::optional<std::uint64_t> announced_blocks_;
  std::uint64_t offset_ = kSnapshotHeaderBytes;
  std::uint64_t next_index_ = 0;
};

}  // namespace pgw::persistence
