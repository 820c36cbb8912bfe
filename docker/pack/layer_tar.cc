#include "docker/pack/layer_tar.h"

#include <map>

#include "docker/archive/tar_writer.h"
#include "docker/pack/programs.h"

namespace pgw::image {
namespace {

// By path without the directories' final slash.
using EntryMap = std::map<std::string, LayerEntry>;

void AddParents(const Platform& platform, EntryMap& entries) {
  EntryMap declared;
  for (const Layer& layer : platform.layers) {
    for (const LayerEntry& entry : layer.entries) declared.emplace(entry.path, entry);
  }
  EntryMap parents;
  for (const auto& [path, entry] : entries) {
    for (std::size_t end = path.find('/'); end != std::string::npos;
         end = path.find('/', end + 1)) {
      const std::string parent = path.substr(0, end);
      const auto found = declared.find(parent);
      LayerEntry made;
      made.type = TarType::kDirectory;
      made.path = parent;
      made.mode = 0755;
      parents.emplace(parent, found == declared.end() ? made : found->second);
    }
  }
  entries.merge(parents);
}

Result<std::string> ReadContent(const Platform& platform, const LayerEntry& entry) {
  if (entry.type != TarType::kFile) return std::string();
  Result<std::string> content = ReadEntryFile(entry);
  if (!content) return content;
  if (Status status = CheckElf(platform, entry, *content); !status) return status.error();
  return content;
}

}  // namespace

Result<std::string> BuildLayerTar(const Platform& platform, const Layer& layer,
                                  std::int64_t mtime) {
  EntryMap entries;
  for (const LayerEntry& entry : layer.entries) {
    entries.emplace(entry.path, entry);
  }
  AddParents(platform, entries);
  // With the final slash of directories the order may be another one: a/ stands behind a-b.
  std::map<std::string, const LayerEntry*> sorted;
  for (const auto& [path, entry] : entries) {
    sorted.emplace(entry.type == TarType::kDirectory ? path + "/" : path, &entry);
  }
  StringSink sink;
  TarWriter writer(sink);
  for (const auto& [path, entry] : sorted) {
    const Result<std::string> content = ReadContent(platform, *entry);
    if (!content) return content.error();
    TarEntry header;
    header.path = path;
    header.type = entry->type;
    header.mode = entry->mode;
    header.uid = entry->uid;
    header.gid = entry->gid;
    header.mtime = mtime;
    header.link_target = entry->link_target;
    if (Status status = writer.Add(std::move(header), *content); !status) {
      return Error{status.error().code, entry->origin + ": " + status.error().message};
    }
  }
  if (Status status = writer.Finish(); !status) return status.error();
  return sink.Take();
}

}  // namespace pgw::image
