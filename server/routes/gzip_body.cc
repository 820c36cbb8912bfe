// Members are taken apart here and only their deflate streams are left to zlib: its own gzip
// reader cannot tell Go's four kinds of failure from each other.
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <limits>

#include "server/routes/body_decoding.h"
#include "server/routes/body_limit.h"

namespace pgw {
namespace {

constexpr std::string_view kCutShort = "unexpected EOF";
constexpr std::string_view kBadHeader = "gzip: invalid header";
constexpr std::string_view kBadChecksum = "gzip: invalid checksum";
// Go reads names and comments into a buffer of this size.
constexpr std::size_t kHeaderTextBytesMax = 512;

const Bytef* Bytes(std::string_view text) { return reinterpret_cast<const Bytef*>(text.data()); }

std::uint32_t LittleEndian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

// Length of the member header at the front of `input`, or what is wrong with it.
struct Header {
  std::size_t bytes = 0;
  std::string_view error;
};

Header ReadHeader(std::string_view input) {
  if (input.empty()) return {0, "EOF"};
  if (input.size() < 10) return {0, kCutShort};
  if (!input.starts_with("\x1f\x8b\x08")) return {0, kBadHeader};
  const auto flags = static_cast<unsigned char>(input[3]);
  std::size_t at = 10;
  if ((flags & 0x04) != 0) {
    if (input.size() < at + 2) return {0, kCutShort};
    at += 2 + LittleEndian(input.substr(at, 2));
    if (input.size() < at) return {0, kCutShort};
  }
  for (const unsigned text_flag : {0x08u, 0x10u}) {  // name, comment: up to a zero byte
    if ((flags & text_flag) == 0) continue;
    const std::size_t end = input.substr(at, kHeaderTextBytesMax).find('\0');
    if (end == std::string_view::npos) {
      return {0, input.size() - at >= kHeaderTextBytesMax ? kBadHeader : kCutShort};
    }
    at += end + 1;
  }
  if ((flags & 0x02) != 0) {
    if (input.size() < at + 2) return {0, kCutShort};
    const uLong sum = crc32(crc32(0, nullptr, 0), Bytes(input), static_cast<uInt>(at));
    if (LittleEndian(input.substr(at, 2)) != (sum & 0xffff)) return {0, kBadHeader};
    at += 2;
  }
  return {at, {}};
}

class Inflater {
 public:
  explicit Inflater(std::uint64_t bytes_max)
      : bytes_max_(bytes_max == 0 ? std::numeric_limits<std::size_t>::max() - 1 : bytes_max) {
    ready_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK;
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  DecodedBody Decode(std::string_view input) {
    if (!ready_) return {{}, Error{Code::kInternal, "out of memory for decompression"}};
    // Metrics shrink to a tenth or less; the guess stays modest for bodies that are something else.
    const std::size_t guess =
        std::min(input.size() * 8, std::max<std::size_t>(input.size(), 4u << 20));
    out_.resize(std::min(std::max<std::size_t>(guess, 4096), bytes_max_));
    std::optional<Error> error;
    do {
      error = DecodeMember(input);
    } while (!error && !input.empty());
    if (error && error->code == Code::kTooLarge) return {{}, std::move(error)};
    out_.resize(size_);
    return {std::move(out_), std::move(error)};
  }

 private:
  // Decodes the member at the front of `input` and cuts it off.
  std::optional<Error> DecodeMember(std::string_view& input) {
    const Header header = ReadHeader(input);
    if (!header.error.empty()) return InvalidArgument(std::string(header.error));
    input.remove_prefix(header.bytes);
    const std::size_t start = size_;
    inflateReset(&stream_);
    if (std::optional<Error> error = InflateStream(input)) return error;
    if (input.size() < 8) return InvalidArgument(std::string(kCutShort));
    const std::string_view content(out_.data() + start, size_ - start);
    const bool intact =
        LittleEndian(input.substr(0, 4)) == crc32_z(0, Bytes(content), content.size()) &&
        LittleEndian(input.substr(4, 4)) == static_cast<std::uint32_t>(content.size());
    if (!intact) return InvalidArgument(std::string(kBadChecksum));
    input.remove_prefix(8);
    return std::nullopt;
  }

  std::optional<Error> InflateStream(std::string_view& input) {
    for (;;) {
      if (size_ == out_.size() && !Grow()) return ProbeEnd(input);
      const int result =
          Step(input, reinterpret_cast<Bytef*>(out_.data()) + size_, out_.size() - size_, size_);
      if (result == Z_STREAM_END) return std::nullopt;
      if (result != Z_OK && result != Z_BUF_ERROR) return StreamError(result);
      if (input.empty() && size_ < out_.size()) return InvalidArgument(std::string(kCutShort));
    }
  }

  // The output is as large as it may get: fine only if nothing more is to come.
  std::optional<Error> ProbeEnd(std::string_view& input) {
    Bytef extra = 0;
    std::size_t produced = 0;
    int result = Z_OK;
    do {
      result = Step(input, &extra, 1, produced);
    } while (result == Z_OK && produced == 0);
    if (produced > 0) return DecodedBodyTooLarge(bytes_max_);
    if (result == Z_STREAM_END) return std::nullopt;
    if (result != Z_OK && result != Z_BUF_ERROR) return StreamError(result);
    return InvalidArgument(std::string(kCutShort));
  }

  int Step(std::string_view& input, Bytef* out, std::size_t room, std::size_t& produced) {
    constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
    const auto offered = static_cast<uInt>(std::min(input.size(), kMost));
    const auto space = static_cast<uInt>(std::min(room, kMost));
    stream_.next_in = const_cast<Bytef*>(Bytes(input));
    stream_.avail_in = offered;
    stream_.next_out = out;
    stream_.avail_out = space;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    input.remove_prefix(offered - stream_.avail_in);
    produced += space - stream_.avail_out;
    return result;
  }

  Error StreamError(int result) const {
    if (result == Z_MEM_ERROR) return {Code::kOverloaded, "out of memory for decompression"};
    // Go counts the bytes it took bits from, zlib those it was given: some may lie unused still.
    const uLong unused_bits = static_cast<uLong>(stream_.data_type) & 63;
    uLong offset = (stream_.total_in * 8 - unused_bits + 7) / 8;
    // The one check that zlib makes without consuming what it looked at.
    constexpr uLong kStoredLengthBytes = 4;
    if (stream_.msg == std::string_view("invalid stored block lengths")) {
      offset += kStoredLengthBytes;
    }
    return InvalidArgument("flate: corrupt input before offset " + std::to_string(offset));
  }

  bool Grow() {
    if (out_.size() >= bytes_max_) return false;
    out_.resize(std::min(out_.size() * 2, bytes_max_));
    return true;
  }

  const std::size_t bytes_max_;
  z_stream stream_{};
  bool ready_ = false;
  std::string out_;
  std::size_t size_ = 0;  // of out_ that is filled
};

}  // namespace

std::optional<std::string> GzipHeaderError(std::string_view body) {
  const Header header = ReadHeader(body);
  if (header.error.empty()) return std::nullopt;
  return std::string(header.error);
}

DecodedBody DecodeGzip(std::string_view body, std::uint64_t bytes_max) {
  return Inflater(bytes_max).Decode(body);
}

}  // namespace pgw
