#include "docker/read/inspect.h"

#include <array>
#include <cstdio>

#include "docker/printable.h"
#include "docker/read/layout_tree.h"

namespace pgw::image {
namespace {

constexpr std::size_t kEntriesShown = 1000;  // of one layer
// Of all layers: a small archive can name one and the same layer 65,536 times.
constexpr std::size_t kAllEntriesShown = 50'000;
constexpr std::size_t kAllNameBytesShown = 16u << 20;

class Inspector {
 public:
  Inspector(const LayoutStore& store, const LayerLimits& limits)
      : store_(store), scanner_(limits) {}

  Result<Json> Inspect() {
    if (HasLayout(store_)) return InspectOci();
    if (HasDockerManifest(store_)) return InspectDocker();
    return InvalidArgument(
        "neither an OCI layout nor an image archive: no index.json, no manifest.json");
  }

 private:
  Result<Json> InspectOci() {
    const Result<LayoutTree> tree = ReadLayoutTree(store_);
    if (!tree) return tree.error();
    JsonArray list;
    for (const TopNode& top : tree->entries) {
      JsonObject entry;
      const Json* const annotations = FindMember(top.reference, "annotations");
      if (annotations != nullptr) entry["name"] = StringMember(*annotations, kAnnotationRefName);
      entry["digest"] = top.descriptor.digest.text();
      entry["mediaType"] = top.descriptor.media_type;
      JsonArray images;
      for (const ManifestNode& node : top.manifests) {
        Result<JsonObject> image = InspectManifest(node);
        if (!image) return image.error();
        images.emplace_back(std::move(*image));
      }
      entry["images"] = std::move(images);
      if (top.index) {
        if (const Json* const labels = FindMember(*top.index, "annotations"))
          entry["annotations"] = *labels;
      }
      list.emplace_back(std::move(entry));
    }
    return Document("OCI layout", std::move(list));
  }

  Result<Json> InspectDocker() {
    const Result<std::vector<DockerEntry>> entries = ReadDockerManifest(store_);
    if (!entries) return entries.error();
    JsonArray list;
    for (const DockerEntry& each : *entries) {
      JsonObject entry;
      if (!each.tags.empty()) entry["name"] = each.tags.front();
      const Result<std::string> text = store_.Read(each.config, JsonLimits().bytes_max);
      if (!text) return text.error();
      Result<Json> config = ParseJson(*text);
      if (!config) return InvalidArgument(Printable(each.config) + ": " + config.error().message);
      JsonObject image;
      image["config"] = Digest::Of(*text).text();
      AddConfig(*config, image);
      JsonArray layers;
      for (const std::string& path : each.layers) {
        Result<JsonObject> layer = InspectLayer(path);
        if (!layer) return layer.error();
        layers.emplace_back(std::move(*layer));
      }
      image["layers"] = std::move(layers);
      entry["images"] = JsonArray({std::move(image)});
      list.emplace_back(std::move(entry));
    }
    return Document("Docker archive", std::move(list));
  }

  static Json Document(std::string_view form, JsonArray list) {
    JsonObject document;
    document["form"] = form;
    document["entries"] = std::move(list);
    return document;
  }

  static void AddConfig(const Json& config, JsonObject& image) {
    for (const char* const key : {"os", "architecture", "variant", "created"}) {
      const std::string_view text = StringMember(config, key);
      if (!text.empty()) image[key] = text;
    }
    if (const Json* const settings = FindMember(config, "config")) image["settings"] = *settings;
  }

  Result<JsonObject> InspectManifest(const ManifestNode& node) {
    JsonObject image;
    image["manifest"] = node.descriptor.digest.text();
    image["config"] = node.config.digest.text();
    std::uint64_t size = node.descriptor.size + node.config.size;
    for (const Descriptor& layer : node.layers) size += layer.size;
    image["size"] = size;
    if (node.is_attestation()) {
      const Json* const annotations = FindMember(node.reference, "annotations");
      image["attests"] = StringMember(*annotations, kAnnotationReferenceDigest);
      image["predicates"] = Predicates(node.document);
      return image;
    }
    AddConfig(node.config_document, image);
    JsonArray layers;
    for (const Descriptor& layer : node.layers) {
      Result<JsonObject> object = InspectLayer(layer.digest.blob_path());
      if (!object) return object.error();
      layers.emplace_back(std::move(*object));
    }
    image["layers"] = std::move(layers);
    return image;
  }

  static JsonArray Predicates(const Json& manifest) {
    JsonArray types;
    const Json* const layers = FindMember(manifest, "layers");
    for (const Json& layer : layers->get_array()) {
      const Json* const annotations = FindMember(layer, "annotations");
      if (annotations != nullptr)
        types.emplace_back(StringMember(*annotations, kAnnotationPredicateType));
    }
    return types;
  }

  // A layer of several images is read once.
  Result<JsonObject> InspectLayer(const std::string& path) {
    if (const auto known = layers_.find(path); known != layers_.end()) {
      return Shown(known->second);
    }
    const auto source = store_.Open(path);
    if (!source) return source.error();
    const Result<LayerScan> scan = scanner_.Scan(**source);
    if (!scan) return Error{scan.error().code, Printable(path) + ": " + scan.error().message};
    JsonObject layer;
    layer["digest"] = scan->digest.text();
    layer["size"] = scan->size;
    if (scan->diff_id) layer["diffId"] = scan->diff_id->text();
    layer["unpackedSize"] = scan->unpacked_size;
    if (!scan->fault.empty()) layer["fault"] = scan->fault;
    layer["entryCount"] = scan->members.size();
    KnownLayer known{std::move(layer), {}};
    for (const TarMember& member : scan->members) {
      if (known.entries.size() >= kEntriesShown || kept_bytes_ > kAllNameBytesShown) break;
      kept_bytes_ += NameBytes(member.entry);
      known.entries.push_back(member.entry);
    }
    return Shown(layers_.emplace(path, std::move(known)).first->second);
  }

  struct KnownLayer {
    JsonObject object;              // without entries
    std::vector<TarEntry> entries;  // the first ones
  };

  // With as many entries as may still be shown.
  JsonObject Shown(const KnownLayer& layer) {
    JsonArray entries;
    for (const TarEntry& entry : layer.entries) {
      if (entries_shown_ >= kAllEntriesShown || name_bytes_shown_ > kAllNameBytesShown) break;
      ++entries_shown_;
      name_bytes_shown_ += NameBytes(entry);
      entries.emplace_back(InspectEntry(entry));
    }
    JsonObject object = layer.object;
    object["entries"] = std::move(entries);
    return object;
  }

  static std::size_t NameBytes(const TarEntry& entry) {
    return entry.path.size() + entry.link_target.size();
  }

  static JsonObject InspectEntry(const TarEntry& entry) {
    std::array<char, 16> mode{};
    std::snprintf(mode.data(), mode.size(), "%04o", entry.mode & 07777u);
    JsonObject object;
    // Tar knows bytes, JSON knows characters: what is not ASCII is escaped.
    object["path"] = Printable(entry.path);
    object["type"] = std::string(1, static_cast<char>(entry.type));
    object["mode"] = mode.data();
    object["uid"] = entry.uid;
    object["gid"] = entry.gid;
    object["size"] = entry.size;
    object["mtime"] = entry.mtime;
    if (!entry.link_target.empty()) object["target"] = Printable(entry.link_target);
    return object;
  }

  const LayoutStore& store_;
  LayerScanner scanner_;
  std::map<std::string, KnownLayer> layers_;
  std::size_t kept_bytes_ = 0;
  std::size_t entries_shown_ = 0;
  std::size_t name_bytes_shown_ = 0;
};

std::string Number(const Json& object, std::string_view key) {
  const Json* const value = FindMember(object, key);
  if (value == nullptr) return "0";
  if (value->is_uint64()) return std::to_string(value->get_uint64());
  return value->is_int64() ? std::to_string(value->get_int64()) : "0";
}

std::string Member(const Json& object, std::string_view key) {
  return Printable(StringMember(object, key));
}

const JsonArray& Items(const Json& object, std::string_view key) {
  static const JsonArray kNone;
  const Json* const value = FindMember(object, key);
  return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

char TypeLetter(std::string_view type) {
  if (type == "5") return 'd';
  if (type == "2") return 'l';
  return type == "0" ? '-' : '?';
}

void DescribeLayer(const Json& layer, std::string& out) {
  out += "    layer " + Member(layer, "digest") + ", " + Number(layer, "size") +
         " bytes, unpacked " + Number(layer, "unpackedSize") + "\n";
  if (!Member(layer, "fault").empty()) out += "      broken: " + Member(layer, "fault") + "\n";
  const JsonArray& entries = Items(layer, "entries");
  for (const Json& entry : entries) {
    out += std::string("      ") + TypeLetter(StringMember(entry, "type")) + " " +
           Member(entry, "mode") + " " + Number(entry, "uid") + ":" + Number(entry, "gid") + " " +
           Number(entry, "size") + " /" + std::string(StringMember(entry, "path"));
    const std::string_view target = StringMember(entry, "target");
    if (!target.empty()) out.append(" -> ").append(target);
    out += "\n";
  }
  if (Number(layer, "entryCount") != std::to_string(entries.size())) {
    out += "      … " + Number(layer, "entryCount") + " entries in all\n";
  }
}

void DescribeImage(const Json& image, std::string& out) {
  if (const std::string subject = Member(image, "attests"); !subject.empty()) {
    out += "  attestations of " + subject + "\n";
    for (const Json& type : Items(image, "predicates")) {
      if (type.is_string()) out += "    " + Printable(type.get_string().c_str()) + "\n";
    }
    return;
  }
  out += "  " + Member(image, "os") + "/" + Member(image, "architecture");
  if (const std::string variant = Member(image, "variant"); !variant.empty()) out += "/" + variant;
  out += ", " + Number(image, "size") + " bytes, created " + Member(image, "created") + "\n";
  if (const std::string manifest = Member(image, "manifest"); !manifest.empty()) {
    out += "    manifest " + manifest + "\n";
  }
  out += "    config " + Member(image, "config") + "\n";
  for (const Json& layer : Items(image, "layers")) DescribeLayer(layer, out);
}

}  // namespace

Result<Json> InspectLayout(const LayoutStore& store, const LayerLimits& limits) {
  return Inspector(store, limits).Inspect();
}

std::string DescribeInspection(const Json& inspection) {
  std::string out = Member(inspection, "form") + "\n";
  for (const Json& entry : Items(inspection, "entries")) {
    const std::string name = Member(entry, "name");
    out += (name.empty() ? std::string("(without a name)") : name);
    if (const std::string digest = Member(entry, "digest"); !digest.empty()) out += " " + digest;
    out += "\n";
    for (const Json& image : Items(entry, "images")) DescribeImage(image, out);
  }
  return out;
}

}  // namespace pgw::image
