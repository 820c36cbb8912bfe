// The tables behind the text parser.

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "exposition/byte_scan.h"
#include "exposition/hash_index.h"
#include "exposition/keyed_hash.h"
#include "exposition/series_finder.h"

namespace pgw {
namespace {

// Reference values made with an independent implementation, key bytes 00 to 0f, text 00 01 02 ….
TEST(KeyedHashTest, IsSipHash13) {
  // Words are taken as the machine stores them.
  if (std::endian::native != std::endian::little) GTEST_SKIP() << "not little-endian";
  constexpr HashKey kKey{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string text;
  std::vector<std::uint64_t> hashes;
  for (char c = 0; c < 16; ++c) {
    hashes.push_back(SipHash13(text, kKey));
    text += c;
  }
  EXPECT_EQ(hashes[0], 0xabac0158050fc4dcU);
  EXPECT_EQ(hashes[1], 0xc9f49bf37d57ca93U);
  EXPECT_EQ(hashes[8], 0x369095118d299a8eU);
  EXPECT_EQ(hashes[15], 0xd320d86d2a519956U);
}

TEST(KeyedHashTest, TellsApartWhereAPairIsSplit) {
  EXPECT_NE(KeyedHash("a", "bc"), KeyedHash("ab", "c"));
  EXPECT_NE(KeyedHash("a", "b"), KeyedHash("b", "a"));
  EXPECT_EQ(KeyedHash("a", "b"), KeyedHash(std::string("a"), std::string("b")));
}

TEST(HashIndexTest, FindsWhatWasInserted) {
  HashIndex index;
  const auto find = [&index](std::uint32_t wanted) {
    return index.Find(KeyedHash(std::to_string(wanted)),
                      [wanted](std::uint32_t i) { return i == wanted; });
  };
  EXPECT_EQ(find(7), HashIndex::kNone);
  EXPECT_EQ(index.memory(), 0U);
  for (std::uint32_t i = 0; i < 10000; ++i) index.Insert(KeyedHash(std::to_string(i)), i);
  for (std::uint32_t i = 0; i < 10000; ++i) ASSERT_EQ(find(i), i);
  EXPECT_EQ(find(10000), HashIndex::kNone);
  index.Clear();
  EXPECT_EQ(find(1), HashIndex::kNone);
  EXPECT_EQ(index.memory(), 0U);
}

TEST(HashIndexTest, ForgetsWhatWasErasedAndNothingElse) {
  HashIndex index;
  std::set<std::uint32_t> there;
  std::minstd_rand random(1);
  // Few values of the upper bits: long runs, some around the end of the table.
  const auto hash_of = [](std::uint32_t i) { return std::uint64_t{0xfffffff8U + i % 16} << 32; };
  for (int step = 0; step < 20'000; ++step) {
    const auto i = static_cast<std::uint32_t>(random() % 100);
    if (there.erase(i) != 0) {
      index.Erase(hash_of(i), i);
    } else {
      there.insert(i);
      index.Insert(hash_of(i), i);
    }
    const auto asked = static_cast<std::uint32_t>(random() % 100);
    ASSERT_EQ(index.Find(hash_of(asked), [asked](std::uint32_t at) { return at == asked; }),
              there.contains(asked) ? asked : HashIndex::kNone)
        << "step " << step;
  }
}

TEST(HashIndexTest, AsksForTheOneThatMatchesAmongEqualHashes) {
  HashIndex index;
  for (std::uint32_t i = 0; i < 50; ++i) index.Insert(42, i);
  EXPECT_EQ(index.Find(42, [](std::uint32_t i) { return i == 37; }), 37U);
  EXPECT_EQ(index.Find(42, [](std::uint32_t) { return false; }), HashIndex::kNone);
}

TEST(HashIndexTest, TellsWhereALookUpBegins) {
  HashIndex index;
  const auto entry_at = [](std::uintptr_t place) {
    std::array<std::uint32_t, 2> entry{};  // upper half of the hash, index
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the table is there.
    std::memcpy(entry.data(), reinterpret_cast<const void*>(place), sizeof entry);
    return entry;
  };
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const std::uint64_t hash = KeyedHash(std::to_string(i));
    // What is inserted into a free home stands there.
    const std::uintptr_t home = index.outline().HomeOf(hash);
    const bool free = entry_at(home)[1] == HashIndex::kNone;
    index.Insert(hash, i);
    if (!free || index.outline().HomeOf(hash) != home) continue;  // taken, or the table has grown
    const std::array<std::uint32_t, 2> wanted = {static_cast<std::uint32_t>(hash >> 32), i};
    ASSERT_EQ(entry_at(home), wanted) << i;
  }
}

TEST(SeriesFinderTest, ComparesLabelsWhateverTheirOrder) {
  const std::vector<Label> a = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  const std::vector<Label> shuffled = {{"c", "3"}, {"a", "1"}, {"b", "2"}};
  const std::vector<Label> other_value = {{"c", "3"}, {"a", "1"}, {"b", "4"}};
  const std::vector<Label> shorter = {{"a", "1"}, {"b", "2"}};
  EXPECT_TRUE(SameLabelSet(a, a));
  EXPECT_TRUE(SameLabelSet(a, shuffled));
  EXPECT_FALSE(SameLabelSet(a, other_value));
  EXPECT_FALSE(SameLabelSet(a, shorter));
  EXPECT_TRUE(SameLabelSet({}, {}));
}

TEST(SeriesFinderTest, KeepsFamiliesApart) {
  FamilySet set;
  set.families.resize(2);
  SeriesFinder finder(set);
  const auto add = [&](std::uint32_t family, std::vector<Label> labels) {
    EXPECT_EQ(finder.Find(family, labels), kNoIndex);
    const auto first = static_cast<std::uint32_t>(set.labels.size());
    set.labels.insert(set.labels.end(), labels.begin(), labels.end());
    const std::uint32_t metric = set.AddMetric(family);
    set.metrics[metric].first_label = first;
    set.metrics[metric].label_count = static_cast<std::uint32_t>(labels.size());
    finder.Add(family);
    return metric;
  };
  const std::vector<Label> x = {{"l", "x"}, {"m", "x"}};
  const std::vector<Label> x_reversed = {{"m", "x"}, {"l", "x"}};
  const std::vector<Label> y = {{"l", "y"}, {"m", "x"}};
  EXPECT_EQ(finder.Find(0, x), kNoIndex);
  const std::uint32_t x0 = add(0, x);
  EXPECT_EQ(finder.Find(0, x_reversed), x0);
  EXPECT_EQ(finder.Find(0, y), kNoIndex);
  EXPECT_EQ(finder.Find(1, x), kNoIndex);
  const std::uint32_t y0 = add(0, y);
  const std::uint32_t y1 = add(1, y);
  const std::uint32_t x1 = add(1, x);
  EXPECT_EQ(finder.Find(0, x_reversed), x0);
  EXPECT_EQ(finder.Find(0, y), y0);
  EXPECT_EQ(finder.Find(1, x), x1);
  EXPECT_EQ(finder.Find(1, y), y1);
  EXPECT_EQ(finder.Find(0, {}), kNoIndex);
}

TEST(ByteScanTest, AgreesWithAByteByByteSearch) {
  static constexpr std::string_view kBytes = "abcdefghijklmnop\"\\\n\xc3\xa9 ";
  std::mt19937_64 random(24);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    const std::uint64_t plain = random() % 50;
    while (text.size() < plain) text += kBytes[random() % 16 == 0 ? random() % kBytes.size() : 3];
    text += '\n';
    const char* const end = text.data() + text.size();

    const std::size_t quoted = text.find_first_of("\"\\\n");
    const QuotedScan scan = ScanQuoted(text.data(), end);
    ASSERT_EQ(scan.stop - text.data(), static_cast<std::ptrdiff_t>(quoted)) << text;
    bool ascii = true;
    for (std::size_t k = 0; k < quoted; ++k)
      ascii = ascii && static_cast<unsigned char>(text[k]) < 0x80;
    if (scan.ascii) {
      ASSERT_TRUE(ascii) << text;
    }
    if (text.find_first_of("\xc3\xa9") == text.npos) {
      ASSERT_TRUE(scan.ascii) << text;
    }
    ASSERT_EQ(FindLineFeedOrBackslash(text.data(), end) - text.data(),
              static_cast<std::ptrdiff_t>(text.find_first_of("\\\n")));
  }
}

}  // namespace
}  // namespace pgw
