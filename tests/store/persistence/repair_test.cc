// What can be read of damaged files comes over, behind gaps too, and what cannot is told.
#include "store/persistence/repair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/persistence/check.h"
#include "store/persistence/storage.h"
#include "tests/store/persistence/synced_store.h"
#include "tests/support/random.h"

namespace pgw::persistence {
namespace {

using testing::AppendTo;
using testing::Collector;
using ::testing::ElementsAre;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kFolder;
using testing::kJournal;
using testing::kOld;
using testing::kPath;
using ::testing::Pair;
using testing::Random;
using testing::RepeatableOptions;

const std::string kOut = kFolder + "/out";
constexpr std::uint64_t kFrame = 48;  // bytes of a frame with one short record

// Puts "before <record>" behind gaps, and refuses one record.
class Bridger : public Collector {
 public:
  Status OnRecord(Lsn lsn, std::string_view record) override {
    if (record == refused) return InvalidArgument("not that one");
    return Collector::OnRecord(lsn, record);
  }
  std::optional<std::string> OnGap(std::string_view next) override {
    return "before " + std::string(next);
  }

  std::string refused;
};

Result<RepairReport> RunRepair(FaultFileSystem& files, Replayer& validator) {
  return Repair(files, kPath, kOut, RepeatableOptions(9), validator);
}

// What a start from the repaired files gives.
Collector ReadRepaired(FaultFileSystem& files) {
  Collector checked;
  const CheckReport report = Check(files, kOut, checked);
  EXPECT_TRUE(report.sound()) << report.text;
  Collector collector;
  const auto storage = Storage::Open(files, kOut, RepeatableOptions(10), collector);
  EXPECT_TRUE(storage) << (storage ? "" : storage.error().message);
  return collector;
}

class RepairTest : public testing::SyncedStoreTest {
 protected:
  Result<RepairReport> RunRepair() {
    Collector validator;
    return persistence::RunRepair(files_, validator);
  }
  Collector ReadRepaired() { return persistence::ReadRepaired(files_); }
  // In the body of the n-th frame of a journal, from 0 on.
  void DamageFrame(const std::string& path, std::uint64_t n) {
    files_.FlipBit(path, 8 * (kJournalHeaderBytes + n * kFrame + kFrameHeaderBytes + 1));
  }
};

TEST_F(RepairTest, KeepsAllOfASoundStore) {
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

TEST_F(RepairTest, KeepsTheOtherBlocksAndAllRecords) {
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

TEST_F(RepairTest, GoesOnBehindAMissingRecord) {
  DamageFrame(kJournal, 1);
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_EQ(report->records_missing, 1U);
  EXPECT_EQ(report->records_kept, 4U);
  EXPECT_THAT(report->text, HasSubstr(kJournal + ": 48 bytes from offset 112 on do not hold\n" +
                                      kJournal + ": record 6 is missing before offset 160\n"));
  // Numbered anew, so that nothing is missing there.
  EXPECT_THAT(ReadRepaired().records,
              ElementsAre(Pair(3, "3"), Pair(4, "4"), Pair(5, "5"), Pair(6, "7")));
}

TEST_F(RepairTest, ReadsTheLaterJournalBehindAGapAcrossBoth) {
  DamageFrame(kOld, 1);
  DamageFrame(kJournal, 0);
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_THAT(report->text, HasSubstr(kOld + ": 48 bytes from offset 112 on do not hold"));
  EXPECT_THAT(report->text, HasSubstr(kJournal + ": record 4 is missing before offset 0\n"));
  EXPECT_THAT(report->text, HasSubstr(kJournal + ": record 5 is missing before offset 112\n"));
  EXPECT_THAT(ReadRepaired().records, ElementsAre(Pair(3, "3"), Pair(4, "6"), Pair(5, "7")));
}

TEST_F(RepairTest, GoesOnWithoutTheOldJournal) {
  files_.Hide(kOld);
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_THAT(report->text, HasSubstr(kJournal + ": records 3 to 4 are missing before offset 0\n"));
  const Collector read = ReadRepaired();
  EXPECT_THAT(read.blocks, ElementsAre("block 1", "block 2"));
  EXPECT_THAT(read.records, ElementsAre(Pair(3, "5"), Pair(4, "6"), Pair(5, "7")));
}

TEST_F(RepairTest, GoesOnWhereTheSnapshotIsGone) {
  files_.Hide(kPath);
  Bridger validator;
  const auto report = persistence::RunRepair(files_, validator);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_THAT(report->text, HasSubstr(kOld + ": records 1 to 2 are missing before offset 0\n"));
  // Nothing comes before, so there is nothing to be bridged.
  EXPECT_EQ(report->bridges, 0U);
  EXPECT_THAT(ReadRepaired().records.front(), Pair(3, "3"));
}

TEST_F(RepairTest, DropsARefusedRecordAlone) {
  ASSERT_TRUE(AppendTo(*storage_, {"8", "9", "10"}));
  Bridger validator;
  validator.refused = "9";
  const auto report = persistence::RunRepair(files_, validator);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_EQ(report->records_refused, 1U);
  EXPECT_EQ(report->records_missing, 0U);
  EXPECT_THAT(report->text,
              HasSubstr("record 9 in the frame at offset 208 is refused: not that one\n"));
  EXPECT_THAT(ReadRepaired().records,
              ElementsAre(Pair(3, "3"), Pair(4, "4"), Pair(5, "5"), Pair(6, "6"), Pair(7, "7"),
                          Pair(8, "8"), Pair(9, "before 10"), Pair(10, "10")));
}

TEST_F(RepairTest, LetsTheValidatorBridgeGaps) {
  DamageFrame(kJournal, 1);
  Bridger validator;
  const auto report = persistence::RunRepair(files_, validator);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->bridges, 1U);
  EXPECT_EQ(report->records_kept, 4U);
  EXPECT_THAT(ReadRepaired().records, ElementsAre(Pair(3, "3"), Pair(4, "4"), Pair(5, "5"),
                                                  Pair(6, "before 7"), Pair(7, "7")));
  // It gets what the output has.
  EXPECT_EQ(validator.records.size(), 5U);
}

TEST_F(RepairTest, TakesADamagedCloseFrameForNoLoss) {
  ASSERT_TRUE(storage_->Close());
  const std::uint64_t close = last_frame_ + kFrame;
  files_.Kill();
  storage_ = Open();
  Append("8");
  files_.FlipBit(kJournal, 8 * close + 80);
  Collector ignored;
  EXPECT_FALSE(Check(files_, kPath, ignored).sound());
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->complete);
  EXPECT_THAT(report->text,
              HasSubstr("40 bytes from offset 208 on do not hold; nothing is missing"));
  EXPECT_EQ(ReadRepaired().records.size(), 6U);
}

TEST_F(RepairTest, TellsOfRecordsMissingBeforeACloseFrame) {
  ASSERT_TRUE(storage_->Close());
  DamageFrame(kJournal, 2);
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_THAT(report->text, HasSubstr(kJournal + ": record 7 is missing before offset 208\n"));
}

TEST_F(RepairTest, MissesNothingThatTheSnapshotHolds) {
  const std::string old = files_.Contents()[kOld];
  auto writer = storage_->StartSnapshot(4, "meta");
  ASSERT_TRUE(storage_->CommitSnapshot(**writer));
  files_.Put(kOld, old);  // as if a crash had come before it was removed
  DamageFrame(kOld, 0);
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->complete) << report->text;
  EXPECT_THAT(ReadRepaired().records, ElementsAre(Pair(5, "5"), Pair(6, "6"), Pair(7, "7")));
}

TEST_F(RepairTest, TellsAnEndThatWasOnTheDiskFromAnUnfinishedWrite) {
  DamageFrame(kJournal, 2);
  auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->complete);
  EXPECT_THAT(report->text, HasSubstr("an unfinished write, or the end is damaged"));
  for (const std::string suffix : {"", ".journal"}) files_.Hide(kOut + suffix);
  // The header of the last frame still says that the one before it was there.
  DamageFrame(kJournal, 1);
  report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_THAT(report->text,
              HasSubstr("they were on the disk, so that record 6 and what came behind it"));
}

TEST_F(RepairTest, DoesNotMixStores) {
  FaultFileSystem other(kFolder);
  Collector ignored;
  {
    const auto storage = Storage::Open(other, kPath, RepeatableOptions(5), ignored);
    for (const char* const record : {"a", "b", "c", "d", "e"}) {
      ASSERT_TRUE(AppendTo(**storage, {record}));
    }
  }
  files_.Put(kJournal, other.Contents()[kJournal]);
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_THAT(report->text, HasSubstr(kJournal + ": belongs to another store"));
  EXPECT_THAT(ReadRepaired().records, ElementsAre(Pair(3, "3"), Pair(4, "4")));
}

TEST_F(RepairTest, MakesAnEmptyStoreOfOneInWhichNothingWasStored) {
  FaultFileSystem files(kFolder);
  Collector ignored;
  ASSERT_TRUE(Storage::Open(files, kPath, RepeatableOptions(5), ignored));
  EXPECT_TRUE(Check(files, kPath, ignored).sound());
  const auto report = persistence::RunRepair(files, ignored);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->complete);
  EXPECT_THAT(report->text, HasSubstr(kPath + ": nothing has been stored yet\n"));
  EXPECT_THAT(persistence::ReadRepaired(files).records, IsEmpty());
}

TEST_F(RepairTest, SaysThatThereIsNothingToBeSalvaged) {
  FaultFileSystem files(kFolder);
  Collector ignored;
  EXPECT_FALSE(persistence::RunRepair(files, ignored));
  files.Put(kJournal, files_.Contents()[kJournal].substr(0, 20));
  EXPECT_FALSE(persistence::RunRepair(files, ignored));
  EXPECT_EQ(files.Contents().size(), 1U);
}

TEST_F(RepairTest, ReadsAJournalWithADamagedHeader) {
  files_.FlipBit(kJournal, 8 * 50);  // its base
  const auto report = RunRepair();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->complete);
  EXPECT_EQ(ReadRepaired().records.size(), 5U);
}

TEST_F(RepairTest, KeepsRecordsWithoutASnapshot) {
  files_.Put(kPath, "");
  const auto report = RunRepair();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->complete);
  const Collector read = ReadRepaired();
  EXPECT_EQ(read.meta, "");
  EXPECT_EQ(read.records.size(), 5U);
}

TEST_F(RepairTest, OverwritesNothing) {
  for (const std::string suffix : {"", ".journal", ".journal.old"}) {
    files_.Put(kOut + suffix, "mine");
    const auto report = RunRepair();
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().message, "write " + kOut + suffix + ": it exists");
    files_.Hide(kOut + suffix);
  }
}

TEST_F(RepairTest, LeavesNothingBehindWhenTheDiskIsFull) {
  const auto before = files_.Contents();
  std::uint64_t used = 0;
  for (const auto& [path, bytes] : before) used += bytes.size();
  files_.set_capacity(used + 100);
  const auto report = RunRepair();
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("No space left on device"));
  EXPECT_EQ(files_.Contents(), before);
}

// ---- Any damage.

// Files of a random history, and the frames of their journals.
class RandomDamage {
 public:
  explicit RandomDamage(std::uint64_t seed) : random_(seed) { Fill(); }

  std::uint64_t bridges() const { return bridges_; }

  void Run() {
    for (std::uint64_t count = 1 + random_.Below(4); count > 0; --count) Damage();
    Bridger validator;
    const auto report = persistence::RunRepair(files_, validator);
    const std::vector<Record> kept = Intact();
    if (kept.empty() && !has_snapshot_) return;
    ASSERT_TRUE(report) << report.error().message;
    bridges_ = report->bridges;
    ExpectOutput(*report, kept);
    // Only what is missing at the end can be taken for an unfinished write.
    if (report->complete) {
      ASSERT_LE(kept.size(), all_.size());
      EXPECT_TRUE(std::equal(kept.begin(), kept.end(), all_.begin())) << report->text;
    }
  }

 private:
  using Record = std::pair<Lsn, std::string>;
  struct Frame {
    std::uint64_t offset;
    std::uint64_t bytes;
    std::vector<Record> records;
  };

  void Fill() {
    Collector ignored;
    const auto storage = Storage::Open(files_, kPath, RepeatableOptions(3), ignored);
    ASSERT_TRUE(storage);
    bool rotated = false;
    for (std::uint64_t step = 4 + random_.Below(20); step > 0; --step) {
      ASSERT_TRUE(AppendTo(**storage, RandomBatch()));
      if (random_.OneIn(2)) {
        ASSERT_TRUE((*storage)->Sync((*storage)->lsn()));
      }
      if (!rotated && random_.OneIn(6)) {
        ASSERT_TRUE((*storage)->BeginCompaction());
        rotated = true;
        if (random_.OneIn(2)) Snapshot(**storage);
      }
    }
    if (random_.OneIn(3)) {
      ASSERT_TRUE((*storage)->Close());
    }
    original_ = files_.Contents();
    for (const std::string& path : {kOld, kJournal}) ReadFrames(path);
  }

  // In step 6 of a compaction, so that the old journal may still be there.
  void Snapshot(Storage& storage) {
    const std::string old = files_.Contents()[kOld];
    snapshot_lsn_ = storage.lsn();
    auto writer = storage.StartSnapshot(snapshot_lsn_, "meta");
    ASSERT_TRUE(writer && storage.CommitSnapshot(**writer));
    has_snapshot_ = true;
    if (random_.OneIn(2)) files_.Put(kOld, old);
  }

  std::vector<std::string> RandomBatch() {
    std::vector<std::string> batch(1 + random_.Below(3));
    for (std::string& record : batch) {
      record = std::to_string(++last_) + std::string(random_.Below(60), 'x');
    }
    return batch;
  }

  void ReadFrames(const std::string& path) {
    if (!original_.contains(path)) return;
    const auto file = files_.Open(path, FileAccess::kRead);
    auto reader = JournalReader::Open(**file);
    ASSERT_TRUE(reader);
    for (auto frame = reader->Next(); *frame; frame = reader->Next()) {
      const FrameHeader& header = (*frame)->header;
      Frame& known = frames_[path].emplace_back((*frame)->offset, header.frame_bytes());
      RecordCursor cursor(header, (*frame)->body);
      Lsn lsn = header.first_lsn;
      for (auto record = cursor.Next(); record; record = cursor.Next(), ++lsn) {
        if (lsn <= snapshot_lsn_) continue;
        known.records.emplace_back(lsn, *record);
        all_.emplace_back(lsn, *record);
      }
    }
  }

  void Damage() {
    const std::string& path = random_.OneIn(3) && original_.contains(kOld) ? kOld : kJournal;
    std::string bytes = files_.Contents()[path];
    if (bytes.empty()) return;
    const std::size_t begin = random_.Below(bytes.size());
    const std::size_t end = std::min(bytes.size(), begin + 1 + random_.Below(200));
    switch (random_.Below(8)) {
      case 0:
        bytes.resize(begin);
        break;
      case 1:
        std::fill(bytes.begin() + begin, bytes.begin() + end, '\0');
        break;
      case 2:
        for (std::size_t i = begin; i < end; ++i) bytes[i] = static_cast<char>(random_.Next());
        break;
      default:
        bytes[begin] = static_cast<char>(bytes[begin] ^ (1 << random_.Below(8)));
    }
    files_.Put(path, bytes);
  }

  // The records in frames that are as they were, in files that can still be identified.
  std::vector<Record> Intact() {
    std::vector<Record> intact;
    for (const std::string& path : {kOld, kJournal}) {
      const std::string bytes = files_.Contents()[path];
      const std::string& before = original_[path];
      if (bytes.size() < kJournalHeaderBytes || bytes.compare(16, 16, before, 16, 16) != 0)
        continue;
      for (const Frame& frame : frames_[path]) {
        if (bytes.size() < frame.offset + frame.bytes) continue;
        if (bytes.compare(frame.offset, frame.bytes, before, frame.offset, frame.bytes) != 0) {
          continue;
        }
        intact.insert(intact.end(), frame.records.begin(), frame.records.end());
      }
    }
    return intact;
  }

  void ExpectOutput(const RepairReport& report, const std::vector<Record>& kept) {
    std::vector<std::string> expected;
    Lsn next = has_snapshot_ ? snapshot_lsn_ + 1 : kept.front().first;
    for (const auto& [lsn, record] : kept) {
      if (lsn != next) expected.push_back("before " + record);
      expected.push_back(record);
      next = lsn + 1;
    }
    std::vector<std::string> found;
    for (const auto& [lsn, record] : persistence::ReadRepaired(files_).records) {
      found.push_back(record);
    }
    EXPECT_EQ(found, expected) << report.text;
    EXPECT_EQ(report.records_kept, kept.size());
    EXPECT_EQ(report.records_kept + report.bridges, found.size());
  }

  Random random_;
  FaultFileSystem files_{kFolder};
  std::map<std::string, std::string> original_;
  std::map<std::string, std::vector<Frame>> frames_;
  std::vector<Record> all_;
  std::uint64_t last_ = 0;
  bool has_snapshot_ = false;
  Lsn snapshot_lsn_ = 0;
  std::uint64_t bridges_ = 0;
};

TEST(RandomDamageTest, EveryFrameThatHoldsIsKept) {
  std::uint64_t bridges = 0;
  for (std::uint64_t seed = 1; seed <= 3000 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    RandomDamage damage(seed);
    damage.Run();
    bridges += damage.bridges();
  }
  // A test that never meets what it is about proves nothing.
  EXPECT_GT(bridges, 1000U);
}

}  // namespace
}  // namespace pgw::persistence
