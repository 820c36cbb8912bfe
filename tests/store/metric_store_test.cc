#include "store/metric_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "exposition/number.h"
#include "tests/support/store_driver.h"

namespace pgw::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

const StoreDriver::LabelList kJobA = {{"job", "a"}};
const StoreDriver::LabelList kJobB = {{"job", "b"}};
const StoreDriver::LabelList kJobAInstance = {{"job", "a"}, {"instance", "i"}};

std::string MessageOf(const Status& status) { return status.ok() ? "" : status.error().message; }

TEST(MetricStoreTest, AddsGroupingLabelsAndAnEmptyInstance) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "m{job=\"x\",z=\"1\",a=\"\"} 1\n", 1));
  EXPECT_THAT(driver.Lines(1), UnorderedElementsAre("m{a=\"\",instance=\"\",job=\"a\",z=\"1\"} 1"));
}

TEST(MetricStoreTest, KeepsAnInstanceFromTheBodyUnlessItIsAGroupingLabel) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "m{instance=\"own\"} 1\n", 1));
  ASSERT_TRUE(driver.Post(kJobAInstance, "n{instance=\"own\"} 1\n", 1));
  EXPECT_THAT(driver.Lines(1), UnorderedElementsAre("m{instance=\"own\",job=\"a\"} 1",
                                                    "n{instance=\"i\",job=\"a\"} 1"));
}

TEST(MetricStoreTest, StampsBookkeepingFamilies) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "", 250));
  EXPECT_THAT(driver.Lines(250, true),
              UnorderedElementsAre("push_time_seconds{instance=\"\",job=\"a\"} 1.00000000025e+09",
                                   "push_failure_time_seconds{instance=\"\",job=\"a\"} 0"));
}

TEST(MetricStoreTest, StampsKeepTheirLengthAndAreAtMostOneDoubleLate) {
  StoreDriver driver;
  const GroupKey key = *GroupKey::Make({{"job", "a"}});
  std::size_t moved = 0;
  std::size_t shrunk = 0;
  std::size_t size = 0;
  for (std::int64_t i = 0; i < 1'000; ++i) {
    FamilySet set;
    PushCommand command;
    command.group = &key;
    command.families = &set;
    const std::int64_t wall = 1'764'000'000'123'456'789 + i * 1'234'567'891;
    command.received = {At(i).boot, WallTime(std::chrono::nanoseconds(wall))};
    ASSERT_TRUE(driver.store().Push(command));
    const std::vector<GroupView> groups = driver.Groups(i);
    ASSERT_TRUE(groups.at(0).last_success);
    const std::int64_t late = (*groups[0].last_success - command.received.wall).count();
    EXPECT_TRUE(late == 0 || late == 256) << late;
    if (late != 0) ++moved;
    std::string stamp = "push_time_seconds{instance=\"\",job=\"a\"} ";
    AppendFloat(UnixSeconds(*groups[0].last_success), stamp);
    EXPECT_EQ(driver.Lines(i, true).count(stamp), 1u) << stamp;
    if (stamp.size() < size) ++shrunk;
    size = stamp.size();
  }
  EXPECT_GT(moved, 100u);
  EXPECT_LT(shrunk, 20u);
}

TEST(MetricStoreTest, IgnoresBookkeepingFamiliesInBodies) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(
      kJobA, "# TYPE push_failure_time_seconds counter\npush_failure_time_seconds 7\n", 1));
  ASSERT_TRUE(driver.Post(kJobA, "push_failure_time_seconds 8\npush_time_seconds 9\n", 250));
  EXPECT_THAT(driver.Lines(250, true),
              UnorderedElementsAre("push_time_seconds{instance=\"\",job=\"a\"} 1.00000000025e+09",
                                   "push_failure_time_seconds{instance=\"\",job=\"a\"} 0"));
}

TEST(MetricStoreTest, PutDropsWhatPostKeeps) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "m 1\nn 2\n", 1));
  ASSERT_TRUE(driver.Post(kJobA, "n 3\n", 2));
  EXPECT_THAT(driver.Lines(2),
              UnorderedElementsAre("m{instance=\"\",job=\"a\"} 1", "n{instance=\"\",job=\"a\"} 3"));
  ASSERT_TRUE(driver.Put(kJobA, "n 4\n", 3));
  EXPECT_THAT(driver.Lines(3), UnorderedElementsAre("n{instance=\"\",job=\"a\"} 4"));
  ASSERT_TRUE(driver.Put(kJobA, "", 4));
  EXPECT_THAT(driver.Lines(4), IsEmpty());
  EXPECT_EQ(driver.Groups(4).size(), 1u);
}

TEST(MetricStoreTest, PostReplacesAFamilyAsAWhole) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "m{x=\"1\"} 1\nm{x=\"2\"} 2\n", 1));
  ASSERT_TRUE(driver.Post(kJobA, "m{x=\"3\"} 3\n", 2));
  EXPECT_THAT(driver.Lines(2), UnorderedElementsAre("m{instance=\"\",job=\"a\",x=\"3\"} 3"));
}

TEST(MetricStoreTest, DeleteIsExact) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "m 1\n", 1));
  ASSERT_TRUE(driver.Post(kJobAInstance, "m 2\n", 1));
  ASSERT_TRUE(driver.Delete(kJobA, 2));
  ASSERT_TRUE(driver.Delete(kJobB, 2));
  EXPECT_THAT(driver.Lines(2), UnorderedElementsAre("m{instance=\"i\",job=\"a\"} 2"));
  EXPECT_EQ(driver.Groups(2).size(), 1u);
}

TEST(MetricStoreTest, WipeTakesEverything) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "m 1\n", 1));
  ASSERT_TRUE(driver.Post(kJobB, "m 2\n", 1));
  const auto before = driver.store().SnapshotAt(At(1));
  driver.store().Wipe(At(2));
  EXPECT_EQ(driver.Scrape(2, true), "");
  EXPECT_THAT(driver.Groups(2), IsEmpty());
  EXPECT_EQ(before->series(), 6u);
  ASSERT_TRUE(driver.Post(kJobA, "m 3\n", 3));
  EXPECT_THAT(driver.Lines(3), UnorderedElementsAre("m{instance=\"\",job=\"a\"} 3"));
}

TEST(MetricStoreTest, RefusesTimestampsAndRecordsTheFailure) {
  StoreDriver driver;
  EXPECT_EQ(MessageOf(driver.Put(kJobA, "m 1 1000\n", 500)),
            "pushed metrics must not have timestamps");
  EXPECT_THAT(
      driver.Lines(500, true),
      UnorderedElementsAre("push_time_seconds{instance=\"\",job=\"a\"} 0",
                           "push_failure_time_seconds{instance=\"\",job=\"a\"} 1.0000000005e+09"));
  EXPECT_FALSE(driver.Groups(500).front().last_push_successful());
}

TEST(MetricStoreTest, FailedPutChangesNothingButTheFailureTime) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "m 1\n", 1000));
  EXPECT_FALSE(driver.Put(kJobA, "n 1 5\n", 2000));
  EXPECT_THAT(
      driver.Lines(2000, true),
      UnorderedElementsAre("m{instance=\"\",job=\"a\"} 1",
                           "push_time_seconds{instance=\"\",job=\"a\"} 1.000000001e+09",
                           "push_failure_time_seconds{instance=\"\",job=\"a\"} 1.000000002e+09"));
}

TEST(MetricStoreTest, RefusesAnotherTypeOfAStoredFamily) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "# TYPE m counter\nm 1\n", 1));
  EXPECT_EQ(MessageOf(driver.Post(kJobB, "m 2\n", 2)),
            "collected metric \"m\" { label:{name:\"instance\" value:\"\"} "
            "label:{name:\"job\" value:\"b\"} untyped:{value:2}} is not a COUNTER");
  EXPECT_THAT(driver.Lines(2), UnorderedElementsAre("m{instance=\"\",job=\"a\"} 1"));
}

TEST(MetricStoreTest, LetsAGroupChangeTheTypeOfItsOwnFamily) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "# TYPE m counter\nm 1\n", 1));
  ASSERT_TRUE(driver.Post(kJobA, "# TYPE m gauge\nm 2\n", 2));
  EXPECT_EQ(driver.Scrape(2), "# TYPE m gauge\nm{instance=\"\",job=\"a\"} 2\n");
}

TEST(MetricStoreTest, JudgesThePutByItsResult) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "# TYPE m summary\nm_sum 1\nm_count 1\n", 1));
  EXPECT_EQ(MessageOf(driver.Post(kJobA, "m_count 1\n", 2)),
            "collected metric named \"m_count\" collides with previously collected summary named "
            "\"m\"");
  EXPECT_TRUE(driver.Put(kJobA, "m_count 1\n", 3));
}

TEST(MetricStoreTest, RefusesSuffixCollisionsInEitherOrder) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "h_bucket 1\n", 1));
  EXPECT_EQ(MessageOf(driver.Post(kJobB, "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\n", 2)),
            "collected histogram named \"h\" collides with previously collected metric named "
            "\"h_bucket\"");
  ASSERT_TRUE(driver.Post(kJobB, "# TYPE s summary\ns_sum 1\n", 3));
  EXPECT_TRUE(driver.Post(kJobA, "s_bucket 1\n", 4));
  EXPECT_EQ(MessageOf(driver.Post(kJobA, "s_sum 1\n", 5)),
            "collected metric named \"s_sum\" collides with previously collected summary named "
            "\"s\"");
}

TEST(MetricStoreTest, RefusesASeriesThatAnotherGroupHas) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "m{instance=\"i\"} 1\n", 1));
  EXPECT_EQ(MessageOf(driver.Post(kJobAInstance, "m 2\n", 2)),
            "collected metric \"m\" { label:{name:\"instance\" value:\"i\"} "
            "label:{name:\"job\" value:\"a\"} untyped:{value:2}} was collected before with the "
            "same name and label values");
  EXPECT_TRUE(driver.Post(kJobAInstance, "m{x=\"1\"} 2\n", 3));
}

TEST(MetricStoreTest, CountsSeveralComplaints) {
  StoreDriver driver;
  const Status status = driver.Post(kJobA, "m 1\nm 2\nm 3\n", 1);
  EXPECT_THAT(MessageOf(status), StartsWith("2 error(s) occurred:\n* collected metric \"m\" { "));
}

TEST(MetricStoreTest, RefusesReservedLabelNames) {
  StoreDriver driver;
  EXPECT_EQ(MessageOf(driver.Post(kJobA, "m{__x=\"1\"} 1\n", 1)),
            "collected metric \"m\" { label:{name:\"__x\" value:\"1\"} "
            "label:{name:\"instance\" value:\"\"} label:{name:\"job\" value:\"a\"} "
            "untyped:{value:1}} has a label with an invalid name: __x");
}

TEST(MetricStoreTest, RefusesGroupingLabelsThatSummariesAndHistogramsUse) {
  StoreDriver driver;
  EXPECT_THAT(
      MessageOf(driver.Post({{"job", "a"}, {"quantile", "1"}}, "# TYPE s summary\ns_sum 1\n", 1)),
      HasSubstr("must not have an explicit \"quantile\" label"));
  EXPECT_THAT(
      MessageOf(driver.Post({{"job", "a"}, {"le", "1"}}, "# TYPE h histogram\nh_sum 1\n", 1)),
      HasSubstr("must not have an explicit \"le\" label"));
  EXPECT_TRUE(driver.Post({{"job", "a"}, {"le", "1"}}, "m 1\n", 2));
}

TEST(MetricStoreTest, RefusesAGroupWhoseBookkeepingWouldCollide) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "m 1\n", 1));
  const Status status = driver.Put({{"job", "a"}, {"instance", ""}}, "", 2);
  EXPECT_THAT(MessageOf(status), StartsWith("2 error(s) occurred:\n* collected metric "
                                            "\"push_time_seconds\" { "));
  EXPECT_EQ(driver.Groups(2).size(), 1u);
  ASSERT_TRUE(driver.Delete(kJobA, 3));
  EXPECT_TRUE(driver.Put({{"job", "a"}, {"instance", ""}}, "", 4));
}

TEST(MetricStoreTest, RefusesNamesThatCollideOnlyWhenEscaped) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "{\"a.b\"} 1\n", 1));
  EXPECT_EQ(MessageOf(driver.Post(kJobB, "a_b 1\n", 2)),
            "collected metrics named \"a_b\" and \"a.b\", both exposed as \"a_b\"");
  EXPECT_THAT(MessageOf(driver.Post(kJobB, "m{\"x.y\"=\"1\",x_y=\"2\"} 1\n", 3)),
              HasSubstr("has labels \"x.y\" and \"x_y\", both exposed as \"x_y\""));
  EXPECT_THAT(MessageOf(driver.Post(kJobB, "m{\"x.y\"=\"1\"} 1\nm{x_y=\"1\"} 1\n", 3)),
              HasSubstr("was collected before"));
}

TEST(MetricStoreTest, ShowsTheMostRecentHelp) {
  StoreDriver driver;
  ASSERT_TRUE(driver.Post(kJobA, "# HELP m first\nm 1\n", 1));
  ASSERT_TRUE(driver.Post(kJobB, "# HELP m second\nm 2\n", 2));
  EXPECT_THAT(driver.Scrape(2), StartsWith("# HELP m second\n# TYPE m untyped\n"));
  ASSERT_TRUE(driver.Post(kJobA, "m 3\n", 3));
  EXPECT_THAT(driver.Scrape(3), StartsWith("# HELP m second\n"));
}

// A delimited message: family m, untyped, one sample with the label x of that value.
std::string Message(std::string_view label_value) {
  const auto field = [](char tag, const std::string& text) {
    return std::string{tag, static_cast<char>(text.size())} + text;
  };
  const std::string label = field('\x0a', "x") + field('\x12', std::string(label_value));
  const std::string metric =
      field('\x0a', label) + field('\x2a', std::string("\x09\0\0\0\0\0\0\xf0\x3f", 9));
  const std::string family = field('\x0a', "m") + "\x18\x03" + field('\x22', metric);
  return static_cast<char>(family.size()) + family;
}

TEST(MetricStoreTest, RefusesLabelValuesThatAreNotUtf8) {
  StoreDriver driver;
  ASSERT_TRUE(driver.PostMessages(kJobA, Message("ok"), 1));
  EXPECT_THAT(MessageOf(driver.PostMessages(kJobB, Message("\xff"), 1)),
              HasSubstr("has a label named \"x\" whose value is not utf8: \"\\xff\""));
  EXPECT_THAT(driver.Lines(1), UnorderedElementsAre("m{instance=\"\",job=\"a\",x=\"ok\"} 1"));
}

// -0 is kept as a message beside its line.
TEST(MetricStoreTest, AccountsForAllThatItHolds) {
  StoreDriver driver;
  const std::size_t empty = driver.store().Stats().bytes;
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(driver.Put(kJobA, "m -0\n", 1));
    ASSERT_TRUE(driver.Put(kJobB, "m 1\n", 1));
    ASSERT_TRUE(driver.Put(kJobB, "m -0\n", 1));
    ASSERT_TRUE(driver.Delete(kJobA, 2));
    ASSERT_TRUE(driver.Delete(kJobB, 2));
    EXPECT_EQ(driver.store().Stats().bytes, empty) << "round " << round;
  }
}

class OwnFamiliesTest : public ::testing::Test {
 protected:
  static StoreOptions Options() {
    StoreOptions options;
    options.own_families = {
        {"process_open_fds", "Number of open file descriptors.", MetricType::kGauge, true},
        {"pushgateway_http_requests_total", "Total.", MetricType::kCounter, false},
        {"pushgateway_push_seconds", "Duration.", MetricType::kSummary, true}};
    return options;
  }

  StoreDriver driver_{Options()};
};

TEST_F(OwnFamiliesTest, RefusesAnotherType) {
  EXPECT_EQ(
      MessageOf(driver_.Post(kJobA, "# TYPE process_open_fds counter\nprocess_open_fds 1\n", 1)),
      "gathered metric family process_open_fds has type COUNTER but should have GAUGE");
}

TEST_F(OwnFamiliesTest, AcceptsAnotherHelpWhereItIsReplaced) {
  EXPECT_TRUE(driver_.Post(
      kJobA, "# HELP process_open_fds Mine.\n# TYPE process_open_fds gauge\nprocess_open_fds 1\n",
      1));
  EXPECT_EQ(MessageOf(driver_.Post(kJobA,
                                   "# HELP pushgateway_http_requests_total Mine.\n"
                                   "# TYPE pushgateway_http_requests_total counter\n"
                                   "pushgateway_http_requests_total 1\n",
                                   1)),
            "gathered metric family pushgateway_http_requests_total has help \"Mine.\" but should "
            "have \"Total.\"");
}

TEST_F(OwnFamiliesTest, KnowsSuffixesFromTheStart) {
  EXPECT_EQ(MessageOf(driver_.Post(kJobA, "pushgateway_push_seconds_count 1\n", 1)),
            "collected metric named \"pushgateway_push_seconds_count\" collides with previously "
            "collected summary named \"pushgateway_push_seconds\"");
}

TEST(UncheckedStoreTest, StoresWhatIsInconsistentAndFailsScrapesUntilItIsGone) {
  StoreOptions options;
  options.check_consistency = false;
  StoreDriver driver(options);
  ASSERT_TRUE(driver.Post(kJobA, "m 1\nm 2\n", 1));
  EXPECT_THAT(driver.Inconsistency(1), HasSubstr("was collected before"));
  ASSERT_TRUE(driver.Put(kJobA, "", 2));
  EXPECT_EQ(driver.Inconsistency(2), "");
  ASSERT_TRUE(driver.Post(kJobA, "# TYPE m gauge\nm 1\n", 3));
  ASSERT_TRUE(driver.Post(kJobB, "m 1\n", 3));
  EXPECT_THAT(driver.Inconsistency(3), HasSubstr("is not a"));
  ASSERT_TRUE(driver.Delete(kJobB, 4));
  EXPECT_EQ(driver.Inconsistency(4), "");
  EXPECT_EQ(driver.Scrape(4), "# TYPE m gauge\nm{instance=\"\",job=\"a\"} 1\n");
}

TEST(UncheckedStoreTest, ForgetsWhatAPushContradictedInItselfOnceThatIsReplaced) {
  StoreOptions options;
  options.check_consistency = false;
  StoreDriver driver(options);
  ASSERT_TRUE(
      driver.Post(kJobA,
                  "# TYPE m_n histogram\nm_n_bucket{le=\"+Inf\"} 1\nm_n_sum 1\nm_n_count 1\n"
                  "# TYPE \"m.n_count\" gauge\n{\"m.n_count\"} 1\n",
                  1));
  EXPECT_THAT(driver.Inconsistency(1), HasSubstr("collides with previously collected histogram"));
  ASSERT_TRUE(driver.Post(kJobA, "# TYPE m_n gauge\nm_n 1\n", 2));
  EXPECT_EQ(driver.Inconsistency(2), "");
}

TEST(UncheckedStoreTest, StillRefusesTimestamps) {
  StoreOptions options;
  options.check_consistency = false;
  StoreDriver driver(options);
  EXPECT_FALSE(driver.Post(kJobA, "m 1 1\n", 1));
  EXPECT_EQ(driver.Inconsistency(1), "");
}

TEST(MetricStoreTest, RefusesAPushThatWouldHaveToBeComparedForTooLong) {
  StoreDriver driver;
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(driver.Post({{"job", "a"}, {"l" + std::to_string(i), "1"}}, "m 1\n", 1));
  }
  std::string body;
  for (int i = 0; i < 5'000; ++i) body += "m{n=\"" + std::to_string(i) + "\"} 1\n";
  EXPECT_THAT(MessageOf(driver.Post(kJobA, body, 2)),
              StartsWith("metric \"m\" has 1000 different sets of grouping label names"));
  EXPECT_TRUE(driver.Post(kJobA, body.substr(0, body.rfind('\n', body.size() / 2) + 1), 3));
}

// A million lines against a member that is asked about each of them must not be quadratic.
TEST(MetricStoreTest, AnswersManyQuestionsToOneMemberInOneGo) {
  StoreDriver driver;
  std::string body;
  for (int i = 0; i < 20'000; ++i) body += "m{instance=\"i\",n=\"" + std::to_string(i) + "\"} 1\n";
  ASSERT_TRUE(driver.Post(kJobA, body, 1));
  const std::size_t last = body.rfind("m{");
  EXPECT_FALSE(driver.Post(kJobAInstance, body.substr(last), 2));
  body.replace(last, std::string::npos, "m{n=\"another\"} 1\n");
  const Status status = driver.Post(kJobAInstance, body, 3);
  EXPECT_THAT(MessageOf(status), StartsWith("19999 error(s) occurred:"));
  EXPECT_THAT(MessageOf(status), HasSubstr("\n* and 19899 more"));
}

}  // namespace
}  // namespace pgw::testing
