#include "ttl/policy.h"

#include <gtest/gtest.h>

#include <chrono>

namespace pgw {
namespace {

using namespace std::chrono_literals;

constexpr BootTime At(std::chrono::nanoseconds since_boot) { return BootTime(since_boot); }

TEST(TtlPolicyTest, AddsTheTtlToThePushTime) {
  EXPECT_EQ(TtlPolicy(120s).DeadlineFor(At(5s)), At(125s));
  EXPECT_EQ(TtlPolicy(1ns).DeadlineFor(At(5s)), At(5s + 1ns));
}

TEST(TtlPolicyTest, ZeroMeansForEver) {
  EXPECT_FALSE(TtlPolicy(0s).enabled());
  EXPECT_EQ(TtlPolicy(0s).DeadlineFor(At(5s)), kNever);
}

TEST(TtlPolicyTest, ATtlBeyondTheClockMeansForEver) {
  EXPECT_EQ(TtlPolicy(std::chrono::nanoseconds::max()).DeadlineFor(At(5s)), kNever);
}

}  // namespace
}  // namespace pgw
