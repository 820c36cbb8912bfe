#include "bench/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "bench/load/schedule.h"

namespace pgw::load {
namespace {

using Buckets = std::vector<std::pair<std::int64_t, std::uint64_t>>;

Buckets BucketsOf(const Histogram& histogram) {
  Buckets buckets;
  histogram.ForEach(
      [&](std::int64_t value, std::uint64_t times) { buckets.emplace_back(value, times); });
  return buckets;
}

TEST(HistogramTest, IsNothingWithoutValues) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Quantile(0.5), 0);
  EXPECT_EQ(histogram.max(), 0);
  EXPECT_EQ(histogram.Mean(), 0);
  EXPECT_EQ(histogram.CountAbove(-1), 0u);
  EXPECT_TRUE(BucketsOf(histogram).empty());
}

TEST(HistogramTest, KeepsSmallValuesAsTheyAre) {
  Histogram histogram;
  for (std::int64_t value = 0; value < 2048; ++value) histogram.Record(value);
  EXPECT_EQ(histogram.Quantile(0), 0);
  EXPECT_EQ(histogram.Quantile(0.5), 1023);
  EXPECT_EQ(histogram.Quantile(1), 2047);
  EXPECT_EQ(BucketsOf(histogram).size(), 2048u);
}

TEST(HistogramTest, QuantilesAreNeverTooSmallAndAtMostAThousandthTooLarge) {
  SeededRandom random(7);
  std::vector<std::int64_t> values;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    const auto value = static_cast<std::int64_t>(random.Next() >> (20 + random.Next() % 40));
    const std::int64_t kept = std::min(value, Histogram::kLargest);
    values.push_back(kept);
    histogram.Record(kept);
  }
  std::sort(values.begin(), values.end());
  for (const double quantile : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(quantile * static_cast<double>(values.size()));
    const std::int64_t exact = values[std::max<std::size_t>(rank, 1) - 1];
    EXPECT_GE(histogram.Quantile(quantile), exact);
    EXPECT_LE(static_cast<double>(histogram.Quantile(quantile)),
              static_cast<double>(exact) * (1 + 1.0 / 1024));
  }
  EXPECT_EQ(histogram.Quantile(1), values.back());
  EXPECT_EQ(histogram.min(), values.front());
}

TEST(HistogramTest, CountsWhatIsOutOfRangeAndKeepsItsMaximum) {
  Histogram histogram;
  histogram.Record(-5);
  EXPECT_EQ(histogram.max(), 0);
  histogram.Record(INT64_MAX);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.min(), 0);
  EXPECT_EQ(histogram.max(), INT64_MAX);
  EXPECT_EQ(histogram.Quantile(1), INT64_MAX);
  EXPECT_EQ(histogram.CountAbove(0), 1u);
}

TEST(HistogramTest, MergedIsAsIfRecordedInOne) {
  Histogram first, second, both, empty;
  SeededRandom random(3);
  for (int i = 0; i < 1000; ++i) {
    const auto value = static_cast<std::int64_t>(random.Next() % 100'000'000);
    (i % 3 == 0 ? first : second).Record(value, 2);
    both.Record(value, 2);
  }
  first.Merge(second);
  first.Merge(empty);
  EXPECT_EQ(BucketsOf(first), BucketsOf(both));
  EXPECT_EQ(first.count(), both.count());
  EXPECT_EQ(first.min(), both.min());
  EXPECT_EQ(first.max(), both.max());
  EXPECT_DOUBLE_EQ(first.Mean(), both.Mean());
  empty.Merge(both);
  EXPECT_EQ(BucketsOf(empty), BucketsOf(both));
}

TEST(HistogramTest, IsAsNewAfterClear) {
  Histogram histogram;
  histogram.Record(5'000'000);
  histogram.Record(17);
  histogram.Clear();
  EXPECT_EQ(histogram.count(), 0u);
  histogram.Record(1000);
  EXPECT_EQ(BucketsOf(histogram), (Buckets{{1000, 1}}));
  EXPECT_EQ(histogram.min(), 1000);
}

}  // namespace
}  // namespace pgw::load
