#include "docker/archive/byte_stream.h"

#include <array>

namespace pgw::image {

Result<std::size_t> ReadFully(ByteSource& source, std::span<char> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const Result<std::size_t> read = source.Read(buffer.subspan(filled));
    if (!read) return read.error();
    if (*read == 0) break;
    filled += *read;
  }
  return filled;
}

Result<std::string> ReadAll(ByteSource& source, std::size_t bytes_max) {
  std::string text;
  std::array<char, 16384> buffer;
  while (true) {
    const Result<std::size_t> read = source.Read(buffer);
    if (!read) return read.error();
    if (*read == 0) return text;
    if (*read > bytes_max - text.size()) {
      return Error{Code::kTooLarge, "larger than " + std::to_string(bytes_max) + " bytes"};
    }
    text.append(buffer.data(), *read);
  }
}

Result<std::uint64_t> Copy(ByteSource& source, ByteSink& sink) {
  std::array<char, 65536> buffer;
  std::uint64_t total = 0;
  while (true) {
    const Result<std::size_t> read = source.Read(buffer);
    if (!read) return read.error();
    if (*read == 0) return total;
    total += *read;
    if (Status status = sink.Write({buffer.data(), *read}); !status) return status.error();
  }
}

}  // namespace pgw::image
