#include "docker/pack/outputs.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <set>
#include <system_error>
#include <vector>

#include "docker/archive/tar_writer.h"
#include "docker/file.h"

namespace pgw::image {
namespace {

namespace fs = std::filesystem;

// Files of an archive or a folder by path; views point into the image or into `texts`.
struct FileTree {
  std::map<std::string, std::string_view> files;
  std::map<std::string, std::string> texts;

  void AddText(const std::string& path, std::string text) {
    files[path] = texts.insert_or_assign(path, std::move(text)).first->second;
  }
};

// index.json: one descriptor, to the nested index, under its full name in both annotations.
std::string TopLevelIndex(const Image& image) {
  JsonObject descriptor = ToJson(image.index);
  JsonObject annotations;
  annotations[kAnnotationImageName] = image.reference.text();
  annotations[kAnnotationRefName] = image.reference.text();
  descriptor["annotations"] = std::move(annotations);
  JsonObject index;
  index["schemaVersion"] = 2;
  index["mediaType"] = kMediaIndex;
  index["manifests"] = JsonArray({std::move(descriptor)});
  return PrettyJson(index);
}

std::string DockerManifest(const Image& image, const PlatformImage& platform) {
  JsonObject entry;
  entry["Config"] = platform.config.digest.blob_path();
  entry["RepoTags"] = JsonArray({image.reference.text()});
  JsonArray layers;
  for (const Descriptor& layer : platform.layers) layers.emplace_back(layer.digest.blob_path());
  entry["Layers"] = std::move(layers);
  return PrettyJson(JsonArray({std::move(entry)}));
}

FileTree LayoutTree(const Image& image) {
  FileTree tree;
  for (const auto& [digest, content] : image.blobs) tree.files[digest.blob_path()] = content;
  tree.AddText("index.json", TopLevelIndex(image));
  tree.AddText("oci-layout", std::string(kOciLayout));
  return tree;
}

Status WriteTar(const FileTree& tree, std::int64_t mtime, ByteSink& sink) {
  std::map<std::string, std::string_view> entries = tree.files;
  entries.emplace("blobs/", "");
  entries.emplace("blobs/sha256/", "");
  TarWriter writer(sink);
  for (const auto& [path, content] : entries) {
    TarEntry entry;
    entry.path = path;
    entry.type = path.ends_with('/') ? TarType::kDirectory : TarType::kFile;
    entry.mode = path.ends_with('/') ? 0755 : 0644;
    entry.mtime = mtime;
    if (Status status = writer.Add(std::move(entry), content); !status) return status;
  }
  return writer.Finish();
}

Status MakeFolders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return SystemError(path.string(), error.value());
  return {};
}

using Writer = std::function<Status(ByteSink&)>;

// A new file, on the disk when this returns.
Status WriteFile(const fs::path& path, const Writer& write) {
  if (Status status = MakeFolders(path.parent_path()); !status) return status;
  Result<File> file = File::Create(path.string());
  if (!file) return file.error();
  FileSink sink(*file);
  if (Status status = write(sink); !status) return status;
  if (Status status = sink.Flush(); !status) return status;
  if (Status status = file->Sync(); !status) return status;
  return file->Close();
}

Status WriteFolder(const FileTree& tree, const fs::path& folder) {
  for (const auto& [path, content] : tree.files) {
    const std::string_view bytes = content;
    Status status = WriteFile(folder / path, [bytes](ByteSink& sink) { return sink.Write(bytes); });
    if (!status) return status;
  }
  return {};
}

const PlatformImage& DockerPlatform(const Image& image) {
  const auto amd64 = std::ranges::find(image.platforms, "amd64", &PlatformImage::architecture);
  return amd64 == image.platforms.end() ? image.platforms.front() : *amd64;
}

}  // namespace

OutputNames::OutputNames(const Image& image) {
  const std::string& repository = image.reference.repository;
  stem_ = repository.substr(repository.rfind('/') + 1) + "-" + image.reference.tag;
  layout = "oci";
  oci_archive = stem_ + ".oci.tar";
  hybrid = "airgap/" + stem_ + ".tar";
}

std::string OutputNames::docker_archive(const PlatformImage& platform) const {
  return stem_ + "." + platform.os + "-" + platform.architecture +
         (platform.variant.empty() ? "" : "-" + platform.variant) + ".docker.tar";
}

Status WriteOciArchive(const Image& image, bool hybrid, ByteSink& sink) {
  FileTree tree = LayoutTree(image);
  if (hybrid) tree.AddText("manifest.json", DockerManifest(image, DockerPlatform(image)));
  return WriteTar(tree, image.created, sink);
}

Status WriteDockerArchive(const Image& image, const PlatformImage& platform, ByteSink& sink) {
  FileTree tree;
  const auto add = [&](const Descriptor& blob) {
    tree.files[blob.digest.blob_path()] = image.blobs.at(blob.digest);
  };
  add(platform.config);
  std::ranges::for_each(platform.layers, add);
  tree.AddText("manifest.json", DockerManifest(image, platform));
  return WriteTar(tree, image.created, sink);
}

Status WriteOutputs(const Image& image, const std::string& folder) {
  const fs::path root(folder);
  const OutputNames names(image);
  // Waiting for the disk is most of it; so all wait at once.
  std::vector<std::future<Status>> running;
  const auto start = [&running](auto task) {
    running.push_back(std::async(std::launch::async, std::move(task)));
  };
  start([&image, path = root / names.layout] { return WriteFolder(LayoutTree(image), path); });
  start([&image, path = root / names.oci_archive] {
    return WriteFile(path, [&](ByteSink& sink) { return WriteOciArchive(image, false, sink); });
  });
  start([&image, path = root / names.hybrid] {
    return WriteFile(path, [&](ByteSink& sink) { return WriteOciArchive(image, true, sink); });
  });
  for (const PlatformImage& platform : image.platforms) {
    start([&image, &platform, path = root / names.docker_archive(platform)] {
      return WriteFile(path,
                       [&](ByteSink& sink) { return WriteDockerArchive(image, platform, sink); });
    });
  }
  Status result;
  for (std::future<Status>& future : running) {
    Status status = future.get();
    if (result && !status) result = std::move(status);
  }
  return result;
}

}  // namespace pgw::image
