// Small images for tests: programs of a few hundred bytes, a folder that goes away, a description.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "docker/pack/image_builder.h"
#include "docker/pack/outputs.h"

namespace pgw::image::testing {

// 2022-08-24T10:04:35Z.
inline constexpr std::int64_t kCreated = 1661335475;

struct ElfOptions {
  std::string interpreter = {};             // PT_INTERP
  std::string library = {};                 // DT_NEEDED
  std::uint16_t type = 2;                   // ET_EXEC
  std::optional<std::uint32_t> flags = {};  // for arm, EABI5 with hard float if nothing is said
};

// A whole ELF file for "amd64", "arm64", "arm", "riscv64" or "s390x" (big-endian).
std::string MakeElf(std::string_view architecture, const ElfOptions& options = {});

// A folder below the system's temporary one, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  // Creates folders on the way; returns the path.
  std::string Write(std::string_view name, std::string_view content) const;
  std::string Read(std::string_view name) const;
  bool Exists(std::string_view name) const;
  // Names in a folder below, sorted; hidden ones too.
  std::vector<std::string> List(std::string_view name = ".") const;

 private:
  std::string path_;
};

// A folder with programs for three architectures, notices and package lists; and a description of
// an image of them.
class SampleImage {
 public:
  SampleImage();

  const TemporaryFolder& folder() const { return folder_; }
  // The document, as small as it can be while it has everything.
  static std::string Text();
  // Text(), with `from` replaced by `to`: the test fails where `from` is not there.
  static std::string TextWith(std::string_view from, std::string_view to);
  Result<Description> Parse(const std::string& text) const;
  // Parse and build; the test fails where that fails.
  Image Build(const std::string& text = Text()) const;

 private:
  TemporaryFolder folder_;
};

// An archive's bytes.
std::string HybridArchive(const Image& image);
std::string OciArchive(const Image& image);
std::string DockerArchive(const Image& image, std::size_t platform);

}  // namespace pgw::image::testing
