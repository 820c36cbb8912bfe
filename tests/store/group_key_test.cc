#include "store/group_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace pgw {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

GroupKey MustMake(Labels labels) {
  Result<GroupKey> key = GroupKey::Make(std::move(labels));
  EXPECT_TRUE(key) << key.error().message;
  return *key;
}

TEST(GroupKeyTest, IsTheSameWhicheverOrderTheLabelsCome) {
  EXPECT_EQ(MustMake({{"foo", "bar"}, {"dings", "bums"}}),
            MustMake({{"dings", "bums"}, {"foo", "bar"}}));
}

TEST(GroupKeyTest, JoinsSortedLabelsWithFF) {
  EXPECT_EQ(MustMake({{"foo", "bar"}, {"dings", "bums"}}).bytes(), std::string("dings\xff"
                                                                               "bums\xff"
                                                                               "foo\xff"
                                                                               "bar"));
}

TEST(GroupKeyTest, SortsNamesByteByByte) {
  EXPECT_THAT(
      MustMake({{"b", "1"}, {"B", "2"}, {"_", "3"}, {"ab", "4"}, {"a", "5"}}).Labels(),
      ElementsAre(Pair("B", "2"), Pair("_", "3"), Pair("a", "5"), Pair("ab", "4"), Pair("b", "1")));
}

TEST(GroupKeyTest, LetsLaterPairOfSameNameWin) {
  EXPECT_THAT(MustMake({{"a", "1"}, {"job", "x"}, {"a", "2"}, {"job", "y"}}).Labels(),
              ElementsAre(Pair("a", "2"), Pair("job", "y")));
}

TEST(GroupKeyTest, KeepsEmptyValuesApartFromMissingLabels) {
  const GroupKey with = MustMake({{"instance", ""}, {"job", "a"}});
  const GroupKey without = MustMake({{"job", "a"}});
  EXPECT_NE(with, without);
  EXPECT_THAT(with.Labels(), ElementsAre(Pair("instance", ""), Pair("job", "a")));
  EXPECT_THAT(MustMake({{"a", "x"}, {"b", ""}}).Labels(),
              ElementsAre(Pair("a", "x"), Pair("b", "")));
}

TEST(GroupKeyTest, HasNoLabelsIfNoneWereGiven) {
  const GroupKey key = MustMake({});
  EXPECT_EQ(key.bytes(), "");
  EXPECT_THAT(key.Labels(), IsEmpty());
}

TEST(GroupKeyTest, TellsNamesFromValues) {
  EXPECT_NE(MustMake({{"a", "bc"}}), MustMake({{"ab", "c"}}));
}

TEST(GroupKeyTest, CarriesAnyUtf8) {
  const std::string nul("a\0b", 3);
  EXPECT_THAT(MustMake({{"job", "Björn"}, {"dotted.name", nul}}).Labels(),
              ElementsAre(Pair("dotted.name", nul), Pair("job", "Björn")));
}

TEST(GroupKeyTest, RefusesValuesThatAreNotUtf8) {
  const Result<GroupKey> key = GroupKey::Make({{"job", "p"}, {"x", "\xff"}});
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, Code::kInvalidArgument);
  EXPECT_EQ(key.error().message, R"(value of label x is not valid UTF-8: "\xff")");
}

TEST(GroupKeyTest, RefusesNamesThatAreEmptyReservedOrNotUtf8) {
  for (const std::string name : {"", "__x", "__name__", "\xff"}) {
    const Result<GroupKey> key = GroupKey::Make({{name, "v"}, {"job", "a"}});
    ASSERT_FALSE(key) << name;
    EXPECT_EQ(key.error().code, Code::kInvalidArgument);
  }
  EXPECT_TRUE(GroupKey::Make({{"_x", "v"}}));
}

}  // namespace
}  // namespace pgw
