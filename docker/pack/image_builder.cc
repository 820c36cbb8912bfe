#include "docker/pack/image_builder.h"

#include <future>
#include <optional>

#include "docker/archive/gzip.h"
#include "docker/file.h"
#include "docker/interrupt.h"
#include "docker/pack/layer_tar.h"
#include "docker/pack/packages.h"
#include "docker/pack/programs.h"
#include "docker/pack/statements.h"

namespace pgw::image {
namespace {

constexpr std::uint64_t kPackagesBytesMax = 4u << 20;
constexpr std::string_view kCreatedBy = "pgw-pack";

// What one platform adds to the index.
struct PlatformPart {
  PlatformImage image;
  std::optional<Descriptor> attestations;
  std::map<Digest, std::string> blobs;
};

class PlatformBuilder {
 public:
  PlatformBuilder(const Description& description, const Platform& platform)
      : description_(description), platform_(platform) {}

  Result<PlatformPart> Build() {
    part_.image.os = platform_.os;
    part_.image.architecture = platform_.architecture;
    part_.image.variant = platform_.variant;
    // Before the layers: what is wrong with a program is said of the member that runs it.
    if (Status status = CheckPrograms(platform_, description_.config); !status)
      return status.error();
    for (const Layer& layer : platform_.layers) {
      if (Status status = AddLayer(layer); !status) return status.error();
    }
    part_.image.config = Store(kMediaConfig, PrettyJson(Config()));
    part_.image.manifest =
        Store(kMediaManifest, PrettyJson(Manifest(part_.image.config, part_.image.layers, true)));
    if (Status status = AddAttestations(); !status) return status.error();
    return std::move(part_);
  }

 private:
  Descriptor Store(std::string_view media_type, std::string content) {
    Descriptor descriptor = DescriptorOf(media_type, content);
    part_.blobs.emplace(descriptor.digest, std::move(content));
    return descriptor;
  }

  Status AddLayer(const Layer& layer) {
    if (Status status = CheckInterrupt(); !status) return status;
    const Result<std::string> tar = BuildLayerTar(platform_, layer, description_.created);
    if (!tar) return tar.error();
    if (Status status = CheckInterrupt(); !status) return status;
    Result<std::string> packed = Gzip(*tar);
    if (!packed) return packed.error();
    diff_ids_.emplace_back(Digest::Of(*tar).text());
    JsonObject step;
    step["created"] = FormatRfc3339(description_.created);
    step["created_by"] = kCreatedBy;
    if (!layer.comment.empty()) step["comment"] = layer.comment;
    history_.emplace_back(std::move(step));
    part_.image.layers.push_back(Store(kMediaLayerGzip, std::move(*packed)));
    return {};
  }

  JsonObject Config() {
    JsonObject settings = description_.config;
    if (!description_.labels.empty()) {
      JsonObject labels;
      for (const auto& [key, value] : description_.labels) labels[key] = value;
      settings["Labels"] = std::move(labels);
    }
    JsonObject config;
    config["created"] = FormatRfc3339(description_.created);
    config["architecture"] = platform_.architecture;
    if (!platform_.variant.empty()) config["variant"] = platform_.variant;
    config["os"] = platform_.os;
    config["config"] = std::move(settings);
    config["rootfs"] = JsonObject({{"type", "layers"}, {"diff_ids", diff_ids_}});
    config["history"] = history_;
    return config;
  }

  JsonObject Manifest(const Descriptor& config, const std::vector<Descriptor>& layers,
                      bool with_annotations);
  Status AddAttestations();
  Descriptor StoreStatement(const JsonObject& statement) {
    return Store(kMediaInToto, PrettyJson(statement));
  }

  const Description& description_;
  const Platform& platform_;
  PlatformPart part_;
  JsonArray diff_ids_;
  JsonArray history_;
};

// Labels again, and what the description adds.
JsonObject Annotations(const Description& description) {
  TextMap all = description.annotations;
  all.insert(description.labels.begin(), description.labels.end());
  JsonObject object;
  for (const auto& [key, value] : all) object[key] = value;
  return object;
}

JsonObject PlatformBuilder::Manifest(const Descriptor& config,
                                     const std::vector<Descriptor>& layers, bool with_annotations) {
  JsonObject manifest;
  manifest["schemaVersion"] = 2;
  manifest["mediaType"] = kMediaManifest;
  manifest["config"] = ToJson(config);
  JsonArray list;
  for (const Descriptor& layer : layers) list.emplace_back(ToJson(layer));
  manifest["layers"] = std::move(list);
  if (with_annotations) {
    JsonObject annotations = Annotations(description_);
    if (!annotations.empty()) manifest["annotations"] = std::move(annotations);
  }
  return manifest;
}

// A manifest whose layers are statements, in the form that BuildKit invented and Docker's tools
// read.
Status PlatformBuilder::AddAttestations() {
  if (!description_.attestations) return {};
  std::vector<Package> packages;
  if (!platform_.packages_file.empty()) {
    const Result<std::string> text = ReadFile(platform_.packages_file, kPackagesBytesMax);
    if (!text) return Error{text.error().code, "packages: " + text.error().message};
    Result<std::vector<Package>> parsed = ParsePackages(*text);
    if (!parsed) {
      return InvalidArgument("packages: " + platform_.packages_file + ", " +
                             parsed.error().message);
    }
    packages = std::move(*parsed);
  }
  const StatementSubject subject{description_, platform_, part_.image.manifest.digest};
  std::vector<std::pair<std::string_view, JsonObject>> predicates;
  if (!platform_.packages_file.empty()) {
    predicates.emplace_back(kPredicateSpdx, MakeSpdxDocument(subject, packages));
  }
  if (description_.provenance) {
    predicates.emplace_back(kPredicateProvenance,
                            MakeProvenance(subject, *description_.provenance, packages));
  }
  if (predicates.empty()) return {};

  JsonArray diff_ids;
  JsonArray layers;
  for (auto& [type, predicate] : predicates) {
    const Descriptor statement = StoreStatement(MakeStatement(subject, type, std::move(predicate)));
    diff_ids.emplace_back(statement.digest.text());
    JsonObject layer = ToJson(statement);
    layer["annotations"] = JsonObject({{kAnnotationPredicateType, type}});
    layers.emplace_back(std::move(layer));
  }
  JsonObject config;
  config["architecture"] = "unknown";
  config["os"] = "unknown";
  config["config"] = JsonObject();
  config["rootfs"] = JsonObject({{"type", "layers"}, {"diff_ids", std::move(diff_ids)}});
  const Descriptor config_blob = Store(kMediaConfig, PrettyJson(config));
  JsonObject manifest = Manifest(config_blob, {}, false);
  manifest["layers"] = std::move(layers);
  part_.attestations = Store(kMediaManifest, PrettyJson(manifest));
  return {};
}

JsonObject PlatformJson(std::string_view os, std::string_view architecture,
                        std::string_view variant) {
  JsonObject platform;
  platform["architecture"] = architecture;
  platform["os"] = os;
  if (!variant.empty()) platform["variant"] = variant;
  return platform;
}

JsonObject Index(const Description& description, const std::vector<PlatformPart>& parts) {
  JsonArray manifests;
  for (const PlatformPart& part : parts) {
    JsonObject manifest = ToJson(part.image.manifest);
    manifest["platform"] = PlatformJson(part.image.os, part.image.architecture, part.image.variant);
    manifests.emplace_back(std::move(manifest));
  }
  // Behind the images: a reader that takes the first that fits never meets them.
  for (const PlatformPart& part : parts) {
    if (!part.attestations) continue;
    JsonObject manifest = ToJson(*part.attestations);
    manifest["platform"] = PlatformJson("unknown", "unknown", "");
    JsonObject annotations;
    annotations[kAnnotationReferenceDigest] = part.image.manifest.digest.text();
    annotations[kAnnotationReferenceType] = kAttestationManifest;
    manifest["annotations"] = std::move(annotations);
    manifests.emplace_back(std::move(manifest));
  }
  JsonObject index;
  index["schemaVersion"] = 2;
  index["mediaType"] = kMediaIndex;
  index["manifests"] = std::move(manifests);
  JsonObject annotations = Annotations(description);
  if (!annotations.empty()) index["annotations"] = std::move(annotations);
  return index;
}

}  // namespace

Result<Image> BuildImage(const Description& description) {
  std::vector<std::future<Result<PlatformPart>>> running;
  running.reserve(description.platforms.size());
  for (const Platform& platform : description.platforms) {
    running.push_back(std::async(std::launch::async, [&description, &platform] {
      return PlatformBuilder(description, platform).Build();
    }));
  }
  std::vector<PlatformPart> parts;
  std::optional<Error> fault;
  for (std::future<Result<PlatformPart>>& future : running) {
    Result<PlatformPart> part = future.get();
    if (part) {
      parts.push_back(std::move(*part));
    } else if (!fault) {
      fault = part.error();
    }
  }
  if (fault) return *fault;

  Image image;
  image.reference = description.reference;
  image.created = description.created;
  std::string index = PrettyJson(Index(description, parts));
  image.index = DescriptorOf(kMediaIndex, index);
  image.blobs.emplace(image.index.digest, std::move(index));
  for (PlatformPart& part : parts) {
    image.blobs.merge(part.blobs);
    image.platforms.push_back(std::move(part.image));
  }
  return image;
}

}  // namespace pgw::image
