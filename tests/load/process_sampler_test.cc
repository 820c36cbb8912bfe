#include "bench/load/process_sampler.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace pgw::load {
namespace {

TEST(ProcessSamplerTest, ReadsTheTimesBehindAnyName) {
  constexpr char kStat[] = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 4 0 100 200 300";
  EXPECT_EQ(ParseCpuSeconds(kStat, 100), 4.0);
  EXPECT_FALSE(ParseCpuSeconds("12 (a) S 1 2 3", 100));
  EXPECT_FALSE(ParseCpuSeconds("", 100));
  EXPECT_FALSE(ParseCpuSeconds("12 (a) S 1 2 3 4 5 6 7 8 9 10 x 150 0", 100));
}

TEST(ProcessSamplerTest, ReadsFieldsOfAStatus) {
  constexpr char kStatus[] = "Name:\tx\nVmRSS:\t    1024 kB\nRssAnon: 12 kB\nThreads:\t3\n";
  EXPECT_EQ(ParseStatusField(kStatus, "VmRSS"), 1024u * 1024);
  EXPECT_EQ(ParseStatusField(kStatus, "Threads"), 3u);
  EXPECT_FALSE(ParseStatusField(kStatus, "Thread"));
  EXPECT_FALSE(ParseStatusField(kStatus, "Name"));
  EXPECT_FALSE(ParseStatusField("", "VmRSS"));
}

TEST(ProcessSamplerTest, SeesThisProcess) {
  ProcessSampler sampler(getpid());
  const std::optional<ProcessSample> sample = sampler.Sample();
  ASSERT_TRUE(sample);
  EXPECT_GT(sample->rss_bytes, 0u);
  EXPECT_GE(sample->threads, 1u);
}

TEST(ProcessSamplerTest, SaysThatThereIsNoProcess) {
  EXPECT_FALSE(ProcessSampler(0x7fffffff).Sample());
}

}  // namespace
}  // namespace pgw::load
