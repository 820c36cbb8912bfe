// Compressed bodies: never more out of them than allowed, and the header's verdict is the stream's.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/routes/body_decoding.h"

namespace {

constexpr std::uint64_t kBytesMax = 1u << 20;

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckDecoded(const pgw::DecodedBody& decoded) {
  Check(decoded.bytes.size() <= kBytesMax);
  if (decoded.error) Check(!decoded.error->message.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const pgw::DecodedBody gzip = pgw::DecodeGzip(body, kBytesMax);
  CheckDecoded(gzip);
  if (const auto error = pgw::GzipHeaderError(body)) {
    Check(gzip.error && gzip.error->message == *error && gzip.bytes.empty());
  }
  CheckDecoded(pgw::DecodeSnappy(body, kBytesMax));
  return 0;
}
