#include "docker/pack/description.h"

#include <gtest/gtest.h>

#include "docker/pack/image_builder.h"
#include "tests/docker/support.h"

namespace pgw::image {
namespace {

using testing::kCreated;
using testing::SampleImage;

TEST(DescriptionTest, IsReadWhole) {
  const SampleImage sample;
  const Result<Description> description = sample.Parse(SampleImage::Text());
  ASSERT_TRUE(description) << description.error().message;
  EXPECT_EQ(description->reference.text(), "registry.example/team/program:1.2.3");
  EXPECT_EQ(description->created, kCreated);
  EXPECT_EQ(description->labels.at("org.opencontainers.image.created"), "2022-08-24T10:04:35Z");
  ASSERT_EQ(description->platforms.size(), 3u);
  EXPECT_EQ(description->platforms[2].name(), "linux/arm/v7");
  const LayerEntry& program = description->platforms[1].layers[1].entries[0];
  EXPECT_EQ(program.path, "bin/program");
  EXPECT_EQ(program.mode, 0755u);
  EXPECT_TRUE(program.from.ends_with("/arm64/program"));
  EXPECT_TRUE(description->attestations);
}

TEST(DescriptionTest, PrefersWhatIsSetToDefaults) {
  const SampleImage sample;
  const std::string text =
      SampleImage::TextWith("\"name\"", R"("defaults": {"VERSION": "0.0", "OTHER": ""}, "name")");
  EXPECT_EQ(sample.Parse(text)->reference.tag, "1.2.3");
  EXPECT_EQ(ParseDescription(text, {.here = "."})->reference.tag, "0.0");
}

TEST(DescriptionTest, LeavesOutLabelsWithoutValue) {
  const SampleImage sample;
  const auto description = sample.Parse(SampleImage::TextWith("\"program\"\n", "\"\"\n"));
  ASSERT_TRUE(description) << description.error().message;
  EXPECT_FALSE(description->labels.contains("org.opencontainers.image.title"));
}

TEST(DescriptionTest, AddsLayersOfOnePlatform) {
  const SampleImage sample;
  const auto description = sample.Parse(SampleImage::TextWith(
      R"("architecture": "arm64")",
      R"("architecture": "arm64", "layers": [{"directories": [{"path": "/only"}]}])"));
  ASSERT_TRUE(description) << description.error().message;
  EXPECT_EQ(description->platforms[0].layers.size(), 2u);
  EXPECT_EQ(description->platforms[1].layers.size(), 3u);
}

TEST(DescriptionTest, IsForThePlatformsAskedFor) {
  const auto parse = [](std::vector<std::string> platforms) {
    return ParseDescription(
        SampleImage::TextWith(
            R"("variant": "v7")",
            R"("variant": "v7", "layers": [{"directories": [{"path": "/arm"}]}])"),
        {.here = ".", .set = {{"VERSION", "1"}}, .platforms = std::move(platforms)});
  };
  const auto description = parse({"linux/riscv64", "linux/arm/v7"});
  ASSERT_TRUE(description) << description.error().message;
  ASSERT_EQ(description->platforms.size(), 2u);
  EXPECT_EQ(description->platforms[0].name(), "linux/riscv64");
  EXPECT_TRUE(description->platforms[0].layers[1].entries[0].from.ends_with("/riscv64/program"));
  EXPECT_EQ(description->platforms[1].name(), "linux/arm/v7");
  EXPECT_EQ(description->platforms[1].layers.size(), 3u);
  EXPECT_FALSE(parse({"riscv64"}));
  EXPECT_FALSE(parse({"linux/"}));
  EXPECT_FALSE(parse({"linux/arm/"}));
  EXPECT_FALSE(parse({"linux/amd64", "linux/amd64"}));
}

struct Fault {
  const char* from;
  const char* to;
  const char* error;
};

// What ParseDescription finds.
constexpr Fault kFaults[] = {
    {"\"name\"", "\"nmae\"", "the document: \"name\" is missing"},
    {"\"name\"", "\"extra\": 1, \"name\"",
     "extra: unknown; known here: annotations, attestations, config, created, defaults, labels, "
     "layers, name, packages, platforms, provenance, version"},
    {"\"registry.example/team/program\"", "7", "name: expected a string"},
    {"\"registry.example/team/program\"", "\"team/program\"",
     "name: \"team/program\" names no registry; expected registry/repository, such as "
     "registry.example/team/pushgateway-ttl"},
    {"\"${VERSION}\",\n    \"created\"", "\"1.0+2\",\n    \"created\"",
     "version: \"1.0+2\" cannot be a tag (at most 128 of letters, digits, . _ -)"},
    {"\"1661335475\"", "\"yesterday\"", "created: expected seconds since 1970, got \"yesterday\""},
    {"\"1661335475\"", "\"-1\"", "created: expected seconds since 1970, got \"-1\""},
    {"\"1661335475\"", "\"${WHEN}\"",
     "created: the variable WHEN has no value; give it with --set WHEN=…"},
    {"\"65534\"", "\"nobody\"", "config.User: expected a number, or two with a colon between them"},
    {"9091/tcp", "99999/tcp",
     "config.ExposedPorts: \"99999/tcp\" is no port; expected such as \"9091/tcp\""},
    {"PATH=/bin", "PATH", "config.Env: \"PATH\" is not NAME=VALUE"},
    {"[\"/bin/program\"]", "[\"program\"]",
     "config.Entrypoint: expected an array that begins with an absolute path"},
    {"\"Entrypoint\": [\"/bin/program\"],", "",
     "config: neither Entrypoint nor Cmd: nothing could be run"},
    {"[\"/bin/program\"]", "\"/bin/program\"", "config.Entrypoint: expected an array"},
    {"\"CMD\"", "\"RUN\"",
     "config.Healthcheck.Test: expected [\"CMD\", program, …], [\"CMD-SHELL\", command] or "
     "[\"NONE\"]"},
    {"\"30s\"", "30", "config.Healthcheck.Interval: expected a string"},
    {"\"30s\"", "\"30\"",
     "config.Healthcheck.Interval: expected a duration such as \"30s\", \"1m30s\" or \"500ms\""},
    {"\"Retries\": 3", "\"Retries\": 0",
     "config.Healthcheck.Retries: expected a whole number from 1 to 1000"},
    {"\"/work\"\n", "\"work\"\n", "config.WorkingDir: expected an absolute path"},
    {"\"comment\"", "\"coment\"",
     "layers[0].coment: unknown; known here: comment, directories, files, symlinks"},
    {"\"/usr/share/doc/LICENSE\"", "\"/usr/../etc/LICENSE\"",
     "layers[0].files[0].to: \"/usr/../etc/LICENSE\": . and .. may not be in a path"},
    {"\"/usr/share/doc/LICENSE\"", "\"usr/LICENSE\"",
     "layers[0].files[0].to: \"usr/LICENSE\": expected an absolute path"},
    {"\"/usr/share/doc/LICENSE\"", "\"/usr//LICENSE\"",
     "layers[0].files[0].to: \"/usr//LICENSE\": two slashes in a row"},
    {"\"/usr/share/doc/LICENSE\"", "\"/usr/.wh.x\"",
     "layers[0].files[0].to: \"/usr/.wh.x\": a name that begins with .wh. deletes files in images"},
    {"\"/usr/share/doc/LICENSE\"", "\"/a\\u0007\"",
     "layers[0].files[0].to: \"/a\\x07\": control characters may not be in a path"},
    {"\"/usr/share/doc/LICENSE\"", "\"/\"",
     "layers[0].files[0].to: \"/\": the root itself cannot be an entry"},
    {"\"/usr/share/doc/LICENSE\"", "\"/bin/program\"",
     "layers[1].files[0]: /bin/program is already there, from layers[0].files[0]"},
    {"\"/usr/share/doc/LICENSE\"", "\"/bin\"",
     "layers[1].files[0]: /bin/program lies below /bin, which is no directory "
     "(layers[0].files[0])"},
    {"\"mode\": \"0755\"", "\"mode\": 755", "layers[1].files[0].mode: expected a string"},
    {"\"mode\": \"0755\"", "\"mode\": \"0888\"",
     "layers[1].files[0].mode: expected a mode in octal digits such as \"0755\""},
    {"\"uid\": 65534", "\"uid\": -1",
     "layers[0].directories[0].uid: expected a whole number from 0 to 4294967294"},
    {"\"target\": \"bin/program\"", "\"target\": \"\"",
     "layers[1].symlinks[0].target: must not be empty"},
    {"\"attestations\": true", "\"attestations\": \"yes\"", "attestations: expected true or false"},
    {"\"revision\"", "\"revison\"", "provenance: \"revision\" is missing"},
    {"\"https://example.org/builder\"", "\"make\"", "provenance.builder: \"make\" is no URI"},
    {"\"https://example.org/source\"", "\"https://a b\"",
     "provenance.source: \"https://a b\" is no URI"},
    {"\"revision\"", "\"tools\": [\"x 1\", \"clang\"], \"revision\"",
     "provenance.tools[1]: \"clang\" is no name and version, such as \"clang 19.1.7\""},
    {"\"arm64\"", "\"amd64\"", "platforms[1]: linux/amd64 is already there"},
    {"\"linux\", \"architecture\": \"arm64\"", "\"Linux\", \"architecture\": \"arm64\"",
     "platforms[1].os: expected a word such as linux, amd64 or v7"},
    {"\"name\"", "\"version\": \"0\", \"name\"",
     "JSON, line 3, column 13: version: is there twice"},
    {"\"Retries\"", "\"Interv\\u0061l\": \"1s\", \"Retries\"",
     "JSON, line 16, column 106: config.Healthcheck.Interval: is there twice"},
    {"\"from\"", "\"to\": \"/x\", \"from\"",
     "JSON, line 21, column 61: layers[0].files[0].to: is there twice"},
    {"{\n", "[\n", "JSON, line 2, column 11: syntax error"},
};

TEST(DescriptionTest, NamesTheFieldThatIsWrong) {
  const SampleImage sample;
  for (const Fault& fault : kFaults) {
    const auto description = sample.Parse(SampleImage::TextWith(fault.from, fault.to));
    ASSERT_FALSE(description) << fault.error;
    EXPECT_EQ(description.error().message, fault.error);
  }
}

TEST(DescriptionTest, RefusesToSetWhatNothingUses) {
  const auto error = [](const char* name, const std::string& text = SampleImage::Text()) {
    const DescriptionInputs inputs{
        .here = ".", .set = {{"VERSION", "1"}, {name, "x"}}, .platforms = {"linux/amd64"}};
    const auto description = ParseDescription(text, inputs);
    return description ? "" : description.error().message;
  };
  EXPECT_EQ(error("VERISON"), "--set VERISON: no text uses it, and it has no default");
  EXPECT_EQ(error("HERE"), "--set HERE: the packer gives it its value");
  EXPECT_EQ(error("ARCHITECTURE"), "--set ARCHITECTURE: the packer gives it its value");
  // $${NAME} is no use of NAME.
  EXPECT_NE(error("NAME", SampleImage::TextWith("PATH=/bin", "PATH=$${NAME}")), "");
  EXPECT_EQ(
      error("OTHER", SampleImage::TextWith("\"name\"", R"("defaults": {"OTHER": ""}, "name")")),
      "");
  // Of a platform that is not asked for.
  EXPECT_EQ(error("FOLDER",
                  SampleImage::TextWith(
                      R"("variant": "v7")",
                      R"("variant": "v7", "layers": [{"directories": [{"path": "/${FOLDER}"}]}])")),
            "");
  EXPECT_TRUE(ParseDescription(
      SampleImage::Text(),
      {.here = ".", .set = {{"VERSION", "1"}}, .environment = {{"SOURCE_DATE_EPOCH", "1"}}}));
}

std::string BuildError(const SampleImage& sample, const std::string& text = SampleImage::Text()) {
  const auto description = sample.Parse(text);
  EXPECT_TRUE(description) << description.error().message;
  const auto image = description ? BuildImage(*description) : Result<Image>(Image());
  EXPECT_FALSE(image);
  return image ? "" : image.error().message;
}

TEST(BuildErrorTest, NamesMissingFile) {
  const SampleImage sample;
  const std::string path = sample.folder() / "arm64/none";
  EXPECT_EQ(
      BuildError(sample, SampleImage::TextWith(R"("architecture": "arm64")",
                                               R"("architecture": "arm64", "layers": [{"files": [
                                      {"from": "${HERE}/arm64/none", "to": "/none"}]}])")),
      "platforms[1].layers[0].files[0].from: " + path + ": No such file or directory");
}

TEST(BuildErrorTest, RefusesFolderAsFile) {
  const SampleImage sample;
  EXPECT_EQ(BuildError(sample, SampleImage::TextWith("${HERE}/LICENSE", "${HERE}")),
            "layers[0].files[0].from: " + sample.folder().path() + ": Is a directory");
}

TEST(BuildErrorTest, RefusesProgramThatIsNotStatic) {
  const SampleImage sample;
  const std::string path = sample.folder().Write(
      "arm64/program", testing::MakeElf("arm64", {.interpreter = "/lib/ld.so"}));
  EXPECT_EQ(BuildError(sample), "layers[1].files[0]: " + path +
                                    ": not statically linked, needs the interpreter /lib/ld.so");
  sample.folder().Write("arm64/program", testing::MakeElf("arm64", {.library = "libz.so.1"}));
  EXPECT_EQ(BuildError(sample),
            "layers[1].files[0]: " + path + ": not statically linked, needs the library libz.so.1");
  const auto text =
      SampleImage::TextWith("\"mode\": \"0755\"", "\"mode\": \"0755\", \"static\": false");
  EXPECT_TRUE(BuildImage(*sample.Parse(text)));
}

TEST(BuildErrorTest, RefusesProgramOfAnotherArchitecture) {
  const SampleImage sample;
  const std::string path = sample.folder().Write("arm/program", testing::MakeElf("arm64"));
  EXPECT_EQ(BuildError(sample),
            "layers[1].files[0]: " + path + ": a program for arm64 in the image for linux/arm/v7");
}

TEST(BuildErrorTest, NamesLineOfBrokenPackageList) {
  const SampleImage sample;
  const std::string path = sample.folder().Write("arm/packages.tsv", "# x\nzlib 1.3\n");
  EXPECT_TRUE(BuildError(sample).starts_with("packages: " + path + ", line 2: expected name"));
}

}  // namespace
}  // namespace pgw::image
