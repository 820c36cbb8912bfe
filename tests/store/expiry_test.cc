// Rules R2 to R5 and R9 of docs/ttl.md on the store itself, with time as an argument.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "store/expiry_calendar.h"
#include "store/metric_store.h"
#include "tests/support/store_driver.h"

namespace pgw::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const StoreDriver::LabelList kJobA = {{"job", "a"}};
const StoreDriver::LabelList kJobB = {{"job", "b"}};
constexpr const char kA[] = "a{instance=\"\",job=\"a\"} 1";
constexpr const char kB[] = "b{instance=\"\",job=\"a\"} 1";

TEST(ExpiryTest, FollowsTheWorkedExample) {
  StoreDriver driver({}, 120s);
  ASSERT_TRUE(driver.Post(kJobA, "a 1\nb 1\n", 0));
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 30'000));
  EXPECT_THAT(driver.Lines(119'999), UnorderedElementsAre(kA, kB));
  EXPECT_THAT(driver.Lines(120'000), UnorderedElementsAre(kA));
  EXPECT_FALSE(driver.Post(kJobA, "c 1 1\n", 140'000));
  EXPECT_THAT(
      driver.Lines(150'000, true),
      UnorderedElementsAre("push_time_seconds{instance=\"\",job=\"a\"} 1.00000003e+09",
                           "push_failure_time_seconds{instance=\"\",job=\"a\"} 1.00000014e+09"));
  EXPECT_EQ(driver.Groups(259'999).size(), 1u);
  EXPECT_EQ(driver.Scrape(260'000, true), "");
  EXPECT_THAT(driver.Groups(260'000), IsEmpty());
}

TEST(ExpiryTest, IsExactToTheMillisecondWithoutTheReaper) {
  StoreDriver driver({}, 2s);
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 5'000));
  EXPECT_THAT(driver.Lines(6'999), UnorderedElementsAre(kA));
  EXPECT_EQ(driver.Scrape(7'000, true), "");
}

TEST(ExpiryTest, EmptyPostRenewsTheGroupOnly) {
  StoreDriver driver({}, 10s);
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 0));
  ASSERT_TRUE(driver.Post(kJobA, "", 5'000));
  EXPECT_THAT(driver.Lines(10'000), IsEmpty());
  EXPECT_EQ(driver.Groups(14'999).size(), 1u);
  EXPECT_THAT(driver.Groups(15'000), IsEmpty());
}

TEST(ExpiryTest, AFailedPushRenewsNoData) {
  StoreDriver driver({}, 10s);
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 0));
  EXPECT_FALSE(driver.Post(kJobA, "a 1 1\n", 9'000));
  EXPECT_THAT(driver.Lines(9'999), UnorderedElementsAre(kA));
  EXPECT_THAT(driver.Lines(10'000), IsEmpty());
}

TEST(ExpiryTest, KeepsTheFailureTimeOfALivingGroup) {
  StoreDriver driver({}, 10s);
  EXPECT_FALSE(driver.Post(kJobA, "a 1 1\n", 1'000));
  for (std::int64_t now = 2'000; now <= 40'000; now += 1'000) {
    ASSERT_TRUE(driver.Post(kJobA, "a 1\n", now));
    driver.store().EraseExpired(At(now).boot, 100);
    EXPECT_TRUE(driver.Lines(now, true).contains(
        "push_failure_time_seconds{instance=\"\",job=\"a\"} 1.000000001e+09"));
  }
}

TEST(ExpiryTest, ExpiredDataNeitherConflictsNorMerges) {
  StoreDriver driver({}, 2s);
  ASSERT_TRUE(driver.Post(kJobA, "# TYPE x counter\nx 1\n", 0));
  EXPECT_FALSE(driver.Post(kJobB, "# TYPE x gauge\nx 1\n", 1'999));
  EXPECT_TRUE(driver.Post(kJobB, "# TYPE x gauge\nx 1\n", 2'000));
  EXPECT_EQ(driver.Scrape(2'000), "# TYPE x gauge\nx{instance=\"\",job=\"b\"} 1\n");
}

TEST(ExpiryTest, APushToAnExpiredGroupStartsANewOne) {
  StoreDriver driver({}, 2s);
  EXPECT_FALSE(driver.Post(kJobA, "a 1 1\n", 0));
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 500));
  ASSERT_TRUE(driver.Post(kJobA, "b 1\n", 2'500));
  EXPECT_THAT(
      driver.Lines(2'500, true),
      UnorderedElementsAre(kB, "push_time_seconds{instance=\"\",job=\"a\"} 1.0000000025e+09",
                           "push_failure_time_seconds{instance=\"\",job=\"a\"} 0"));
}

TEST(ExpiryTest, ANewGroupSurvivesTheErasingOfItsExpiredPredecessor) {
  StoreDriver driver({}, 2s);
  ASSERT_TRUE(driver.Post(kJobA, "a 1\nb 1\n", 0));
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 2'000));
  while (driver.store().EraseExpired(At(2'500).boot, 1).more) {
  }
  EXPECT_THAT(driver.Lines(2'500), UnorderedElementsAre(kA));
  EXPECT_EQ(driver.store().Stats().groups, 1u);
}

TEST(ExpiryTest, AnOvertakenPushDoesNotCutLivesShort) {
  StoreDriver driver({}, 2s);
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 5'000));
  ASSERT_TRUE(driver.Put(kJobA, "a 1\nb 1\n", 3'000));
  EXPECT_THAT(driver.Lines(6'999), UnorderedElementsAre(kA, kB));
  EXPECT_EQ(driver.Scrape(7'000, true), "");
}

TEST(ExpiryTest, ASnapshotIsNotTouchedByWhatHappensLater) {
  StoreDriver driver({}, 2s);
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 0));
  ASSERT_TRUE(driver.Post(kJobB, "a 1\n", 1'000));
  const auto snapshot = driver.store().SnapshotAt(At(2'500));
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 2'600));
  ASSERT_TRUE(driver.Delete(kJobB, 2'700));
  std::vector<std::string_view> pieces;
  std::vector<std::unique_ptr<std::string>> scratch;
  ASSERT_EQ(snapshot->family(0).name, "a");
  snapshot->AppendText(0, pieces, scratch);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0], "a{instance=\"\",job=\"b\"} 1\n");
}

TEST(ExpiryTest, ErasesInStepsAndReportsLags) {
  StoreDriver driver({}, 1s);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(driver.Post({{"job", std::to_string(i)}}, "a 1\nb 1\n", 0));
  }
  const std::size_t bytes = driver.store().Stats().bytes;
  EXPECT_EQ(driver.store().EraseExpired(At(999).boot, 1000).families, 0u);
  std::size_t families = 0;
  std::size_t groups = 0;
  bool more = true;
  while (more) {
    const ExpiryProgress progress = driver.store().EraseExpired(At(1'500).boot, 7);
    EXPECT_LE(progress.families, 7u);
    for (const auto lag : progress.lags) EXPECT_EQ(lag, 500ms);
    families += progress.families;
    groups += progress.groups;
    more = progress.more;
  }
  EXPECT_EQ(families, 100u);
  EXPECT_EQ(groups, 50u);
  EXPECT_EQ(driver.store().Stats().groups, 0u);
  EXPECT_LT(driver.store().Stats().bytes, bytes / 20);
  EXPECT_EQ(driver.store().NextExpiry(), kNever);
}

TEST(ExpiryTest, AWipeLeavesTheFreeingToTheReaper) {
  StoreDriver driver;
  int wakes = 0;
  driver.store().SetExpiryWaker([&wakes] { ++wakes; });
  ASSERT_TRUE(driver.Post(kJobA, "a 1\nb 1\n", 0));
  driver.store().Wipe(At(1));
  EXPECT_EQ(wakes, 1);
  EXPECT_NE(driver.store().NextExpiry(), kNever);
  EXPECT_EQ(driver.store().EraseExpired(At(1).boot, 1).freed, 0u) << "too little to tell";
  EXPECT_EQ(driver.store().NextExpiry(), kNever);
  ASSERT_TRUE(driver.Post(kJobA, "a{b=\"" + std::string(5u << 20, 'x') + "\"} 1\n", 2));
  driver.store().Wipe(At(3));
  EXPECT_GT(driver.store().EraseExpired(At(3).boot, 1).freed, 5u << 20);
}

TEST(ExpiryTest, GrowthIsToldAGoodPartAtATime) {
  StoreDriver driver;
  int wakes = 0;
  driver.store().SetExpiryWaker([&wakes] { ++wakes; });
  const std::string body = "a{b=\"" + std::string(10u << 20, 'x') + "\"} 1\n";
  const auto post = [&](int group) {
    ASSERT_TRUE(driver.Post({{"job", std::to_string(group)}}, body, 0));
  };
  const auto grown = [&] { return driver.store().EraseExpired(At(1).boot, 1).grown; };
  for (int group = 0; group < 3; ++group) post(group);
  EXPECT_EQ(wakes, 0);
  EXPECT_FALSE(grown());
  post(3);
  EXPECT_EQ(wakes, 1);
  EXPECT_TRUE(grown());
  EXPECT_FALSE(grown());
  post(4);
  EXPECT_EQ(wakes, 1) << "by less than 16 MB";
  post(5);
  EXPECT_EQ(wakes, 2);
  EXPECT_TRUE(grown());
  // What has become small may become large again.
  driver.store().Wipe(At(2));
  EXPECT_FALSE(grown());
  wakes = 0;
  for (int group = 0; group < 4; ++group) post(group);
  EXPECT_EQ(wakes, 1);
}

TEST(ExpiryTest, WithoutTtlNothingIsFiled) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 0));
  EXPECT_EQ(driver.store().NextExpiry(), kNever);
  EXPECT_THAT(driver.Lines(1'000'000'000'000), UnorderedElementsAre(kA));
}

TEST(ExpiryTest, WakesTheReaperOnlyForAnEarlierDeadline) {
  StoreDriver driver({}, 1s);
  int wakes = 0;
  driver.store().SetExpiryWaker([&wakes] { ++wakes; });
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 0));
  ASSERT_TRUE(driver.Post(kJobA, "a 1\n", 100));
  ASSERT_TRUE(driver.Post(kJobB, "b 1\n", 500));
  EXPECT_EQ(wakes, 1);
}

TEST(ExpiryCalendarTest, GivesEntriesOnceTheirPageHasCome) {
  ExpiryCalendar calendar;
  CalendarEntry first, second, third;
  calendar.File(first, 1'000'000'001);
  calendar.File(second, 1'050'000'000);
  calendar.File(third, 5'000'000'000);
  EXPECT_EQ(calendar.Next(), 1'100'000'000);
  EXPECT_EQ(calendar.FindDue(1'099'999'999), nullptr);
  for (int i = 0; i < 2; ++i) {
    CalendarEntry* const due = calendar.FindDue(1'100'000'000);
    ASSERT_NE(due, nullptr);
    calendar.Remove(*due);
  }
  EXPECT_EQ(calendar.FindDue(1'100'000'000), nullptr);
  EXPECT_EQ(calendar.Next(), 5'000'000'000);
  EXPECT_FALSE(first.filed);
  EXPECT_TRUE(third.filed);
}

TEST(ExpiryCalendarTest, MovesAnEntryOnlyToAnEarlierPage) {
  ExpiryCalendar calendar;
  CalendarEntry entry, other;
  calendar.File(other, 2'000'000'000);
  calendar.File(entry, 2'000'000'000);
  calendar.File(entry, 3'000'000'000);
  EXPECT_EQ(entry.page, 2'000'000'000);
  calendar.File(entry, 1'000'000'000);
  EXPECT_EQ(calendar.Next(), 1'000'000'000);
  calendar.Remove(entry);
  EXPECT_EQ(calendar.Next(), 2'000'000'000);
}

}  // namespace
}  // namespace pgw::testing
