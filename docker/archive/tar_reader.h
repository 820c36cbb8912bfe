// Reads tar archives from anybody: ustar, pax and GNU long names. Every byte is hostile.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "docker/archive/byte_stream.h"
#include "docker/archive/tar_entry.h"

namespace pgw::image {

struct TarLimits {
  std::uint64_t entries_max = 100'000;
  std::size_t name_bytes_max = 4096;             // of a path or a link's target
  std::uint64_t all_name_bytes_max = 16u << 20;  // of all entries: who collects them is bounded
  std::size_t extension_bytes_max = 65536;       // of one pax header
};

// An entry as it was found.
struct TarMember {
  TarEntry entry;
  std::uint64_t header_offset = 0;   // of its first header block, with pax or GNU blocks
  std::uint64_t content_offset = 0;  // in the archive
  // The header blocks are those that our writer writes for this entry.
  bool is_canonical = false;
};

// Next(), Read() until 0 (or not at all), Next(), … Not thread-safe. Memory is bounded by the
// limits. Errors name the byte offset and the entry; after one nothing may be called.
class TarReader {
 public:
  // `source` must outlive the reader.
  explicit TarReader(ByteSource& source, TarLimits limits = {})
      : source_(source), limits_(limits) {}

  // The next entry, or nothing at the archive's end.
  Result<std::optional<TarMember>> Next();
  // Content of the entry that Next() gave; 0 at its end.
  Result<std::size_t> Read(std::span<char> buffer);

  std::uint64_t offset() const { return offset_; }
  // After the end: it was two blocks of zeros and nothing behind them, and every content was
  // padded with zeros.
  bool has_canonical_end() const { return canonical_end_ && canonical_padding_; }

 private:
  // What a pax header or GNU's long-name entries say of the next entry.
  struct Extension {
    std::map<std::string, std::string, std::less<>> values;
  };

  Result<std::size_t> ReadBlock(std::span<char, kTarBlock> block);
  Status SkipContent();
  Status ReadEnd();
  Status ReadExtension(char type, std::uint64_t size, std::string& raw, Extension& extension);
  Status ParsePax(std::string_view records, Extension& extension);
  Status Apply(const Extension& extension, TarEntry& entry);
  Result<TarEntry> ParseHeader(std::span<const char, kTarBlock> block, char& type);
  Error Broken(std::string_view what) const;

  ByteSource& source_;
  const TarLimits limits_;
  std::uint64_t offset_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t name_bytes_ = 0;
  std::uint64_t content_left_ = 0;
  std::size_t padding_left_ = 0;
  std::string last_path_;
  bool canonical_end_ = false;
  bool canonical_padding_ = true;
};

// The content of the reader's entry as a source. `reader` must outlive it.
class TarContentSource final : public ByteSource {
 public:
  explicit TarContentSource(TarReader& reader) : reader_(reader) {}
  Result<std::size_t> Read(std::span<char> buffer) override { return reader_.Read(buffer); }

 private:
  TarReader& reader_;
};

}  // namespace pgw::image
