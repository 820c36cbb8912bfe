// The documents of a layout as a tree, from index.json down to layers. Knows stores and OCI.
//
// Every document is within bounds and has the digest and size by which it is named; what the
// documents say is checked only as far as walking them needs. Layers are not opened.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "docker/json.h"
#include "docker/oci.h"
#include "docker/read/layout_store.h"

namespace pgw::image {

struct ManifestNode {
  Descriptor descriptor;
  Json reference;  // the descriptor with platform and annotations, as the index has it
  Json document;
  Descriptor config;
  Json config_document;
  std::vector<Descriptor> layers;

  bool is_attestation() const;
  // os/architecture/variant, as the config says.
  std::string platform() const;
};

// What one descriptor of index.json leads to: an index of manifests, or a manifest.
struct TopNode {
  Descriptor descriptor;
  Json reference;
  std::optional<Json> index;  // where it is one
  std::vector<ManifestNode> manifests;
};

struct LayoutTree {
  Json document;  // index.json
  std::vector<TopNode> entries;
};

// One entry of a Docker archive's manifest.json. Paths are of the archive's files.
struct DockerEntry {
  std::string config;
  std::vector<std::string> tags;
  std::vector<std::string> layers;
};

bool HasLayout(const LayoutStore& store);
bool HasDockerManifest(const LayoutStore& store);

// kInvalidArgument names the document.
Result<LayoutTree> ReadLayoutTree(const LayoutStore& store);
Result<std::vector<DockerEntry>> ReadDockerManifest(const LayoutStore& store);

}  // namespace pgw::image
