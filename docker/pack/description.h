// What an image shall be: the packer's declarative input, read and checked. Knows JSON, references.
//
// docs/images.md describes the document. Files that it names are not looked at here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "docker/archive/tar_entry.h"
#include "docker/json.h"
#include "docker/pack/variables.h"
#include "docker/reference.h"

namespace pgw::image {

struct LayerEntry {
  TarType type = TarType::kFile;  // kFile, kDirectory or kSymlink
  std::string path;               // "bin/pushgateway": absolute in the image, without the slash
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string from;             // of files: on this machine
  std::string link_target;      // of links
  bool may_be_dynamic = false;  // an ELF file that needs an interpreter or libraries is fine
  std::string origin;           // where the description says so: layers[0].files[2]
};

struct Layer {
  std::string comment;
  std::vector<LayerEntry> entries;
};

struct Platform {
  std::string os;
  std::string architecture;  // in Go's words
  std::string variant;       // may be empty
  std::vector<Layer> layers;
  std::string packages_file;  // may be empty: no SBOM

  // linux/arm/v7
  std::string name() const {
    return os + "/" + architecture + (variant.empty() ? "" : "/" + variant);
  }
};

// What has taken part in a build: a compiler, a linker.
struct Tool {
  std::string name;
  std::string version;
};

// What the SLSA statement says of a build, apart from its packages.
struct ProvenanceInfo {
  std::string builder;     // URI
  std::string build_type;  // URI
  std::string source;      // URI of a git repository; may be empty
  std::string revision;    // of git
  std::vector<Tool> tools;
};

using TextMap = std::map<std::string, std::string>;

struct Description {
  Reference reference;       // its tag is the version
  std::int64_t created = 0;  // seconds since the epoch
  TextMap labels;            // of the config, and annotations of manifests and index
  TextMap annotations;       // of manifests and index alone
  JsonObject config;         // the config document's "config" without labels
  std::vector<Platform> platforms;
  std::optional<ProvenanceInfo> provenance;
  bool attestations = false;
};

struct DescriptionInputs {
  std::string here = {};  // the folder that the document lies in: ${HERE}
  // What the command line says; wins over the environment, and that over the document's defaults.
  // Each must be of use.
  Variables set = {};
  Variables environment = {};
  // os/architecture[/variant]; if not empty, the image is for these alone. Those that the document
  // has keep what it says of them.
  std::vector<std::string> platforms = {};
};

// `text` is the document. kInvalidArgument names the field by its path.
Result<Description> ParseDescription(std::string_view text, const DescriptionInputs& inputs);

}  // namespace pgw::image
