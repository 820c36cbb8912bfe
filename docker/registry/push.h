// Pushes an image with everything below it. Knows layouts, verification and uploads.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "docker/archive/digest.h"
#include "docker/read/layout_store.h"
#include "docker/registry/blob_upload.h"
#include "docker/registry/registry_client.h"

namespace pgw::image {

struct PushOptions {
  BlobUploadOptions upload;
  // Told what happens, a line each, without line ends.
  std::function<void(std::string_view)> progress = [](std::string_view) {};
};

// Checks every digest of the layout first: of a broken one nothing is sent. Then blobs, manifests,
// and last of all the index under the reference's tag, so that the tag never leads to something
// that is not there. Returns the digest under the tag.
Result<Digest> PushLayout(const LayoutStore& store, RegistryClient& client,
                          const PushOptions& options = {});

}  // namespace pgw::image
