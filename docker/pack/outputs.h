// The forms an image is written in. Knows images, tar and files.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "docker/pack/image_builder.h"

namespace pgw::image {

// Relative to the output folder; which consumer wants which is told in docs/images.md.
struct OutputNames {
  explicit OutputNames(const Image& image);

  std::string layout;       // the OCI layout folder
  std::string oci_archive;  // the same as a tar archive
  std::string hybrid;       // and with a manifest.json; alone in its folder
  std::string docker_archive(const PlatformImage& platform) const;

 private:
  std::string stem_;
};

// The file by which an output folder is known to be one.
inline constexpr std::string_view kOutputMarker = "oci/oci-layout";

// Writes all of them into `folder`, which exists and is empty, to the disk.
Status WriteOutputs(const Image& image, const std::string& folder);

// An archive's bytes. The hybrid one's manifest.json names the amd64 image, or the first.
Status WriteOciArchive(const Image& image, bool hybrid, ByteSink& sink);
Status WriteDockerArchive(const Image& image, const PlatformImage& platform, ByteSink& sink);

}  // namespace pgw::image
