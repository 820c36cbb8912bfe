// Brings one blob to a registry, in pieces, across broken connections. Knows the client.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "docker/archive/byte_stream.h"
#include "docker/archive/digest.h"
#include "docker/registry/registry_client.h"

namespace pgw::image {

// Opens the blob at its beginning.
using OpenBlob = std::function<Result<std::unique_ptr<ByteSource>>()>;

enum class BlobOutcome : unsigned char { kExisted, kMounted, kUploaded };

struct BlobUploadOptions {
  std::size_t piece_bytes = 8u << 20;
};

// A blob that the registry has is not sent; one that `mount_from` has is taken from there.
Result<BlobOutcome> UploadBlob(RegistryClient& client, const Digest& digest, std::uint64_t size,
                               const OpenBlob& open, const BlobUploadOptions& options = {});

}  // namespace pgw::image
