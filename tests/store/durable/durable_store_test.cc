// What was acknowledged is there after any crash, command by command and deadline by deadline.
#include "store/durable/durable_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "tests/store/durable/durable_history.h"

namespace pgw::testing {
namespace {

// PGW_HISTORIES=100000 for a long run, PGW_SEED=… to begin elsewhere.
std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Sanitizers make it some ten times slower, and look for other things.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kShare = 12;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr std::uint64_t kShare = 12;
#else
constexpr std::uint64_t kShare = 1;
#endif
#else
constexpr std::uint64_t kShare = 1;
#endif

void PlayHistories(DurableHistoryOptions options, std::uint64_t count) {
  const std::uint64_t first = FromEnvironment("PGW_SEED", 1);
  count = FromEnvironment("PGW_HISTORIES", std::max<std::uint64_t>(1, count / kShare));
  std::uint64_t crashes = 0;
  std::uint64_t failed = 0;
  std::uint64_t unacknowledged = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t voided = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    options.seed = seed;
    DurableHistory history(options);
    ASSERT_EQ(history.Run(), "");
    crashes += history.crashes();
    failed += history.failed_commits();
    unacknowledged += history.unacknowledged_found();
    snapshots += history.snapshots();
    voided += history.void_snapshots();
  }
  ::testing::Test::RecordProperty("crashes", std::to_string(crashes));
  ::testing::Test::RecordProperty("failed", std::to_string(failed));
  ::testing::Test::RecordProperty("unacknowledged", std::to_string(unacknowledged));
  ::testing::Test::RecordProperty("snapshots", std::to_string(snapshots));
  ::testing::Test::RecordProperty("voided", std::to_string(voided));
  // A test that never meets what it is about proves nothing.
  if (count < 6) return;
  EXPECT_GT(snapshots, count / 2);
  if (options.disk_trouble) {
    EXPECT_GT(failed, count / 2);
  }
  if (options.crash_everywhere) {
    EXPECT_GT(crashes, 50 * count);
    EXPECT_GT(unacknowledged, count);
  }
}

TEST(DurableStoreTest, KeepsWhatWasAcknowledgedWhereverItCrashes) { PlayHistories({}, 50); }

// Among what it watches: text of groups that had expired in the old boot must not be seen again by
// the clock of the new one.
TEST(DurableStoreTest, KeepsDeadlinesByTheWallClockInOtherBoots) {
  DurableHistoryOptions options;
  options.other_boots = true;
  PlayHistories(options, 30);
}

TEST(DurableStoreTest, KeepsWhatWasAcknowledgedBesideDiskTrouble) {
  DurableHistoryOptions options;
  options.disk_trouble = true;
  PlayHistories(options, 50);
}

TEST(DurableStoreTest, KeepsWhatWasAcknowledgedOverLongHistories) {
  DurableHistoryOptions options;
  options.steps = 100;
  options.disk_trouble = true;
  options.crash_everywhere = false;
  PlayHistories(options, 8);
}

TEST(DurableStoreTest, WritesSnapshotsInStepsBesideCommits) {
  DurableHistoryOptions options;
  options.steps = 20;
  options.disk_trouble = true;
  options.crash_everywhere = false;
  options.large = true;
  PlayHistories(options, 6);
}

// ---- Restarts, to the nanosecond.

// Files with one push to group a at 1000 s of the boot's clock, wall clock 1,000,001,000 s.
class RestartTest : public ::testing::Test {
 protected:
  static constexpr std::int64_t kPushedMs = 1'000'000;

  void Push(std::int64_t ttl_s, bool snapshot) {
    Open("boot", ttl_s, At(kPushedMs));
    FamilySet set;
    ASSERT_TRUE(ParseText("m 1\n", NameValidation::kUtf8, set));
    const Result<GroupKey> key = GroupKey::Make({{"job", "a"}});
    PushCommand push;
    push.group = &*key;
    push.families = &set;
    push.received = At(kPushedMs);
    RecordedPush recorded;
    ASSERT_TRUE(store_->Record(push, recorded));
    Command command;
    command.record = recorded.record;
    command.received = push.received.boot;
    ASSERT_TRUE(durable_->Commit({&command, 1}, true));
    ASSERT_TRUE(command.result.ok());
    if (!snapshot) return;
    ASSERT_TRUE(durable_->PrepareSnapshot());
    const auto written =
        durable_->WriteSnapshot(durable_->BeginSnapshot(), [](std::size_t) { return true; });
    ASSERT_TRUE(written && *written == DurableStore::Written::kDone);
  }

  void Open(const std::string& boot_id, std::int64_t ttl_s, Instant now) {
    durable_.reset();
    files_.Kill();
    store_ = std::make_unique<MetricStore>(StoreOptions());
    DurableStore::Options options;
    options.session = {boot_id, std::chrono::seconds(ttl_s), now};
    options.storage = RepeatableOptions(++openings_);
    auto durable = DurableStore::Open(files_, kPath, *store_, std::move(options));
    ASSERT_TRUE(durable) << durable.error().message;
    durable_ = std::move(*durable);
  }

  // Visible until the nanosecond before, for readers of groups and of samples, and not after it.
  void ExpectUntil(std::int64_t boot_ms) {
    const Instant end = At(boot_ms);
    const auto before = store_->SnapshotAt({end.boot - std::chrono::nanoseconds(1), end.wall});
    EXPECT_EQ(before->groups(), 1U);
    EXPECT_EQ(before->series(), 3U);
    const auto after = store_->SnapshotAt(end);
    EXPECT_EQ(after->groups(), 0U);
    EXPECT_EQ(after->series(), 0U);
  }
  void ExpectForEver() {
    const Instant late = At(1'000'000'000'000);
    EXPECT_EQ(store_->SnapshotAt(late)->series(), 3U);
    EXPECT_EQ(store_->NextExpiry(), kNever);
  }
  static Instant Later(std::int64_t ms, std::int64_t wall_shift_ms) {
    return {At(kPushedMs + ms).boot, At(kPushedMs + ms + wall_shift_ms).wall};
  }
  // On the clock of another boot, which is at 50 s; the wall clock says that `ms` have passed.
  static constexpr std::int64_t kRebootMs = 50'000;
  static Instant Rebooted(std::int64_t ms) { return {At(kRebootMs).boot, At(kPushedMs + ms).wall}; }

  FaultFileSystem files_{kFolder};
  std::unique_ptr<MetricStore> store_;
  std::unique_ptr<DurableStore> durable_;
  std::uint64_t openings_ = 0;
};

// From the journal and from a snapshot it has to be the same.
class RestartFromTest : public RestartTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(, RestartFromTest, ::testing::Bool(), [](const auto& param) {
  return std::string(param.param ? "Snapshot" : "Journal");
});

TEST_P(RestartFromTest, IgnoresTheWallClockWithinABoot) {
  for (const std::int64_t shift_ms : {-3'600'000, 0, 3'600'000}) {
    files_.Hide(kPath);
    files_.Hide(kPath + ".journal");
    Push(60, GetParam());
    Open("boot", 60, Later(20'000, shift_ms));
    ExpectUntil(kPushedMs + 60'000);
  }
}

TEST_P(RestartFromTest, GivesTheRestByTheWallClockInAnotherBoot) {
  Push(60, GetParam());
  Open("another", 60, Rebooted(30'000));
  ExpectUntil(kRebootMs + 30'000);
}

TEST_P(RestartFromTest, DropsWhatIsTooOldByTheWallClockInAnotherBoot) {
  Push(60, GetParam());
  Open("another", 60, Rebooted(60'000));
  const auto snapshot = store_->SnapshotAt(Rebooted(60'000));
  EXPECT_EQ(snapshot->groups(), 0U);
  EXPECT_EQ(snapshot->series(), 0U);
}

TEST_P(RestartFromTest, GivesNoMoreThanTheTtlToWhatIsFromTheFuture) {
  Push(60, GetParam());
  Open("another", 60, Rebooted(-3'600'000));
  ExpectUntil(kRebootMs + 60'000);
}

TEST_P(RestartFromTest, TrustsNoClockOfABootWithoutAName) {
  Push(60, GetParam());
  Open("", 60, Rebooted(20'000));
  ExpectUntil(kRebootMs + 40'000);
}

TEST_P(RestartFromTest, ProlongsByALongerTtl) {
  Push(60, GetParam());
  Open("boot", 600, Later(20'000, 0));
  ExpectUntil(kPushedMs + 600'000);
}

TEST_P(RestartFromTest, KeepsForEverWithoutATtl) {
  Push(60, GetParam());
  Open("boot", 0, Later(20'000, 0));
  ExpectForEver();
}

TEST_P(RestartFromTest, CountsANewTtlFromThePush) {
  Push(0, GetParam());
  Open("boot", 60, Later(20'000, 0));
  ExpectUntil(kPushedMs + 60'000);
}

TEST_P(RestartFromTest, KeepsTheDeadlineOverAChainOfBoots) {
  Push(60, GetParam());
  Open("another", 60, Rebooted(30'000));
  ASSERT_TRUE(durable_->Commit({}, true));
  Open("another", 60, {At(kRebootMs + 10'000).boot, At(0).wall});
  ExpectUntil(kRebootMs + 30'000);
}

}  // namespace
}  // namespace pgw::testing
