#include "docker/pack/description.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>

#include "docker/oci.h"
#include "docker/pack/image_config.h"
#include "docker/pack/json_fields.h"
#include "docker/printable.h"

namespace pgw::image {
namespace {

// The last second of 9999: RFC 3339 has four digits for a year.
constexpr std::int64_t kCreatedMax = 253402300799;
constexpr std::int64_t kIdMax = 4294967294;
constexpr std::array<std::string_view, 5> kOwnVariables{"CREATED", "HERE", "OS", "ARCHITECTURE",
                                                        "VARIANT"};

std::string_view PathFault(std::string_view path) {
  if (!path.starts_with('/')) return "expected an absolute path";
  if (path == "/") return "the root itself cannot be an entry";
  if (path.ends_with('/')) return "a path does not end with a slash";
  for (std::size_t start = 1; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part.empty()) return "two slashes in a row";
    if (part == "." || part == "..") return ". and .. may not be in a path";
    if (part.starts_with(".wh.")) return "a name that begins with .wh. deletes files in images";
    start = end + 1;
  }
  const bool control =
      std::ranges::any_of(path, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
  return control ? "control characters may not be in a path" : "";
}

// Where an entry stands in the image, without the leading slash.
std::string ReadTarget(const Field& field) {
  const std::string path = field.NonEmptyText();
  if (path.empty()) return {};
  if (const std::string_view fault = PathFault(path); !fault.empty()) {
    field.Fail("\"" + Printable(path) + "\": " + std::string(fault));
    return {};
  }
  return path.substr(1);
}

void ReadOwner(ObjectField& fields, LayerEntry& entry) {
  if (const auto uid = fields.Find("uid")) {
    entry.uid = static_cast<std::uint32_t>(uid->Integer(0, kIdMax));
  }
  if (const auto gid = fields.Find("gid")) {
    entry.gid = static_cast<std::uint32_t>(gid->Integer(0, kIdMax));
  }
}

LayerEntry ReadFileEntry(const Field& field) {
  ObjectField fields = field.Object();
  LayerEntry entry;
  entry.mode = 0644;
  if (const auto from = fields.Require("from")) entry.from = from->NonEmptyText();
  if (const auto to = fields.Require("to")) entry.path = ReadTarget(*to);
  if (const auto mode = fields.Find("mode")) entry.mode = mode->Mode();
  if (const auto is_static = fields.Find("static")) entry.may_be_dynamic = !is_static->Boolean();
  ReadOwner(fields, entry);
  fields.RejectUnknown();
  return entry;
}

LayerEntry ReadDirectoryEntry(const Field& field) {
  ObjectField fields = field.Object();
  LayerEntry entry;
  entry.type = TarType::kDirectory;
  entry.mode = 0755;
  if (const auto path = fields.Require("path")) entry.path = ReadTarget(*path);
  if (const auto mode = fields.Find("mode")) entry.mode = mode->Mode();
  ReadOwner(fields, entry);
  fields.RejectUnknown();
  return entry;
}

LayerEntry ReadSymlinkEntry(const Field& field) {
  ObjectField fields = field.Object();
  LayerEntry entry;
  entry.type = TarType::kSymlink;
  entry.mode = 0777;
  if (const auto path = fields.Require("path")) entry.path = ReadTarget(*path);
  if (const auto target = fields.Require("target")) entry.link_target = target->NonEmptyText();
  ReadOwner(fields, entry);
  fields.RejectUnknown();
  return entry;
}

void ReadEntries(ObjectField& fields, std::string_view key, LayerEntry (*read)(const Field&),
                 Layer& layer) {
  const auto entries = fields.Find(key);
  if (!entries) return;
  for (const Field& field : entries->Array()) {
    LayerEntry entry = read(field);
    entry.origin = field.path();
    layer.entries.push_back(std::move(entry));
  }
}

Layer ReadLayer(const Field& field) {
  ObjectField fields = field.Object();
  Layer layer;
  if (const auto comment = fields.Find("comment")) layer.comment = comment->Text();
  ReadEntries(fields, "directories", &ReadDirectoryEntry, layer);
  ReadEntries(fields, "files", &ReadFileEntry, layer);
  ReadEntries(fields, "symlinks", &ReadSymlinkEntry, layer);
  fields.RejectUnknown();
  if (layer.entries.empty()) fields.Fail("a layer without entries");
  return layer;
}

std::vector<Layer> ReadLayers(const Field& field) {
  std::vector<Layer> layers;
  for (const Field& each : field.Array()) layers.push_back(ReadLayer(each));
  return layers;
}

// Two entries of one path, and a file or link that others lie below.
void CheckTree(const Platform& platform, FieldFaults& faults) {
  std::map<std::string, const LayerEntry*> seen;
  for (const Layer& layer : platform.layers) {
    for (const LayerEntry& entry : layer.entries) {
      const auto [other, is_new] = seen.emplace(entry.path, &entry);
      if (!is_new) {
        faults.Add(entry.origin,
                   "/" + entry.path + " is already there, from " + other->second->origin);
      }
    }
  }
  for (const auto& [path, entry] : seen) {
    for (std::size_t end = path.find('/'); end != std::string::npos;
         end = path.find('/', end + 1)) {
      const auto parent = seen.find(path.substr(0, end));
      if (parent != seen.end() && parent->second->type != TarType::kDirectory) {
        faults.Add(entry->origin, "/" + path + " lies below /" + parent->first +
                                      ", which is no directory (" + parent->second->origin + ")");
      }
    }
  }
}

// A label without a value is left out: a variable's default decides whether it is there.
TextMap ReadLabels(const Field& field) {
  TextMap labels = field.TextMap();
  std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
  return labels;
}

std::string ReadWord(const Field& field) {
  std::string word = field.NonEmptyText();
  if (word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") != std::string::npos) {
    field.Fail("expected a word such as linux, amd64 or v7");
  }
  return word;
}

// With a scheme, and of the characters that need no escape.
std::string ReadUri(const Field& field) {
  std::string uri = field.NonEmptyText();
  const std::size_t colon = uri.find(':');
  const auto visible = [](char c) { return c > ' ' && c < 0x7f; };
  const bool good = colon != 0 && colon < uri.size() - 1 && std::ranges::all_of(uri, visible) &&
                    uri.find_first_of("\"<>\\^`{|}") == std::string::npos &&
                    uri.substr(0, colon).find_first_of("/?#[]@%") == std::string::npos;
  if (!uri.empty() && !good) field.Fail("\"" + Printable(uri) + "\" is no URI");
  return uri;
}

// Each text is a name and a version, or several with "; " between, so that one variable can hold
// them all. Empty ones are left out.
std::vector<Tool> ReadTools(const Field& field) {
  std::vector<Tool> tools;
  for (const Field& each : field.Array()) {
    const std::string text = each.Text();
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = std::min(text.find("; ", start), text.size());
      const std::string tool = text.substr(start, end - start);
      const std::size_t blank = tool.find(' ');
      if (blank == 0 || blank == std::string::npos || blank + 1 == tool.size()) {
        each.Fail("\"" + Printable(tool) + "\" is no name and version, such as \"clang 19.1.7\"");
        return tools;
      }
      tools.push_back({tool.substr(0, blank), tool.substr(blank + 1)});
      start = end + 2;
    }
  }
  return tools;
}

std::optional<ProvenanceInfo> ReadProvenance(const Field& field) {
  ObjectField fields = field.Object();
  ProvenanceInfo info;
  if (const auto builder = fields.Require("builder")) info.builder = ReadUri(*builder);
  if (const auto type = fields.Require("buildType")) info.build_type = ReadUri(*type);
  if (const auto source = fields.Require("source"); source && !source->Text().empty()) {
    info.source = ReadUri(*source);
  }
  if (const auto revision = fields.Require("revision")) info.revision = revision->NonEmptyText();
  if (const auto tools = fields.Find("tools")) info.tools = ReadTools(*tools);
  fields.RejectUnknown();
  return info;
}

// Reads one document. Layers are read once for each platform, whose names are variables in them.
class DescriptionReader {
 public:
  DescriptionReader(const Json& document, Variables variables)
      : document_(document), variables_(std::move(variables)) {}

  Result<Description> Read() {
    ObjectField fields = Root(variables_).Object();
    ReadHead(fields);
    if (const auto config = fields.Require("config"))
      description_.config = ReadImageConfig(*config);
    if (const auto labels = fields.Find("labels")) description_.labels = ReadLabels(*labels);
    if (const auto more = fields.Find("annotations")) description_.annotations = ReadLabels(*more);
    if (const auto attestations = fields.Find("attestations")) {
      description_.attestations = attestations->Boolean();
    }
    if (const auto info = fields.Find("provenance"))
      description_.provenance = ReadProvenance(*info);
    fields.Find("layers");
    fields.Find("packages");
    if (const auto platforms = fields.Require("platforms")) ReadPlatforms(*platforms);
    fields.RejectUnknown();
    if (faults_.first()) return *faults_.first();
    return std::move(description_);
  }

 private:
  Field Root(const Variables& variables) { return {document_, "", variables, faults_}; }

  void ReadHead(ObjectField& fields) {
    // Defaults stand behind what the command line says. They may not refer to each other.
    if (const auto defaults = fields.Find("defaults")) {
      for (const auto& [name, value] : defaults->TextMap()) {
        if (!IsVariableName(name))
          defaults->Fail("\"" + Printable(name) + "\" is no variable's name");
        variables_.emplace(name, value);
      }
    }
    if (const auto created = fields.Require("created")) ReadCreated(*created);
    variables_["CREATED"] = FormatRfc3339(description_.created);
    const auto name = fields.Require("name");
    const auto version = fields.Require("version");
    if (!name || !version) return;
    Result<Reference> reference = ParseName(name->NonEmptyText());
    if (!reference) return name->Fail(reference.error().message);
    reference->tag = version->NonEmptyText();
    if (!IsValidTag(reference->tag)) {
      version->Fail("\"" + Printable(reference->tag) +
                    "\" cannot be a tag (at most 128 of letters, digits, . _ -)");
    }
    description_.reference = std::move(*reference);
  }

  void ReadCreated(const Field& field) {
    const std::string text = field.Text();
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, description_.created);
    if (error != std::errc() || end != last || description_.created < 0 ||
        description_.created > kCreatedMax) {
      field.Fail("expected seconds since 1970, got \"" + Printable(text) + "\"");
      description_.created = 0;
    }
  }

  void ReadPlatforms(const Field& field) {
    std::set<std::string> names;
    for (const Field& each : field.Array()) {
      Platform platform = ReadPlatform(each);
      if (!names.insert(platform.name()).second) each.Fail(platform.name() + " is already there");
      CheckTree(platform, faults_);
      if (platform.layers.empty()) each.Fail("no layers");
      description_.platforms.push_back(std::move(platform));
    }
    if (names.empty()) field.Fail("no platforms");
  }

  Platform ReadPlatform(const Field& field) {
    ObjectField fields = field.Object();
    Platform platform;
    if (const auto os = fields.Require("os")) platform.os = ReadWord(*os);
    if (const auto name = fields.Require("architecture")) platform.architecture = ReadWord(*name);
    if (const auto variant = fields.Find("variant")) platform.variant = ReadWord(*variant);
    Variables variables = variables_;
    variables["OS"] = platform.os;
    variables["ARCHITECTURE"] = platform.architecture;
    variables["VARIANT"] = platform.variant;
    ObjectField root = Root(variables).Object();
    if (const auto layers = root.Find("layers")) platform.layers = ReadLayers(*layers);
    if (const auto more = fields.Find("layers")) {
      for (Layer& layer : ReadLayers(*more)) platform.layers.push_back(std::move(layer));
    }
    if (const auto packages = root.Find("packages")) platform.packages_file = packages->Text();
    fields.RejectUnknown();
    return platform;
  }

  const Json& document_;
  Variables variables_;
  FieldFaults faults_;
  Description description_;
};

// linux/arm/v7 of an entry of "platforms".
std::string PlatformName(const Json& entry) {
  std::string name(StringMember(entry, "os"));
  name.append("/").append(StringMember(entry, "architecture"));
  const std::string_view variant = StringMember(entry, "variant");
  if (!variant.empty()) name.append("/").append(variant);
  return name;
}

// Puts the wanted platforms in the place of the document's.
Status SelectPlatforms(const std::vector<std::string>& wanted, Json& document) {
  if (wanted.empty() || !document.is_object()) return {};
  const Json* const known = FindMember(document, "platforms");
  JsonArray selected;
  for (const std::string& name : wanted) {
    const std::size_t slash = name.find('/');
    const std::size_t next = slash == std::string::npos ? slash : name.find('/', slash + 1);
    if (slash == std::string::npos || slash == 0 || slash + 1 == name.size()) {
      return InvalidArgument("--platform: \"" + Printable(name) +
                             "\" is no platform; expected such as linux/arm/v7");
    }
    JsonObject entry;
    entry["os"] = name.substr(0, slash);
    entry["architecture"] =
        name.substr(slash + 1, next == std::string::npos ? next : next - slash - 1);
    if (next != std::string::npos) entry["variant"] = name.substr(next + 1);
    Json chosen = std::move(entry);
    if (known != nullptr && known->is_array()) {
      const auto found = std::ranges::find(known->get_array(), name, PlatformName);
      if (found != known->get_array().end()) chosen = *found;
    }
    selected.push_back(std::move(chosen));
  }
  document.get_object()["platforms"] = std::move(selected);
  return {};
}

void CollectNames(const Json& value, std::set<std::string, std::less<>>& names) {
  if (const JsonObject* const object = value.if_object()) {
    for (const auto& [key, member] : *object) CollectNames(member, names);
  } else if (const JsonArray* const array = value.if_array()) {
    for (const Json& element : *array) CollectNames(element, names);
  } else if (const boost::json::string* const text = value.if_string()) {
    CollectVariables({text->data(), text->size()}, names);
  }
}

// A misspelt --set would leave the default in place without a word. Platforms that are not asked
// for count as well, so that one command line does for all of them.
Status CheckSet(const Json& document, const Variables& set) {
  std::set<std::string, std::less<>> names;
  CollectNames(document, names);
  const Json* const defaults = FindMember(document, "defaults");
  if (defaults != nullptr && defaults->is_object()) {
    for (const auto& [key, value] : defaults->get_object()) names.emplace(key.data(), key.size());
  }
  for (const auto& [name, value] : set) {
    if (std::ranges::find(kOwnVariables, name) != kOwnVariables.end()) {
      return InvalidArgument("--set " + name + ": the packer gives it its value");
    }
    if (!names.contains(name)) {
      return InvalidArgument("--set " + name + ": no text uses it, and it has no default");
    }
  }
  return {};
}

}  // namespace

Result<Description> ParseDescription(std::string_view text, const DescriptionInputs& inputs) {
  Result<Json> document = ParseJson(text);
  if (!document) return document.error();
  if (Status status = CheckSet(*document, inputs.set); !status) return status.error();
  if (Status status = SelectPlatforms(inputs.platforms, *document); !status) return status.error();
  Variables variables = inputs.set;
  variables.insert(inputs.environment.begin(), inputs.environment.end());
  variables["HERE"] = inputs.here;
  return DescriptionReader(*document, std::move(variables)).Read();
}

}  // namespace pgw::image
