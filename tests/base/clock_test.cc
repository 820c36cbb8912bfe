#include "base/clock.h"

#include <gtest/gtest.h>

namespace pgw {
namespace {

using namespace std::chrono_literals;

TEST(SystemClockTest, ReadsBothClocksForward) {
  const SystemClock clock;
  const Instant first = clock.Now();
  const Instant second = clock.Now();
  EXPECT_GE(second.boot, first.boot);
  EXPECT_GT(first.boot, BootTime{});
  EXPECT_LT(first.boot, kNever);
  EXPECT_GT(first.wall, WallTime(365 * 24h * 50));  // later than 2019
}

TEST(UnixSecondsTest, DividesNanosecondsAsGoDoes) {
  EXPECT_EQ(UnixSeconds(WallTime(1'583'781'848'025'744'841ns)), 1.583781848025745e+09);
  EXPECT_EQ(UnixSeconds(WallTime(0ns)), 0);
  EXPECT_EQ(UnixSeconds(WallTime(-500ms)), -0.5);
}

TEST(SaturatingAddTest, IsASumWhereThereIsOne) {
  EXPECT_EQ(SaturatingAdd(BootTime(5s), 2ms), BootTime(5'002ms));
  EXPECT_EQ(SaturatingAdd(WallTime(-5s), -1h), WallTime(-3'605s));
  EXPECT_EQ(SaturatingAdd(BootTime::max(), -1ns), BootTime::max() - 1ns);
  EXPECT_EQ(SaturatingAdd(BootTime::min(), std::chrono::nanoseconds::max()), BootTime(-1ns));
}

TEST(SaturatingAddTest, StopsAtTheLastAndTheFirstInstant) {
  EXPECT_EQ(SaturatingAdd(BootTime(5s), std::chrono::nanoseconds::max()), kNever);
  EXPECT_EQ(SaturatingAdd(BootTime::max(), 1ns), kNever);
  EXPECT_EQ(SaturatingAdd(BootTime(-5s), std::chrono::nanoseconds::min()), BootTime::min());
  EXPECT_EQ(SaturatingAdd(WallTime::min(), -1ns), WallTime::min());
}

// More of them than there are nanoseconds.
TEST(SaturatingAddTest, TakesSpansOfCoarserUnits) {
  EXPECT_EQ(SaturatingAdd(BootTime(5s), std::chrono::milliseconds::max()), kNever);
  EXPECT_EQ(SaturatingAdd(BootTime(5s), std::chrono::milliseconds::min()), BootTime::min());
  EXPECT_EQ(SaturatingAdd(BootTime(), 9'223'372'036'855ms), kNever);
  EXPECT_EQ(SaturatingAdd(BootTime(), 9'223'372'036'854ms), BootTime(9'223'372'036'854ms));
  EXPECT_EQ(SaturatingAdd(BootTime(-1s), std::chrono::hours::max()), kNever);
}

// No constant expression holds an overflow.
static_assert(SaturatingAdd(BootTime::max(), std::chrono::nanoseconds::max()) == kNever);
static_assert(SaturatingAdd(BootTime::min(), std::chrono::hours::min()) == BootTime::min());
static_assert(SaturatingAdd(BootTime(5s), std::chrono::milliseconds::max()) == kNever);
static_assert(SaturatingDifference(BootTime::max(), BootTime::min()) ==
              std::chrono::nanoseconds::max());

TEST(SaturatingDifferenceTest, StopsAtTheLongestDuration) {
  EXPECT_EQ(SaturatingDifference(BootTime(5s), BootTime(7s)), -2s);
  EXPECT_EQ(SaturatingDifference(kNever, BootTime(-1ns)), std::chrono::nanoseconds::max());
  EXPECT_EQ(SaturatingDifference(BootTime::min(), BootTime(1ns)), std::chrono::nanoseconds::min());
  EXPECT_EQ(SaturatingDifference(BootTime::min(), BootTime(0ns)), std::chrono::nanoseconds::min());
}

}  // namespace
}  // namespace pgw
