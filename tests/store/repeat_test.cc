// The same push once more, without a look into its body: only where it must come to the same.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/text_parser.h"
#include "store/fingerprint.h"
#include "store/metric_store.h"
#include "tests/support/store_driver.h"

namespace pgw::testing {
namespace {

using std::chrono::milliseconds;
using LabelList = std::vector<std::pair<std::string_view, std::string_view>>;

const LabelList kGroup{{"job", "j"}};
constexpr char kBody[] = "# HELP m First.\n# TYPE m gauge\nm 1\n# TYPE n counter\nn 2\n";
constexpr std::int64_t kTtl = 1000;
constexpr int kMany = 20'000;

std::string ManyFamilies() {
  std::string body;
  for (int i = 0; i < kMany; ++i) body += "m" + std::to_string(i) + " 1\n";
  return body;
}

class RepeatTest : public ::testing::Test {
 protected:
  static GroupKey Key(const LabelList& group) { return *GroupKey::Make(group); }

  Status Push(std::string_view body, std::int64_t now, const LabelList& group = kGroup,
              PushMode mode = PushMode::kMerge) {
    FamilySet set;
    if (Status status = ParseText(body, NameValidation::kUtf8, set); !status) return status;
    const GroupKey key = Key(group);
    PushCommand command;
    command.group = &key;
    command.mode = mode;
    command.families = &set;
    command.received = At(now);
    command.deadline = At(now + kTtl).boot;
    command.fingerprint = FingerprintOf(body, 0);
    return store_.Push(command);
  }

  bool Repeats(std::string_view body, std::int64_t now, const LabelList& group = kGroup,
               std::int64_t ttl = kTtl) {
    const GroupKey key = Key(group);
    return store_.Repeat({&key, FingerprintOf(body, 0), At(now), At(now + ttl).boot});
  }

  std::string Scrape(std::int64_t now) {
    const auto snapshot = store_.SnapshotAt(At(now));
    std::string text;
    for (std::size_t i = 0; i < snapshot->family_count(); ++i) {
      const Snapshot::FamilyView family = snapshot->family(i);
      if (family.name.starts_with("push_")) continue;
      text.append(family.header);
      std::vector<std::string_view> pieces;
      std::vector<std::unique_ptr<std::string>> scratch;
      snapshot->AppendText(i, pieces, scratch);
      for (const std::string_view piece : pieces) text.append(piece);
    }
    return text;
  }

  GroupView Group(std::int64_t now) {
    std::vector<GroupView> groups;
    store_.ListGroups(At(now), 0, 10, groups);
    return groups.empty() ? GroupView() : std::move(groups.front());
  }

  MetricStore store_{StoreOptions()};
};

TEST_F(RepeatTest, RenewsDeadlinesAndTimes) {
  EXPECT_FALSE(Repeats(kBody, 0));
  ASSERT_TRUE(Push(kBody, 0).ok());
  const std::string before = Scrape(1);
  EXPECT_TRUE(Repeats(kBody, 900));
  EXPECT_EQ(Scrape(1800), before);
  const GroupView group = Group(1800);
  EXPECT_EQ(group.last_success, At(900).wall);
  EXPECT_EQ(group.last_failure, std::nullopt);
  EXPECT_EQ(group.deadline, At(1900).boot);
  ASSERT_EQ(group.families.size(), 2U);
  EXPECT_EQ(group.families[1].pushed, At(900).wall);
  EXPECT_EQ(group.families[1].deadline, At(1900).boot);
  EXPECT_EQ(Scrape(1900), "");
}

TEST_F(RepeatTest, GoesOnForEverWhateverReaperAndReadersDo) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  for (std::int64_t now = 100; now < 10'000; now += 100) {
    EXPECT_TRUE(Repeats(kBody, now));
    EXPECT_EQ(store_.EraseExpired(At(now + 50).boot, 100).families, 0U);
    EXPECT_NE(Scrape(now + 60), "");
  }
}

TEST_F(RepeatTest, WantsTheSameBody) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  EXPECT_FALSE(Repeats("m 1\n", 1));
  EXPECT_TRUE(Repeats(kBody, 2));
}

TEST_F(RepeatTest, WantsTheSameGroup) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  EXPECT_FALSE(Repeats(kBody, 1, {{"job", "j"}, {"instance", "i"}}));
}

TEST_F(RepeatTest, IsVoidAfterAnotherPush) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  ASSERT_TRUE(Push("other 1\n", 1).ok());
  EXPECT_FALSE(Repeats(kBody, 2));
  EXPECT_TRUE(Repeats("other 1\n", 3));
}

TEST_F(RepeatTest, IsVoidAfterARefusedPush) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  ASSERT_FALSE(Push("m 1 5\n", 1).ok());
  EXPECT_FALSE(Repeats(kBody, 2));
  EXPECT_FALSE(Repeats("m 1 5\n", 3));
}

TEST_F(RepeatTest, IsVoidAfterDeletionAndWipe) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  ASSERT_TRUE(store_.Delete(Key(kGroup), At(1)));
  EXPECT_FALSE(Repeats(kBody, 2));
  ASSERT_TRUE(Push(kBody, 3).ok());
  store_.Wipe(At(4));
  EXPECT_FALSE(Repeats(kBody, 5));
  ASSERT_TRUE(Push("m 7\n", 6).ok());  // the same place, another group's memory
  EXPECT_FALSE(Repeats(kBody, 7));
}

TEST_F(RepeatTest, DoesNotOutliveWhatItPushed) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  EXPECT_FALSE(Repeats(kBody, 1000));
  ASSERT_TRUE(Push(kBody, 1001).ok());
  Scrape(2001);  // a reader that is ahead has seen it expire
  EXPECT_FALSE(Repeats(kBody, 1500));
  store_.EraseExpired(At(2001).boot, 100);
  EXPECT_FALSE(Repeats(kBody, 2001));
}

TEST_F(RepeatTest, IsVoidOnceAFamilyOfTheGroupWasErased) {
  ASSERT_TRUE(Push("old 1\n", 0).ok());
  ASSERT_TRUE(Push(kBody, 500).ok());
  EXPECT_TRUE(Repeats(kBody, 900));
  EXPECT_EQ(store_.EraseExpired(At(1100).boot, 100).families, 1U);
  EXPECT_FALSE(Repeats(kBody, 1200));
  ASSERT_TRUE(Push(kBody, 1200).ok());
  EXPECT_TRUE(Repeats(kBody, 1300));
}

TEST_F(RepeatTest, DoesNotShortenLives) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  EXPECT_FALSE(Repeats(kBody, 1, kGroup, 500));
  EXPECT_TRUE(Repeats(kBody, 1));
}

TEST_F(RepeatTest, TakesEffectWhereItIsOvertaken) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  Scrape(400);
  EXPECT_TRUE(Repeats(kBody, 300));
  EXPECT_EQ(Group(400).deadline, At(1400).boot);
}

// The help of the most recent push is shown.
TEST_F(RepeatTest, ShowsItsHelpAgain) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  ASSERT_TRUE(Push("# HELP m Second.\n# TYPE m gauge\nm 3\n", 1, {{"job", "k"}}).ok());
  EXPECT_NE(Scrape(2).find("Second."), std::string::npos);
  EXPECT_TRUE(Repeats(kBody, 3));
  EXPECT_NE(Scrape(4).find("First."), std::string::npos);
}

// Nothing that contradicts what is there could have come in meanwhile.
TEST_F(RepeatTest, StaysTrueBesideOtherGroups) {
  ASSERT_TRUE(Push("m{instance=\"i\"} 1\n", 0).ok());
  ASSERT_FALSE(Push("m 1\n", 1, {{"job", "j"}, {"instance", "i"}}).ok());
  ASSERT_FALSE(Push("# TYPE m counter\nm 1\n", 1, {{"job", "k"}}).ok());
  EXPECT_TRUE(Repeats("m{instance=\"i\"} 1\n", 2));
  EXPECT_FALSE(store_.SnapshotAt(At(3))->inconsistency());
}

TEST_F(RepeatTest, RenewsWhatLinesDoNotSay) {
  constexpr char kEscaped[] = "{\"a.b\"} 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_count 4\n";
  ASSERT_TRUE(Push(kEscaped, 0).ok());
  const std::string before = Scrape(1);
  EXPECT_TRUE(Repeats(kEscaped, 900));
  EXPECT_EQ(Scrape(1800), before);
  EXPECT_FALSE(Group(1800).families[0].samples.message.empty());
}

TEST_F(RepeatTest, CoversBodiesWithoutSamples) {
  ASSERT_TRUE(Push(kBody, 0).ok());
  ASSERT_TRUE(Push("# nothing\n", 100).ok());
  EXPECT_TRUE(Repeats("# nothing\n", 900));
  EXPECT_EQ(Scrape(1000), "");
  EXPECT_EQ(Group(1000).last_success, At(900).wall);
}

// More families than a thread keeps room for.
TEST_F(RepeatTest, RenewsAllOfVeryManyFamilies) {
  const std::string body = ManyFamilies();
  ASSERT_TRUE(Push(body, 0).ok());
  ASSERT_TRUE(Repeats(body, 600));
  EXPECT_EQ(Group(1500).families.size(), std::size_t{kMany});
}

TEST_F(RepeatTest, RenewsASmallPushBehindARefusedOneOfVeryMany) {
  ASSERT_FALSE(Push(ManyFamilies() + "twice 1\ntwice 1\n", 0).ok());
  ASSERT_TRUE(Push(kBody, 1).ok());
  ASSERT_TRUE(Repeats(kBody, 600));
  EXPECT_EQ(Group(1500).families.size(), 2U);
}

TEST_F(RepeatTest, HoldsForAReplacingPush) {
  ASSERT_TRUE(Push("old 1\n", 0).ok());
  ASSERT_TRUE(Push(kBody, 100, kGroup, PushMode::kReplace).ok());
  EXPECT_TRUE(Repeats(kBody, 200));
  EXPECT_EQ(Scrape(201).find("old"), std::string::npos);
}

TEST_F(RepeatTest, LeavesNoTraceInTheFootprint) {
  ASSERT_TRUE(Push("m 1\n", 0).ok());
  ASSERT_TRUE(store_.Delete(Key(kGroup), At(1)));
  const std::size_t empty = store_.Stats().bytes;
  ASSERT_TRUE(Push(kBody, 2).ok());
  ASSERT_TRUE(Push("m 1\n", 3).ok());
  ASSERT_TRUE(store_.Delete(Key(kGroup), At(4)));
  EXPECT_EQ(store_.Stats().bytes, empty);
}

TEST(UncheckedRepeatTest, IsNotTaken) {
  MetricStore store({.check_consistency = false, .own_families = {}});
  EXPECT_FALSE(store.TakesRepeats());
  FamilySet set;
  ASSERT_TRUE(ParseText(kBody, NameValidation::kLegacy, set));
  const GroupKey key = *GroupKey::Make(kGroup);
  PushCommand command;
  command.group = &key;
  command.families = &set;
  command.received = At(0);
  command.fingerprint = FingerprintOf(kBody, 0);
  ASSERT_TRUE(store.Push(command).ok());
  EXPECT_FALSE(store.Repeat({&key, *command.fingerprint, At(1), kNever}));
}

}  // namespace
}  // namespace pgw::testing
