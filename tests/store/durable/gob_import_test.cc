// What comes out of a Go Pushgateway's file, and what is told of the rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/store/durable/gob_store.h"

namespace pgw {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FamilyMessage;
using testing::GobBuilder;
using testing::GobSample;
using ::testing::HasSubstr;
using testing::Imported;
using ::testing::IsEmpty;
using testing::WallSeconds;

TEST(GobImportTest, TakesOverAllOfTheSample) {
  Imported imported(GobSample("pushgateway_1_5_1.gob"));
  ASSERT_TRUE(imported.status.ok()) << imported.status.error().message;
  EXPECT_EQ(imported.report.groups, 3U);
  EXPECT_EQ(imported.report.families, 3U);
  EXPECT_EQ(imported.report.dropped, 0U);
  EXPECT_THAT(imported.report.notes, IsEmpty());
  EXPECT_EQ(imported.Shown(),
            "group instance=host-1 job=batch\n"
            " success 1795403494557927397 at 1795403494557927397\n"
            " failure never at 1795403494557927397\n"
            " 1795403494557927397 dur GAUGE \"Run time.\"\n"
            "  {instance=\"host-1\",job=\"batch\",step=\"a\"} value=1.5\n"
            "  {instance=\"host-1\",job=\"batch\",step=\"b\"} value=NaN\n"
            "group job=batch path=/var/tmp\n"
            " success 1795403494568276700 at 1795403494568276700\n"
            " failure never at 1795403494568276700\n"
            " 1795403494568276700 lat HISTOGRAM\n"
            "  {instance=\"\",job=\"batch\",path=\"/var/tmp\"} (0.1:3) (+Inf:5) sum=2.25 count=5\n"
            " 1795403494568276700 req SUMMARY\n"
            "  {instance=\"\",job=\"batch\",path=\"/var/tmp\"} (0.5:0.25) sum=1 count=4\n"
            "group job=failed l=\n"
            " success never at 1795403494577851964\n"
            " failure 1795403494577851964 at 1795403494577851964\n");
}

TEST(GobImportTest, TakesOverWhatTheCurrentReleaseWrites) {
  Imported imported(GobSample("pushgateway_1_11_2.gob"));
  ASSERT_TRUE(imported.status.ok());
  EXPECT_GT(imported.report.groups, 0U);
  EXPECT_EQ(imported.report.dropped, 0U);
  EXPECT_THAT(imported.report.notes, IsEmpty());
  EXPECT_TRUE(Imported(GobSample("empty_1_11_2.gob")).status.ok());
  EXPECT_EQ(Imported(GobSample("empty_1_5_1.gob")).Shown(), "");
}

TEST(GobImportTest, GivesGroupsTheBookkeepingTheyLack) {
  Imported imported(GobSample("minimal.gob"));
  EXPECT_EQ(imported.Shown(),
            "group job=mini\n"
            " success never at 1795403494000000005\n"
            " failure never at 1795403494000000005\n"
            " 1795403494000000005 some_metric UNTYPED\n"
            "  {instance=\"\",job=\"mini\"} value=3.5\n");
  EXPECT_THAT(imported.report.notes, IsEmpty());
}

// Upstream stamps the entry of the failure time with the group's first push.
TEST(GobImportTest, KeepsValueAndEntryOfBookkeepingApart) {
  Imported imported(GobBuilder()
                        .Group({{"job", "a"}})
                        .Text("x", WallSeconds(1'700'000'050), "x 1\n")
                        .Time("push_time_seconds", WallSeconds(1'700'000'100), "1.7000001e+09")
                        .Time("push_failure_time_seconds", WallSeconds(1'700'000'000), "0")
                        .Group({{"job", "b"}})
                        .Time("push_time_seconds", WallSeconds(1'700'000'000), "0")
                        .Time("push_failure_time_seconds", WallSeconds(1'700'000'200), "1.6e+09")
                        .File());
  EXPECT_EQ(imported.Shown(),
            "group job=a\n"
            " success 1700000100000000000 at 1700000100000000000\n"
            " failure never at 1700000000000000000\n"
            " 1700000050000000000 x UNTYPED\n"
            "  {instance=\"\",job=\"a\"} value=1\n"
            "group job=b\n"
            " success never at 1700000000000000000\n"
            " failure 1600000000000000000 at 1700000200000000000\n");
}

// The value of a push time is a double, and the time that shows as that double is wanted.
TEST(GobImportTest, FindsTheTimeThatShowsAsTheValue) {
  for (const std::int64_t time :
       {1'795'403'494'557'927'397, 1'700'000'000'000'000'255, 1'234'567'890'123'456'789, 5'000L}) {
    std::string value;
    AppendFloat(UnixSeconds(testing::Wall(time)), value);
    Imported imported(GobBuilder()
                          .Group({{"job", "a"}})
                          .Time("push_time_seconds", WallSeconds(1'700'000'000), value)
                          .File());
    std::vector<GroupView> views;
    imported.store.ListGroups({}, 0, 10, views);
    ASSERT_EQ(views.size(), 1U);
    ASSERT_TRUE(views[0].last_success);
    EXPECT_EQ(UnixSeconds(*views[0].last_success), UnixSeconds(testing::Wall(time))) << value;
    EXPECT_THAT(imported.report.notes, IsEmpty());
  }
}

TEST(GobImportTest, BeginsAnewWhatHoldsNoTime) {
  Imported imported(GobBuilder()
                        .Group({{"job", "a"}})
                        .Time("push_time_seconds", WallSeconds(1), "NaN")
                        .Family("push_failure_time_seconds", WallSeconds(2), "junk")
                        .Group({{"job", "b"}})
                        .Time("push_time_seconds", WallSeconds(1), "1e300")
                        .Text("push_failure_time_seconds", WallSeconds(2), "other 7\n")
                        .File());
  EXPECT_EQ(imported.Shown(),
            "group job=a\n success never at 1000000000\n failure never at 2000000000\n"
            "group job=b\n success never at 1000000000\n failure never at 2000000000\n");
  EXPECT_EQ(imported.report.dropped, 4U);
  EXPECT_THAT(imported.report.notes,
              ElementsAre("group {job=\"a\"}, family \"push_time_seconds\" is dropped: it does not "
                          "hold a time; it begins anew with 0",
                          HasSubstr("push_failure_time_seconds"), HasSubstr("push_time_seconds"),
                          HasSubstr("push_failure_time_seconds")));
}

TEST(GobImportTest, NamesEachFamilyItDrops) {
  Imported imported(GobBuilder()
                        .Group({{"job", "a"}})
                        .Family("gone", WallSeconds(1), std::nullopt)
                        .Text("right", WallSeconds(1), "wrong 1\n")
                        .Family("junk", WallSeconds(1), "\x0a\x50")
                        .Family("empty", WallSeconds(1), "")
                        .Text("stamped", WallSeconds(1), "stamped 1 1700000000000\n")
                        .Text("fine", WallSeconds(1), "fine 1\n")
                        .File());
  ASSERT_TRUE(imported.status.ok());
  EXPECT_EQ(imported.report.families, 1U);
  EXPECT_EQ(imported.report.dropped, 5U);
  EXPECT_THAT(imported.report.notes,
              ::testing::UnorderedElementsAre(
                  "group {job=\"a\"}, family \"gone\" is dropped: the file has no content for it",
                  "group {job=\"a\"}, family \"right\" is dropped: its content is that of a family "
                  "\"wrong\"",
                  HasSubstr("family \"junk\" is dropped: its content is damaged: "),
                  HasSubstr("family \"empty\" is dropped: its content is damaged: "),
                  "group {job=\"a\"}, family \"stamped\" is dropped: pushed metrics must not have "
                  "timestamps"));
  EXPECT_THAT(imported.Shown(), HasSubstr("fine UNTYPED"));
  // A refusal is no failed push.
  EXPECT_THAT(imported.Shown(), HasSubstr("failure never"));
}

TEST(GobImportTest, DropsGroupsThatCannotBe) {
  Imported imported(GobBuilder()
                        .Group({})
                        .Group({{"job", "a"}, {"__x", "b"}})
                        .Group({{"job", "\xff"}})
                        .Group({{"job", "fine"}})
                        .File());
  EXPECT_EQ(imported.report.groups, 1U);
  EXPECT_EQ(imported.report.dropped, 3U);
  EXPECT_THAT(imported.report.notes,
              ElementsAre("group number 1 of the file is dropped: it has no labels",
                          "group number 2 of the file is dropped: improper label name \"__x\"",
                          HasSubstr("group number 3 of the file is dropped: value of label job")));
}

TEST(GobImportTest, TakesTheLaterOfEqualNames) {
  Imported imported(GobBuilder()
                        .Group({{"job", "a"}})
                        .Text("old", WallSeconds(5), "old 1\n")
                        .Group({{"job", "b"}})
                        .Text("twice", WallSeconds(9), "twice 1\n")
                        .Text("twice", WallSeconds(3), "twice 2\n")
                        .Group({{"job", "a"}})
                        .Text("new", WallSeconds(4), "new 1\n")
                        .File());
  EXPECT_EQ(imported.report.groups, 2U);
  EXPECT_EQ(imported.report.dropped, 2U);
  EXPECT_THAT(imported.report.notes,
              ElementsAre(AllOf(HasSubstr("{job=\"b\"}"), HasSubstr("\"twice\"")),
                          "group {job=\"a\"} stands in the file more than once; the last one "
                          "counts"));
  EXPECT_EQ(imported.Shown(),
            "group job=a\n success never at 4000000000\n failure never at 4000000000\n"
            " 4000000000 new UNTYPED\n  {instance=\"\",job=\"a\"} value=1\n"
            "group job=b\n success never at 3000000000\n failure never at 3000000000\n"
            " 3000000000 twice UNTYPED\n  {instance=\"\",job=\"b\"} value=2\n");
}

std::string Contradiction() {
  return GobBuilder()
      .Group({{"job", "later"}})
      .Text("x", WallSeconds(20), "# TYPE x counter\nx 1\n")
      .Text("y", WallSeconds(20), "y 1\n")
      .Group({{"job", "first"}})
      .Text("x", WallSeconds(10), "# TYPE x gauge\nx 1\n")
      .File();
}

TEST(GobImportTest, KeepsOfContradictionsWhatWasPushedFirst) {
  Imported imported(Contradiction());
  EXPECT_EQ(imported.report.families, 2U);
  EXPECT_THAT(imported.report.notes,
              ElementsAre(AllOf(HasSubstr("group {job=\"later\"}, family \"x\" is dropped: "),
                                HasSubstr("is not a GAUGE"))));
  EXPECT_THAT(imported.Shown(), AllOf(HasSubstr("x GAUGE"), ::testing::Not(HasSubstr("COUNTER"))));
  EXPECT_FALSE(imported.store.SnapshotAt({})->inconsistency());
}

TEST(GobImportTest, KeepsContradictionsWhereNothingIsChecked) {
  Imported imported(Contradiction(), {.check_consistency = false, .own_families = {}});
  EXPECT_EQ(imported.report.families, 3U);
  EXPECT_EQ(imported.report.dropped, 0U);
  EXPECT_THAT(imported.Shown(), AllOf(HasSubstr("x GAUGE"), HasSubstr("x COUNTER")));
  ASSERT_TRUE(imported.store.SnapshotAt({})->inconsistency());
}

TEST(GobImportTest, DropsGroupWhoseBookkeepingIsAnothersAlready) {
  const std::string file = GobBuilder()
                               .Group({{"job", "a"}})
                               .Group({{"instance", ""}, {"job", "a"}})
                               .Text("x", WallSeconds(1), "x 1\n")
                               .File();
  Imported checked(file);
  EXPECT_EQ(checked.report.groups, 1U);
  EXPECT_EQ(checked.report.families, 0U);
  EXPECT_THAT(checked.report.notes,
              ElementsAre(AllOf(HasSubstr("group {instance=\"\",job=\"a\"} is dropped: "),
                                HasSubstr("was collected before"))));
  Imported unchecked(file, {.check_consistency = false, .own_families = {}});
  EXPECT_EQ(unchecked.report.groups, 2U);
  EXPECT_EQ(unchecked.report.families, 1U);
}

TEST(GobImportTest, ShowsTheHelpOfTheLatestPush) {
  Imported imported(GobBuilder()
                        .Group({{"job", "a"}})
                        .Text("x", WallSeconds(20), "# HELP x New.\nx 1\n")
                        .Group({{"job", "b"}})
                        .Text("x", WallSeconds(10), "# HELP x Old.\nx 1\n")
                        .File());
  const auto snapshot = imported.store.SnapshotAt({});
  ASSERT_EQ(snapshot->family_count(), 3U);
  EXPECT_EQ(snapshot->family(2).help, "New.");
}

TEST(GobImportTest, SaysThatAFamilyHasNoPushTime) {
  Imported imported(
      GobBuilder().Group({{"job", "a"}}).Family("x", std::nullopt, FamilyMessage("x 1\n")).File());
  EXPECT_EQ(imported.report.families, 1U);
  EXPECT_THAT(imported.report.notes, ElementsAre(HasSubstr("no push time that makes sense")));
}

TEST(GobImportTest, TellsOfManyFaultsOnlySome) {
  GobBuilder builder;
  builder.Group({{"job", "a"}});
  constexpr std::size_t kFaults = 1000;
  for (std::size_t i = 0; i < kFaults; ++i) {
    builder.Family("f" + std::to_string(i) + std::string(2000, 'x'), WallSeconds(1), std::nullopt);
  }
  Imported imported(builder.File());
  EXPECT_EQ(imported.report.dropped, kFaults);
  EXPECT_EQ(imported.report.notes.size(), ImportReport::kNotesMax);
  EXPECT_EQ(imported.report.more_notes, kFaults - ImportReport::kNotesMax);
  for (const std::string& note : imported.report.notes) EXPECT_LT(note.size(), 1100U);
}

TEST(GobImportTest, RefusesOtherFilesByNameAndPlace) {
  const auto error = [](const std::string& bytes) {
    return Imported(bytes).status.error().message;
  };
  EXPECT_EQ(error(""), "/data/F: offset 0: the file is empty");
  EXPECT_EQ(error("some text of some length, and no gob"),
            "/data/F: offset 0: neither a snapshot of this program nor a persistence file of the "
            "Go Pushgateway");
  std::string cut = GobSample("minimal.gob");
  cut.pop_back();
  EXPECT_EQ(error(cut),
            "/data/F: byte 284: a message of 114 bytes starts here, but the file has only 113 "
            "more");
}

TEST(GobImportTest, PutsNothingInBeforeTheWholeFileIsRead) {
  std::string cut = GobSample("pushgateway_1_5_1.gob");
  cut.pop_back();
  Imported imported(cut);
  EXPECT_FALSE(imported.status.ok());
  EXPECT_EQ(imported.Shown(), "");
}

TEST(GobImportTest, HandsErrorsOfTheDiskThrough) {
  testing::FaultFileSystem files("/data");
  files.Put("/data/F", GobSample("minimal.gob"));
  const auto file = files.Open("/data/F", FileAccess::kRead);
  for (std::uint64_t call = 0; call < 3; ++call) {
    MetricStore store({});
    ImportReport report;
    files.FailCall(files.calls() + call, EIO, false);
    const Status status = ImportGob(**file, store, report);
    files.Heal();
    if (status.ok()) continue;  // there are fewer calls
    EXPECT_EQ(status.error().code, Code::kUnavailable);
    EXPECT_THAT(status.error().message, HasSubstr("/data/F"));
  }
  EXPECT_TRUE(ImportGob(**file, *std::make_unique<MetricStore>(StoreOptions{}),
                        *std::make_unique<ImportReport>())
                  .ok());
}

// ---- The time to live of what was moved over (R7).

std::string PushedAt1000() {
  return GobBuilder()
      .Group({{"job", "a"}})
      .Text("early", WallSeconds(1000), "early 1\n")
      .Text("late", WallSeconds(1050), "late 1\n")
      .Time("push_time_seconds", WallSeconds(1050), "1050")
      .Time("push_failure_time_seconds", WallSeconds(1000), "0")
      .File();
}

// Names of what is there, and the group's deadline in seconds.
struct Alive {
  std::vector<std::string> families;
  std::int64_t deadline = 0;
};

std::optional<Alive> AliveAt(Imported& imported, BootTime now) {
  std::vector<GroupView> views;
  imported.store.ListGroups({now, {}}, 0, 10, views);
  if (views.empty()) return std::nullopt;
  Alive alive;
  for (const auto& family : views[0].families) alive.families.emplace_back(family.name);
  alive.deadline =
      std::chrono::duration_cast<std::chrono::seconds>(views[0].deadline.time_since_epoch())
          .count();
  return alive;
}

TEST(GobImportTest, LivesOnForWhatIsLeftOfTheTimeToLive) {
  Imported imported(PushedAt1000());
  // Of 120 s, 60 and 10 are over.
  imported.Begin({"boot", 120s, {BootTime(5000s), WallSeconds(1060)}});
  EXPECT_THAT(AliveAt(imported, BootTime(5059s))->families, ElementsAre("early", "late"));
  EXPECT_THAT(AliveAt(imported, BootTime(5060s))->families, ElementsAre("late"));
  EXPECT_EQ(AliveAt(imported, BootTime(5060s))->deadline, 5110);
  EXPECT_FALSE(AliveAt(imported, BootTime(5110s)));
}

TEST(GobImportTest, IsGoneWhereTheTimeToLiveIsOver) {
  Imported half(PushedAt1000());
  half.Begin({"boot", 120s, {BootTime(5000s), WallSeconds(1120)}});
  EXPECT_THAT(AliveAt(half, BootTime(5000s))->families, ElementsAre("late"));
  Imported all(PushedAt1000());
  all.Begin({"boot", 120s, {BootTime(5000s), WallSeconds(1170)}});
  EXPECT_FALSE(AliveAt(all, BootTime(5000s)));
}

TEST(GobImportTest, LivesNoLongerThanTheTimeToLiveIfItSeemsToBeOfTheFuture) {
  Imported imported(PushedAt1000());
  imported.Begin({"boot", 120s, {BootTime(5000s), WallSeconds(10)}});
  EXPECT_EQ(AliveAt(imported, BootTime(5119s))->families.size(), 2U);
  EXPECT_FALSE(AliveAt(imported, BootTime(5120s)));
}

TEST(GobImportTest, LivesForEverWithoutTimeToLive) {
  Imported imported(PushedAt1000());
  imported.Begin({"boot", 0s, {BootTime(5000s), WallSeconds(2'000'000'000)}});
  EXPECT_EQ(AliveAt(imported, BootTime(1'000'000'000s))->families.size(), 2U);
}

// A group's last activity is the newest push time of all it has.
TEST(GobImportTest, LivesAsLongAsTheLastFailedPushLetsIt) {
  Imported imported(GobBuilder()
                        .Group({{"job", "a"}})
                        .Text("x", WallSeconds(1000), "x 1\n")
                        .Time("push_time_seconds", WallSeconds(1000), "1000")
                        .Time("push_failure_time_seconds", WallSeconds(1100), "1100")
                        .File());
  imported.Begin({"boot", 120s, {BootTime(5000s), WallSeconds(1130)}});
  EXPECT_THAT(AliveAt(imported, BootTime(5000s))->families, IsEmpty());
  EXPECT_EQ(AliveAt(imported, BootTime(5000s))->deadline, 5090);
}

}  // namespace
}  // namespace pgw
