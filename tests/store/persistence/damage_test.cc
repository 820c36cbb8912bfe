// Bit rot: what was on the disk and has changed stops the start, with nothing touched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/persistence/check.h"
#include "store/persistence/storage.h"
#include "tests/store/persistence/synced_store.h"

namespace pgw::persistence {
namespace {

using testing::Collector;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using testing::kFolder;
using testing::kJournal;
using testing::kOld;
using testing::kPath;
using ::testing::StartsWith;

class DamageTest : public testing::SyncedStoreTest {};

TEST_F(DamageTest, EveryFlippedBitOfSyncedDataIsReported) {
  for (const std::string& path : {kPath, kOld, kJournal}) {
    const std::uint64_t end = path == kJournal ? last_frame_ : Size(path);
    for (std::uint64_t bit = 0; bit < end * 8; ++bit) {
      ASSERT_THAT(ErrorWithFlip(path, bit), StartsWith(path + ": damaged at offset "))
          << "bit " << bit;
    }
  }
}

TEST_F(DamageTest, NamesWhereTheDamagedFrameBegins) {
  const std::string journal = files_.Contents()[kJournal];
  EXPECT_EQ(ErrorWithFlip(kJournal, 8 * (kJournalHeaderBytes + 41)),
            kJournal +
                ": damaged at offset 64: a frame that was on the disk does not match its "
                "checksum (" +
                std::to_string(journal.size() - 64) + " bytes from there on)");
}

TEST_F(DamageTest, LastFrameIsTakenForAnUnfinishedWrite) {
  for (std::uint64_t bit = last_frame_ * 8; bit < Size(kJournal) * 8; ++bit) {
    const auto clone = files_.Clone();
    clone->FlipBit(kJournal, bit);
    Collector collector;
    const auto storage = Storage::Open(*clone, kPath, testing::RepeatableOptions(), collector);
    ASSERT_TRUE(storage);
    EXPECT_EQ((*storage)->recovered().torn_bytes(), Size(kJournal) - last_frame_);
    EXPECT_EQ(collector.records.size(), 4U);
  }
}

TEST_F(DamageTest, LastRecordIsSafeAfterAStopInOrder) {
  const std::uint64_t end = Size(kJournal);
  ASSERT_TRUE(storage_->Close());
  for (std::uint64_t bit = last_frame_ * 8; bit < end * 8; ++bit) {
    ASSERT_THAT(ErrorWithFlip(kJournal, bit), StartsWith(kJournal + ": damaged at offset "));
  }
}

TEST_F(DamageTest, LaterTornWriteDoesNotHideEarlierDamage) {
  // The last frame is cut short within its body; its header still tells.
  std::string journal = files_.Contents()[kJournal];
  journal.resize(last_frame_ + kFrameHeaderBytes + 1);
  journal[last_frame_ - 8] ^= 1;
  files_.Put(kJournal, journal);
  Collector collector;
  const auto storage = Storage::Open(*files_.Clone(), kPath, {}, collector);
  ASSERT_FALSE(storage);
  EXPECT_THAT(storage.error().message, StartsWith(kJournal + ": damaged at offset "));
}

TEST_F(DamageTest, MissingEndOfTheOldJournalIsReported) {
  const std::string old = files_.Contents()[kOld];
  for (std::uint64_t size = 0; size < old.size(); ++size) {
    const auto clone = files_.Clone();
    clone->Put(kOld, old.substr(0, size));
    Collector collector;
    const auto storage = Storage::Open(*clone, kPath, {}, collector);
    ASSERT_FALSE(storage) << size;
    EXPECT_THAT(storage.error().message, StartsWith(kOld + ": damaged at offset ")) << size;
  }
  const auto clone = files_.Clone();
  clone->Hide(kOld);
  Collector collector;
  const auto storage = Storage::Open(*clone, kPath, {}, collector);
  ASSERT_FALSE(storage);
  EXPECT_THAT(storage.error().message,
              StartsWith(kJournal + ": damaged at offset 0: the file begins too late"));
}

TEST_F(DamageTest, CheckDescribesASoundStore) {
  Collector collector;
  const auto before = files_.Contents();
  const CheckReport report = Check(files_, kPath, collector);
  EXPECT_EQ(files_.Contents(), before);
  EXPECT_TRUE(report.sound());
  EXPECT_THAT(report.text, HasSubstr("/data/F: snapshot, version 1, id "));
  EXPECT_THAT(report.text, HasSubstr("  holds all up to record 2; read 2 blocks in "));
  EXPECT_THAT(report.text, HasSubstr(", records 3 to 4; not closed\n"));
  EXPECT_THAT(report.text, HasSubstr(", records 5 to 7; not closed\n"));
  EXPECT_THAT(report.text, HasSubstr("sound; the last record is 7\n"));
  EXPECT_EQ(collector.records.size(), 5U);
}

TEST_F(DamageTest, CheckTellsTornTailsFromDamage) {
  files_.FlipBit(kJournal, 8 * Size(kJournal) - 1);
  Collector collector;
  CheckReport report = Check(files_, kPath, collector);
  EXPECT_TRUE(report.sound());
  EXPECT_THAT(report.text, HasSubstr("48 bytes from offset " + std::to_string(last_frame_)));
  files_.FlipBit(kPath, 8 * Size(kPath) - 1);
  report = Check(files_, kPath, collector);
  ASSERT_TRUE(report.problem);
  EXPECT_THAT(report.text, HasSubstr(report.problem->message));
}

TEST_F(DamageTest, CheckOfNothingSaysSo) {
  FaultFileSystem empty(kFolder);
  Collector collector;
  const CheckReport report = Check(empty, kPath, collector);
  EXPECT_TRUE(report.sound());
  EXPECT_THAT(report.text, StartsWith("/data/F: there is nothing\n"));
}

}  // namespace
}  // namespace pgw::persistence
