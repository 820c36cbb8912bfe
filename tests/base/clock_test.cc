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

}  // namespace
}  // namespace pgw
