// What the packer is told: descriptions, programs, package lists, and what registries answer.
// The first byte says which.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "docker/pack/description.h"
#include "docker/pack/elf.h"
#include "docker/pack/packages.h"
#include "docker/registry/challenge.h"
#include "docker/registry/credentials.h"
#include "docker/registry/url.h"

namespace {

using namespace pgw::image;  // NOLINT: a program of one file

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckDescription(std::string_view text) {
  const auto description = ParseDescription(
      text, {.here = "/nowhere", .set = {{"VERSION", "1"}, {"BINARIES", "/nowhere"}}});
  if (!description) return Check(!description.error().message.empty());
  Check(ParseReference(description->reference.text()).has_value());
  Check(!description->platforms.empty());
  for (const Platform& platform : description->platforms) {
    for (const Layer& layer : platform.layers) {
      for (const LayerEntry& entry : layer.entries) {
        Check(!entry.path.empty() && entry.path.front() != '/' && entry.path.back() != '/');
        Check(("/" + entry.path + "/").find("/../") == std::string::npos);
        Check(entry.mode <= 07777);
      }
    }
  }
}

void CheckUrl(std::string_view text) {
  const auto url = ParseUrl(text);
  if (!url) return;
  const auto again = ParseUrl(url->text());
  Check(again && *again == *url);
  const auto resolved = ResolveUrl(*url, text);
  Check(resolved && resolved->origin() == url->origin());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'd':
      CheckDescription(bytes);
      break;
    case 'e':
      if (const auto info = ReadElf(bytes); info && info->is_static()) Check(info->library.empty());
      break;
    case 'p':
      if (const auto packages = ParsePackages(bytes)) {
        for (const Package& package : *packages) Check(package.purl().starts_with("pkg:deb/"));
      }
      break;
    case 'c':
      if (const auto challenge = ParseChallenge(bytes)) {
        Check(challenge->scheme == "basic" || challenge->scheme == "bearer");
      }
      break;
    case 'u':
      CheckUrl(bytes);
      break;
    case 'b':
      if (const auto plain = DecodeBase64(bytes))
        Check(DecodeBase64(EncodeBase64(*plain)) == plain);
      break;
    default:
      break;
  }
  return 0;
}
