#include "bench/load/memory_need.h"

#include <gtest/gtest.h>

namespace pgw::load {
namespace {

TEST(MemoryNeedTest, GrowsWithWhatIsKept) {
  Options options;
  options.targets.resize(1);
  const std::uint64_t little = MemoryNeed(options, {.push_bytes = 1000});
  EXPECT_LT(little, 50'000'000U);
  options.connections = 1000;
  EXPECT_GT(MemoryNeed(options, {.push_bytes = 5'000'000}), 5'000'000'000U);
  options.connections = 16;
  options.groups = 1'000'000;
  EXPECT_GT(MemoryNeed(options, {.push_bytes = 1000}), little + 170'000'000U);
  options.groups = 1;
  options.cliff_groups = 1000;
  EXPECT_GT(MemoryNeed(options, {.push_bytes = 1000, .cliff_bytes = 1'000'000}), 1'000'000'000U);
}

TEST(MemoryNeedTest, SaysWhatIsNeededAndWhatThereIs) {
  EXPECT_TRUE(CheckMemory(1000, 1000));
  EXPECT_TRUE(CheckMemory(1'000'000'000'000, std::nullopt));
  const Status status = CheckMemory(2'500'000'000, 800'000'000);
  ASSERT_FALSE(status);
  EXPECT_EQ(
      status.error().message,
      "this would take up to 2.5 GB of memory, and there are 800 MB: fewer --groups, --series "
      "or --connections, please");
}

TEST(MemoryNeedTest, KnowsWhatThisMachineHas) {
  const auto available = MemoryAvailable();
  ASSERT_TRUE(available);
  EXPECT_GT(*available, 1'000'000U);
}

}  // namespace
}  // namespace pgw::load
