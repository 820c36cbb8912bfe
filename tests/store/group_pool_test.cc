#include "store/group_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>

namespace pgw {
namespace {

TEST(GroupPoolTest, KeepsEachGroupWhereItIs) {
  GroupPool pool;
  std::map<std::uint32_t, Group*> there;
  std::minstd_rand random(7);
  for (int step = 0; step < 5'000; ++step) {
    if (there.size() < 3 || (there.size() < 200 && random() % 2 == 0)) {
      Group& group = pool.Add("job\xff" + std::to_string(step));
      ASSERT_TRUE(there.emplace(std::uint32_t{group.place}, &group).second) << "step " << step;
    } else {
      const auto gone = std::next(there.begin(), static_cast<int>(random() % there.size()));
      pool.Remove(*gone->second);
      there.erase(gone);
    }
    std::size_t found = 0;
    for (std::size_t place = 0; place < pool.end(); ++place) {
      Group* const group = pool.Find(place);
      if (group == nullptr) continue;
      ++found;
      const auto at = static_cast<std::uint32_t>(place);
      ASSERT_TRUE(there.contains(at)) << "step " << step;
      ASSERT_EQ(group, there[at]);
      ASSERT_EQ(group, pool.At(at));
    }
    ASSERT_EQ(found, there.size()) << "step " << step;
  }
  // What became free is used again.
  EXPECT_LT(pool.end(), 300U);
}

TEST(GroupPoolTest, KeepsKeysOfAnyLength) {
  GroupPool pool;
  for (const std::size_t size : {0, 1, 47, 48, 49, 1'000}) {
    const std::string key(size, 'k');
    EXPECT_EQ(pool.Add(key).key(), key);
  }
}

}  // namespace
}  // namespace pgw
