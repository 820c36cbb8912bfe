#include "server/routes/push_summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

namespace pgw {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kStart{1000s};
const std::vector<double> kQuantiles = {0.1, 0.5, 0.9};

TEST(LogLinearBucketsTest, IsExactForSmallValues) {
  for (std::uint64_t value = 0; value < 128; ++value) {
    EXPECT_EQ(LogLinearBuckets::ValueOf(LogLinearBuckets::IndexOf(value)),
              static_cast<double>(value));
  }
}

TEST(LogLinearBucketsTest, IsRightToOnePercent) {
  for (std::uint64_t value = 128; value < std::uint64_t{1} << 47; value += 1 + value / 97) {
    const std::size_t index = LogLinearBuckets::IndexOf(value);
    ASSERT_LT(index, LogLinearBuckets::kCount);
    const double shown = LogLinearBuckets::ValueOf(index);
    ASSERT_NEAR(shown / static_cast<double>(value), 1, 0.01) << value;
  }
}

TEST(LogLinearBucketsTest, NeverGoesBackwardsAndHoldsTheLargest) {
  std::size_t before = 0;
  for (std::uint64_t value = 0; value < 100'000; ++value) {
    const std::size_t index = LogLinearBuckets::IndexOf(value);
    ASSERT_TRUE(index == before || index == before + 1) << value;
    before = index;
  }
  EXPECT_EQ(LogLinearBuckets::IndexOf(~std::uint64_t{0}), LogLinearBuckets::kCount - 1);
}

TEST(SlidingSummaryTest, HasNoQuantilesBeforeTheFirstObservation) {
  const SlidingSummary summary(kStart);
  EXPECT_FALSE(summary.touched());
  const SlidingSummary::Reading reading = summary.Read(kStart, kQuantiles);
  EXPECT_EQ(reading.count, 0u);
  ASSERT_EQ(reading.quantiles.size(), 3u);
  for (const double quantile : reading.quantiles) EXPECT_TRUE(std::isnan(quantile));
}

TEST(SlidingSummaryTest, FindsQuantilesByRank) {
  SlidingSummary summary(kStart);
  for (std::uint64_t value = 100; value >= 1; --value) summary.Observe(value, kStart);
  const SlidingSummary::Reading reading = summary.Read(kStart, {0, 0.1, 0.5, 0.9, 1});
  EXPECT_EQ(reading.quantiles, (std::vector<double>{1, 10, 50, 90, 100}));
  EXPECT_EQ(reading.count, 100u);
  EXPECT_EQ(reading.sum, 5050);
  EXPECT_TRUE(summary.touched());
}

TEST(SlidingSummaryTest, ForgetsAfterTheWindowButKeepsTheTotals) {
  SlidingSummary summary(kStart);
  summary.Observe(10, kStart);
  summary.Observe(20, kStart + 5min);
  EXPECT_EQ(summary.Read(kStart + 9min, {0}).quantiles[0], 10);
  EXPECT_EQ(summary.Read(kStart + 10min, {0}).quantiles[0], 20);
  EXPECT_TRUE(std::isnan(summary.Read(kStart + 14min, {0}).quantiles[0]));
  EXPECT_EQ(summary.Read(kStart + 24h, {0}).count, 2u);
  EXPECT_EQ(summary.Read(kStart + 24h, {0}).sum, 30);
}

TEST(SlidingSummaryTest, ReusesItsSlots) {
  SlidingSummary summary(kStart);
  for (int minute = 0; minute < 60; ++minute) {
    const BootTime now = kStart + std::chrono::minutes(minute);
    summary.Observe(static_cast<std::uint64_t>(minute), now);
    const double oldest = summary.Read(now, {0}).quantiles[0];
    EXPECT_GE(oldest, minute - 9);
    EXPECT_LE(oldest, std::max(0, minute - 8));
  }
}

TEST(SlidingSummaryTest, CountsWhatIsLateOnlyInTheTotals) {
  SlidingSummary summary(kStart);
  summary.Observe(1, kStart + 30min);
  summary.Observe(2, kStart + 20min);
  summary.Observe(3, kStart - 1min);
  const SlidingSummary::Reading reading = summary.Read(kStart + 30min, {0, 1});
  EXPECT_EQ(reading.quantiles, (std::vector<double>{1, 1}));
  EXPECT_EQ(reading.count, 3u);
}

TEST(SlidingSummaryTest, LosesNothingToOtherThreads) {
  SlidingSummary summary(kStart);
  constexpr int kThreads = 4;
  constexpr int kEach = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&summary] {
      for (int i = 0; i < kEach; ++i) summary.Observe(7, kStart + std::chrono::milliseconds(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const SlidingSummary::Reading reading = summary.Read(kStart + 30s, {0.5});
  EXPECT_EQ(reading.count, static_cast<std::uint64_t>(kThreads * kEach));
  EXPECT_EQ(reading.sum, 7.0 * kThreads * kEach);
  EXPECT_EQ(reading.quantiles[0], 7);
}

}  // namespace
}  // namespace pgw
