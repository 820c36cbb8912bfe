// Crashes at every call of random histories: what was acknowledged is there afterwards, what was
// not is there whole or not at all, in order, and nothing is invented.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>

#include "tests/store/persistence/history.h"

namespace pgw::testing {
namespace {

// PGW_HISTORIES=100000 for a long run, PGW_SEED=… to begin elsewhere.
std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Sanitizers make it some ten times slower, and look for other things.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kShare = 8;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr std::uint64_t kShare = 8;
#else
constexpr std::uint64_t kShare = 1;
#endif
#else
constexpr std::uint64_t kShare = 1;
#endif

void PlayHistories(HistoryOptions options, std::uint64_t count) {
  const std::uint64_t first = FromEnvironment("PGW_SEED", 1);
  count = FromEnvironment("PGW_HISTORIES", count / kShare);
  std::uint64_t crashes = 0;
  std::uint64_t torn = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    options.seed = seed;
    History history(options);
    const std::string complaint = history.Run();
    ASSERT_EQ(complaint, "");
    crashes += history.crashes();
    torn += history.torn();
  }
  ::testing::Test::RecordProperty("crashes", std::to_string(crashes));
  // A test that never meets what it is about proves nothing.
  if (options.crash_everywhere && count >= 50) {
    EXPECT_GT(crashes, 100 * count);
    EXPECT_GT(torn, count);
  }
}

TEST(CrashTest, KeepsWhatWasAcknowledgedWhereverItCrashes) { PlayHistories({}, 1000); }

TEST(CrashTest, KeepsWhatWasAcknowledgedBesideDiskTrouble) {
  HistoryOptions options;
  options.disk_trouble = true;
  PlayHistories(options, 1000);
}

TEST(CrashTest, KeepsWhatWasAcknowledgedOverLongHistories) {
  HistoryOptions options;
  options.steps = 200;
  options.disk_trouble = true;
  options.crash_everywhere = false;
  PlayHistories(options, 300);
}

}  // namespace
}  // namespace pgw::testing
