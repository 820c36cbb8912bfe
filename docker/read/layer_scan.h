// One pass over a layer's blob: digests, sizes and entries. Knows tar, gzip, digests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "docker/archive/digest.h"
#include "docker/archive/tar_reader.h"

namespace pgw::image {

struct LayerLimits {
  std::uint64_t unpacked_bytes_max = std::uint64_t{4} << 30;  // of one layer
  // Of all layers of an archive: some megabytes can hold many that unpack to the bound above.
  std::uint64_t all_unpacked_bytes_max = std::uint64_t{16} << 30;
  std::size_t entries_max = 100'000;  // of one layer
};

struct LayerScan {
  Digest digest = Digest::FromHex({});  // of the blob
  std::uint64_t size = 0;
  bool is_gzip = false;
  bool canonical_gzip = false;  // a header without time, name and system
  std::optional<Digest>
      diff_id;  // of the tar archive; nothing where that could not be read to its end
  std::uint64_t unpacked_size = 0;  // up to the fault, if there is one
  std::vector<TarMember> members;
  bool canonical_end = false;
  std::string fault;  // why there is no diff_id; the digest is right in spite of it
};

// Reads to the end. The error is one of reading, not of what was read.
Result<LayerScan> ScanLayer(ByteSource& source, LayerLimits limits = {});

// Scans the layers of one archive, whose bound it keeps. Not thread-safe.
class LayerScanner {
 public:
  explicit LayerScanner(const LayerLimits& limits) : limits_(limits) {}
  // Besides, kTooLarge with the layer that takes all of them beyond the bound: a reason to end.
  Result<LayerScan> Scan(ByteSource& source);

 private:
  const LayerLimits limits_;
  std::uint64_t unpacked_bytes_ = 0;
};

}  // namespace pgw::image
