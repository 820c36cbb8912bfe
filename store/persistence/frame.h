// One write batch in the journal: some records under a checksum. Knows base.
//
// docs/persistence.md has the bytes. All of a frame's bits are covered: the marker is compared, the
// header's checksum covers the header and the frame's place in the file, the body's covers the body
// and its padding. Both start from secrets of the file (file_id.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/persistence/bytes.h"
#include "store/persistence/file_id.h"

namespace pgw::persistence {

// Log sequence number: the place of a record in the order of all. The first is 1.
using Lsn = std::uint64_t;
// Never reached; a file that says so is damaged.
inline constexpr Lsn kLsnMax = Lsn{1} << 62;

inline constexpr std::uint32_t kFrameMarker = 0x464a4750;  // "PGJF"
inline constexpr std::size_t kFrameHeaderBytes = 40;
// Of the records of one frame with their lengths.
inline constexpr std::uint64_t kFrameBodyBytesMax = 512U * 1024 * 1024;

enum class FrameKind : std::uint32_t {
  kRecords = 1,
  kClose = 2,  // the journal was stopped in order; no records
};

struct FrameHeader {
  FrameKind kind = FrameKind::kRecords;
  std::uint32_t record_count = 0;
  std::uint32_t body_bytes = 0;  // without padding
  std::uint32_t body_checksum = 0;
  Lsn first_lsn = 0;
  // How much of this file was known to be on the disk when the frame was written; 0 if not even
  // all of the journal before this file was.
  std::uint64_t durable = 0;

  std::uint64_t padded_body_bytes() const { return Aligned(body_bytes); }
  std::uint64_t frame_bytes() const { return kFrameHeaderBytes + padded_body_bytes(); }
  Lsn next_lsn() const { return first_lsn + record_count; }

  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

// What the body of a frame with these records takes, without padding.
std::uint64_t FrameBodyBytes(std::span<const std::string_view> records);

// Appends a frame that will stand at `offset`. The checksum and lengths in `header` are computed.
// REQUIRES: FrameBodyBytes(records) <= kFrameBodyBytesMax.
void AppendFrame(const ChecksumSeeds& seeds, std::uint64_t offset, FrameHeader header,
                 std::span<const std::string_view> records, std::string& out);

// The header at the front of `bytes`, which stand at `offset`; nothing unless a journal with these
// seeds wrote it there. Says nothing about the body.
std::optional<FrameHeader> ReadFrameHeader(const ChecksumSeeds& seeds, std::uint64_t offset,
                                           std::string_view bytes);

// Whether `padded_body` is the body that belongs to the header.
bool BodyHolds(const ChecksumSeeds& seeds, const FrameHeader& header, std::string_view padded_body);

// Gives the records of a body one by one.
class RecordCursor {
 public:
  RecordCursor(const FrameHeader& header, std::string_view padded_body)
      : rest_(padded_body.substr(0, header.body_bytes)), left_(header.record_count) {}

  // The next record; nothing at the end, or if the body is not what its header says: see Whole().
  std::optional<std::string_view> Next();
  // After the last record: whether the body held just the announced records.
  bool Whole() const { return left_ == 0 && rest_.empty(); }

 private:
  std::string_view rest_;
  std::uint32_t left_;
};

}  // namespace pgw::persistence
