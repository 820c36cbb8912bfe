// Checks a layout or an archive against everything that docs/images.md promises. Knows trees.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "docker/read/layer_scan.h"
#include "docker/read/layout_store.h"

namespace pgw::image {

struct VerifyOptions {
  // Only what makes an image whole: digests, sizes, diff_ids, agreement. Without it also what this
  // packer promises: names, media types, and the rules that make builds reproducible.
  bool integrity_only = false;
  LayerLimits limits = {};
};

struct VerifyReport {
  std::vector<std::string> findings;  // each names the place; at most 200
  std::size_t images = 0;             // that were looked at
  std::size_t blobs = 0;

  bool ok() const { return findings.empty(); }
};

// Reads every byte once. The error is one that ends the reading: no archive, a missing or broken
// document, layers that unpack to more than limits.all_unpacked_bytes_max. Bounded memory and time,
// whatever is read.
Result<VerifyReport> VerifyLayout(const LayoutStore& store, const VerifyOptions& options = {});

}  // namespace pgw::image
