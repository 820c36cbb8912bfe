// Request bodies out of their Content-Encoding. Pure functions; keeps zlib and snappy to itself.
//
// Texts of errors are those of Go's compress/gzip, compress/flate and golang/snappy, which
// upstream passes on to clients.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw {

enum class BodyEncoding : unsigned char { kIdentity, kGzip, kSnappy };

// By the first Content-Encoding line, taken as a whole; whatever is not gzip or snappy counts as
// no encoding, as upstream has it.
BodyEncoding EncodingOf(std::optional<std::string_view> content_encoding);

// What upstream finds out before it routes a request: is there a gzip header at the front?
// `EOF` for an empty body, `unexpected EOF` for a cut header, `gzip: invalid header`.
std::optional<std::string> GzipHeaderError(std::string_view body);

// What could be decoded, and what was wrong behind it.
struct DecodedBody {
  std::string bytes;
  // kInvalidArgument: the stream is broken. kTooLarge: more than `bytes_max` come out of it; then
  // `bytes` is empty.
  std::optional<Error> error;
};

// One or more gzip members. Time and memory are bounded by the body's size and `bytes_max`
// (0: no limit).
DecodedBody DecodeGzip(std::string_view body, std::uint64_t bytes_max);

// The snappy framing format. An empty body is an empty stream.
DecodedBody DecodeSnappy(std::string_view body, std::uint64_t bytes_max);

}  // namespace pgw
