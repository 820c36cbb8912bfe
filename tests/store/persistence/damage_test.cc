// Bit rot: what was on the disk and has changed stops the start, with nothing touched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/persistence/check.h"
#include "store/persistence/repair.h"
#include "store/persistence/storage.h"
#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"

namespace pgw::persistence {
namespace {

using testing::AppendTo;
using testing::Collector;
using ::testing::ElementsAre;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using testing::kFolder;
using testing::kPath;
using ::testing::Pair;
using ::testing::StartsWith;

const std::string kJournal = kPath + ".journal";
const std::string kOld = kPath + ".journal.old";
const std::string kOut = kFolder + "/out";

class DamageTest : public ::testing::Test {
 protected:
  // A snapshot of records 1 and 2, an old journal with 3 and 4, a journal with 5, 6 and 7; each
  // record was synced.
  void SetUp() override {
    storage_ = Open();
    Append("1");
    Append("2");
    ASSERT_TRUE(storage_->BeginCompaction());
    auto writer = storage_->StartSnapshot(2, "meta");
    ASSERT_TRUE((*writer)->WriteBlock("block 1"));
    ASSERT_TRUE((*writer)->WriteBlock("block 2"));
    ASSERT_TRUE(storage_->CommitSnapshot(**writer));
    Append("3");
    Append("4");
    ASSERT_TRUE(storage_->BeginCompaction());
    Append("5");
    Append("6");
    last_frame_ = storage_->sizes().new_journal_bytes;
    Append("7");
  }

  std::unique_ptr<Storage> Open() {
    auto storage = Storage::Open(files_, kPath, testing::RepeatableOptions(), collector_);
    EXPECT_TRUE(storage) << (storage ? "" : storage.error().message);
    return storage ? std::move(*storage) : nullptr;
  }
  void Append(const std::string& record) {
    const Result<Lsn> lsn = AppendTo(*storage_, {record});
    ASSERT_TRUE(lsn);
    ASSERT_TRUE(storage_->Sync(*lsn));
  }
  // The error of opening a store whose files are as they are now but for one bit; checks that
  // nothing was touched.
  std::string ErrorWithFlip(const std::string& path, std::uint64_t bit) {
    const auto clone = files_.Clone();
    clone->FlipBit(path, bit);
    const auto before = clone->Contents();
    Collector collector;
    const auto storage = Storage::Open(*clone, kPath, testing::RepeatableOptions(), collector);
    if (storage) return {};
    EXPECT_EQ(clone->Contents(), before);
    return storage.error().message;
  }
  std::uint64_t Size(const std::string& path) { return files_.Contents()[path].size(); }
  Result<RepairReport> RunRepair() {
    Collector validator;
    return Repair(files_, kPath, kOut, testing::RepeatableOptions(9), validator);
  }
  // What a start from the repaired files gives.
  Collector ReadRepaired() {
    Collector collector;
    const auto storage = Storage::Open(files_, kOut, testing::RepeatableOptions(10), collector);
    EXPECT_TRUE(storage) << (storage ? "" : storage.error().message);
    return collector;
  }

  FaultFileSystem files_{kFolder};
  Collector collector_;
  std::unique_ptr<Storage> storage_;
  std::uint64_t last_frame_ = 0;  // where it begins in the journal
};

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

TEST_F(DamageTest, RepairOfASoundStoreKeepsAll) {
  const auto before = files_.Contents();
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->complete) << report->text;
  auto after = files_.Contents();
  for (const auto& [path, bytes] : before) EXPECT_EQ(after[path], bytes);
  const Collector read = ReadRepaired();
  EXPECT_EQ(read.meta, "meta");
  EXPECT_THAT(read.blocks, ElementsAre("block 1", "block 2"));
  EXPECT_THAT(read.records,
              ElementsAre(Pair(3, "3"), Pair(4, "4"), Pair(5, "5"), Pair(6, "6"), Pair(7, "7")));
}

TEST_F(DamageTest, RepairKeepsTheOtherBlocksAndAllRecords) {
  files_.FlipBit(kPath, 8 * files_.Contents()[kPath].find("block 1"));
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_EQ(report->blocks_dropped, 1U);
  EXPECT_THAT(report->text, HasSubstr("/data/F: blocks 0 to 0 do not hold"));
  const Collector read = ReadRepaired();
  EXPECT_THAT(read.blocks, ElementsAre("block 2"));
  EXPECT_EQ(read.records.size(), 5U);
}

TEST_F(DamageTest, RepairKeepsRecordsUpToTheFirstThatIsMissing) {
  files_.FlipBit(kJournal, 8 * (64 + 48 + 41));  // within the frame of record 6
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_THAT(report->text, HasSubstr("with record 7 is dropped, since record 6 is missing"));
  EXPECT_THAT(ReadRepaired().records, ElementsAre(Pair(3, "3"), Pair(4, "4"), Pair(5, "5")));
}

TEST_F(DamageTest, RepairReadsAJournalWithADamagedHeader) {
  files_.FlipBit(kJournal, 8 * 50);  // its base
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_EQ(ReadRepaired().records.size(), 5U);
}

TEST_F(DamageTest, RepairKeepsRecordsWithoutASnapshot) {
  files_.Put(kPath, "");
  const auto report = RunRepair();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->complete);
  const Collector read = ReadRepaired();
  EXPECT_EQ(read.meta, "");
  EXPECT_EQ(read.records.size(), 5U);
}

TEST_F(DamageTest, RepairOverwritesNothing) {
  for (const std::string suffix : {"", ".journal", ".journal.old"}) {
    files_.Put(kOut + suffix, "mine");
    const auto report = RunRepair();
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().message, "write " + kOut + suffix + ": it exists");
    files_.Hide(kOut + suffix);
  }
}

TEST_F(DamageTest, RepairLeavesNothingBehindWhenTheDiskIsFull) {
  const auto before = files_.Contents();
  std::uint64_t used = 0;
  for (const auto& [path, bytes] : before) used += bytes.size();
  files_.set_capacity(used + 100);
  const auto report = RunRepair();
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("No space left on device"));
  EXPECT_EQ(files_.Contents(), before);
}

}  // namespace
}  // namespace pgw::persistence
