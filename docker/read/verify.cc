#include "docker/read/verify.h"

#include <algorithm>
#include <set>

#include "docker/printable.h"
#include "docker/read/findings.h"
#include "docker/read/layout_tree.h"
#include "docker/read/tar_rules.h"
#include "docker/reference.h"

namespace pgw::image {
namespace {

constexpr std::string_view kOurLabels = "org.opencontainers.image.";
constexpr std::uint64_t kStatementsBytesMax = 64u << 20;  // of one archive

// Layers of the config's history that are not empty ones.
std::size_t HistoryLayers(const JsonArray& history) {
  return static_cast<std::size_t>(std::ranges::count_if(history, [](const Json& step) {
    const Json* const empty = FindMember(step, "empty_layer");
    return empty == nullptr || !empty->is_bool() || !empty->get_bool();
  }));
}

const JsonArray* DiffIds(const Json& config) {
  const Json* const rootfs = FindMember(config, "rootfs");
  const Json* const ids = rootfs == nullptr ? nullptr : FindMember(*rootfs, "diff_ids");
  return ids == nullptr ? nullptr : ids->if_array();
}

std::string_view Text(const Json& value) {
  const boost::json::string* const text = value.if_string();
  return text == nullptr ? std::string_view() : std::string_view(text->data(), text->size());
}

// Equality of the org.opencontainers.image.* members of two objects, either of which may be null.
bool HaveSameLabels(const Json* labels, const Json* annotations) {
  const auto select = [](const Json* value) {
    std::map<std::string, std::string> selected;
    const JsonObject* const object = value == nullptr ? nullptr : value->if_object();
    if (object == nullptr) return selected;
    for (const auto& [key, text] : *object) {
      const std::string name(key.data(), key.size());
      if (name.starts_with(kOurLabels)) selected.emplace(name, Text(text));
    }
    return selected;
  };
  return select(labels) == select(annotations);
}

std::vector<std::string> LayerPaths(const ManifestNode& node) {
  std::vector<std::string> paths;
  paths.reserve(node.layers.size());
  for (const Descriptor& layer : node.layers) paths.push_back(layer.digest.blob_path());
  return paths;
}

class Verifier {
 public:
  Verifier(const LayoutStore& store, const VerifyOptions& options)
      : store_(store), strict_(!options.integrity_only), scanner_(options.limits) {}

  Result<VerifyReport> Verify() {
    const bool has_layout = HasLayout(store_);
    const bool has_docker = HasDockerManifest(store_);
    if (!has_layout && !has_docker) {
      return InvalidArgument(
          "neither an OCI layout nor an image archive: no index.json, no manifest.json");
    }
    if (has_layout) {
      if (Status status = VerifyOciLayout(); !status) return status.error();
    }
    if (has_docker) {
      if (Status status = VerifyDocker(has_layout); !status) return status.error();
    }
    CheckNoStrays();
    if (strict_) CheckArchive();
    report_.findings = findings_.Take();
    report_.blobs = seen_.size();
    return std::move(report_);
  }

 private:
  Status VerifyOciLayout();
  Status VerifyTop(const TopNode& top);
  void VerifyIndex(const TopNode& top);
  void VerifyPlatform(const TopNode& top, const ManifestNode& node);
  Status VerifyImage(const TopNode& top, const ManifestNode& node);
  Status VerifyLayers(const Json& config, const std::string& config_path,
                      const std::vector<std::string>& paths,
                      const std::vector<Descriptor>& expected);
  Status VerifyLayer(const std::string& path, const Descriptor* expected, std::string_view diff_id);
  Status VerifyAttestation(const TopNode& top, const ManifestNode& node);
  void CheckName(const TopNode& top);
  Status VerifyDocker(bool has_layout);
  void CheckSchema(const Json& document, const std::string& where) {
    const Json* const version = FindMember(document, "schemaVersion");
    findings_.Check(version != nullptr && *version == Json(2), where, "the schemaVersion is not 2");
  }
  void CheckConfig(const Json& config, const std::string& where);
  Status CheckCanonical(const std::string& path);
  void CheckNoStrays();
  void CheckArchive();

  const LayoutStore& store_;
  const bool strict_;
  LayerScanner scanner_;
  Findings findings_;
  VerifyReport report_;
  std::set<std::string> seen_;  // files that something leads to
  std::optional<LayoutTree> tree_;
  std::string reference_;  // the image's full name
  std::optional<std::int64_t> created_;
  std::uint64_t statement_bytes_ = 0;
  std::map<std::string, LayerScan> scans_;  // by path; without members, once checked
};

// index.json and manifest.json have no digest; being exactly what the packer writes is as good.
Status Verifier::CheckCanonical(const std::string& path) {
  seen_.insert(path);
  if (!strict_) return {};
  const Result<std::string> text = store_.Read(path, JsonLimits().bytes_max);
  if (!text) return text.error();
  const Result<Json> document = ParseJson(*text);
  if (!document) return InvalidArgument(path + ": " + document.error().message);
  findings_.Check(PrettyJson(*document) == *text, path, "not in the packer's form");
  return {};
}

Status Verifier::VerifyOciLayout() {
  const Result<std::string> version = store_.Read("oci-layout", 4096);
  if (!version) return version.error();
  seen_.insert("oci-layout");
  const Result<Json> layout = ParseJson(*version);
  const bool is_version_1 = layout && StringMember(*layout, "imageLayoutVersion") == "1.0.0";
  findings_.Check(strict_ ? *version == kOciLayout : is_version_1, "oci-layout",
                  "must be exactly " + std::string(kOciLayout));
  if (Status status = CheckCanonical("index.json"); !status) return status;
  Result<LayoutTree> tree = ReadLayoutTree(store_);
  if (!tree) return tree.error();
  tree_ = std::move(*tree);
  findings_.Check(
      tree_->entries.size() == 1, "index.json",
      std::to_string(tree_->entries.size()) + " descriptors; podman and skopeo want exactly one");
  if (strict_) {
    findings_.Check(StringMember(tree_->document, "mediaType") == kMediaIndex, "index.json",
                    "the mediaType is not that of an index");
    CheckSchema(tree_->document, "index.json");
  }
  for (const TopNode& top : tree_->entries) {
    if (Status status = VerifyTop(top); !status) return status;
  }
  return {};
}

void Verifier::CheckName(const TopNode& top) {
  const Json* const annotations = FindMember(top.reference, "annotations");
  const std::string_view name =
      annotations == nullptr ? "" : StringMember(*annotations, kAnnotationRefName);
  const std::string_view containerd =
      annotations == nullptr ? "" : StringMember(*annotations, kAnnotationImageName);
  findings_.Check(name == containerd, "index.json",
                  "the two annotations with the name differ: \"" + Printable(name) + "\", \"" +
                      Printable(containerd) + "\"");
  const Result<Reference> reference = ParseReference(name);
  if (!reference) return findings_.Add("index.json", reference.error().message);
  reference_ = name;
  const Json* const labels = top.index ? FindMember(*top.index, "annotations") : nullptr;
  const std::string_view version =
      labels == nullptr ? "" : StringMember(*labels, kAnnotationVersion);
  findings_.Check(version.empty() || version == reference->tag, "index.json",
                  "the tag is " + reference->tag + ", the version " + Printable(version));
}

Status Verifier::VerifyTop(const TopNode& top) {
  seen_.insert(top.descriptor.digest.blob_path());
  if (strict_) {
    CheckName(top);
    VerifyIndex(top);
  }
  for (const ManifestNode& node : top.manifests) {
    seen_.insert(node.descriptor.digest.blob_path());
    seen_.insert(node.config.digest.blob_path());
    ++report_.images;
    Status status = node.is_attestation() ? VerifyAttestation(top, node) : VerifyImage(top, node);
    if (!status) return status;
  }
  return {};
}

void Verifier::VerifyIndex(const TopNode& top) {
  const std::string where = top.descriptor.digest.blob_path();
  if (!findings_.Check(top.index.has_value(), "index.json", "does not lead to a nested index"))
    return;
  findings_.Check(top.descriptor.media_type == kMediaIndex, "index.json",
                  "not OCI's media type of an index");
  findings_.Check(StringMember(*top.index, "mediaType") == kMediaIndex, where,
                  "the mediaType is not that of an index");
  CheckSchema(*top.index, where);
  std::set<std::string> platforms;
  for (const ManifestNode& node : top.manifests) {
    if (node.is_attestation()) continue;
    findings_.Check(platforms.insert(node.platform()).second, where,
                    "two images for " + Printable(node.platform()));
  }
  findings_.Check(!platforms.empty(), where, "no images");
}

// That what the index says of an image is what the image says of itself.
void Verifier::VerifyPlatform(const TopNode& top, const ManifestNode& node) {
  const std::string where = node.descriptor.digest.blob_path();
  const Json* const platform = FindMember(node.reference, "platform");
  if (top.index) {
    const bool same =
        platform != nullptr &&
        StringMember(*platform, "os") == StringMember(node.config_document, "os") &&
        StringMember(*platform, "architecture") ==
            StringMember(node.config_document, "architecture") &&
        StringMember(*platform, "variant") == StringMember(node.config_document, "variant");
    findings_.Check(same, where, "the index states another platform than the image's config");
  }
  if (!strict_) return;
  const std::string_view architecture = StringMember(node.config_document, "architecture");
  const std::string_view variant = StringMember(node.config_document, "variant");
  if (architecture == "arm") findings_.Check(variant == "v7", where, "arm is without variant v7");
  if (architecture == "arm64" || architecture == "amd64") {
    findings_.Check(variant.empty(), where, "a variant that readers do not expect");
  }
}

void Verifier::CheckConfig(const Json& config, const std::string& where) {
  const JsonArray* const ids = DiffIds(config);
  findings_.Check(ids != nullptr, where, "no rootfs.diff_ids");
  const Json* const history = FindMember(config, "history");
  if (ids != nullptr && history != nullptr && history->is_array()) {
    findings_.Check(HistoryLayers(history->get_array()) == ids->size(), where,
                    "the history has not as many layers as there are diff_ids");
  }
  if (!strict_) return;
  const std::optional<std::int64_t> created = ParseRfc3339(StringMember(config, "created"));
  findings_.Check(created.has_value(), where,
                  "\"created\" is not of the form 2022-08-24T10:04:35Z");
  if (created && !created_) created_ = created;
  findings_.Check(created == created_, where, "\"created\" differs between images");
}

Status Verifier::VerifyImage(const TopNode& top, const ManifestNode& node) {
  const std::string where = node.descriptor.digest.blob_path();
  VerifyPlatform(top, node);
  CheckConfig(node.config_document, node.config.digest.blob_path());
  if (strict_) {
    findings_.Check(StringMember(node.document, "mediaType") == kMediaManifest &&
                        node.descriptor.media_type == kMediaManifest,
                    where, "not OCI's media type of a manifest");
    findings_.Check(node.config.media_type == kMediaConfig, where,
                    "not OCI's media type of a config");
    CheckSchema(node.document, where);
    const Json* const settings = FindMember(node.config_document, "config");
    const Json* const labels = settings == nullptr ? nullptr : FindMember(*settings, "Labels");
    const Json* const annotations = FindMember(node.document, "annotations");
    findings_.Check(HaveSameLabels(labels, annotations), where,
                    "the annotations differ from the config's labels");
    const Json* const above = top.index ? FindMember(*top.index, "annotations") : nullptr;
    findings_.Check(HaveSameLabels(labels, above), top.descriptor.digest.blob_path(),
                    "the annotations differ from the labels of " + where);
  }
  return VerifyLayers(node.config_document, node.config.digest.blob_path(), LayerPaths(node),
                      node.layers);
}

Status Verifier::VerifyLayers(const Json& config, const std::string& config_path,
                              const std::vector<std::string>& paths,
                              const std::vector<Descriptor>& expected) {
  const JsonArray* const ids = DiffIds(config);
  const std::size_t count = ids == nullptr ? 0 : ids->size();
  findings_.Check(
      count == paths.size(), config_path,
      std::to_string(count) + " diff_ids for " + std::to_string(paths.size()) + " layers");
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const Descriptor* const descriptor = expected.empty() ? nullptr : &expected[i];
    Status status = VerifyLayer(paths[i], descriptor, i < count ? Text((*ids)[i]) : "");
    if (!status) return status;
  }
  return {};
}

Status Verifier::VerifyLayer(const std::string& path, const Descriptor* expected,
                             std::string_view diff_id) {
  const std::string where = Printable(path);
  seen_.insert(path);
  auto found = scans_.find(path);
  if (found == scans_.end()) {
    const auto source = store_.Open(path);
    if (!source) return source.error();
    Result<LayerScan> scan = scanner_.Scan(**source);
    if (!scan) return Error{scan.error().code, where + ": " + scan.error().message};
    if (!scan->fault.empty()) findings_.Add(where, scan->fault);
    if (strict_ && scan->fault.empty()) {
      CheckTarRules(scan->members, scan->canonical_end, {.mtime = created_}, where, findings_);
      findings_.Check(!scan->is_gzip || scan->canonical_gzip, where,
                      "the gzip header is not the packer's: a time, a name or a system");
    }
    scan->members.clear();
    found = scans_.emplace(path, std::move(*scan)).first;
  }
  const LayerScan& scan = found->second;
  if (path.starts_with("blobs/sha256/")) {
    findings_.Check(path == scan.digest.blob_path(), where,
                    "the content has the digest " + scan.digest.text());
  }
  if (scan.diff_id) {
    findings_.Check(
        scan.diff_id->text() == diff_id, where,
        "the diff_id is " + scan.diff_id->text() + ", the config says " + Printable(diff_id));
  }
  if (expected == nullptr) return {};
  findings_.Check(
      expected->size == scan.size, where,
      std::to_string(scan.size) + " bytes, not the stated " + std::to_string(expected->size));
  const bool type_fits = expected->media_type.ends_with("gzip") == scan.is_gzip;
  findings_.Check(type_fits, where,
                  "the media type " + Printable(expected->media_type) + " does not fit");
  if (strict_) {
    findings_.Check(
        expected->media_type == kMediaLayerGzip || expected->media_type == kMediaLayerTar, where,
        "not OCI's media type of a layer");
  }
  return {};
}

Status Verifier::VerifyAttestation(const TopNode& top, const ManifestNode& node) {
  const std::string where = node.descriptor.digest.blob_path();
  const Json* const annotations = FindMember(node.reference, "annotations");
  const std::string_view subject = StringMember(*annotations, kAnnotationReferenceDigest);
  const bool known = std::ranges::any_of(top.manifests, [subject](const ManifestNode& image) {
    return !image.is_attestation() && image.descriptor.digest.text() == subject;
  });
  findings_.Check(known, where, "attests an image that is not there, " + Printable(subject));
  findings_.Check(node.platform() == "unknown/unknown", where, "an attestation has no platform");
  for (const Descriptor& layer : node.layers) {
    const std::string path = layer.digest.blob_path();
    seen_.insert(path);
    const Result<std::string> text = store_.Read(path, JsonLimits().bytes_max);
    if (!text) return text.error();
    // Unlike layers these are read again where several manifests name them.
    statement_bytes_ += text->size();
    if (statement_bytes_ > kStatementsBytesMax) {
      return Error{Code::kTooLarge, path + ": too many statements"};
    }
    findings_.Check(Digest::Of(*text) == layer.digest, path, "the content has another digest");
    findings_.Check(text->size() == layer.size, path, "the size is not the stated one");
    findings_.Check(layer.media_type == kMediaInToto, path, "not the media type of a statement");
    const Result<Json> statement = ParseJson(*text);
    if (!statement) {
      findings_.Add(path, statement.error().message);
      continue;
    }
    const Json* const subjects = FindMember(*statement, "subject");
    const bool names_it =
        subjects != nullptr && subjects->is_array() && subjects->get_array().size() == 1 &&
        FindMember(subjects->get_array()[0], "digest") != nullptr &&
        "sha256:" + std::string(
                        StringMember(*FindMember(subjects->get_array()[0], "digest"), "sha256")) ==
            subject;
    findings_.Check(names_it, path, "the statement is about another image");
  }
  return {};
}

Status Verifier::VerifyDocker(bool has_layout) {
  if (Status status = CheckCanonical("manifest.json"); !status) return status;
  const Result<std::vector<DockerEntry>> entries = ReadDockerManifest(store_);
  if (!entries) return entries.error();
  if (strict_)
    findings_.Check(entries->size() == 1, "manifest.json", "names more or less than one image");
  for (const DockerEntry& entry : *entries) {
    const Result<std::string> text = store_.Read(entry.config, JsonLimits().bytes_max);
    if (!text) return text.error();
    seen_.insert(entry.config);
    const std::string where = Printable(entry.config);
    const Result<Json> config = ParseJson(*text);
    if (!config) return InvalidArgument(where + ": " + config.error().message);
    if (entry.config.starts_with("blobs/sha256/")) {
      findings_.Check(Digest::Of(*text).blob_path() == entry.config, where,
                      "the content has another digest");
    }
    CheckConfig(*config, where);
    if (Status status = VerifyLayers(*config, where, entry.layers, {}); !status) return status;
    if (strict_) {
      findings_.Check(entry.tags.size() == 1 && ParseReference(entry.tags[0]).has_value(),
                      "manifest.json", "the image has not one full name");
    }
    if (!has_layout) {
      ++report_.images;
      continue;
    }
    if (strict_) {
      findings_.Check(entry.tags.size() == 1 && entry.tags[0] == reference_, "manifest.json",
                      "the name is not that of index.json");
    }
    // The same image must be in the index, whole.
    bool agrees = false;
    for (const TopNode& top : tree_->entries) {
      for (const ManifestNode& node : top.manifests) {
        agrees = agrees || (node.config.digest.blob_path() == entry.config &&
                            LayerPaths(node) == entry.layers);
      }
    }
    findings_.Check(agrees, "manifest.json", "names an image that the index does not");
  }
  return {};
}

// A file to which nothing leads is not covered by any digest.
void Verifier::CheckNoStrays() {
  for (const auto& [path, size] : store_.files()) {
    const bool relevant = strict_ || path.starts_with("blobs/");
    if (relevant)
      findings_.Check(seen_.contains(path), Printable(path), "nothing leads to this file");
  }
}

void Verifier::CheckArchive() {
  const ArchiveFacts* const archive = store_.archive();
  if (archive == nullptr) return;
  CheckTarRules(archive->members, archive->canonical_end, {.mtime = created_, .root_owned = true},
                "archive", findings_);
}

}  // namespace

Result<VerifyReport> VerifyLayout(const LayoutStore& store, const VerifyOptions& options) {
  return Verifier(store, options).Verify();
}

}  // namespace pgw::image
