// Random histories of pushes, deletes and time, played to the store and to the naive model: same
// verdicts, same exposition, same groups, at every step.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <tuple>

#include "tests/store/model_player.h"

namespace pgw::testing {
namespace {

// Sanitizers make it some fifteen times slower.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr std::uint64_t kSeeds = 12;
#else
constexpr std::uint64_t kSeeds = 150;
#endif
#else
constexpr std::uint64_t kSeeds = 150;
#endif

class StoreModelTest : public ::testing::TestWithParam<std::tuple<bool, bool, bool>> {};

TEST_P(StoreModelTest, AgreesOnRandomHistories) {
  const auto [check, utf8, ttl] = GetParam();
  int repeats = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelPlayer player({check, utf8, ttl ? 1500 : 0}, std::mt19937_64(seed));
    player.Play(60);
    repeats += player.repeats();
  }
  if (check) {
    EXPECT_GT(repeats, static_cast<int>(kSeeds));
  } else {
    EXPECT_EQ(repeats, 0);
  }
}

TEST_P(StoreModelTest, AgreesWhenCommandsComeAsRecords) {
  const auto [check, utf8, ttl] = GetParam();
  for (std::uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelPlayer({check, utf8, ttl ? 1500 : 0, true}, std::mt19937_64(seed)).Play(60);
  }
}

std::string VariantName(const ::testing::TestParamInfo<std::tuple<bool, bool, bool>>& variant) {
  return std::string(std::get<0>(variant.param) ? "Checked" : "Unchecked") +
         (std::get<1>(variant.param) ? "Utf8" : "Legacy") +
         (std::get<2>(variant.param) ? "Ttl" : "ForEver");
}

INSTANTIATE_TEST_SUITE_P(Random, StoreModelTest,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool(),
                                            ::testing::Bool()),
                         VariantName);

}  // namespace
}  // namespace pgw::testing
