#include "store/fingerprint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/random.h"

namespace pgw {
namespace {

constexpr std::size_t kBlock = 4096;

std::string RandomText(std::size_t size) {
  testing::Random random(size);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random.Next());
  return text;
}

class Distinct {
 public:
  // False if it was there before, whole or by one of its halves.
  bool Add(const Fingerprint& fingerprint) {
    const bool fresh = low_.insert(fingerprint.low).second;
    return high_.insert(fingerprint.high).second && fresh;
  }

 private:
  std::set<std::uint64_t> low_;
  std::set<std::uint64_t> high_;
};

TEST(FingerprintTest, IsTheSameForTheSame) {
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 4095U, 4096U, 4097U, 300'000U}) {
    const std::string text = RandomText(size);
    const std::string shifted = "x" + text;  // at another alignment
    EXPECT_EQ(FingerprintOf(text, 1), FingerprintOf(std::string_view(shifted).substr(1), 1));
  }
}

TEST(FingerprintTest, DependsOnEachByte) {
  for (const std::size_t size : {1U, 15U, 16U, 33U, 4095U, 4097U, 8208U}) {
    std::string text = RandomText(size);
    Distinct seen;
    ASSERT_TRUE(seen.Add(FingerprintOf(text, 0)));
    for (std::size_t i = 0; i < size; ++i) {
      text[i] = static_cast<char>(text[i] ^ (1 << (i % 8)));
      EXPECT_TRUE(seen.Add(FingerprintOf(text, 0))) << size << " " << i;
      text[i] = static_cast<char>(text[i] ^ (1 << (i % 8)));
    }
  }
}

TEST(FingerprintTest, DependsOnLengthWhereOnlyPaddingDiffers) {
  Distinct seen;
  for (std::size_t size = 0; size < 3 * kBlock; ++size) {
    EXPECT_TRUE(seen.Add(FingerprintOf(std::string(size, '\0'), 0))) << size;
  }
}

TEST(FingerprintTest, DependsOnTheOrder) {
  const std::string a = RandomText(kBlock);
  const std::string b(kBlock, 'b');
  Distinct seen;
  EXPECT_TRUE(seen.Add(FingerprintOf(a + b, 0)));
  EXPECT_TRUE(seen.Add(FingerprintOf(b + a, 0)));
  std::string swapped = a + b;
  std::swap_ranges(swapped.begin(), swapped.begin() + 8, swapped.begin() + 8);
  EXPECT_TRUE(seen.Add(FingerprintOf(swapped, 0)));
  swapped = a + b;
  std::swap_ranges(swapped.begin(), swapped.begin() + 16, swapped.begin() + 16);
  EXPECT_TRUE(seen.Add(FingerprintOf(swapped, 0)));
}

TEST(FingerprintTest, DependsOnTheMeaning) {
  Distinct seen;
  for (std::uint64_t meaning = 0; meaning < 100; ++meaning) {
    EXPECT_TRUE(seen.Add(FingerprintOf("body", meaning)));
  }
}

}  // namespace
}  // namespace pgw
