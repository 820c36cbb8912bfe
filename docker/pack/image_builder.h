// From a description to every blob of the image, in memory.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "docker/oci.h"
#include "docker/pack/description.h"

namespace pgw::image {

// An image of one platform.
struct PlatformImage {
  std::string os;
  std::string architecture;
  std::string variant;
  Descriptor manifest;
  Descriptor config;
  std::vector<Descriptor> layers;
};

// A multi-architecture image: all that layouts and archives are made of.
struct Image {
  Reference reference;
  std::int64_t created = 0;
  Descriptor index;  // of the nested index: the image's digest
  std::vector<PlatformImage> platforms;
  std::map<Digest, std::string> blobs;  // with the index
};

// Platforms are built side by side in threads. The same description and files give the same
// blobs, with the same zlib.
Result<Image> BuildImage(const Description& description);

}  // namespace pgw::image
