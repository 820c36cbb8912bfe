#include "exposition/family_set.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/exposition/dump.h"

namespace pgw {
namespace {

TEST(FamilySetTest, LinksMetricsAndPointsOfInterleavedFamilies) {
  FamilySet set;
  set.families.resize(2);
  set.families[0].name = "a";
  set.families[1].name = "b";
  for (Family& family : set.families) family.type = MetricType::kHistogram;
  const std::uint32_t a0 = set.AddMetric(0);
  const std::uint32_t b0 = set.AddMetric(1);
  const std::uint32_t a1 = set.AddMetric(0);
  set.AddPoint(a0, Number(1), Number(10));
  set.AddPoint(b0, Number(2), Number(20));
  set.AddPoint(a0, Number(3), Number(30));
  set.AddPoint(a1, Number(4), Number(40));
  for (Metric& metric : set.metrics) metric.kinds = kHasHistogram;
  EXPECT_EQ(Dump(set),
            "a HISTOGRAM\n"
            "  {} (1:10) (3:30) sum=0 count=0\n"
            "  {} (4:40) sum=0 count=0\n"
            "b HISTOGRAM\n"
            "  {} (2:20) sum=0 count=0\n");
}

TEST(FamilySetTest, InternedTextIsACopy) {
  FamilySet set;
  std::string text = "some text";
  const std::string_view copy = set.Intern(text);
  text.assign(text.size(), '-');
  EXPECT_EQ(copy, "some text");
  EXPECT_EQ(set.Intern(""), "");
}

TEST(FamilySetTest, ClearEmptiesAndKeepsModestCapacity) {
  FamilySet set;
  set.families.emplace_back();
  set.AddPoint(set.AddMetric(0), Number(1), Number(2));
  set.labels.resize(1000);
  set.backing.push_back(std::make_shared<int>(1));
  const std::weak_ptr<const void> backing = set.backing[0];
  set.Clear();
  EXPECT_TRUE(set.families.empty());
  EXPECT_TRUE(set.metrics.empty());
  EXPECT_TRUE(set.points.empty());
  EXPECT_TRUE(set.labels.empty());
  EXPECT_TRUE(backing.expired());
  EXPECT_GE(set.labels.capacity(), 1000U);
}

TEST(FamilySetTest, ClearGivesBackTheMemoryOfAHugeBody) {
  FamilySet set;
  set.labels.resize(1'000'000);
  set.Clear();
  EXPECT_EQ(set.labels.capacity(), 0U);
}

}  // namespace
}  // namespace pgw
