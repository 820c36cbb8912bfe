#include "docker/read/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "docker/archive/gzip.h"
#include "docker/archive/tar_writer.h"
#include "docker/read/inspect.h"
#include "tests/docker/support.h"

namespace pgw::image {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::SampleImage;

Result<VerifyReport> Verify(const std::string& archive, VerifyOptions options = {}) {
  const auto store = OpenArchive(std::make_unique<MemoryBytes>(archive));
  if (!store) return store.error();
  return VerifyLayout(**store, options);
}

// All that was found, or the error.
std::vector<std::string> Findings(const std::string& archive, VerifyOptions options = {}) {
  const Result<VerifyReport> report = Verify(archive, options);
  return report ? report->findings : std::vector{report.error().message};
}

// An image whose archive has some ten kilobytes.
Image SmallImage() {
  std::string text = SampleImage::TextWith("\"attestations\": true", "\"attestations\": false");
  const std::size_t more = text.find(",\n      {\"os\": \"linux\", \"architecture\": \"arm64\"");
  return SampleImage().Build(text.substr(0, more) + "]}");
}

TEST(VerifyTest, FindsNothingInWhatIsBuilt) {
  const Image image = SampleImage().Build();
  EXPECT_THAT(Findings(testing::HybridArchive(image)), IsEmpty());
  EXPECT_THAT(Findings(testing::OciArchive(image)), IsEmpty());
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_THAT(Findings(testing::DockerArchive(image, i)), IsEmpty());
  EXPECT_EQ(Verify(testing::HybridArchive(image))->images, 6u);
  EXPECT_THAT(Findings(testing::HybridArchive(SmallImage())), IsEmpty());
}

TEST(VerifyTest, ReadsFoldersToo) {
  const Image image = SampleImage().Build();
  const testing::TemporaryFolder folder;
  ASSERT_TRUE(WriteOutputs(image, folder.path()).ok());
  const auto verify = [&] {
    const auto store = OpenLayout(folder / "oci");
    EXPECT_TRUE(store);
    const auto report = VerifyLayout(**store);
    return report ? report->findings : std::vector{report.error().message};
  };
  EXPECT_THAT(verify(), IsEmpty());
  folder.Write("oci/notes.txt", "?");
  EXPECT_THAT(verify(), Contains("notes.txt: nothing leads to this file"));
  folder.Write("oci/" + image.platforms[0].layers[0].digest.blob_path(), "shorter");
  EXPECT_THAT(verify(), Contains(HasSubstr("bytes, not the stated")));
}

TEST(VerifyTest, CatchesEveryFlippedByte) {
  const std::string good = testing::HybridArchive(SmallImage());
  ASSERT_LT(good.size(), 40'000u);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 1 << i % 8);
    const Result<VerifyReport> report = Verify(flipped);
    ASSERT_FALSE(report && report->ok()) << "byte " << i;
  }
}

TEST(VerifyTest, CatchesEveryCut) {
  const std::string good = testing::HybridArchive(SmallImage());
  for (std::size_t size = 0; size < good.size(); size += 97) {
    const Result<VerifyReport> report = Verify(good.substr(0, size));
    ASSERT_FALSE(report && report->ok()) << size;
  }
}

// The image with one blob replaced, and everything above it adjusted, so that only what the blob
// says is wrong.
class Forger {
 public:
  Forger() : image_(SmallImage()) {}

  Image& image() { return image_; }
  // Replaces in the first config, the manifest or the nested index.
  std::vector<std::string> WithConfig(std::string_view from, std::string_view to) {
    std::string config = image_.blobs.at(platform().config.digest);
    Replace(config, from, to);
    SetConfig(config);
    return Findings(testing::HybridArchive(image_));
  }
  std::vector<std::string> WithManifest(std::string_view from, std::string_view to) {
    std::string manifest = image_.blobs.at(platform().manifest.digest);
    Replace(manifest, from, to);
    SetManifest(manifest);
    return Findings(testing::HybridArchive(image_));
  }
  std::vector<std::string> WithIndex(std::string_view from, std::string_view to) {
    std::string index = image_.blobs.at(image_.index.digest);
    Replace(index, from, to);
    SetIndex(index);
    return Findings(testing::HybridArchive(image_));
  }
  // A first layer of other bytes; `tar` is what the config shall promise.
  std::vector<std::string> WithLayer(const std::string& blob, const std::string& tar) {
    const Descriptor old = platform().layers[0];
    std::string config = image_.blobs.at(platform().config.digest);
    const std::string old_id = At(config, "/rootfs/diff_ids/0");
    std::string manifest = image_.blobs.at(platform().manifest.digest);
    Replace(config, old_id, Digest::Of(tar).text());
    Replace(manifest, old.digest.text(), Digest::Of(blob).text());
    Replace(manifest, "\"size\": " + std::to_string(old.size),
            "\"size\": " + std::to_string(blob.size()));
    Swap(old.digest, blob);
    platform().layers[0] = DescriptorOf(kMediaLayerGzip, blob);
    SetManifest(manifest);
    SetConfig(config);
    return Findings(testing::HybridArchive(image_));
  }

 private:
  PlatformImage& platform() { return image_.platforms[0]; }
  static std::string At(const std::string& document, const char* pointer) {
    return ParseJson(document)->at_pointer(pointer).get_string().c_str();
  }
  static void Replace(std::string& text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from << " in " << text;
    text.replace(at, from.size(), to);
  }
  void Swap(const Digest& old, const std::string& content) {
    image_.blobs.erase(old);
    image_.blobs.emplace(Digest::Of(content), content);
  }
  // Exchanges a descriptor in a document's text.
  static void Exchange(std::string& text, const Descriptor& from, const Descriptor& to) {
    const std::size_t at = text.find(from.digest.text());
    ASSERT_NE(at, std::string::npos);
    text.replace(at, from.digest.text().size(), to.digest.text());
    const std::size_t size_at = text.find("\"size\": ", at) + 8;
    text.replace(size_at, std::to_string(from.size).size(), std::to_string(to.size));
  }
  void SetConfig(const std::string& config) {
    const Descriptor old = platform().config;
    const Descriptor fresh = DescriptorOf(kMediaConfig, config);
    std::string manifest = image_.blobs.at(platform().manifest.digest);
    Exchange(manifest, old, fresh);
    Swap(old.digest, config);
    platform().config = fresh;
    SetManifest(manifest);
  }
  void SetManifest(const std::string& manifest) {
    const Descriptor old = platform().manifest;
    const Descriptor fresh = DescriptorOf(kMediaManifest, manifest);
    std::string index = image_.blobs.at(image_.index.digest);
    Exchange(index, old, fresh);
    Swap(old.digest, manifest);
    platform().manifest = fresh;
    SetIndex(index);
  }
  void SetIndex(const std::string& index) {
    Swap(image_.index.digest, index);
    image_.index = DescriptorOf(kMediaIndex, index);
  }

  Image image_;
};

TEST(VerifyTest, FindsWhatContradictsItself) {
  EXPECT_THAT(Forger().WithConfig("\"amd64\"", "\"riscv\""),
              Contains(HasSubstr("the index states another platform")));
  EXPECT_THAT(Forger().WithConfig("2022-08-24T10:04:35Z", "2022-08-24T10:04:36Z"),
              Contains(HasSubstr("the time is 1661335475, not the image's 1661335476")));
  EXPECT_THAT(Forger().WithConfig("2022-08-24T10:04:35Z", "2022-08-24 10:04:35Z"),
              Contains(HasSubstr("\"created\" is not of the form")));
  EXPECT_THAT(Forger().WithConfig("Apache-2.0", "MIT"),
              Contains(HasSubstr("the annotations differ from the config's labels")));
  EXPECT_THAT(
      Forger().WithManifest("vnd.oci.image.layer.v1.tar+gzip", "vnd.oci.image.layer.v1.tar"),
      Contains(HasSubstr("does not fit")));
  EXPECT_THAT(
      Forger().WithManifest("vnd.oci.image.config.v1+json", "vnd.docker.container.image.v1+json"),
      Contains(HasSubstr("not OCI's media type of a config")));
  EXPECT_THAT(Forger().WithIndex("image.version\": \"1.2.3\"", "image.version\": \"1.2.4\""),
              Contains("index.json: the tag is 1.2.3, the version 1.2.4"));
  EXPECT_THAT(Forger().WithIndex("\"schemaVersion\": 2", "\"schemaVersion\": 3"),
              Contains(HasSubstr("the schemaVersion is not 2")));
}

TEST(VerifyTest, FindsLayersThatOthersMade) {
  StringSink sink;
  TarWriter writer(sink);
  TarEntry entry;
  entry.path = "usr/";
  entry.type = TarType::kDirectory;
  entry.mode = 0755;
  entry.mtime = testing::kCreated;
  entry.user_name = "alice";
  ASSERT_TRUE(writer.Add(entry, "").ok());
  ASSERT_TRUE(writer.Finish().ok());
  const std::string tar = sink.text();
  const std::string blob = *Gzip(tar);
  EXPECT_THAT(Forger().WithLayer(blob, tar),
              Contains(HasSubstr("names of users are in the archive")));
  EXPECT_THAT(Forger().WithLayer(blob, tar + "x"), Contains(HasSubstr("the diff_id is")));
  EXPECT_THAT(Forger().WithLayer(*Gzip(tar + std::string(512, '\0')), tar + std::string(512, '\0')),
              Contains(HasSubstr("does not end with two blocks of zeros")));
  std::string named = blob;
  named[4] = 1;  // a time in the gzip header
  EXPECT_THAT(Forger().WithLayer(named, tar),
              Contains(HasSubstr("the gzip header is not the packer's")));
  EXPECT_THAT(Forger().WithLayer(blob.substr(0, 30), tar),
              Contains(HasSubstr("the stream is cut off")));
}

TEST(VerifyTest, LeavesFormAsideWhereIntegrityIsAskedFor) {
  Forger forger;
  forger.WithConfig("Apache-2.0", "MIT");
  EXPECT_THAT(Findings(testing::HybridArchive(forger.image()), {.integrity_only = true}),
              IsEmpty());
}

TEST(VerifyTest, BoundsWhatComesOutOfALayer) {
  VerifyOptions options;
  options.limits.unpacked_bytes_max = 1000;
  EXPECT_THAT(Findings(testing::HybridArchive(SmallImage()), options),
              Contains(HasSubstr("more comes out of the gzip stream than is allowed")));
}

TEST(VerifyTest, BoundsWhatComesOutOfAllLayers) {
  const Image image = SmallImage();
  VerifyOptions options;
  const auto total = [&] {
    std::uint64_t bytes = 0;
    for (const auto& layer : image.platforms[0].layers) {
      MemorySource source(image.blobs.at(layer.digest));
      bytes += ScanLayer(source)->unpacked_size;
    }
    return bytes;
  }();
  options.limits.all_unpacked_bytes_max = total;
  EXPECT_THAT(Findings(testing::HybridArchive(image), options), IsEmpty());
  options.limits.all_unpacked_bytes_max = total - 1;
  const std::string over = image.platforms[0].layers[1].digest.blob_path() +
                           ": all layers up to here unpack to more than " +
                           std::to_string(total - 1) + " bytes";
  EXPECT_THAT(Findings(testing::HybridArchive(image), options), ElementsAre(over));
  const std::string archive = testing::OciArchive(image);
  const auto store = OpenArchive(std::make_unique<MemoryBytes>(archive));
  ASSERT_TRUE(store);
  const Result<Json> inspection = InspectLayout(**store, options.limits);
  ASSERT_FALSE(inspection);
  EXPECT_EQ(inspection.error().message, over);
}

// Bytes count that came out before the fault: else a layer whose last byte is wrong cost nothing.
TEST(VerifyTest, CountsWhatComesOutOfBrokenLayers) {
  std::string blob = *Gzip(std::string(100'000, '\0'));
  blob.resize(blob.size() - 4);
  MemorySource source(blob);
  const Result<LayerScan> scan = ScanLayer(source);
  ASSERT_TRUE(scan);
  EXPECT_NE(scan->fault, "");
  EXPECT_GE(scan->unpacked_size, 65'536u);
}

TEST(VerifyTest, RefusesArchivesThatReadersDisagreeOn) {
  TarEntry entry;
  entry.path = "index.json";
  const std::string header = *EncodeTarHeader(entry);
  const std::string twice = header + header + std::string(1024, '\0');
  EXPECT_THAT(Findings(twice), Contains("tar, at byte 512: index.json is there twice"));
}

TEST(VerifyTest, SaysWhatIsMissing) {
  const Image image = SmallImage();
  Image without = image;
  without.blobs.erase(image.platforms[0].layers[1].digest);
  EXPECT_THAT(Findings(testing::OciArchive(without)),
              Contains(image.platforms[0].layers[1].digest.blob_path() + ": missing"));
  EXPECT_THAT(Findings(std::string(1024, '\0')),
              Contains(HasSubstr("neither an OCI layout nor an image archive")));
}

Json Inspect(const std::string& archive) {
  const auto store = OpenArchive(std::make_unique<MemoryBytes>(archive));
  EXPECT_TRUE(store);
  const Result<Json> inspection = InspectLayout(**store);
  EXPECT_TRUE(inspection) << inspection.error().message;
  return inspection ? *inspection : Json();
}

TEST(InspectTest, ShowsImagesLayersAndEntries) {
  const Image image = SampleImage().Build();
  const std::string text = DescribeInspection(Inspect(testing::HybridArchive(image)));
  EXPECT_THAT(text, HasSubstr("registry.example/team/program:1.2.3 " + image.index.digest.text()));
  EXPECT_THAT(text, HasSubstr("linux/arm/v7, "));
  EXPECT_THAT(text, HasSubstr("d 0755 65534:65534 0 /work/\n"));
  EXPECT_THAT(text, HasSubstr("l 0777 0:0 0 /program -> bin/program\n"));
  EXPECT_THAT(text, HasSubstr("attestations of " + image.platforms[0].manifest.digest.text()));
  EXPECT_THAT(text, HasSubstr("https://slsa.dev/provenance/v1"));
}

TEST(InspectTest, ReadsDockerArchives) {
  const Image image = SampleImage().Build();
  const Json inspection = Inspect(testing::DockerArchive(image, 2));
  EXPECT_EQ(inspection.at_pointer("/form"), "Docker archive");
  EXPECT_EQ(inspection.at_pointer("/entries/0/name"), "registry.example/team/program:1.2.3");
  EXPECT_EQ(inspection.at_pointer("/entries/0/images/0/variant"), "v7");
}

std::string Tar(const std::vector<std::pair<std::string, std::string>>& files) {
  StringSink sink;
  TarWriter writer(sink);
  for (const auto& [path, content] : files) {
    TarEntry entry;
    entry.path = path;
    entry.size = content.size();
    EXPECT_TRUE(writer.Add(entry, content).ok());
  }
  EXPECT_TRUE(writer.Finish().ok());
  return sink.Take();
}

TEST(InspectTest, ShowsABoundedNumberOfEntriesOfLayersThatAreNamedAgainAndAgain) {
  std::vector<std::pair<std::string, std::string>> files;
  for (int i = 1000; i < 2500; ++i) files.emplace_back(std::to_string(i), "");
  std::string image = R"({"Config": "c.json", "RepoTags": [], "Layers": ["l.tar")";
  for (int i = 1; i < 256; ++i) image += R"(, "l.tar")";
  image += "]}";
  const Json inspection = Inspect(Tar({{"c.json", "{}"},
                                       {"l.tar", Tar(files)},
                                       {"manifest.json", "[" + image + ", " + image + "]"}}));
  std::size_t shown = 0;
  for (const Json& entry : inspection.at("entries").as_array()) {
    for (const Json& layer : entry.at_pointer("/images/0/layers").as_array()) {
      EXPECT_EQ(layer.at("entryCount"), Json(1500));
      EXPECT_LE(layer.at("entries").as_array().size(), 1000u);
      shown += layer.at("entries").as_array().size();
    }
  }
  EXPECT_EQ(shown, 50'000u);
}

}  // namespace
}  // namespace pgw::image
