// check, repair and export over files of a store, on a file system in memory.
#include "server/persistence_tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "tests/server/running_store.h"
#include "tests/store/durable/gob_store.h"

namespace pgw {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::AtSeconds;
using testing::FaultFileSystem;
using testing::GobSample;
using ::testing::HasSubstr;
using testing::kFolder;
using testing::kPath;
using ::testing::Not;
using testing::Running;

const std::string kOut = kFolder + "/out";

// What is in a file for Go.
std::string InGob(FaultFileSystem& files, const std::string& path = kOut) {
  testing::Imported imported(files.Contents()[path]);
  EXPECT_TRUE(imported.status.ok());
  return imported.Shown();
}

class PersistenceToolsTest : public ::testing::Test {
 protected:
  FaultFileSystem files_{kFolder};
};

TEST_F(PersistenceToolsTest, FindsSoundFilesSound) {
  {
    Running server(files_);
    server.Push("a", "x 1\n", 1);
    server.Snapshot();
    server.Push("b", "y 1\n", 2);
  }
  const auto before = files_.Contents();
  const ToolResult result = CheckFiles(files_, kPath);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_FALSE(result.error);
  EXPECT_THAT(result.text, AllOf(HasSubstr("snapshot, version 1"), HasSubstr("2 groups in all")));
  EXPECT_EQ(files_.Contents(), before);
}

TEST_F(PersistenceToolsTest, NamesFirstDamageAndSalvagesTheRest) {
  {
    Running server(files_);
    server.Push("a", "x 1\n", 1);
    server.Push("b", "y 1\n", 2);
    server.Push("c", "z 1\n", 3);
    ASSERT_TRUE(server.durable->Close(AtSeconds(4)));
  }
  const std::string journal = kPath + ".journal";
  const std::size_t at = files_.Contents()[journal].find("y{");
  ASSERT_NE(at, std::string::npos);
  files_.FlipBit(journal, 8 * at);
  const ToolResult check = CheckFiles(files_, kPath);
  EXPECT_EQ(check.exit_code, 1);
  ASSERT_TRUE(check.error);
  EXPECT_THAT(*check.error, AllOf(HasSubstr(journal), HasSubstr("offset")));
  EXPECT_EQ(ExportFiles(files_, kPath, kOut, "boot", AtSeconds(5)).error, check.error);
  EXPECT_FALSE(files_.Contents().contains(kOut + ".tmp"));

  const ToolResult repair = RepairFiles(files_, kPath, kOut);
  EXPECT_EQ(repair.exit_code, 2);
  EXPECT_THAT(repair.text, AllOf(HasSubstr("do not hold"), HasSubstr("2 groups in all")));
  EXPECT_EQ(CheckFiles(files_, kOut).exit_code, 0);
  EXPECT_EQ(RepairFiles(files_, kPath, kOut).exit_code, 1);
}

TEST_F(PersistenceToolsTest, KeepsAllOfASoundStoreWhenAskedToRepair) {
  {
    Running server(files_);
    server.Push("a", "x 1\n", 1);
  }
  files_.Kill();
  EXPECT_EQ(RepairFiles(files_, kPath, kOut).exit_code, 0);
}

// A server that was stopped before anything was pushed.
TEST_F(PersistenceToolsTest, AgreesThatAnEmptyStoreIsSound) {
  {
    Running server(files_);
  }
  EXPECT_EQ(CheckFiles(files_, kPath).exit_code, 0);
  const ToolResult repair = RepairFiles(files_, kPath, kOut);
  EXPECT_EQ(repair.exit_code, 0);
  EXPECT_THAT(repair.text,
              AllOf(HasSubstr("nothing has been stored yet"), HasSubstr("0 groups in all")));
  EXPECT_EQ(CheckFiles(files_, kOut).exit_code, 0);
}

TEST_F(PersistenceToolsTest, SaysThatThereIsNothing) {
  EXPECT_EQ(CheckFiles(files_, kPath).exit_code, 1);
  EXPECT_EQ(ExportFiles(files_, kPath, kOut, "", AtSeconds(0)).exit_code, 1);
  EXPECT_EQ(RepairFiles(files_, kPath, kOut).exit_code, 1);
  EXPECT_TRUE(files_.Contents().empty());
}

TEST_F(PersistenceToolsTest, TellsWhatAGoFileHolds) {
  files_.Put(kPath, GobSample("pushgateway_1_5_1.gob"));
  const ToolResult check = CheckFiles(files_, kPath);
  EXPECT_EQ(check.exit_code, 0);
  EXPECT_THAT(check.text, HasSubstr("takes over 3 groups with 3 families"));
  EXPECT_EQ(RepairFiles(files_, kPath, kOut).exit_code, 1);
  files_.Put(kPath, GobSample("pushgateway_1_5_1.gob").substr(0, 3000));
  EXPECT_THAT(*CheckFiles(files_, kPath).error, HasSubstr(kPath + ": byte 2141: a message"));
}

// A file that a Go Pushgateway wrote, with what was pushed here since.
TEST_F(PersistenceToolsTest, ExportsGoFileTogetherWithItsJournal) {
  files_.Put(kPath, GobSample("minimal.gob"));
  {
    Running server(files_);
    EXPECT_EQ(server.imported.groups, 1U);
    server.Push("a", "x 1\n", 1);
    server.Push("a", "x 2\n", 2);
    ASSERT_TRUE(server.durable->Close(AtSeconds(3)));
  }
  const ToolResult result = ExportFiles(files_, kPath, kOut, "boot", AtSeconds(9));
  EXPECT_EQ(result.exit_code, 0) << *result.error;
  EXPECT_THAT(result.text, HasSubstr("2 groups with 2 families"));
  EXPECT_THAT(InGob(files_), AllOf(HasSubstr("job=mini"), HasSubstr("job=\"a\"} value=2")));
}

TEST_F(PersistenceToolsTest, ImportsGoFileOnceAndKeepsIt) {
  const std::string original = GobSample("pushgateway_1_11_2.gob");
  files_.Put(kPath, original);
  std::string shown;
  {
    Running server(files_);
    EXPECT_GT(server.imported.groups, 0U);
    server.Snapshot();
    shown = testing::Contents(server.store, AtSeconds(1));
  }
  files_.Kill();
  EXPECT_EQ(files_.Contents()[kPath + ".gob.bak"], original);
  Running again(files_);
  EXPECT_EQ(again.imported.groups, 0U);
  EXPECT_EQ(testing::Contents(again.store, AtSeconds(1)), shown);
}

TEST_F(PersistenceToolsTest, ExportsNothingBesideARunningServer) {
  Running server(files_);
  server.Push("a", "x 1\n", 1);
  for (const ToolResult& result :
       {ExportFiles(files_, kPath, kOut, "boot", AtSeconds(9)), RepairFiles(files_, kPath, kOut)}) {
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(*result.error, HasSubstr(kPath + ".lock"));
  }
  EXPECT_EQ(CheckFiles(files_, kPath).exit_code, 0);
  EXPECT_FALSE(files_.Contents().contains(kOut));
}

TEST_F(PersistenceToolsTest, LeavesARunningServerAloneWithoutItsLockFile) {
  Running server(files_);
  server.Push("a", "x 1\n", 1);
  files_.Hide(kPath + ".lock");
  for (const ToolResult& result :
       {ExportFiles(files_, kPath, kOut, "boot", AtSeconds(9)), RepairFiles(files_, kPath, kOut)}) {
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(*result.error, HasSubstr(kPath + ".journal: held by another process"));
  }
  EXPECT_FALSE(files_.Contents().contains(kOut));
}

TEST_F(PersistenceToolsTest, LeavesOutWhatHasExpired) {
  {
    Running server(files_, {.ttl = 100s});
    server.Push("a", "x 1\n", 10);
    server.Push("b", "y 1\n", 60);
    ASSERT_TRUE(server.durable->Close(AtSeconds(70)));
  }
  // The same boot: its clock counts, whatever the wall clock says.
  const auto export_at = [this](const std::string& boot, Instant now) {
    (void)files_.Remove(kOut).ok();
    EXPECT_EQ(ExportFiles(files_, kPath, kOut, boot, now).exit_code, 0);
    return InGob(files_);
  };
  const WallTime far{std::chrono::hours(100'000)};
  EXPECT_THAT(export_at("boot", {BootTime(109s), far}), HasSubstr("job=a"));
  EXPECT_THAT(export_at("boot", {BootTime(110s), far}),
              AllOf(Not(HasSubstr("job=a")), HasSubstr("job=b")));
  // Another one: only the wall clock knows.
  EXPECT_THAT(export_at("other", {BootTime(1s), AtSeconds(110).wall}),
              AllOf(Not(HasSubstr("job=a")), HasSubstr("job=b")));
  EXPECT_EQ(export_at("other", {BootTime(1s), far}), "");
}

TEST_F(PersistenceToolsTest, LeavesNothingBehindWhenTheDiskFails) {
  files_.Put(kPath, GobSample("pushgateway_1_5_1.gob"));
  const auto before = files_.Contents();
  for (std::uint64_t call = 1;; ++call) {
    ASSERT_LT(call, 200U);
    files_.FailCall(files_.calls() + call, EIO, false);
    const ToolResult result = ExportFiles(files_, kPath, kOut, "boot", AtSeconds(1));
    files_.Heal();
    if (result.exit_code == 0) break;
    EXPECT_THAT(*result.error, Not(HasSubstr("it exists"))) << call;
    // What has its name is complete, even if nobody knows whether that lasts.
    if (files_.Contents().contains(kOut)) {
      EXPECT_THAT(InGob(files_), HasSubstr("job=failed"));
      (void)files_.Remove(kOut).ok();
    }
    EXPECT_EQ(files_.Contents(), before) << call;
  }
}

}  // namespace
}  // namespace pgw
