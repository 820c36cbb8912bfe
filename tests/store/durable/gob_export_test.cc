// What a Go Pushgateway gets, and whether it comes back the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "exposition/protobuf_reader.h"
#include "store/persistence/gob_reader.h"
#include "tests/store/durable/gob_store.h"
#include "tests/support/store_driver.h"

namespace pgw {
namespace {

using testing::At;
using testing::Contents;
using ::testing::ElementsAre;
using testing::Exported;
using testing::GobSample;
using testing::Imported;
using ::testing::Pair;
using testing::StoreDriver;

// Labels, then families by name: push time and message, read.
using Content = std::map<std::string, std::map<std::string, std::string>>;

Content Read(const std::string& file) {
  Content content;
  const Status status = ReadGob(file, [&content](const GobGroup& group) {
    std::map<std::string_view, std::string_view> labels(group.labels.begin(), group.labels.end());
    std::string key;
    for (const auto& [name, value] : labels) {
      key.append(name).append("=").append(value).append(" ");
    }
    EXPECT_FALSE(content.contains(key));
    auto& families = content[key];
    for (const GobFamily& family : group.families) {
      FamilySet set;
      EXPECT_TRUE(family.message && ParseFamilyMessage(*family.message, set));
      const std::string pushed =
          family.pushed ? std::to_string(family.pushed->time_since_epoch().count()) : "none";
      families.emplace(family.name, pushed + " " + Dump(set));
    }
    return Status();
  });
  EXPECT_TRUE(status.ok());
  return content;
}

TEST(GobExportTest, WritesWhatGoHasWritten) {
  for (const char* const sample :
       {"pushgateway_1_5_1.gob", "pushgateway_1_11_2.gob", "empty_1_5_1.gob", "empty_1_11_2.gob"}) {
    const std::string file = GobSample(sample);
    Imported imported(file);
    EXPECT_EQ(Read(Exported(imported.store)), Read(file)) << sample;
  }
}

TEST(GobExportTest, ComesBackTheSame) {
  for (const char* const sample :
       {"pushgateway_1_5_1.gob", "pushgateway_1_11_2.gob", "minimal.gob"}) {
    Imported first(GobSample(sample));
    const std::string file = Exported(first.store);
    Imported second(file);
    EXPECT_THAT(second.report.notes, ::testing::IsEmpty());
    EXPECT_EQ(second.Shown(), first.Shown()) << sample;
    EXPECT_EQ(Read(Exported(second.store)), Read(file));
  }
}

// Pushed here, with all that lines alone do not carry.
TEST(GobExportTest, BringsBackWhatWasPushedHere) {
  StoreDriver driver;
  for (int i = 0; i < 200; ++i) {
    const std::string number = std::to_string(i);
    ASSERT_TRUE(driver.Post({{"job", "many"}, {"n", number}}, "x " + number + "\n", 17 * i));
    ASSERT_TRUE(driver.Post({{"job", "many"}, {"n", number}}, "y " + number + "\n", 10'000 + i));
  }
  ASSERT_TRUE(
      driver.Post({{"job", "a"}},
                  "# HELP h Of \\\\ two\\nlines.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\n"
                  "h_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n"
                  "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum -0\ns_count 1\n",
                  20'000));
  ASSERT_TRUE(
      driver.Post({{"job", "ü"}, {"größe", "1"}}, "{\"länge.x\",\"y z\"=\"w\"} 1\n", 21'000));
  ASSERT_FALSE(driver.Post({{"job", "a"}}, "stamped 1 1\n", 22'000));
  ASSERT_TRUE(driver.Post({{"job", "empty"}}, "", 23'000));
  const std::string before = Contents(driver.store(), At(30'000));

  Imported imported(Exported(driver.store(), At(30'000)));
  ASSERT_TRUE(imported.status.ok());
  EXPECT_THAT(imported.report.notes, ::testing::IsEmpty());
  EXPECT_EQ(imported.report.groups, 203U);
  EXPECT_EQ(imported.report.families, 403U);
  EXPECT_EQ(imported.Shown(), before);
}

TEST(GobExportTest, LeavesOutWhatHasExpired) {
  StoreDriver driver({}, std::chrono::seconds(10));
  ASSERT_TRUE(driver.Post({{"job", "gone"}}, "x 1\n", 0));
  ASSERT_TRUE(driver.Post({{"job", "a"}}, "old 1\n", 0));
  ASSERT_TRUE(driver.Post({{"job", "a"}}, "new 1\n", 5'000));
  const Content content = Read(Exported(driver.store(), At(10'000)));
  ASSERT_THAT(content, ElementsAre(Pair("job=a ", ::testing::SizeIs(3))));
  EXPECT_TRUE(content.at("job=a ").contains("new"));
  EXPECT_TRUE(Read(Exported(driver.store(), At(15'000))).empty());
}

TEST(GobExportTest, CountsAndEndsWithTheSinksError) {
  Imported imported(GobSample("pushgateway_1_5_1.gob"));
  ExportReport report;
  ASSERT_TRUE(
      ExportGob(imported.store, {}, [](std::string_view) { return Status(); }, report).ok());
  EXPECT_EQ(report.groups, 3U);
  EXPECT_EQ(report.families, 3U);
  const Error full{Code::kUnavailable, "write out: disk full"};
  const Status status =
      ExportGob(imported.store, {}, [&](std::string_view) { return Status(full); }, report);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error(), full);
}

}  // namespace
}  // namespace pgw
