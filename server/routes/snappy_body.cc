// The framing format (framing_format.txt of google/snappy): chunks of a type byte, a length of
// three bytes and that many bytes. libsnappy decodes the blocks inside; it knows no framing.
#include <snappy.h>

#include <array>
#include <cstddef>
#include <optional>

#include "server/routes/body_decoding.h"
#include "server/routes/body_limit.h"

namespace pgw {
namespace {

constexpr std::size_t kChunkHeaderBytes = 4;
constexpr std::size_t kChecksumBytes = 4;
constexpr std::size_t kBlockBytesMax = 65536;
// What a block of 64 KB may grow to, and its checksum: golang/snappy refuses longer chunks.
constexpr std::size_t kChunkBytesMax = 76490 + kChecksumBytes;
constexpr std::string_view kMagic = "sNaPpY";

enum ChunkType : unsigned char { kCompressed = 0x00, kPlain = 0x01, kIdentifier = 0xff };

constexpr std::array<std::uint32_t, 256> MakeCastagnoliTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t remainder = i;
    for (int bit = 0; bit < 8; ++bit) {
      remainder = (remainder & 1) != 0 ? remainder >> 1 ^ 0x82f63b78u : remainder >> 1;
    }
    table[i] = remainder;
  }
  return table;
}

// CRC-32C, rotated and shifted so that a checksum of data with checksums inside stays strong.
std::uint32_t MaskedChecksum(std::string_view data) {
  static constexpr std::array<std::uint32_t, 256> kTable = MakeCastagnoliTable();
  std::uint32_t crc = 0xffffffffu;
  for (const char c : data) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ crc >> 8;
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

std::uint32_t LittleEndian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

Error Corrupt() { return InvalidArgument("snappy: corrupt input"); }
Error Unsupported() { return InvalidArgument("snappy: unsupported input"); }

class Unframer {
 public:
  explicit Unframer(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  DecodedBody Decode(std::string_view input) {
    std::optional<Error> error;
    while (!error && !input.empty()) error = DecodeChunk(input);
    if (error && error->code == Code::kTooLarge) out_.clear();
    return {std::move(out_), std::move(error)};
  }

 private:
  std::optional<Error> DecodeChunk(std::string_view& input) {
    if (input.size() < kChunkHeaderBytes) return Corrupt();
    const auto type = static_cast<unsigned char>(input.front());
    if (!identified_ && type != kIdentifier) return Corrupt();
    identified_ = true;
    const std::size_t size = LittleEndian(input.substr(1, 3));
    if (size > kChunkBytesMax) return Unsupported();
    input.remove_prefix(kChunkHeaderBytes);
    const std::string_view content = input.substr(0, size);
    const bool known = type == kCompressed || type == kPlain || type == kIdentifier;
    if (!known && type <= 0x7f) return Unsupported();  // reserved, and not to be skipped
    if (type == kCompressed || type == kPlain) {
      if (size < kChecksumBytes || content.size() < size) return Corrupt();
      if (std::optional<Error> error = AppendBlock(type, content)) return error;
    } else if (content.size() < size || (type == kIdentifier && content != kMagic)) {
      return Corrupt();
    }
    input.remove_prefix(size);
    return std::nullopt;
  }

  std::optional<Error> AppendBlock(unsigned char type, std::string_view content) {
    const std::uint32_t checksum = LittleEndian(content.substr(0, kChecksumBytes));
    const std::string_view block = content.substr(kChecksumBytes);
    std::size_t size = block.size();
    if (type == kCompressed && !snappy::GetUncompressedLength(block.data(), block.size(), &size)) {
      return Corrupt();
    }
    if (size > kBlockBytesMax) return Corrupt();
    if (bytes_max_ != 0 && size > bytes_max_ - out_.size()) return DecodedBodyTooLarge(bytes_max_);
    const std::size_t start = out_.size();
    if (type == kPlain) {
      out_.append(block);
    } else {
      out_.resize(start + size);
      if (!snappy::RawUncompress(block.data(), block.size(), out_.data() + start)) {
        out_.resize(start);
        return Corrupt();
      }
    }
    if (MaskedChecksum(std::string_view(out_).substr(start)) == checksum) return std::nullopt;
    out_.resize(start);
    return Corrupt();
  }

  const std::uint64_t bytes_max_;
  bool identified_ = false;
  std::string out_;
};

}  // namespace

DecodedBody DecodeSnappy(std::string_view body, std::uint64_t bytes_max) {
  return Unframer(bytes_max).Decode(body);
}

BodyEncoding EncodingOf(std::optional<std::string_view> content_encoding) {
  const auto is = [&](std::string_view name) {
    if (!content_encoding || content_encoding->size() != name.size()) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
      if (((*content_encoding)[i] | 0x20) != name[i]) return false;
    }
    return true;
  };
  if (is("gzip")) return BodyEncoding::kGzip;
  if (is("snappy")) return BodyEncoding::kSnappy;
  return BodyEncoding::kIdentity;
}

}  // namespace pgw
