// Whole files: what is in them, and what becomes of them when they are cut or changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "exposition/protobuf_reader.h"
#include "tests/exposition/dump.h"
#include "tests/store/persistence/gob_files.h"

namespace pgw {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::StartsWith;

const char* const kSamples[] = {"pushgateway_1_5_1.gob", "pushgateway_1_11_2.gob", "minimal.gob"};

std::string DumpMessage(const ReadFamily& family) {
  FamilySet set;
  if (!family.message || !ParseFamilyMessage(*family.message, set)) return "no message";
  return Dump(set);
}

// All groups by their labels: the order in the file is random.
std::map<std::map<std::string, std::string>, ReadGroup> Groups(const std::string& file) {
  std::vector<ReadGroup> groups;
  EXPECT_EQ(ErrorOf(file), "");
  (void)ReadAll(file, groups).ok();
  std::map<std::map<std::string, std::string>, ReadGroup> by_labels;
  for (const ReadGroup& group : groups) {
    EXPECT_TRUE(by_labels.emplace(group.labels, group).second);
  }
  return by_labels;
}

// Where a push is recorded: name, time of the entry, value.
void ExpectBookkeeping(const ReadGroup& group, const std::string& name, std::int64_t pushed,
                       const std::string& value) {
  const ReadFamily& family = group.families.at(name);
  EXPECT_EQ(family.pushed, pushed);
  EXPECT_THAT(DumpMessage(family), StartsWith(name + " GAUGE \""));
  EXPECT_THAT(DumpMessage(family), testing::EndsWith("} value=" + value + "\n"));
}

TEST(GobSampleTest, HoldsGaugesOfTheFirstGroup) {
  const auto groups = Groups(GobFile("pushgateway_1_5_1.gob"));
  ASSERT_EQ(groups.size(), 3U);
  const ReadGroup& group = groups.at({{"instance", "host-1"}, {"job", "batch"}});
  constexpr std::int64_t kPushed = 1'795'403'494'557'927'397;
  ASSERT_EQ(group.families.size(), 3U);
  EXPECT_EQ(group.families.at("dur").pushed, kPushed);
  EXPECT_EQ(DumpMessage(group.families.at("dur")),
            "dur GAUGE \"Run time.\"\n"
            "  {instance=\"host-1\",job=\"batch\",step=\"a\"} value=1.5\n"
            "  {instance=\"host-1\",job=\"batch\",step=\"b\"} value=NaN\n");
  ExpectBookkeeping(group, "push_time_seconds", kPushed, "1.7954034945579274e+09");
  ExpectBookkeeping(group, "push_failure_time_seconds", kPushed, "0");
}

TEST(GobSampleTest, HoldsHistogramAndSummaryOfTheSecondGroup) {
  const auto groups = Groups(GobFile("pushgateway_1_5_1.gob"));
  const ReadGroup& group = groups.at({{"job", "batch"}, {"path", "/var/tmp"}});
  constexpr std::int64_t kPushed = 1'795'403'494'568'276'700;
  ASSERT_EQ(group.families.size(), 4U);
  EXPECT_EQ(group.families.at("lat").pushed, kPushed);
  EXPECT_EQ(DumpMessage(group.families.at("lat")),
            "lat HISTOGRAM\n  {instance=\"\",job=\"batch\",path=\"/var/tmp\"} (0.1:3) (+Inf:5) "
            "sum=2.25 count=5\n");
  EXPECT_EQ(group.families.at("req").pushed, kPushed);
  EXPECT_EQ(DumpMessage(group.families.at("req")),
            "req SUMMARY\n  {instance=\"\",job=\"batch\",path=\"/var/tmp\"} (0.5:0.25) sum=1 "
            "count=4\n");
  ExpectBookkeeping(group, "push_time_seconds", kPushed, "1.7954034945682766e+09");
  ExpectBookkeeping(group, "push_failure_time_seconds", kPushed, "0");
}

TEST(GobSampleTest, HoldsFailedPushWithAnEmptyLabel) {
  const auto groups = Groups(GobFile("pushgateway_1_5_1.gob"));
  const ReadGroup& group = groups.at({{"job", "failed"}, {"l", ""}});
  constexpr std::int64_t kPushed = 1'795'403'494'577'851'964;
  ASSERT_EQ(group.families.size(), 2U);
  ExpectBookkeeping(group, "push_time_seconds", kPushed, "0");
  ExpectBookkeeping(group, "push_failure_time_seconds", kPushed, "1.795403494577852e+09");
}

TEST(GobSampleTest, ReadsTheSmallestFile) {
  const auto groups = Groups(GobFile("minimal.gob"));
  ASSERT_EQ(groups.size(), 1U);
  const ReadGroup& group = groups.at({{"job", "mini"}});
  ASSERT_EQ(group.families.size(), 1U);
  const ReadFamily& family = group.families.at("some_metric");
  EXPECT_EQ(family.pushed, 1'795'403'494'000'000'005);
  EXPECT_EQ(DumpMessage(family), "some_metric UNTYPED\n  {instance=\"\",job=\"mini\"} value=3.5\n");
}

TEST(GobSampleTest, ReadsEmptyStore) {
  EXPECT_TRUE(Groups(GobFile("empty_1_5_1.gob")).empty());
  EXPECT_TRUE(Groups(GobFile("empty_1_11_2.gob")).empty());
}

TEST(GobSampleTest, RefusesEveryTruncation) {
  for (const char* sample : kSamples) {
    const std::string file = GobFile(sample);
    for (std::size_t size = 0; size < file.size(); ++size) {
      const std::string cut = file.substr(0, size);  // of its own, so that sanitizers see its end
      const std::string error = ErrorOf(cut);
      ASSERT_THAT(error, testing::MatchesRegex("byte [0-9]+: .*the file .*"))
          << sample << " cut to " << size;
      ASSERT_LE(std::strtoull(error.c_str() + 5, nullptr, 10), size) << error;
    }
  }
}

// What each truncation says, in brief: nothing there, between messages, inside a length, inside a
// message.
TEST(GobSampleTest, SaysWhereFileWasCut) {
  const std::string file = GobFile("minimal.gob");
  EXPECT_EQ(ErrorOf(""), "byte 0: the file is empty");
  EXPECT_EQ(ErrorOf(file.substr(0, 0x2a)), "byte 42: the file ends before its value");
  EXPECT_EQ(ErrorOf(file.substr(0, 0x30)),
            "byte 42: a message of 50 bytes starts here, but the file has only 5 more");
  EXPECT_EQ(ErrorOf(file.substr(0, file.size() - 1)),
            "byte 284: a message of 114 bytes starts here, but the file has only 113 more");
  const std::string large = GobFile("pushgateway_1_5_1.gob");
  EXPECT_EQ(ErrorOf(large.substr(0, 0x85f)), "byte 2141: the file ends inside a number");
}

TEST(GobSampleTest, SurvivesEveryChangeOfAByte) {
  for (const char* sample : kSamples) {
    std::string file = GobFile(sample);
    const std::size_t size = file.size();
    std::size_t refused = 0;
    for (char& byte : file) {
      const char sound = byte;
      for (int bit = 0; bit < 8; ++bit) {
        byte = static_cast<char>(sound ^ 1 << bit);
        const Status status = ReadGob(file, [&](const GobGroup& group) {
          for (const GobFamily& family : group.families) {
            EXPECT_LE(family.message.value_or("").size(), size);
          }
          return Status();
        });
        if (!status) {
          ++refused;
          ASSERT_THAT(status.error().message, testing::MatchesRegex("byte [0-9]+: .+"));
        }
      }
      byte = sound;
    }
    // There is no checksum: only damage to the structure is seen.
    EXPECT_GT(refused, size) << sample;
  }
}

TEST(GobSampleTest, IsRecognisedByItsFirstBytes) {
  for (const char* sample : kSamples) EXPECT_TRUE(LooksLikeGob(GobFile(sample).substr(0, 16)));
  EXPECT_TRUE(LooksLikeGob(GobFile("empty_1_5_1.gob")));
  for (const std::string_view other :
       {"", "\x29", "\x29\xff\x8d", "\x29\xff\x8d\x04", "\x29\xff\x8d\x03\x01", "\x1f\x8b\x08\x00",
        "# HELP up\n", "{\"status\":\"success\"}",
        "\x7f"
        "ELF\x02\x01\x01",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff", "PK\x03\x04\x04\x01"}) {
    EXPECT_FALSE(LooksLikeGob(other)) << other;
  }
  EXPECT_FALSE(LooksLikeGob(std::string(4096, '\0')));
}

}  // namespace
}  // namespace pgw
