// Bytes that come, bytes that go. Knows base.
//
// Everything that reads an archive pulls from a ByteSource, so that no blob need be in memory;
// everything that writes one pushes to a ByteSink.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::image {

// Not thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // At least one byte, or 0 at the end. After an error nothing more may be read.
  virtual Result<std::size_t> Read(std::span<char> buffer) = 0;
};

// Not thread-safe.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Status Write(std::string_view bytes) = 0;
};

// Views bytes that must outlive it.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : rest_(bytes) {}
  Result<std::size_t> Read(std::span<char> buffer) override {
    const std::size_t size = std::min(buffer.size(), rest_.size());
    if (size != 0) std::memcpy(buffer.data(), rest_.data(), size);
    rest_.remove_prefix(size);
    return size;
  }

 private:
  std::string_view rest_;
};

class StringSink final : public ByteSink {
 public:
  Status Write(std::string_view bytes) override {
    text_.append(bytes);
    return {};
  }
  const std::string& text() const { return text_; }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

// Fills `buffer` unless the source ends first; returns how many bytes there were.
Result<std::size_t> ReadFully(ByteSource& source, std::span<char> buffer);

// All bytes up to the end; kTooLarge where there are more than `bytes_max`.
Result<std::string> ReadAll(ByteSource& source, std::size_t bytes_max);

// Passes everything on; returns how many bytes there were.
Result<std::uint64_t> Copy(ByteSource& source, ByteSink& sink);

}  // namespace pgw::image
