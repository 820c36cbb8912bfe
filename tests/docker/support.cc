#include "tests/docker/support.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace pgw::image::testing {
namespace {

namespace fs = std::filesystem;

struct ElfKind {
  std::string_view architecture;
  std::uint16_t machine;
  bool is_64;
  bool is_big;
};
constexpr ElfKind kKinds[] = {{"amd64", 62, true, false},
                              {"arm64", 183, true, false},
                              {"arm", 40, false, false},
                              {"riscv64", 243, true, false},
                              {"s390x", 22, true, true}};

// Writes numbers of the kind's byte order and width.
class ElfWriter {
 public:
  explicit ElfWriter(const ElfKind& kind) : kind_(kind) {}

  void Number(std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) {
      const unsigned shift = 8 * (kind_.is_big ? size - 1 - i : i);
      bytes_.push_back(static_cast<char>(value >> shift & 0xff));
    }
  }
  void Word(std::uint64_t value) { Number(value, kind_.is_64 ? 8 : 4); }
  void Text(std::string_view text) { bytes_.append(text); }
  void Segment(std::uint32_t type, std::uint64_t offset, std::uint64_t size) {
    Number(type, 4);
    if (kind_.is_64) Number(5, 4);  // flags
    Word(offset);
    Word(offset);  // address: as in the file
    Word(offset);
    Word(size);
    Word(size);
    if (!kind_.is_64) Number(5, 4);
    Word(4096);
  }
  std::string& bytes() { return bytes_; }

 private:
  const ElfKind& kind_;
  std::string bytes_;
};

}  // namespace

std::string MakeElf(std::string_view architecture, const ElfOptions& options) {
  const ElfKind& kind = *std::ranges::find(kKinds, architecture, &ElfKind::architecture);
  const std::uint64_t header_size = kind.is_64 ? 64 : 52;
  const std::uint64_t segment_size = kind.is_64 ? 56 : 32;
  const std::uint64_t segments = 3;
  const std::uint64_t width = kind.is_64 ? 8 : 4;
  const std::uint64_t interpreter_at = header_size + segments * segment_size;
  const std::uint64_t strings_at = interpreter_at + options.interpreter.size() + 1;
  const std::uint64_t dynamic_at = strings_at + options.library.size() + 2;
  const std::uint64_t size = dynamic_at + 6 * width;

  ElfWriter writer(kind);
  writer.Text(
      "\x7f"
      "ELF");
  writer.Number(kind.is_64 ? 2 : 1, 1);
  writer.Number(kind.is_big ? 2 : 1, 1);
  writer.Number(1, 1);
  writer.Text(std::string(9, '\0'));
  writer.Number(options.type, 2);
  writer.Number(kind.machine, 2);
  writer.Number(1, 4);
  writer.Word(header_size);  // entry
  writer.Word(header_size);  // program headers
  writer.Word(0);
  writer.Number(options.flags.value_or(architecture == "arm" ? 0x05000400 : 0), 4);
  writer.Number(header_size, 2);
  writer.Number(segment_size, 2);
  writer.Number(segments, 2);
  writer.Number(0, 2);
  writer.Number(0, 2);
  writer.Number(0, 2);
  writer.Segment(1, 0, size);                // PT_LOAD
  writer.Segment(2, dynamic_at, 6 * width);  // PT_DYNAMIC, as a static PIE has it
  const std::uint32_t interp = options.interpreter.empty() ? 4 : 3;  // a note instead
  writer.Segment(interp, interpreter_at, options.interpreter.size() + 1);
  writer.Text(options.interpreter + '\0');
  writer.Text('\0' + options.library + '\0');
  writer.Word(5);  // DT_STRTAB
  writer.Word(strings_at);
  writer.Word(options.library.empty() ? 21 : 1);  // DT_DEBUG or DT_NEEDED
  writer.Word(options.library.empty() ? 0 : 1);
  writer.Word(0);
  writer.Word(0);
  return writer.bytes();
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "pgw-pack-test.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TemporaryFolder::Write(std::string_view name, std::string_view content) const {
  const fs::path path = fs::path(path_) / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
  return path.string();
}

std::string TemporaryFolder::Read(std::string_view name) const {
  std::ostringstream text;
  text << std::ifstream(fs::path(path_) / name, std::ios::binary).rdbuf();
  return text.str();
}

bool TemporaryFolder::Exists(std::string_view name) const {
  return fs::exists(fs::path(path_) / name);
}

std::vector<std::string> TemporaryFolder::List(std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(fs::path(path_) / name)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

SampleImage::SampleImage() {
  const std::string sums[] = {std::string(64, '1'), std::string(64, 'a')};
  for (const char* const name : {"amd64", "arm64", "arm"}) {
    const std::string architecture = name;
    folder_.Write(architecture + "/program", MakeElf(architecture) + "code of " + architecture);
    folder_.Write(architecture + "/packages.tsv",
                  "# linked in\nzlib1g-dev\t1:1.3\t" + architecture + "\t" + sums[0] + "\tZlib\n" +
                      "libc6-dev\t2.41-12+deb13u1\t" + architecture + "\t" + sums[1] +
                      "\tLGPL-2.1-or-later AND LicenseRef-glibc\n");
  }
  folder_.Write("LICENSE", "as free as it gets\n");
}

std::string SampleImage::Text() {
  return R"({
    "name": "registry.example/team/program",
    "version": "${VERSION}",
    "created": "1661335475",
    "labels": {
      "org.opencontainers.image.created": "${CREATED}",
      "org.opencontainers.image.version": "${VERSION}",
      "org.opencontainers.image.licenses": "Apache-2.0",
      "org.opencontainers.image.title": "program"
    },
    "config": {
      "User": "65534",
      "ExposedPorts": ["9091/tcp"],
      "Env": ["PATH=/bin"],
      "Entrypoint": ["/bin/program"],
      "Healthcheck": {"Test": ["CMD", "/bin/program", "--healthcheck"], "Interval": "30s", "Retries": 3},
      "WorkingDir": "/work"
    },
    "layers": [
      {"comment": "files", "directories": [{"path": "/work", "uid": 65534, "gid": 65534}],
       "files": [{"from": "${HERE}/LICENSE", "to": "/usr/share/doc/LICENSE"}]},
      {"files": [{"from": "${HERE}/${ARCHITECTURE}/program", "to": "/bin/program", "mode": "0755"}],
       "symlinks": [{"path": "/program", "target": "bin/program"}]}
    ],
    "packages": "${HERE}/${ARCHITECTURE}/packages.tsv",
    "provenance": {"builder": "https://example.org/builder", "buildType": "https://example.org/build",
                   "source": "https://example.org/source", "revision": "0123456789abcdef0123456789abcdef01234567"},
    "attestations": true,
    "platforms": [
      {"os": "linux", "architecture": "amd64"},
      {"os": "linux", "architecture": "arm64"},
      {"os": "linux", "architecture": "arm", "variant": "v7"}
    ]
  })";
}

std::string SampleImage::TextWith(std::string_view from, std::string_view to) {
  std::string text = Text();
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

Result<Description> SampleImage::Parse(const std::string& text) const {
  return ParseDescription(text, {.here = folder_.path(), .set = {{"VERSION", "1.2.3"}}});
}

Image SampleImage::Build(const std::string& text) const {
  const Result<Description> description = Parse(text);
  if (!description) {
    ADD_FAILURE() << description.error().message;
    return {};
  }
  Result<Image> image = BuildImage(*description);
  if (!image) {
    ADD_FAILURE() << image.error().message;
    return {};
  }
  return std::move(*image);
}

std::string HybridArchive(const Image& image) {
  StringSink sink;
  EXPECT_TRUE(WriteOciArchive(image, true, sink).ok());
  return sink.Take();
}

std::string OciArchive(const Image& image) {
  StringSink sink;
  EXPECT_TRUE(WriteOciArchive(image, false, sink).ok());
  return sink.Take();
}

std::string DockerArchive(const Image& image, std::size_t platform) {
  StringSink sink;
  EXPECT_TRUE(WriteDockerArchive(image, image.platforms[platform], sink).ok());
  return sink.Take();
}

}  // namespace pgw::image::testing
