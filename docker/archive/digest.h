// SHA-256 digests in OCI's notation. Knows byte streams.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "docker/archive/byte_stream.h"

namespace pgw::image {

// sha256:<64 lower-case hex digits>. Always valid, once made.
class Digest {
 public:
  // The one algorithm that this program writes and reads.
  static std::optional<Digest> Parse(std::string_view text);
  static Digest Of(std::string_view bytes);
  static Digest FromHex(std::string hex) { return Digest(std::move(hex)); }

  const std::string& hex() const { return hex_; }
  std::string text() const { return "sha256:" + hex_; }
  // Where a layout keeps the blob.
  std::string blob_path() const { return "blobs/sha256/" + hex_; }

  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  explicit Digest(std::string hex) : hex_(std::move(hex)) {}
  std::string hex_;
};

// True for 64 lower-case hex digits.
bool IsSha256Hex(std::string_view text);

// Not thread-safe.
class Sha256 final : public ByteSink {
 public:
  Sha256();
  ~Sha256() override;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Status Write(std::string_view bytes) override;
  std::uint64_t bytes() const { return bytes_; }
  // Ends the computation.
  Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
  std::uint64_t bytes_ = 0;
};

// Hashes what is read through it. `source` and `hash` must outlive it.
class HashingSource final : public ByteSource {
 public:
  HashingSource(ByteSource& source, Sha256& hash) : source_(source), hash_(hash) {}
  Result<std::size_t> Read(std::span<char> buffer) override;

 private:
  ByteSource& source_;
  Sha256& hash_;
};

}  // namespace pgw::image
