#include "server/routes/native_histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "exposition/number.h"

namespace pgw {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Text(double value) {
  std::string text;
  AppendFloatKeepingZeroSign(value, text);
  return text;
}

// [code lower upper count] …
std::vector<std::string> Shown(const NativeHistogram& histogram) {
  std::vector<std::string> lines;
  const auto buckets = BucketsOf(histogram);
  EXPECT_TRUE(buckets);
  for (const NativeBucket& b : buckets.value_or(std::vector<NativeBucket>())) {
    lines.push_back(std::to_string(b.code) + " " + Text(b.lower) + " " + Text(b.upper) + " " +
                    b.count);
  }
  return lines;
}

TEST(NativeHistogramTest, SumsUpDeltas) {
  NativeHistogram histogram;
  histogram.schema = 1;
  histogram.negative = {{{0, 2}, {0, 2}}, {}, {0, 2, -2, 0}};
  histogram.positive = histogram.negative;
  EXPECT_THAT(Shown(histogram),
              ElementsAre("1 -1.414213562373095 -1 2", "0 1 1.414213562373095 2"));
}

TEST(NativeHistogramTest, TakesFloatCountsAsTheyAre) {
  NativeHistogram histogram;
  histogram.schema = 1;
  histogram.is_float = true;
  histogram.negative = {{{0, 2}, {0, 2}}, {2, 2, -2, 0}, {}};
  histogram.positive = histogram.negative;
  EXPECT_THAT(Shown(histogram),
              ElementsAre("1 -2 -1.414213562373095 -2", "1 -1.414213562373095 -1 2",
                          "1 -1 -0.7071067811865475 2", "0 0.7071067811865475 1 2",
                          "0 1 1.414213562373095 2", "0 1.414213562373095 2 -2"));
}

TEST(NativeHistogramTest, ShowsTheZeroBucketIfItIsFilled) {
  NativeHistogram histogram;
  histogram.zero_count = 3;
  EXPECT_THAT(Shown(histogram), ElementsAre("3 -0 0 3"));
  histogram.zero_threshold = 0.001;
  EXPECT_THAT(Shown(histogram), ElementsAre("3 -0.001 0.001 3"));
  histogram.zero_count = 0;
  EXPECT_THAT(Shown(histogram), IsEmpty());
  histogram.is_float = true;
  histogram.zero_count_float = 2.5;
  EXPECT_THAT(Shown(histogram), ElementsAre("3 -0.001 0.001 2.5"));
}

TEST(NativeHistogramTest, AddsTheOffsetsOfFurtherSpans) {
  NativeHistogram histogram;
  histogram.positive = {{{2, 1}, {3, 0}, {-1, 2}}, {}, {1, 0, 0}};
  // Indexes 2, then 3 + 3 - 1 = 5, 6.
  EXPECT_THAT(Shown(histogram), ElementsAre("0 2 4 1", "0 16 32 1", "0 32 64 1"));
}

TEST(NativeHistogramTest, StopsWhenSpansOrCountsRunOut) {
  NativeHistogram histogram;
  histogram.positive = {{{0, 4'000'000'000u}, {0, 5}}, {}, {1, 0}};
  EXPECT_THAT(Shown(histogram), ElementsAre("0 0.5 1 1", "0 1 2 1"));
  histogram.positive = {{{0, 1}}, {}, {1, 1, 1}};
  EXPECT_THAT(Shown(histogram), ElementsAre("0 0.5 1 1"));
}

TEST(NativeHistogramTest, WrapsRunningSumsAsUnsigned) {
  NativeHistogram histogram;
  histogram.positive = {{{0, 1}}, {}, {-1}};
  EXPECT_THAT(Shown(histogram), ElementsAre("0 0.5 1 18446744073709551615"));
}

TEST(NativeHistogramTest, HasNoBoundsForUnknownSchemas) {
  NativeHistogram histogram;
  for (const std::int32_t schema : {9, 52, std::numeric_limits<std::int32_t>::max(), -53}) {
    histogram.schema = schema;
    EXPECT_FALSE(BucketsOf(histogram)) << schema;
  }
}

TEST(NativeHistogramTest, SurvivesTheLargestOffsets) {
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
  NativeHistogram histogram;
  for (const std::int32_t schema : {8, 0, -4, -54, kLeast}) {
    histogram.schema = schema;
    histogram.positive = {{{kMost, 1}, {kMost, 1}, {kMost, 1}}, {}, {1, 0, 0}};
    EXPECT_EQ(Shown(histogram).size(), 3u);
    histogram.positive = {{{kLeast, 1}, {kLeast, 1}}, {}, {1, 0}};
    EXPECT_EQ(Shown(histogram).size(), 2u);
  }
}

TEST(NativeUpperBoundTest, IsExactForPowersOfTwo) {
  for (std::int32_t schema = 0; schema <= 8; ++schema) {
    for (int exponent = -1022; exponent <= 1023; ++exponent) {
      EXPECT_EQ(NativeUpperBound(static_cast<std::int64_t>(exponent) << schema, schema),
                std::ldexp(1.0, exponent));
    }
  }
  EXPECT_EQ(NativeUpperBound(3, -1), 64);
  EXPECT_EQ(NativeUpperBound(-1, -4), std::ldexp(1.0, -16));
}

TEST(NativeUpperBoundTest, EndsAtTheLargestDouble) {
  constexpr double kMax = std::numeric_limits<double>::max();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(NativeUpperBound(1024, 0), kMax);
  EXPECT_EQ(NativeUpperBound(1024 << 8, 8), kMax);
  EXPECT_EQ(NativeUpperBound(64, -4), kMax);
  EXPECT_EQ(NativeUpperBound(1025, 0), kInfinity);
  EXPECT_EQ(NativeUpperBound(65, -4), kInfinity);
  EXPECT_EQ(NativeUpperBound(-2000, 0), 0);
}

// The mantissas are off by no more than four units in the last place, and ascend.
TEST(NativeUpperBoundTest, FollowsPowersOfTwoForTheHundredths) {
  double before = 0.5;
  for (int j = 1; j < 256; ++j) {
    const double bound = NativeUpperBound(j - 256, 8);
    const auto exact = static_cast<double>(std::exp2l(static_cast<long double>(j) / 256 - 1));
    EXPECT_NEAR(bound, exact, 4 * 0x1p-53) << j;
    EXPECT_GT(bound, before);
    before = bound;
  }
}

TEST(NativeUpperBoundTest, SharesBoundsBetweenSchemas) {
  for (int k = 0; k < 16; ++k) {
    EXPECT_EQ(NativeUpperBound(k, 4), NativeUpperBound(k * 16, 8));
  }
}

}  // namespace
}  // namespace pgw
