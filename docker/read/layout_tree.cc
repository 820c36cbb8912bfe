#include "docker/read/layout_tree.h"

#include <array>

#include "docker/printable.h"

namespace pgw::image {
namespace {

constexpr std::size_t kManifestsMax = 256;
constexpr std::size_t kLayersMax = 256;
constexpr std::size_t kDocumentsBytesMax = 64u << 20;  // of one layout

bool IsIndexType(std::string_view type) {
  return type == kMediaIndex || type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

bool IsManifestType(std::string_view type) {
  return type == kMediaManifest || type == "application/vnd.docker.distribution.manifest.v2+json";
}

const JsonArray* ArrayMember(const Json& value, std::string_view key) {
  const Json* const member = FindMember(value, key);
  return member == nullptr ? nullptr : member->if_array();
}

class TreeReader {
 public:
  explicit TreeReader(const LayoutStore& store) : store_(store) {}

  Result<LayoutTree> Read() {
    LayoutTree tree;
    Result<std::string> text = store_.Read("index.json", JsonLimits().bytes_max);
    if (!text) return text.error();
    Result<Json> document = ParseJson(*text);
    if (!document) return InvalidArgument("index.json: " + document.error().message);
    tree.document = std::move(*document);
    const JsonArray* const manifests = ArrayMember(tree.document, "manifests");
    if (manifests == nullptr) return InvalidArgument("index.json: no array \"manifests\"");
    for (const Json& reference : *manifests) {
      Result<TopNode> node = ReadTop(reference);
      if (!node) return node.error();
      tree.entries.push_back(std::move(*node));
    }
    return tree;
  }

 private:
  Result<TopNode> ReadTop(const Json& reference) {
    const Result<Descriptor> descriptor = ParseDescriptor(reference);
    if (!descriptor) return InvalidArgument("index.json: " + descriptor.error().message);
    TopNode node;
    node.descriptor = *descriptor;
    node.reference = reference;
    if (!IsIndexType(descriptor->media_type)) {
      Result<ManifestNode> manifest = ReadManifest(reference, "index.json");
      if (!manifest) return manifest.error();
      node.manifests.push_back(std::move(*manifest));
      return node;
    }
    Result<Json> index = ReadDocument(*descriptor);
    if (!index) return index.error();
    const JsonArray* const manifests = ArrayMember(*index, "manifests");
    const std::string where = descriptor->digest.blob_path();
    if (manifests == nullptr) return InvalidArgument(where + ": no array \"manifests\"");
    for (const Json& each : *manifests) {
      Result<ManifestNode> manifest = ReadManifest(each, where);
      if (!manifest) return manifest.error();
      node.manifests.push_back(std::move(*manifest));
    }
    node.index = std::move(*index);
    return node;
  }

  Result<ManifestNode> ReadManifest(const Json& reference, const std::string& where) {
    const Result<Descriptor> descriptor = ParseDescriptor(reference);
    if (!descriptor) return InvalidArgument(where + ": " + descriptor.error().message);
    if (!IsManifestType(descriptor->media_type)) {
      return InvalidArgument(where + ": \"" + Printable(descriptor->media_type) +
                             "\" is no manifest's media type here");
    }
    if (++manifests_ > kManifestsMax) return InvalidArgument(where + ": too many manifests");
    ManifestNode node;
    node.descriptor = *descriptor;
    node.reference = reference;
    Result<Json> document = ReadDocument(*descriptor);
    if (!document) return document.error();
    node.document = std::move(*document);
    const std::string path = descriptor->digest.blob_path();
    const Json* const config = FindMember(node.document, "config");
    const JsonArray* const layers = ArrayMember(node.document, "layers");
    if (config == nullptr || layers == nullptr) {
      return InvalidArgument(path + ": a manifest has \"config\" and \"layers\"");
    }
    const Result<Descriptor> config_descriptor = ParseDescriptor(*config);
    if (!config_descriptor) return InvalidArgument(path + ": " + config_descriptor.error().message);
    node.config = *config_descriptor;
    Result<Json> config_document = ReadDocument(node.config);
    if (!config_document) return config_document.error();
    node.config_document = std::move(*config_document);
    if (layers->size() > kLayersMax) return InvalidArgument(path + ": too many layers");
    for (const Json& layer : *layers) {
      Result<Descriptor> layer_descriptor = ParseDescriptor(layer);
      if (!layer_descriptor) return InvalidArgument(path + ": " + layer_descriptor.error().message);
      node.layers.push_back(std::move(*layer_descriptor));
    }
    return node;
  }

  Result<Json> ReadDocument(const Descriptor& descriptor) {
    const std::string path = descriptor.digest.blob_path();
    const Result<std::string> text = store_.Read(path, JsonLimits().bytes_max);
    if (!text) return text.error();
    bytes_ += text->size();
    if (bytes_ > kDocumentsBytesMax) return InvalidArgument(path + ": too many documents");
    if (text->size() != descriptor.size) {
      return InvalidArgument(path + ": " + std::to_string(text->size()) +
                             " bytes, not the stated " + std::to_string(descriptor.size));
    }
    if (Digest::Of(*text) != descriptor.digest) {
      return InvalidArgument(path + ": the content has another digest, " +
                             Digest::Of(*text).text());
    }
    Result<Json> document = ParseJson(*text);
    if (!document) return InvalidArgument(path + ": " + document.error().message);
    return document;
  }

  const LayoutStore& store_;
  std::size_t manifests_ = 0;
  std::size_t bytes_ = 0;
};

Result<std::vector<std::string>> TextArray(const Json& entry, std::string_view key) {
  std::vector<std::string> texts;
  const Json* const member = FindMember(entry, key);
  // Docker writes null for no tags.
  if (member == nullptr || member->is_null()) return texts;
  const JsonArray* const array = member->if_array();
  const Error fault =
      InvalidArgument("manifest.json: \"" + std::string(key) + "\" is no array of strings");
  if (array == nullptr || array->size() > kLayersMax) return fault;
  for (const Json& value : *array) {
    if (!value.is_string()) return fault;
    texts.emplace_back(value.get_string().c_str(), value.get_string().size());
  }
  return texts;
}

}  // namespace

bool ManifestNode::is_attestation() const {
  const Json* const annotations = FindMember(reference, "annotations");
  return annotations != nullptr &&
         StringMember(*annotations, kAnnotationReferenceType) == kAttestationManifest;
}

std::string ManifestNode::platform() const {
  std::string name(StringMember(config_document, "os"));
  name.append("/").append(StringMember(config_document, "architecture"));
  const std::string_view variant = StringMember(config_document, "variant");
  if (!variant.empty()) name.append("/").append(variant);
  return name;
}

bool HasLayout(const LayoutStore& store) {
  return store.files().contains("index.json") || store.files().contains("oci-layout");
}

bool HasDockerManifest(const LayoutStore& store) { return store.files().contains("manifest.json"); }

Result<LayoutTree> ReadLayoutTree(const LayoutStore& store) { return TreeReader(store).Read(); }

Result<std::vector<DockerEntry>> ReadDockerManifest(const LayoutStore& store) {
  const Result<std::string> text = store.Read("manifest.json", JsonLimits().bytes_max);
  if (!text) return text.error();
  const Result<Json> document = ParseJson(*text);
  if (!document) return InvalidArgument("manifest.json: " + document.error().message);
  const JsonArray* const array = document->if_array();
  if (array == nullptr || array->size() > kManifestsMax) {
    return InvalidArgument("manifest.json: no array of images");
  }
  std::vector<DockerEntry> entries;
  for (const Json& value : *array) {
    DockerEntry entry;
    entry.config = StringMember(value, "Config");
    if (entry.config.empty()) return InvalidArgument("manifest.json: an image without Config");
    Result<std::vector<std::string>> tags = TextArray(value, "RepoTags");
    if (!tags) return tags.error();
    Result<std::vector<std::string>> layers = TextArray(value, "Layers");
    if (!layers) return layers.error();
    entry.tags = std::move(*tags);
    entry.layers = std::move(*layers);
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace pgw::image
