// What is built, and the forms in which it is written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "docker/archive/gzip.h"
#include "docker/archive/tar_reader.h"
#include "docker/pack/staged_folder.h"
#include "tests/docker/support.h"

namespace pgw::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::SampleImage;
using testing::TemporaryFolder;

Json ParseBlob(const Image& image, const Digest& digest) {
  const Result<Json> document = ParseJson(image.blobs.at(digest));
  EXPECT_TRUE(document) << document.error().message;
  return document ? *document : Json();
}

Json At(const Json& value, const std::string& pointer) {
  boost::system::error_code error;
  const Json* const found = value.find_pointer(pointer, error);
  EXPECT_NE(found, nullptr) << pointer;
  return found == nullptr ? Json() : *found;
}

std::vector<TarEntry> Entries(std::string_view tar) {
  MemorySource source(tar);
  TarReader reader(source);
  std::vector<TarEntry> entries;
  while (true) {
    const auto member = reader.Next();
    EXPECT_TRUE(member) << member.error().message;
    if (!member || !*member) return entries;
    entries.push_back((*member)->entry);
  }
}

std::string LayerTar(const Image& image, const Descriptor& layer) {
  MemorySource source(image.blobs.at(layer.digest));
  GunzipSource unpacked(source, 1 << 20);
  const Result<std::string> tar = ReadAll(unpacked, 1 << 20);
  EXPECT_TRUE(tar);
  return tar ? *tar : "";
}

std::vector<std::string> Paths(const std::vector<TarEntry>& entries) {
  std::vector<std::string> paths;
  for (const TarEntry& entry : entries) paths.push_back(entry.path);
  return paths;
}

TEST(ImageTest, HasLayersWithParentsOwnersAndTimes) {
  const Image image = SampleImage().Build();
  const std::vector<TarEntry> first = Entries(LayerTar(image, image.platforms[0].layers[0]));
  EXPECT_THAT(Paths(first), ElementsAre("usr/", "usr/share/", "usr/share/doc/",
                                        "usr/share/doc/LICENSE", "work/"));
  EXPECT_EQ(first[4].uid, 65534u);
  EXPECT_EQ(first[4].gid, 65534u);
  EXPECT_EQ(first[0].mode, 0755u);
  EXPECT_EQ(first[3].mode, 0644u);
  const std::vector<TarEntry> second = Entries(LayerTar(image, image.platforms[2].layers[1]));
  EXPECT_THAT(Paths(second), ElementsAre("bin/", "bin/program", "program"));
  EXPECT_EQ(second[1].mode, 0755u);
  EXPECT_EQ(second[2].link_target, "bin/program");
  for (const TarEntry& entry : second) EXPECT_EQ(entry.mtime, testing::kCreated);
}

TEST(ImageTest, GivesDeclaredAttributesToParentsInLaterLayers) {
  const Image image = SampleImage().Build(SampleImage::TextWith(
      "\"directories\": [", R"("directories": [{"path": "/bin", "mode": "0711"}, )"));
  const std::vector<TarEntry> second = Entries(LayerTar(image, image.platforms[0].layers[1]));
  EXPECT_EQ(second[0].path, "bin/");
  EXPECT_EQ(second[0].mode, 0711u);
}

TEST(ImageTest, SortsByTheBytesOfTheArchivesPaths) {
  // A slash stands behind a dash: the folder comes after the file.
  const Image image = SampleImage().Build(
      SampleImage::TextWith(R"("to": "/usr/share/doc/LICENSE")", R"("to": "/work-plan")"));
  EXPECT_THAT(Paths(Entries(LayerTar(image, image.platforms[0].layers[0]))),
              ElementsAre("work-plan", "work/"));
}

TEST(ImageTest, SharesLayersThatAreEqual) {
  const Image image = SampleImage().Build();
  EXPECT_EQ(image.platforms[0].layers[0], image.platforms[1].layers[0]);
  EXPECT_NE(image.platforms[0].layers[1].digest, image.platforms[1].layers[1].digest);
}

TEST(ImageTest, HasConfigAsOciAndDockerWantIt) {
  const Image image = SampleImage().Build();
  const Json config = ParseBlob(image, image.platforms[2].config.digest);
  EXPECT_EQ(At(config, "/architecture"), "arm");
  EXPECT_EQ(At(config, "/variant"), "v7");
  EXPECT_EQ(At(config, "/os"), "linux");
  EXPECT_EQ(At(config, "/created"), "2022-08-24T10:04:35Z");
  EXPECT_EQ(At(config, "/config/User"), "65534");
  EXPECT_EQ(At(config, "/config/ExposedPorts/9091~1tcp"), Json(JsonObject()));
  EXPECT_EQ(At(config, "/config/WorkingDir"), "/work");
  EXPECT_EQ(At(config, "/config/Healthcheck/Interval"), 30'000'000'000);
  EXPECT_EQ(At(config, "/config/Labels/org.opencontainers.image.version"), "1.2.3");
  EXPECT_EQ(At(config, "/rootfs/type"), "layers");
  const std::string tar = LayerTar(image, image.platforms[2].layers[1]);
  EXPECT_EQ(At(config, "/rootfs/diff_ids/1").get_string().c_str(), Digest::Of(tar).text());
  EXPECT_EQ(At(config, "/history").get_array().size(), 2u);
  EXPECT_FALSE(ParseBlob(image, image.platforms[0].config.digest).get_object().contains("variant"));
}

TEST(ImageTest, HasIndexWithPlatformsThenAttestations) {
  const Image image = SampleImage().Build();
  const Json index = ParseBlob(image, image.index.digest);
  EXPECT_EQ(At(index, "/manifests").get_array().size(), 6u);
  EXPECT_EQ(At(index, "/manifests/2/platform/variant"), "v7");
  EXPECT_EQ(At(index, "/manifests/3/platform/os"), "unknown");
  EXPECT_EQ(At(index, "/manifests/3/annotations/vnd.docker.reference.digest"),
            Json(image.platforms[0].manifest.digest.text()));
  EXPECT_EQ(At(index, "/annotations/org.opencontainers.image.licenses"), "Apache-2.0");
  const Json manifest = ParseBlob(image, image.platforms[1].manifest.digest);
  EXPECT_EQ(At(manifest, "/annotations"), At(index, "/annotations"));
}

TEST(ImageTest, HasNoAttestationsWhereNotAskedFor) {
  const Image image = SampleImage().Build(
      SampleImage::TextWith("\"attestations\": true", "\"attestations\": false"));
  EXPECT_EQ(At(ParseBlob(image, image.index.digest), "/manifests").get_array().size(), 3u);
}

// The statement of the n-th layer of the attestations of the first platform.
Json Statement(const Image& image, int layer) {
  const Json index = ParseBlob(image, image.index.digest);
  const auto manifest = Digest::Parse(At(index, "/manifests/3/digest").get_string().c_str());
  const Json digest =
      At(ParseBlob(image, *manifest), "/layers/" + std::to_string(layer) + "/digest");
  return ParseBlob(image, *Digest::Parse(digest.get_string().c_str()));
}

TEST(StatementTest, ListsPackagesInSpdx) {
  const Image image = SampleImage().Build();
  const Json statement = Statement(image, 0);
  EXPECT_EQ(At(statement, "/predicateType"), "https://spdx.dev/Document");
  EXPECT_EQ(At(statement, "/subject/0/digest/sha256"),
            Json(image.platforms[0].manifest.digest.hex()));
  const Json document = At(statement, "/predicate");
  EXPECT_EQ(At(document, "/spdxVersion"), "SPDX-2.3");
  EXPECT_THAT(At(document, "/documentNamespace").get_string().c_str(),
              HasSubstr(image.platforms[0].manifest.digest.hex()));
  EXPECT_EQ(At(document, "/packages/0/name"), "program");
  EXPECT_EQ(At(document, "/packages/1/name"), "libc6-dev");
  EXPECT_EQ(At(document, "/packages/1/licenseDeclared"), "LGPL-2.1-or-later AND LicenseRef-glibc");
  EXPECT_EQ(At(document, "/packages/1/checksums/0/checksumValue"), Json(std::string(64, 'a')));
  EXPECT_EQ(At(document, "/packages/1/externalRefs/0/referenceLocator"),
            "pkg:deb/debian/libc6-dev@2.41-12%2Bdeb13u1?arch=amd64");
  EXPECT_EQ(At(document, "/relationships/2/relationshipType"), "STATIC_LINK");
  EXPECT_EQ(At(document, "/hasExtractedLicensingInfos/0/licenseId"), "LicenseRef-glibc");
}

TEST(StatementTest, TellsHeadersFromWhatIsLinked) {
  const SampleImage sample;
  const std::string sum(64, 'b');
  sample.folder().Write(
      "amd64/packages.tsv",
      "a\t1\tamd64\t" + sum + "\tZlib\theaders\nb\t1\tamd64\t" + sum + "\tZlib\tlinked\n");
  const Json document = At(Statement(sample.Build(), 0), "/predicate");
  EXPECT_EQ(At(document, "/relationships/1"),
            Json(JsonObject({{"spdxElementId", "SPDXRef-Package-a-amd64"},
                             {"relationshipType", "BUILD_DEPENDENCY_OF"},
                             {"relatedSpdxElement", "SPDXRef-Image"}})));
  EXPECT_EQ(At(document, "/relationships/2"),
            Json(JsonObject({{"spdxElementId", "SPDXRef-Image"},
                             {"relationshipType", "STATIC_LINK"},
                             {"relatedSpdxElement", "SPDXRef-Package-b-amd64"}})));
}

TEST(StatementTest, NamesToolsAndASourceWithoutRepository) {
  const SampleImage sample;
  const Image image = sample.Build(SampleImage::TextWith(
      R"("source": "https://example.org/source", )",
      R"("source": "", "tools": ["", "clang 19.1.7", "lld 19; cmake 3.31 rc1"], )"));
  const Json definition = At(Statement(image, 1), "/predicate/buildDefinition");
  const std::string uri = "pkg:generic/program@0123456789abcdef0123456789abcdef01234567";
  EXPECT_EQ(At(definition, "/resolvedDependencies/0/uri"), Json(uri));
  EXPECT_EQ(At(definition, "/externalParameters/source"), Json(uri));
  EXPECT_EQ(At(definition, "/internalParameters/tools"),
            Json(JsonArray({JsonObject({{"name", "clang"}, {"version", "19.1.7"}}),
                            JsonObject({{"name", "lld"}, {"version", "19"}}),
                            JsonObject({{"name", "cmake"}, {"version", "3.31 rc1"}})})));
}

TEST(StatementTest, SaysWhereTheImageComesFrom) {
  const Json provenance = At(Statement(SampleImage().Build(), 1), "/predicate");
  EXPECT_EQ(At(provenance, "/buildDefinition/resolvedDependencies/0/uri"),
            "git+https://example.org/source@0123456789abcdef0123456789abcdef01234567");
  EXPECT_EQ(At(provenance, "/buildDefinition/resolvedDependencies").get_array().size(), 3u);
  EXPECT_EQ(At(provenance, "/runDetails/builder/id"), "https://example.org/builder");
  EXPECT_EQ(At(provenance, "/runDetails/metadata"), Json(JsonObject()));
}

TEST(ArchiveTest, IsTheSameFromTwoFolders) {
  const SampleImage here;
  const SampleImage there;
  ASSERT_NE(here.folder().path(), there.folder().path());
  const Image first = here.Build();
  const Image second = there.Build();
  EXPECT_EQ(first.index, second.index);
  EXPECT_EQ(testing::HybridArchive(first), testing::HybridArchive(second));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(testing::DockerArchive(first, i), testing::DockerArchive(second, i));
  }
}

TEST(ArchiveTest, NamesTheImageForEveryReader) {
  const Image image = SampleImage().Build();
  const std::string name = "registry.example/team/program:1.2.3";
  const std::string archive = testing::HybridArchive(image);
  std::map<std::string, std::string> files;
  MemorySource source(archive);
  TarReader reader(source);
  while (true) {
    const auto member = reader.Next();
    ASSERT_TRUE(member) << member.error().message;
    if (!*member) break;
    TarContentSource content(reader);
    files[(*member)->entry.path] = *ReadAll(content, 1 << 20);
  }
  EXPECT_EQ(files["oci-layout"], R"({"imageLayoutVersion":"1.0.0"})");
  const Json index = *ParseJson(files["index.json"]);
  ASSERT_EQ(At(index, "/manifests").get_array().size(), 1u);
  EXPECT_EQ(At(index, "/manifests/0/mediaType"), "application/vnd.oci.image.index.v1+json");
  EXPECT_EQ(At(index, "/manifests/0/annotations/io.containerd.image.name"), Json(name));
  EXPECT_EQ(At(index, "/manifests/0/annotations/org.opencontainers.image.ref.name"), Json(name));
  const Json manifest = *ParseJson(files["manifest.json"]);
  EXPECT_EQ(At(manifest, "/0/RepoTags/0"), Json(name));
  EXPECT_EQ(At(manifest, "/0/Config"), Json(image.platforms[0].config.digest.blob_path()));
  EXPECT_EQ(At(manifest, "/0/Layers").get_array().size(), 2u);
  EXPECT_EQ(files[image.index.digest.blob_path()], image.blobs.at(image.index.digest));
}

TEST(OutputsTest, AreAllThere) {
  const Image image = SampleImage().Build();
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteOutputs(image, folder.path()).ok());
  EXPECT_THAT(folder.List(),
              ElementsAre("airgap", "oci", "program-1.2.3.linux-amd64.docker.tar",
                          "program-1.2.3.linux-arm-v7.docker.tar",
                          "program-1.2.3.linux-arm64.docker.tar", "program-1.2.3.oci.tar"));
  // k0s reads every file of its folder.
  EXPECT_THAT(folder.List("airgap"), ElementsAre("program-1.2.3.tar"));
  EXPECT_EQ(folder.Read("airgap/program-1.2.3.tar"), testing::HybridArchive(image));
  EXPECT_EQ(folder.Read("program-1.2.3.linux-arm64.docker.tar"), testing::DockerArchive(image, 1));
  EXPECT_EQ(folder.List("oci/blobs/sha256").size(), image.blobs.size());
  EXPECT_EQ(folder.Read("oci/" + image.index.digest.blob_path()),
            image.blobs.at(image.index.digest));
}

TEST(StagedFolderTest, AppearsAtCommitAlone) {
  const TemporaryFolder folder;
  {
    auto staged = StagedFolder::Create(folder / "a/out", "mark");
    ASSERT_TRUE(staged) << staged.error().message;
    EXPECT_FALSE(folder.Exists("a/out"));
  }
  EXPECT_TRUE(folder.List("a").empty());
  auto staged = StagedFolder::Create(folder / "a/out/", "mark");
  ASSERT_TRUE(staged);
  folder.Write(staged->path().substr(folder.path().size() + 1) + "/mark", "new");
  ASSERT_TRUE(staged->Commit().ok());
  EXPECT_THAT(folder.List("a"), ElementsAre("out"));
  EXPECT_EQ(folder.Read("a/out/mark"), "new");
}

TEST(StagedFolderTest, ReplacesItsOwnKindAndNothingElse) {
  const TemporaryFolder folder;
  folder.Write("ours/mark", "old");
  folder.Write("theirs/letters", "dear");
  folder.Write("file", "x");
  auto staged = StagedFolder::Create(folder / "ours", "mark");
  ASSERT_TRUE(staged);
  folder.Write(staged->path().substr(folder.path().size() + 1) + "/mark", "new");
  ASSERT_TRUE(staged->Commit().ok());
  EXPECT_EQ(folder.Read("ours/mark"), "new");
  EXPECT_THAT(folder.List(), ElementsAre("file", "ours", "theirs"));
  EXPECT_THAT(StagedFolder::Create(folder / "theirs", "mark").error().message,
              HasSubstr("theirs: is there and was not written by pgw-pack"));
  EXPECT_THAT(StagedFolder::Create(folder / "file", "mark").error().message,
              HasSubstr("file: is there and is no directory"));
  EXPECT_THAT(StagedFolder::Create(folder / "file/out", "mark").error().message, HasSubstr("file"));
  EXPECT_FALSE(StagedFolder::Create(".", "mark"));
}

TEST(StagedFolderTest, NamesTargetThatCannotBeWritten) {
  // Where not even root can make a folder.
  EXPECT_THAT(StagedFolder::Create("/proc/out", "mark").error().message, HasSubstr("/proc: "));
}

}  // namespace
}  // namespace pgw::image
