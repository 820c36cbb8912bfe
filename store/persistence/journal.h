// The journal file: records in the order of their LSNs, a checksummed frame for each batch. Knows
// base.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "store/persistence/file_window.h"
#include "store/persistence/frame.h"

namespace pgw::persistence {

inline constexpr std::string_view kJournalMagic = "\x89PGWJ\r\n\x1a";
inline constexpr std::uint32_t kJournalVersion = 1;
inline constexpr std::size_t kJournalHeaderBytes = 64;

struct JournalHeader {
  FileId id{};       // of this file
  FileId lineage{};  // of the store; the same in all its files
  // Every record before this one was on the disk, in files before this one, when it was made. The
  // first record here may be a later one.
  Lsn base_lsn = 1;

  friend bool operator==(const JournalHeader&, const JournalHeader&) = default;
};

std::string EncodeJournalHeader(const JournalHeader& header);

// The writing side. Not thread-safe, except that SyncData() of file() may be called by one thread
// while another appends: see BeginSync.
class Journal {
 public:
  // Where to go on in a file that was read back.
  struct End {
    std::uint64_t size = kJournalHeaderBytes;
    Lsn next_lsn = 1;
    bool closed = false;  // a close frame is the last
  };

  // A new file with its header on the disk (but not its name). On error nothing is left behind, if
  // the disk allows.
  static Result<std::unique_ptr<Journal>> Create(FileSystem& files, const std::string& path,
                                                 const JournalHeader& header, Lsn next_lsn,
                                                 unsigned mode);
  // REQUIRES: all of the file up to `end.size` is on the disk, and nothing follows.
  Journal(std::unique_ptr<File> file, const JournalHeader& header, const End& end);

  // Writes the records as one frame with one write; they take the LSNs from the returned one on.
  // Not synced. After an error no LSN is used up and the file ends where it did: what had been
  // written is cut off, if need be by the next call. kTooLarge: the batch exceeds a frame.
  // REQUIRES: there are records.
  Result<Lsn> Append(std::span<const std::string_view> records);
  // Says that everything was synced, unless the last frame says so already. To be synced itself.
  Status AppendClose();

  // For a sync beside appends: take a mark, SyncData() file() without a lock, then report.
  struct Mark {
    std::uint64_t size;
    Lsn next_lsn;
  };
  Mark mark() const { return {size_, next_lsn_}; }
  void NoteSynced(const Mark& mark);
  // What was written since the last good sync may or may not be on the disk, and a later sync
  // would not tell. So the journal takes nothing more; its owner replaces it after a snapshot.
  void NoteFailed(const Error& error);
  // All three in one, for who needs no concurrency.
  Status Sync();

  // A new journal's frames claim nothing as durable while the one before it is not on the disk
  // completely: else they would turn its torn tail into damage.
  void set_predecessor_durable(bool durable) { predecessor_durable_ = durable; }
  // Which LSN the first record gets. REQUIRES: nothing was appended yet.
  void StartAt(Lsn lsn);

  // Cuts off what an append left that failed, lastingly. Append does it by itself; for who appends
  // nothing more.
  Status RestoreTail();

  File& file() { return *file_; }
  const File& file() const { return *file_; }
  const JournalHeader& header() const { return header_; }
  std::uint64_t size() const { return size_; }
  std::uint64_t durable() const { return durable_; }
  Lsn next_lsn() const { return next_lsn_; }
  bool fully_durable() const { return durable_ == size_ && !tail_is_dirty_; }
  // Why nothing can be appended any more.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  Status Write(FrameKind kind, std::span<const std::string_view> records);

  const std::unique_ptr<File> file_;
  const JournalHeader header_;
  const ChecksumSeeds seeds_;
  std::uint64_t size_;
  std::uint64_t durable_;
  Lsn next_lsn_;
  bool closed_;
  bool predecessor_durable_ = true;
  bool tail_is_dirty_ = false;
  std::optional<Error> failure_;
  std::string scratch_;
};

// The reading side: frames from the front, for as long as they hold. Not thread-safe; the file must
// outlive it.
class JournalReader {
 public:
  struct Frame {
    std::uint64_t offset;
    FrameHeader header;
    std::string_view body;  // valid until the next call
  };

  // An error if it cannot be read, is no journal, is of a later version, or has a damaged header.
  static Result<JournalReader> Open(const File& file);
  // Goes on without a valid header, as long as the identity in it can be read: who salvages has
  // nothing better. kInvalidArgument: not even that.
  static Result<JournalReader> OpenDamaged(const File& file);

  const JournalHeader& header() const { return header_; }

  // The next frame; nothing where the file ends or what follows is not the next frame. Of errors
  // only those of the disk.
  Result<std::optional<Frame>> Next();
  // Behind the last frame that was given.
  std::uint64_t offset() const { return offset_; }
  std::uint64_t size() const { return window_.size(); }

  // Whether a frame at or behind `from` says that more than `threshold` bytes were on the disk when
  // it was written. Its header alone has to be sound: nobody else can have written that.
  Result<bool> ProvesDurable(std::uint64_t from, std::uint64_t threshold);
  // The first place at or behind `from` with a sound frame header; the size if there is none.
  Result<std::uint64_t> FindFrame(std::uint64_t from);
  // To go on behind a gap. REQUIRES: a multiple of kAlignment.
  void Seek(std::uint64_t offset) {
    offset_ = offset;
    next_lsn_.reset();
  }

 private:
  JournalReader(FileWindow window, const JournalHeader& header)
      : window_(std::move(window)), header_(header), seeds_(header.id) {}
  // Calls found(offset, header) for each sound frame header from `from` on until it returns true.
  template <typename Found>
  Status Scan(std::uint64_t from, Found found);

  FileWindow window_;
  JournalHeader header_;
  ChecksumSeeds seeds_;
  std::uint64_t offset_ = kJournalHeaderBytes;
  std::optional<Lsn> next_lsn_;  // unknown before the first frame
};

}  // namespace pgw::persistence
