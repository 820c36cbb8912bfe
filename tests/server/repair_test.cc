// What repair makes of commands: which are kept, and by which clock they expire where it is not
// known any more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/persistence_tools.h"
#include "store/command_record.h"
#include "tests/server/running_store.h"
#include "tests/support/random.h"

namespace pgw {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::AtSeconds;
using ::testing::ElementsAre;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kFolder;
using testing::kPath;
using ::testing::Not;
using testing::Random;
using testing::Running;

const std::string kJournal = kPath + ".journal";
const std::string kOut = kFolder + "/out";

struct Frame {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::vector<std::string> jobs;  // that are pushed to in it
};

std::vector<Frame> FramesOf(FaultFileSystem& files, const std::string& path) {
  std::vector<Frame> frames;
  const auto file = files.Open(path, FileAccess::kRead);
  auto reader = persistence::JournalReader::Open(**file);
  EXPECT_TRUE(reader);
  for (auto next = reader->Next(); *next; next = reader->Next()) {
    Frame& frame = frames.emplace_back((*next)->offset, (*next)->header.frame_bytes());
    persistence::RecordCursor cursor((*next)->header, (*next)->body);
    while (const auto record = cursor.Next()) {
      const Result<CommandRecord> command = ReadCommandRecord(*record);
      EXPECT_TRUE(command);
      if (command->kind != CommandKind::kPush) continue;
      frame.jobs.emplace_back(SplitGroupKey(command->group).front().second);
    }
  }
  return frames;
}

// The jobs that a store shows.
std::vector<std::string> Jobs(MetricStore& store, Instant now) {
  std::vector<GroupView> views;
  for (std::size_t cursor = 0;;) {
    cursor = store.ListGroups(now, cursor, 16, views);
    if (cursor == 0) break;
  }
  std::vector<std::string> jobs;
  for (const GroupView& view : views) {
    jobs.emplace_back(SplitGroupKey(view.key).front().second);
  }
  std::ranges::sort(jobs);
  return jobs;
}

class RepairFilesTest : public ::testing::Test {
 protected:
  // The n-th frame of the journal.
  void DamageFrame(std::size_t n) {
    files_.FlipBit(kJournal, 8 * (FramesOf(files_, kJournal).at(n).offset + 42));
  }

  FaultFileSystem files_{kFolder};
};

TEST_F(RepairFilesTest, KeepsDeadlinesByTheWallClockBehindALostSession) {
  {
    Running server(files_, {.ttl = 100s, .start = AtSeconds(5'000)});
    server.Push("old", "x 1\n", 5'000);
    server.Push("young", "x 1\n", 5'050);
  }
  files_.Kill();
  // Another boot, whose clock is far behind, 20 s later; its session is in its first frame.
  const auto later = [](std::int64_t seconds) {
    return Instant{BootTime(std::chrono::seconds(seconds)), AtSeconds(5'060 + seconds).wall};
  };
  {
    Running server(files_, {.ttl = 100s, .boot_id = "second", .start = later(10)});
    server.Push("lost", "x 1\n", later(10));
    server.Push("kept", "x 1\n", later(20));  // 5080 of the first clock
    server.Push("kept too", "x 1\n", later(21));
  }
  files_.Kill();
  DamageFrame(2);
  const ToolResult repair = RepairFiles(files_, kPath, kOut);
  EXPECT_EQ(repair.exit_code, 2) << *repair.error;
  EXPECT_THAT(repair.text, AllOf(HasSubstr("records 4 to 5 are missing"),
                                 HasSubstr("what missing records pushed is not there"),
                                 HasSubstr("goes by the wall clock"), HasSubstr("4 groups")));
  // Of whichever boot the next start is, only the wall clock counts.
  for (const std::string boot : {"boot", "second", "third"}) {
    const auto clone = files_.Clone();
    const auto start = [&](std::int64_t seconds) {
      FaultFileSystem& files = *clone;
      const Instant now{BootTime(30s), AtSeconds(seconds).wall};
      Running server(files, {.ttl = 100s, .boot_id = boot, .start = now, .path = kOut});
      return Jobs(server.store, now);
    };
    EXPECT_THAT(start(5'099), ElementsAre("kept", "kept too", "old", "young"));
    EXPECT_THAT(start(5'100), ElementsAre("kept", "kept too", "young"));
    EXPECT_THAT(start(5'150), ElementsAre("kept", "kept too"));
    EXPECT_THAT(start(5'180), ElementsAre("kept too"));
    EXPECT_THAT(start(5'181), IsEmpty());
  }
}

TEST_F(RepairFilesTest, TakesASessionBehindAGapAsItIs) {
  {
    Running server(files_, {.ttl = 100s});
    server.Push("a", "x 1\n", 10);
    server.Push("lost", "x 1\n", 20);
  }
  files_.Kill();
  {
    Running server(files_, {.ttl = 100s, .start = AtSeconds(30)});
    server.Push("b", "x 1\n", 30);
  }
  files_.Kill();
  DamageFrame(1);
  const ToolResult repair = RepairFiles(files_, kPath, kOut);
  EXPECT_EQ(repair.exit_code, 2);
  EXPECT_THAT(repair.text, Not(HasSubstr("wall clock")));
  // The boot's clock goes on, whatever the wall clock says.
  const WallTime far{std::chrono::hours(100'000)};
  const auto clone = files_.Clone();
  Running before(files_, {.ttl = 100s, .start = {BootTime(109s), far}, .path = kOut});
  EXPECT_THAT(Jobs(before.store, {BootTime(109s), far}), ElementsAre("a", "b"));
  Running after(*clone, {.ttl = 100s, .start = {BootTime(110s), far}, .path = kOut});
  EXPECT_THAT(Jobs(after.store, {BootTime(110s), far}), ElementsAre("b"));
}

TEST_F(RepairFilesTest, BringsBackWhatALostDeleteRemoved) {
  const Result<GroupKey> key = GroupKey::Make({{"job", "deleted"}});
  {
    Running server(files_);
    server.Push("deleted", "x 1\n", 1);
    Command command;
    AppendDeleteRecord(AtSeconds(2), key->bytes(), command.record);
    command.received = AtSeconds(2).boot;
    ASSERT_TRUE(server.durable->Commit({&command, 1}, true));
    server.Push("other", "x 1\n", 3);
  }
  files_.Kill();
  DamageFrame(1);
  const ToolResult repair = RepairFiles(files_, kPath, kOut);
  EXPECT_EQ(repair.exit_code, 2);
  EXPECT_THAT(repair.text, HasSubstr("what they deleted is there again"));
  Running server(files_, {.start = AtSeconds(4), .path = kOut});
  EXPECT_THAT(Jobs(server.store, AtSeconds(4)), ElementsAre("deleted", "other"));
}

// Several servers of several boots, each with pushes to jobs of its own.
void FillWithSessions(FaultFileSystem& files, Random& random) {
  std::uint64_t job = 0;
  for (std::uint64_t run = 0; run < 3; ++run) {
    const Instant start{BootTime(std::chrono::seconds(random.Below(1'000))),
                        WallTime(std::chrono::seconds(10'000 * (run + 1)))};
    const std::string boot = random.OneIn(2) ? "boot" : "boot" + std::to_string(run);
    const std::chrono::seconds ttl = random.OneIn(2) ? 0s : 1'000'000s;
    Running server(files, {.ttl = ttl, .boot_id = boot, .start = start, .seed = run + 1});
    if (random.OneIn(4)) server.Snapshot();
    Instant now = start;
    for (std::uint64_t count = 1 + random.Below(6); count > 0; --count) {
      server.Push(std::to_string(++job), "x 1\n", now);
      now = {now.boot + 1s, now.wall + 1s};
    }
    if (random.OneIn(2)) {
      ASSERT_TRUE(server.durable->Close(now));
    }
    files.Kill();
  }
}

TEST(RandomRepairTest, KeepsEveryPushInAFrameThatHolds) {
  std::uint64_t gaps = 0;
  for (std::uint64_t seed = 1; seed <= 200 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    FaultFileSystem files(kFolder);
    FillWithSessions(files, random);
    files.Kill();
    std::string bytes = files.Contents()[kJournal];
    std::vector<std::string> jobs;
    for (const Frame& frame : FramesOf(files, kJournal)) {
      if (random.OneIn(4)) {
        bytes[frame.offset + random.Below(frame.bytes)] ^= 1;
        continue;
      }
      jobs.insert(jobs.end(), frame.jobs.begin(), frame.jobs.end());
    }
    files.Put(kJournal, bytes);
    const ToolResult repair = RepairFiles(files, kPath, kOut);
    if (jobs.empty() && repair.exit_code == 1) continue;
    ASSERT_NE(repair.exit_code, 1) << *repair.error;
    gaps += repair.text.find("behind a gap") != std::string::npos ? 1 : 0;
    std::ranges::sort(jobs);
    const Instant now{BootTime(2'000s), WallTime(40'000s)};
    Running server(files, {.start = now, .path = kOut, .seed = 99});
    std::vector<std::string> found = Jobs(server.store, now);
    EXPECT_TRUE(std::ranges::includes(found, jobs)) << repair.text;
    EXPECT_EQ(CheckFiles(files, kOut).exit_code, 0);
  }
  EXPECT_GT(gaps, 50U);
}

}  // namespace
}  // namespace pgw
