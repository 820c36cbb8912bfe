#include "store/persistence/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"

namespace pgw::persistence {
namespace {

using ::testing::ElementsAre;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using Operation = FaultFileSystem::Operation;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    header_.id[0] = 'i';
    header_.lineage[0] = 'l';
    header_.base_lsn = 5;
    files_.set_before_change([this](const FaultFileSystem::Call& call) {
      if (call.operation == Operation::kWrite) ++writes_;
      if (call.operation == Operation::kSync) ++syncs_;
    });
  }

  std::unique_ptr<Journal> Create() {
    auto journal = Journal::Create(files_, kPath, header_, header_.base_lsn, 0600);
    EXPECT_TRUE(journal);
    writes_ = 0;
    syncs_ = 0;
    return std::move(*journal);
  }
  static Result<Lsn> Append(Journal& journal, const std::vector<std::string_view>& records) {
    return journal.Append(records);
  }
  // "<lsn>:<record>" of all that holds.
  std::vector<std::string> Read() {
    const auto file = files_.Open(kPath, FileAccess::kRead);
    auto reader = JournalReader::Open(**file);
    EXPECT_TRUE(reader) << reader.error().message;
    std::vector<std::string> records;
    while (true) {
      const auto frame = reader->Next();
      EXPECT_TRUE(frame);
      if (!*frame) break;
      RecordCursor cursor((*frame)->header, (*frame)->body);
      for (Lsn lsn = (*frame)->header.first_lsn; const auto record = cursor.Next(); ++lsn) {
        records.push_back(std::to_string(lsn) + ":" + std::string(*record));
      }
    }
    valid_bytes_ = reader->offset();
    return records;
  }
  std::string OpenError() {
    const auto file = files_.Open(kPath, FileAccess::kRead);
    const auto reader = JournalReader::Open(**file);
    return reader ? "" : reader.error().message;
  }
  std::uint64_t FileBytes() { return files_.Contents()[kPath].size(); }

  const std::string kPath = testing::kPath;
  FaultFileSystem files_{testing::kFolder};
  JournalHeader header_;
  int writes_ = 0;
  int syncs_ = 0;
  std::uint64_t valid_bytes_ = 0;
};

TEST_F(JournalTest, WritesABatchAtOnceAndSyncsOnlyWhenAsked) {
  const auto journal = Create();
  EXPECT_EQ(*Append(*journal, {"a", "b"}), 5U);
  EXPECT_EQ(*Append(*journal, {"c"}), 7U);
  EXPECT_EQ(writes_, 2);
  EXPECT_EQ(syncs_, 0);
  EXPECT_FALSE(journal->fully_durable());
  EXPECT_TRUE(journal->Sync());
  EXPECT_EQ(syncs_, 1);
  EXPECT_TRUE(journal->fully_durable());
  EXPECT_THAT(Read(), ElementsAre("5:a", "6:b", "7:c"));
  EXPECT_EQ(valid_bytes_, journal->size());
}

TEST_F(JournalTest, SmallPushCostsFewBytes) {
  const auto journal = Create();
  const std::uint64_t before = journal->size();
  ASSERT_TRUE(Append(*journal, {std::string(1024, 'x')}));
  EXPECT_LE(journal->size() - before, 1024U + 50U);
}

TEST_F(JournalTest, FramesSayWhatWasDurableBeforeThem) {
  const auto journal = Create();
  journal->set_predecessor_durable(false);
  ASSERT_TRUE(Append(*journal, {"a"}));
  journal->set_predecessor_durable(true);
  ASSERT_TRUE(Append(*journal, {"b"}));
  const std::uint64_t size = journal->size();
  ASSERT_TRUE(journal->Sync());
  ASSERT_TRUE(Append(*journal, {"c"}));
  const auto file = files_.Open(kPath, FileAccess::kRead);
  auto reader = JournalReader::Open(**file);
  EXPECT_EQ((**reader->Next()).header.durable, 0U);
  EXPECT_EQ((**reader->Next()).header.durable, kJournalHeaderBytes);
  EXPECT_EQ((**reader->Next()).header.durable, size);
  EXPECT_TRUE(*reader->ProvesDurable(kJournalHeaderBytes, size - 1));
  EXPECT_FALSE(*reader->ProvesDurable(kJournalHeaderBytes, size));
  EXPECT_FALSE(*reader->ProvesDurable(size + 8, 0));
}

TEST_F(JournalTest, CutsOffWhatAFailedAppendLeft) {
  const auto journal = Create();
  ASSERT_TRUE(Append(*journal, {"a"}));
  const std::uint64_t size = journal->size();
  files_.set_capacity(size + 20);
  const Result<Lsn> failed = Append(*journal, {std::string(100, 'b')});
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("write /data/F: No space left on device"));
  EXPECT_EQ(FileBytes(), size);
  EXPECT_FALSE(Append(*journal, {std::string(100, 'b')}));
  files_.Heal();
  EXPECT_EQ(*Append(*journal, {"c"}), 6U);
  EXPECT_THAT(Read(), ElementsAre("5:a", "6:c"));
}

TEST_F(JournalTest, CutsLaterWhatItCouldNotCutAtOnce) {
  const auto journal = Create();
  ASSERT_TRUE(Append(*journal, {"a"}));
  files_.FailCall(files_.calls() + 1, EIO, true);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(Append(*journal, {std::string(100, 'b')}));
  files_.Heal();
  EXPECT_EQ(*Append(*journal, {"c"}), 6U);
  EXPECT_EQ(FileBytes(), journal->size());
  EXPECT_THAT(Read(), ElementsAre("5:a", "6:c"));
}

TEST_F(JournalTest, TakesNothingMoreAfterAFailedSync) {
  const auto journal = Create();
  ASSERT_TRUE(Append(*journal, {"a"}));
  files_.FailCall(files_.calls() + 1, EIO, false);
  EXPECT_FALSE(journal->Sync());
  EXPECT_TRUE(journal->failure());
  const Result<Lsn> refused = Append(*journal, {"b"});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("sync /data/F: Input/output error"));
  // The kernel would now say that all is well.
  EXPECT_FALSE(journal->Sync());
  EXPECT_FALSE(journal->AppendClose());
}

TEST_F(JournalTest, ReaderEndsBeforeAFrameThatIsCutOff) {
  const auto journal = Create();
  ASSERT_TRUE(Append(*journal, {"a"}));
  const std::uint64_t size = journal->size();
  ASSERT_TRUE(Append(*journal, {"b"}));
  const std::string whole = files_.Contents()[kPath];
  for (std::uint64_t cut = size; cut < whole.size(); ++cut) {
    files_.Put(kPath, whole.substr(0, cut));
    EXPECT_THAT(Read(), ElementsAre("5:a"));
    EXPECT_EQ(valid_bytes_, size);
  }
}

TEST_F(JournalTest, ReaderEndsBeforeAFrameThatIsOutOfOrder) {
  std::string bytes = EncodeJournalHeader(header_);
  const auto append = [&](Lsn lsn) {
    FrameHeader header;
    header.first_lsn = lsn;
    const std::vector<std::string_view> records = {"r"};
    AppendFrame(ChecksumSeeds(header_.id), bytes.size(), header, records, bytes);
  };
  append(9);
  append(10);
  append(12);
  files_.Put(kPath, bytes);
  EXPECT_THAT(Read(), ElementsAre("9:r", "10:r"));
  bytes.resize(kJournalHeaderBytes);
  append(4);  // before the base
  files_.Put(kPath, bytes);
  EXPECT_THAT(Read(), ElementsAre());
}

TEST_F(JournalTest, HeaderDoesNotHoldWithAnyBitFlipped) {
  const std::string header = EncodeJournalHeader(header_);
  ASSERT_EQ(header.size(), kJournalHeaderBytes);
  for (std::size_t bit = 0; bit < header.size() * 8; ++bit) {
    files_.Put(kPath, header);
    files_.FlipBit(kPath, bit);
    EXPECT_THAT(OpenError(), HasSubstr("/data/F: damaged at offset ")) << "bit " << bit;
  }
  files_.Put(kPath, header);
  EXPECT_EQ(OpenError(), "");
}

TEST_F(JournalTest, NamesWhatIsWrongWithAHeader) {
  files_.Put(kPath, "");
  EXPECT_EQ(OpenError(), "/data/F: damaged at offset 0: the file is empty");
  files_.Put(kPath, "# HELP something else");
  EXPECT_EQ(OpenError(), "/data/F: damaged at offset 0: not a journal");
  files_.Put(kPath, EncodeJournalHeader(header_).substr(0, 40));
  EXPECT_EQ(OpenError(), "/data/F: damaged at offset 40: the header is cut off");
  std::string later = EncodeJournalHeader(header_);
  later[8] = 2;
  files_.Put(kPath, later);
  EXPECT_EQ(OpenError(), "/data/F: damaged at offset 8: format version 2, expected 1");
}

TEST_F(JournalTest, SearchIsNotFooledByWhatIsInsideRecords) {
  // What looks like frames of the journal, written by somebody who does not know its identity.
  std::string forged;
  FrameHeader header;
  header.first_lsn = 6;
  header.durable = 90;
  const std::vector<std::string_view> inner = {"forged"};
  for (int i = 0; i < 50; ++i) {
    forged.append(Aligned(forged.size()) - forged.size(), '\0');
    AppendFrame(ChecksumSeeds(FileId{}), 120 + forged.size(), header, inner, forged);
  }
  const auto journal = Create();
  ASSERT_TRUE(Append(*journal, {forged}));
  const auto file = files_.Open(kPath, FileAccess::kRead);
  auto reader = JournalReader::Open(**file);
  EXPECT_EQ(*reader->FindFrame(kJournalHeaderBytes), kJournalHeaderBytes);
  EXPECT_EQ(*reader->FindFrame(kJournalHeaderBytes + 8), reader->size());
  EXPECT_FALSE(*reader->ProvesDurable(kJournalHeaderBytes + 8, 0));
}

TEST_F(JournalTest, RefusesABatchThatNoFrameHolds) {
  const auto journal = Create();
  // The same bytes again and again: only their number counts.
  const std::string piece(64 << 20, 'x');
  const std::vector<std::string_view> records(8, piece);
  const Result<Lsn> refused = Append(*journal, records);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kTooLarge);
  EXPECT_EQ(*Append(*journal, {"a"}), 5U);
}

TEST_F(JournalTest, ClosesOnce) {
  const auto journal = Create();
  ASSERT_TRUE(Append(*journal, {"a"}));
  ASSERT_TRUE(journal->Sync());
  ASSERT_TRUE(journal->AppendClose());
  const std::uint64_t size = journal->size();
  ASSERT_TRUE(journal->AppendClose());
  EXPECT_EQ(journal->size(), size);
  EXPECT_EQ(*Append(*journal, {"b"}), 6U);
  EXPECT_THAT(Read(), ElementsAre("5:a", "6:b"));
}

}  // namespace
}  // namespace pgw::persistence
