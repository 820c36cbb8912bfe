#include "bench/load/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace pgw::load {
namespace {

std::vector<std::int64_t> Dues(Schedule schedule, int count) {
  std::vector<std::int64_t> dues;
  for (int i = 0; i < count; ++i) {
    dues.push_back(schedule.due_ns());
    schedule.Advance();
  }
  return dues;
}

TEST(ScheduleTest, ConstantGapsDoNotDrift) {
  ScheduleOptions options;
  options.per_second = 3;
  Schedule schedule(options, 100);
  for (int i = 0; i < 3'000'000; ++i) schedule.Advance();
  EXPECT_EQ(schedule.due_ns(), 100 + 1'000'000'000'000'000);
  EXPECT_EQ(Dues(Schedule(options, 0), 3),
            (std::vector<std::int64_t>{0, 333'333'333, 666'666'667}));
}

TEST(ScheduleTest, PoissonGapsFollowTheSeedAndTheRate) {
  ScheduleOptions options;
  options.arrivals = Arrivals::kPoisson;
  options.per_second = 1000;
  options.seed = 5;
  const std::vector<std::int64_t> dues = Dues(Schedule(options, 0), 100'001);
  EXPECT_EQ(dues, Dues(Schedule(options, 0), 100'001));
  options.seed = 6;
  EXPECT_NE(dues, Dues(Schedule(options, 0), 100'001));
  // A hundred seconds, give or take four standard deviations.
  EXPECT_NEAR(static_cast<double>(dues.back()) / 1e9, 100, 4 * std::sqrt(1e5) / 1e3);
  double squares = 0;
  for (std::size_t i = 1; i < dues.size(); ++i) {
    ASSERT_GE(dues[i], dues[i - 1]);
    const double gap_ms = static_cast<double>(dues[i] - dues[i - 1]) / 1e6;
    squares += gap_ms * gap_ms;
  }
  EXPECT_NEAR(squares / 1e5, 2, 0.1);  // the second moment of an exponential with mean 1
}

TEST(ScheduleTest, BurstsAreDueAtOnce) {
  ScheduleOptions options;
  options.arrivals = Arrivals::kBursts;
  options.burst = 2;
  options.burst_gap_ns = 50;
  EXPECT_EQ(Dues(Schedule(options, 7), 5), (std::vector<std::int64_t>{7, 7, 57, 57, 107}));
}

}  // namespace
}  // namespace pgw::load
