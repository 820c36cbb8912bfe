// Archives and their documents, as inspect and verify read them.
//
// The first byte says what the rest is. 'a': an archive. 'l': a layer. 'j': a document. 'd': an
// image in parts, with a line "--" between them, that is packed here so that what is found does not
// end at the first digest: @0 stands for the digest of part 0, #0 for its size; the last part is
// index.json. 'm': the same, and the last part is manifest.json.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "docker/archive/tar_writer.h"
#include "docker/oci.h"
#include "docker/read/inspect.h"
#include "docker/read/verify.h"

namespace {

using namespace pgw::image;  // NOLINT: a program of one file

constexpr std::uint64_t kUnpackedMax = 1u << 20;
constexpr std::size_t kPartsMax = 16;

void CheckFailed(const char* condition, int line) {
  std::fprintf(stderr, "line %d: %s\n", line, condition);
  std::abort();
}
#define CHECK(condition) ((condition) ? void() : CheckFailed(#condition, __LINE__))

// Nothing of it may steer a terminal.
void CheckPrintable(std::string_view text) {
  for (const char c : text) CHECK(c == '\n' || (c >= ' ' && c != 0x7f) || c < 0);
}

void CheckArchive(std::string_view bytes) {
  const auto store = OpenArchive(std::make_unique<MemoryBytes>(bytes));
  if (!store) return CheckPrintable(store.error().message);
  VerifyOptions options;
  options.limits.unpacked_bytes_max = kUnpackedMax;
  const auto strict = VerifyLayout(**store, options);
  options.integrity_only = true;
  const auto integrity = VerifyLayout(**store, options);
  // What is as it should be is whole, too.
  if (strict && strict->ok()) CHECK(integrity && integrity->ok());
  if (strict) CHECK(strict->findings.size() <= 200);
  const auto inspection = InspectLayout(**store, options.limits);
  if (!inspection) return;
  CheckPrintable(DescribeInspection(*inspection));
  CHECK(ParseJson(PrettyJson(*inspection), {.bytes_max = 64u << 20, .depth_max = 64}));
}

// An archive that is canonical in all is the one that our writer writes.
void CheckTar(std::string_view bytes) {
  MemorySource source(bytes);
  TarReader reader(source);
  StringSink rewritten;
  TarWriter writer(rewritten);
  bool canonical = true;
  while (true) {
    const auto member = reader.Next();
    if (!member) return CheckPrintable(member.error().message);
    if (!*member) break;
    TarContentSource content(reader);
    const auto text = ReadAll(content, bytes.size());
    if (!text) return;
    CHECK(text->size() == (*member)->entry.size);
    canonical = canonical && (*member)->is_canonical && writer.Add((*member)->entry, *text);
  }
  if (canonical && reader.has_canonical_end()) {
    CHECK(writer.Finish());
    CHECK(rewritten.text() == bytes);
  }
}

void CheckLayer(std::string_view bytes) {
  LayerLimits limits;
  limits.unpacked_bytes_max = kUnpackedMax;
  MemorySource source(bytes);
  const auto scan = ScanLayer(source, limits);
  CHECK(scan);
  CHECK(scan->digest == Digest::Of(bytes) && scan->size == bytes.size());
  CHECK(scan->diff_id.has_value() == scan->fault.empty());
  CHECK(scan->unpacked_size <= kUnpackedMax);
  if (scan->diff_id && !scan->is_gzip) CHECK(*scan->diff_id == scan->digest);
}

// Boost reads what is no integer with an error in the last digit, so that what it reads back of
// such a number may be its neighbour.
bool HasFraction(const Json& value) {
  if (value.is_double()) return true;
  if (const JsonObject* const object = value.if_object()) {
    return std::ranges::any_of(*object,
                               [](const auto& member) { return HasFraction(member.value()); });
  }
  const JsonArray* const array = value.if_array();
  return array != nullptr && std::ranges::any_of(*array, HasFraction);
}

void CheckDocument(std::string_view text) {
  const auto document = ParseJson(text);
  if (!document) return;
  const std::string pretty = PrettyJson(*document);
  const auto again = ParseJson(pretty, {.bytes_max = 64u << 20});
  CHECK(again);
  CHECK(HasFraction(*document) || PrettyJson(*again) == pretty);
  (void)ParseDescriptor(*document).has_value();
}

// Replaces @N and #N.
std::string Resolve(std::string_view text, const std::vector<std::string>& parts) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool marked = (text[i] == '@' || text[i] == '#') && i + 1 < text.size();
    const std::size_t part = marked ? static_cast<std::size_t>(text[i + 1] - '0') : parts.size();
    if (part >= parts.size()) {
      out.push_back(text[i]);
      continue;
    }
    out += text[i] == '@' ? Digest::Of(parts[part]).text() : std::to_string(parts[part].size());
    ++i;
  }
  return out;
}

void CheckParts(std::string_view text, const std::string& last_name) {
  std::vector<std::string> parts;
  while (parts.size() < kPartsMax) {
    const std::size_t end = text.find("\n--\n");
    parts.push_back(Resolve(text.substr(0, end), parts));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 4);
  }
  std::map<std::string, std::string> files{{"blobs/", ""}, {"blobs/sha256/", ""}};
  files["oci-layout"] = kOciLayout;
  for (const std::string& part : parts) files[Digest::Of(part).blob_path()] = part;
  files[last_name] = parts.back();
  StringSink sink;
  TarWriter writer(sink);
  for (const auto& [path, content] : files) {
    TarEntry entry;
    entry.path = path;
    entry.type = path.ends_with('/') ? TarType::kDirectory : TarType::kFile;
    CHECK(writer.Add(entry, content));
  }
  CHECK(writer.Finish());
  CheckArchive(sink.text());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'a':
      CheckArchive(bytes);
      CheckTar(bytes);
      break;
    case 'l':
      CheckLayer(bytes);
      break;
    case 'j':
      CheckDocument(bytes);
      break;
    case 'd':
      CheckParts(bytes, "index.json");
      break;
    case 'm':
      CheckParts(bytes, "manifest.json");
      break;
    default:
      break;
  }
  return 0;
}
