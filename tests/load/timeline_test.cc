#include "bench/load/timeline.h"

#include <gtest/gtest.h>

namespace pgw::load {
namespace {

Interval Pushes(std::uint64_t count, std::int64_t latency_ns) {
  Interval interval;
  interval.pushes = count;
  interval.push.Record(latency_ns, count);
  return interval;
}

TEST(TimelineTest, JoinsTheThreadsOfASecond) {
  Timeline timeline;
  timeline.Add(0, Pushes(3, 100));
  timeline.Add(1, Pushes(1, 900));
  timeline.Add(0, Pushes(1, 500));
  const Second first = timeline.Close(0);
  EXPECT_EQ(first.pushes, 4u);
  EXPECT_EQ(first.push_p50_ns, 100);
  EXPECT_EQ(first.push_max_ns, 500);
  EXPECT_EQ(timeline.Close(1).pushes, 1u);
}

TEST(TimelineTest, ASecondWithoutAnythingIsEmpty) {
  Timeline timeline;
  timeline.Add(2, Pushes(1, 1));
  EXPECT_EQ(timeline.Close(0).pushes, 0u);
  EXPECT_EQ(timeline.Close(2).pushes, 1u);
  timeline.Add(1, Pushes(1, 1));  // too late
  EXPECT_EQ(timeline.Close(3).pushes, 0u);
}

}  // namespace
}  // namespace pgw::load
