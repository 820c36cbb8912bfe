#include "store/persistence/snapshot_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"

namespace pgw::persistence {
namespace {

using ::testing::ElementsAre;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SnapshotFileTest : public ::testing::Test {
 protected:
  SnapshotFileTest() {
    header_.id[3] = 'i';
    header_.lineage[2] = 'l';
    header_.lsn = 1234;
  }

  void Write(std::string_view meta, const std::vector<std::string>& blocks) {
    files_.Hide(kPath);
    auto file = files_.Create(kPath, 0600);
    ASSERT_TRUE(file);
    SnapshotWriter writer(std::move(*file), header_);
    ASSERT_TRUE(writer.WriteMeta(meta));
    for (const std::string& block : blocks) ASSERT_TRUE(writer.WriteBlock(block));
    ASSERT_TRUE(writer.Finish());
    EXPECT_EQ(writer.bytes(), files_.Contents()[kPath].size());
    EXPECT_EQ(writer.blocks(), blocks.size());
  }
  // Meta and blocks, then the error if there is one.
  std::vector<std::string> Read() {
    const auto file = files_.Open(kPath, FileAccess::kRead);
    auto reader = SnapshotReader::Open(**file);
    if (!reader) return {reader.error().message};
    EXPECT_EQ(reader->header(), header_);
    std::vector<std::string> read = {reader->meta()};
    while (true) {
      const auto block = reader->NextBlock();
      if (!block) {
        read.push_back(block.error().message);
        break;
      }
      if (!*block) break;
      read.emplace_back(**block);
    }
    return read;
  }

  const std::string kPath = testing::kPath;
  FaultFileSystem files_{testing::kFolder};
  SnapshotHeader header_;
};

TEST_F(SnapshotFileTest, ReadsBackMetaAndBlocks) {
  Write("meta", {"one", "", std::string(8, '2'), "three"});
  EXPECT_THAT(Read(), ElementsAre("meta", "one", "", "22222222", "three"));
  Write("", {});
  EXPECT_THAT(Read(), ElementsAre(""));
}

TEST_F(SnapshotFileTest, ReadsBackBlocksLargerThanItsBuffers) {
  const std::string large(3 * FileWindow::kReadBytes + 5, 'x');
  Write("meta", {"small", large, "small"});
  EXPECT_THAT(Read(), ElementsAre("meta", "small", large, "small"));
}

TEST_F(SnapshotFileTest, IsOnTheDiskWhenFinished) {
  Write("meta", {"one"});
  const std::string before = files_.Contents()[kPath];
  ASSERT_TRUE(files_.SyncFolder(testing::kFolder));
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto clone = files_.Clone();
    clone->Reboot(seed);
    EXPECT_EQ(clone->Contents()[kPath], before);
  }
}

TEST_F(SnapshotFileTest, IsReportedWithAnyBitFlipped) {
  Write("some meta", {"first block", "second"});
  const std::string whole = files_.Contents()[kPath];
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    files_.FlipBit(kPath, bit);
    const auto file = files_.Open(kPath, FileAccess::kRead);
    EXPECT_TRUE(*IsOurSnapshot(**file)) << "bit " << bit;
    EXPECT_THAT(Read().back(), StartsWith("/data/F: damaged at offset ")) << "bit " << bit;
    files_.FlipBit(kPath, bit);
  }
  EXPECT_THAT(Read(), ElementsAre("some meta", "first block", "second"));
}

TEST_F(SnapshotFileTest, IsReportedAtAnyLengthButItsOwn) {
  Write("some meta", {"first block", "second"});
  const std::string whole = files_.Contents()[kPath];
  for (std::size_t size = 0; size < whole.size(); ++size) {
    files_.Put(kPath, whole.substr(0, size));
    EXPECT_THAT(Read().back(), StartsWith("/data/F: damaged at offset ")) << size << " bytes";
  }
  files_.Put(kPath, whole + "x");
  EXPECT_EQ(Read().back(), "/data/F: damaged at offset " + std::to_string(whole.size()) +
                               ": something follows the footer");
}

TEST_F(SnapshotFileTest, NamesTheDamagedBlock) {
  Write("", {"first block", "second block"});
  const std::size_t at = files_.Contents()[kPath].find("second");
  files_.FlipBit(kPath, 8 * at);
  const std::vector<std::string> read = Read();
  EXPECT_EQ(read.back(), "/data/F: damaged at offset " + std::to_string(at - kBlockHeaderBytes) +
                             ": block 1 does not match its checksum or is cut off");
  EXPECT_EQ(read[1], "first block");
}

TEST_F(SnapshotFileTest, BlocksMustNotChangePlaces) {
  Write("", {"12345678", "abcdefgh"});
  std::string bytes = files_.Contents()[kPath];
  const std::size_t size = kBlockHeaderBytes + 8;
  const std::string first = bytes.substr(kSnapshotHeaderBytes, size);
  bytes.erase(kSnapshotHeaderBytes, size);
  bytes.insert(kSnapshotHeaderBytes + size, first);
  files_.Put(kPath, bytes);
  EXPECT_THAT(Read().back(), HasSubstr("damaged at offset 64"));
}

TEST_F(SnapshotFileTest, KnowsForeignFiles) {
  files_.Put(kPath, "\x29\xff\x8d\x04\x01\x02\xff\x8e");
  auto file = files_.Open(kPath, FileAccess::kRead);
  EXPECT_FALSE(*IsOurSnapshot(**file));
  files_.Put(kPath, "x");
  file = files_.Open(kPath, FileAccess::kRead);
  EXPECT_FALSE(*IsOurSnapshot(**file));
  files_.Put(kPath, "");
  file = files_.Open(kPath, FileAccess::kRead);
  EXPECT_EQ(IsOurSnapshot(**file).error().message,
            "/data/F: damaged at offset 0: the file is empty");
}

TEST_F(SnapshotFileTest, RefusesMetaThatIsTooLarge) {
  auto file = files_.Create(kPath, 0600);
  SnapshotWriter writer(std::move(*file), header_);
  const Status status = writer.WriteMeta(std::string(kMetaBytesMax + 1, 'x'));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kTooLarge);
}

TEST_F(SnapshotFileTest, SalvagesTheBlocksThatHold) {
  Write("meta", {"first block", "second block", "third block"});
  const std::string whole = files_.Contents()[kPath];
  const auto salvage = [&] {
    const auto file = files_.Open(kPath, FileAccess::kRead);
    auto salvager = SnapshotSalvager::Open(**file);
    EXPECT_TRUE(salvager);
    EXPECT_EQ(salvager->header(), header_);
    std::vector<std::string> found = {salvager->meta().value_or("no meta")};
    while (true) {
      const auto block = salvager->NextBlock();
      EXPECT_TRUE(block);
      if (!*block) break;
      found.push_back(std::to_string((*block)->index) + " " + std::string((*block)->payload));
    }
    return found;
  };
  EXPECT_THAT(salvage(), ElementsAre("meta", "0 first block", "1 second block", "2 third block"));
  files_.FlipBit(kPath, 8 * whole.find("second"));
  EXPECT_THAT(salvage(), ElementsAre("meta", "0 first block", "2 third block"));
  files_.FlipBit(kPath, 8 * (whole.find("first") - 8));
  EXPECT_THAT(salvage(), ElementsAre("meta", "2 third block"));
  // The footer knows the identity as well …
  files_.Put(kPath, std::string(16, 'x') + std::string(16, 'y') + whole.substr(32));
  EXPECT_THAT(salvage(), ElementsAre("meta", "0 first block", "1 second block", "2 third block"));
  // … and without it the header does.
  files_.Put(kPath, whole.substr(0, whole.find("third") + 3));
  EXPECT_THAT(salvage(), ElementsAre("meta", "0 first block", "1 second block"));
}

}  // namespace
}  // namespace pgw::persistence
