#include "docker/read/layer_scan.h"

#include <array>

#include "docker/archive/gzip.h"

namespace pgw::image {
namespace {

// Gives back what was read in advance, and remembers why reading failed: what lies above turns
// errors of the disk and of the data into one.
class PeekedSource final : public ByteSource {
 public:
  explicit PeekedSource(ByteSource& source) : source_(source) {}

  Result<std::string_view> Peek() {
    const Result<std::size_t> read = ReadFully(source_, buffer_);
    if (!read) return read.error();
    rest_ = {buffer_.data(), *read};
    return rest_;
  }

  Result<std::size_t> Read(std::span<char> buffer) override {
    if (!rest_.empty()) {
      const std::size_t size = std::min(buffer.size(), rest_.size());
      std::memcpy(buffer.data(), rest_.data(), size);
      rest_.remove_prefix(size);
      return size;
    }
    Result<std::size_t> read = source_.Read(buffer);
    if (!read) fault_ = read.error();
    return read;
  }

  const std::optional<Error>& fault() const { return fault_; }

 private:
  ByteSource& source_;
  std::array<char, 10> buffer_{};  // a gzip header
  std::string_view rest_;
  std::optional<Error> fault_;
};

// Bounds a source that is no gzip stream.
class BoundedSource final : public ByteSource {
 public:
  BoundedSource(ByteSource& source, std::uint64_t bytes_max) : source_(source), left_(bytes_max) {}
  Result<std::size_t> Read(std::span<char> buffer) override {
    const Result<std::size_t> read = source_.Read(buffer);
    if (!read) return read.error();
    if (*read > left_) return Error{Code::kTooLarge, "the layer is larger than is allowed"};
    left_ -= *read;
    return *read;
  }

 private:
  ByteSource& source_;
  std::uint64_t left_;
};

Status ReadEntries(ByteSource& source, const LayerLimits& limits, LayerScan& scan) {
  TarLimits tar_limits;
  tar_limits.entries_max = limits.entries_max;
  TarReader reader(source, tar_limits);
  while (true) {
    Result<std::optional<TarMember>> member = reader.Next();
    if (!member) return member.error();
    if (!*member) break;
    scan.members.push_back(std::move(**member));
  }
  scan.canonical_end = reader.has_canonical_end();
  return {};
}

Status Drain(ByteSource& source) {
  std::array<char, 32768> buffer;
  while (true) {
    const Result<std::size_t> read = source.Read(buffer);
    if (!read) return read.error();
    if (*read == 0) return {};
  }
}

}  // namespace

Result<LayerScan> ScanLayer(ByteSource& source, LayerLimits limits) {
  LayerScan scan;
  Sha256 blob_hash;
  Sha256 tar_hash;
  HashingSource blob(source, blob_hash);
  PeekedSource peeked(blob);
  const Result<std::string_view> head = peeked.Peek();
  if (!head) return head.error();
  scan.is_gzip = head->starts_with("\x1f\x8b");
  // Deflate, no flags, no time, level not told apart, unknown system.
  scan.canonical_gzip = *head == std::string_view("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);

  GunzipSource unpacked(peeked, limits.unpacked_bytes_max);
  BoundedSource plain(peeked, limits.unpacked_bytes_max);
  ByteSource& tar = scan.is_gzip ? static_cast<ByteSource&>(unpacked) : plain;
  HashingSource hashed(tar, tar_hash);
  Status status = ReadEntries(hashed, limits, scan);
  // A gzip stream's end, with its checksum, may lie behind the archive's.
  if (status) status = Drain(hashed);
  if (peeked.fault()) return *peeked.fault();
  scan.unpacked_size = tar_hash.bytes();
  if (status) {
    scan.diff_id = tar_hash.Finish();
  } else {
    scan.fault = status.error().message;
    if (Status rest = Drain(peeked); !rest) return rest.error();
  }
  scan.size = blob_hash.bytes();
  scan.digest = blob_hash.Finish();
  return scan;
}

Result<LayerScan> LayerScanner::Scan(ByteSource& source) {
  Result<LayerScan> scan = ScanLayer(source, limits_);
  if (!scan) return scan;
  unpacked_bytes_ += scan->unpacked_size;
  if (unpacked_bytes_ > limits_.all_unpacked_bytes_max) {
    return Error{Code::kTooLarge, "all layers up to here unpack to more than " +
                                      std::to_string(limits_.all_unpacked_bytes_max) + " bytes"};
  }
  return scan;
}

}  // namespace pgw::image
