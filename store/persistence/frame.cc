#include "store/persistence/frame.h"

#include <array>
#include <cassert>

namespace pgw::persistence {
namespace {

// Places of the fields in a header.
constexpr std::size_t kHeaderChecksumAt = 4;
constexpr std::size_t kBodyChecksumAt = 8;
constexpr std::size_t kBodyBytesAt = 12;
constexpr std::size_t kFirstLsnAt = 16;
constexpr std::size_t kDurableAt = 24;
constexpr std::size_t kRecordCountAt = 32;
constexpr std::size_t kKindAt = 36;

std::uint32_t HeaderChecksum(const ChecksumSeeds& seeds, std::uint64_t offset, const char* header) {
  std::array<char, 8> place{};
  Store64(place.data(), offset);
  const std::uint32_t crc = ExtendCrc32c(seeds.header, {place.data(), place.size()});
  return ExtendCrc32c(crc, {header + kBodyChecksumAt, kFrameHeaderBytes - kBodyChecksumAt});
}

bool IsConsistent(const FrameHeader& header, std::uint64_t offset) {
  // A record takes at least the byte of its length.
  if (header.durable > offset || header.body_bytes > kFrameBodyBytesMax ||
      header.record_count > header.body_bytes || header.first_lsn == 0 ||
      header.first_lsn > kLsnMax || header.next_lsn() > kLsnMax) {
    return false;
  }
  switch (header.kind) {
    case FrameKind::kRecords:
      return header.record_count > 0;
    case FrameKind::kClose:
      return header.body_bytes == 0;
  }
  return false;
}

}  // namespace

std::uint64_t FrameBodyBytes(std::span<const std::string_view> records) {
  std::uint64_t bytes = 0;
  for (const std::string_view record : records) bytes += VarintBytes(record.size()) + record.size();
  return bytes;
}

void AppendFrame(const ChecksumSeeds& seeds, std::uint64_t offset, FrameHeader header,
                 std::span<const std::string_view> records, std::string& out) {
  const std::uint64_t body_bytes = FrameBodyBytes(records);
  assert(body_bytes <= kFrameBodyBytesMax && offset % kAlignment == 0);
  const std::size_t start = out.size();
  out.reserve(start + kFrameHeaderBytes + Aligned(body_bytes));
  out.append(kFrameHeaderBytes, '\0');
  for (const std::string_view record : records) {
    AppendVarint(out, record.size());
    out.append(record);
  }
  out.append(Aligned(body_bytes) - body_bytes, '\0');

  char* const bytes = out.data() + start;
  const std::string_view body(bytes + kFrameHeaderBytes, out.size() - start - kFrameHeaderBytes);
  Store32(bytes, kFrameMarker);
  Store32(bytes + kBodyChecksumAt, ExtendCrc32c(seeds.body, body));
  Store32(bytes + kBodyBytesAt, static_cast<std::uint32_t>(body_bytes));
  Store64(bytes + kFirstLsnAt, header.first_lsn);
  Store64(bytes + kDurableAt, header.durable);
  Store32(bytes + kRecordCountAt, static_cast<std::uint32_t>(records.size()));
  Store32(bytes + kKindAt, static_cast<std::uint32_t>(header.kind));
  Store32(bytes + kHeaderChecksumAt, HeaderChecksum(seeds, offset, bytes));
}

std::optional<FrameHeader> ReadFrameHeader(const ChecksumSeeds& seeds, std::uint64_t offset,
                                           std::string_view bytes) {
  if (bytes.size() < kFrameHeaderBytes || Load32(bytes.data()) != kFrameMarker) return std::nullopt;
  if (Load32(bytes.data() + kHeaderChecksumAt) != HeaderChecksum(seeds, offset, bytes.data())) {
    return std::nullopt;
  }
  FrameHeader header;
  header.body_checksum = Load32(bytes.data() + kBodyChecksumAt);
  header.body_bytes = Load32(bytes.data() + kBodyBytesAt);
  header.first_lsn = Load64(bytes.data() + kFirstLsnAt);
  header.durable = Load64(bytes.data() + kDurableAt);
  header.record_count = Load32(bytes.data() + kRecordCountAt);
  header.kind = static_cast<FrameKind>(Load32(bytes.data() + kKindAt));
  if (!IsConsistent(header, offset)) return std::nullopt;
  return header;
}

bool BodyHolds(const ChecksumSeeds& seeds, const FrameHeader& header,
               std::string_view padded_body) {
  return padded_body.size() == header.padded_body_bytes() &&
         ExtendCrc32c(seeds.body, padded_body) == header.body_checksum;
}

std::optional<std::string_view> RecordCursor::Next() {
  if (left_ == 0) return std::nullopt;
  const std::optional<std::uint64_t> size = TakeVarint(rest_);
  if (!size || *size > rest_.size()) return std::nullopt;
  --left_;
  const std::string_view record = rest_.substr(0, *size);
  rest_.remove_prefix(*size);
  return record;
}

}  // namespace pgw::persistence
