// gzip scrapes that send again what earlier ones compressed: the same text as plain ones, whatever
// happened in between.
#include "server/routes/gzip_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "exposition/metrics.pb.h"
#include "exposition/text_parser.h"
#include "exposition/wire.h"
#include "server/routes/gzip_stream.h"
#include "tests/routes/gunzip.h"
#include "tests/support/random.h"
#include "tests/support/store_driver.h"

namespace pgw {
namespace {

using testing::At;
using testing::Gunzip;
using testing::Random;
using testing::StoreDriver;

using SnapshotRef = std::shared_ptr<const Snapshot>;

constexpr std::size_t kLargeEnoughToStay = 4 * 1024;

std::unique_ptr<TextScrape> TextOf(SnapshotRef snapshot,
                                   Escaping escaping = Escaping::kUnderscores) {
  auto own = std::make_unique<FamilySet>();
  EXPECT_TRUE(ParseText("# HELP own_one Own.\n# TYPE own_one gauge\nown_one 1\n"
                        "# HELP zz_own Own.\n# TYPE zz_own gauge\nzz_own 2\n",
                        NameValidation::kUtf8, *own)
                  .ok());
  return std::make_unique<TextScrape>(ScrapeContent{std::move(own), std::move(snapshot)}, escaping);
}

std::string Plain(const SnapshotRef& snapshot, Escaping escaping = Escaping::kUnderscores) {
  return ReadAll(*TextOf(snapshot, escaping));
}

std::string Zipped(const SnapshotRef& snapshot, Escaping escaping = Escaping::kUnderscores) {
  GzipText gzip(TextOf(snapshot, escaping));
  return ReadAll(gzip);
}

// Not EXPECT_EQ, which would print both.
::testing::AssertionResult SameText(const SnapshotRef& snapshot,
                                    Escaping escaping = Escaping::kUnderscores) {
  const std::string plain = Plain(snapshot, escaping);
  const std::string unzipped = Gunzip(Zipped(snapshot, escaping), plain.size() + 1);
  if (unzipped == plain) return ::testing::AssertionSuccess();
  const auto differ = std::ranges::mismatch(unzipped, plain).in1 - unzipped.begin();
  return ::testing::AssertionFailure()
         << "they differ at byte " << differ << " of " << plain.size();
}

// How many pieces could stay with their blocks, and how many compressed ones are there.
std::pair<int, int> LargeAndKept(const SnapshotRef& snapshot) {
  int large = 0;
  int kept = 0;
  const auto text = TextOf(snapshot);
  for (const TextPiece& piece : text->pieces()) {
    if (piece.block == nullptr || piece.text.size() < kLargeEnoughToStay) continue;
    ++large;
    if (piece.block->deflated().Find(piece.text.size()) != nullptr) ++kept;
  }
  return {large, kept};
}

// Three families of a line for each group, of the lengths that a value has.
std::string Body(std::int64_t value) {
  std::string body;
  for (const char* name : {"a", "m", "zzz"}) {
    body += "# HELP " + std::string(name) + " Help.\n# TYPE " + name + " gauge\n" + name +
            "{stage=\"load\"} " + std::to_string(value) + "\n";
  }
  return body;
}

StoreDriver::LabelList GroupOf(std::int64_t group) {
  return {{"job", "batch"}, {"instance", "host-" + std::to_string(group)}};
}

void Fill(StoreDriver& driver, std::int64_t groups, std::int64_t now_ms) {
  for (std::int64_t g = 0; g < groups; ++g) {
    ASSERT_TRUE(driver.Put(GroupOf(g), Body(g), now_ms).ok());
  }
}

class GzipTextTest : public ::testing::Test {
 protected:
  SnapshotRef Snap(std::int64_t now_ms) { return driver_.store().SnapshotAt(At(now_ms)); }
  void ExpectSameText(std::int64_t now_ms) { EXPECT_TRUE(SameText(Snap(now_ms))); }
  std::size_t Bytes() const { return driver_.store().Stats().bytes; }

  // What is pushed lives for a second.
  mutable StoreDriver driver_{{}, std::chrono::seconds(1)};
};

TEST_F(GzipTextTest, CompressesWhatIsSmall) {
  ExpectSameText(1);
  Fill(driver_, 1, 2);
  ExpectSameText(3);
  EXPECT_EQ(LargeAndKept(Snap(3)), std::pair(0, 0));
}

TEST_F(GzipTextTest, KeepsWhatItCompressed) {
  Fill(driver_, 2000, 1);
  const std::size_t before = Bytes();
  const SnapshotRef snapshot = Snap(2);
  const std::string first = Zipped(snapshot);
  EXPECT_TRUE(Gunzip(first) == Plain(snapshot));
  const auto [large, kept] = LargeAndKept(Snap(3));
  EXPECT_GT(large, 20);
  EXPECT_EQ(kept, large);
  const std::size_t after = Bytes();
  EXPECT_GT(after, before);
  EXPECT_LT(after - before, Plain(snapshot).size() / 5);
  // And sends it again.
  EXPECT_TRUE(Zipped(Snap(3)) == first);
  EXPECT_EQ(Bytes(), after);
}

TEST_F(GzipTextTest, CompressesAgainWhatChangedInPlaceOrInACopy) {
  Fill(driver_, 2000, 1);
  SnapshotRef held = Snap(2);
  Zipped(held);
  // Here the snapshot holds the blocks, so the store copies them.
  ASSERT_TRUE(driver_.Put(GroupOf(7), Body(77'777), 3).ok());
  const auto [large, kept] = LargeAndKept(Snap(4));
  EXPECT_LT(kept, large);
  EXPECT_GE(kept, large - 5);  // three families and two of bookkeeping
  EXPECT_TRUE(SameText(held));
  ExpectSameText(4);
  held.reset();
  EXPECT_EQ(LargeAndKept(Snap(5)), std::pair(large, large));
  // Here nobody holds them.
  ASSERT_TRUE(driver_.Put(GroupOf(8), Body(88'888), 6).ok());
  EXPECT_LT(LargeAndKept(Snap(7)).second, large);
  ExpectSameText(7);
}

TEST_F(GzipTextTest, KeepsNothingBeyondTheBlocks) {
  Fill(driver_, 500, 1);
  const std::size_t before = Bytes();
  Zipped(Snap(2));
  EXPECT_GT(Bytes(), before);
  for (std::int64_t g = 0; g < 500; ++g) ASSERT_TRUE(driver_.Delete(GroupOf(g), 3));
  StoreDriver empty;
  EXPECT_LT(Bytes(), empty.store().Stats().bytes + before / 2);
  Fill(driver_, 500, 4);
  EXPECT_LE(Bytes(), before + before / 8);
}

TEST_F(GzipTextTest, TextsOutliveTheStore) {
  auto driver = std::make_unique<StoreDriver>();
  Fill(*driver, 1000, 1);
  const SnapshotRef snapshot = driver->store().SnapshotAt(At(2));
  driver.reset();
  const std::string first = Zipped(snapshot);
  EXPECT_TRUE(Zipped(snapshot) == first);
  EXPECT_TRUE(Gunzip(first) == Plain(snapshot));
}

TEST_F(GzipTextTest, LeavesOutWhatHasExpired) {
  // Every third group lives longer, in the same blocks.
  Fill(driver_, 2000, 1);
  const SnapshotRef all = Snap(2);
  Zipped(all);
  for (std::int64_t g = 0; g < 2000; g += 3) {
    ASSERT_TRUE(driver_.Put(GroupOf(g), Body(g), 500).ok());
  }
  const SnapshotRef third = Snap(1100);
  ASSERT_LT(third->series(), all->series() / 2);
  EXPECT_TRUE(SameText(third));
  // Parts of blocks are kept, too, and give way to what earlier moments show.
  const auto [large, kept] = LargeAndKept(third);
  EXPECT_GT(large, 0);
  EXPECT_EQ(kept, large);
  EXPECT_TRUE(SameText(all));
  EXPECT_TRUE(SameText(third));
  ExpectSameText(2000);
}

TEST_F(GzipTextTest, CompressesALargeGroupInSteps) {
  std::string body = "# TYPE big gauge\n";
  for (int i = 0; i < 20'000; ++i) body += "big{i=\"" + std::to_string(i) + "\"} 0.5\n";
  ASSERT_TRUE(driver_.Put(GroupOf(1), body, 1).ok());
  const SnapshotRef snapshot = Snap(2);
  ASSERT_GT(Plain(snapshot).size(), 600'000u);
  GzipText gzip(TextOf(snapshot));
  std::string zipped;
  std::vector<std::string_view> pieces;
  int calls = 0;
  for (gzip.Next(pieces); !pieces.empty(); gzip.Next(pieces), ++calls) {
    for (const std::string_view piece : pieces) {
      EXPECT_FALSE(piece.empty());
      zipped.append(piece);
    }
    pieces.clear();
  }
  EXPECT_GE(calls, 10);  // no call compresses more than about 64 KB
  EXPECT_TRUE(Gunzip(zipped) == Plain(snapshot));
  EXPECT_EQ(LargeAndKept(snapshot), std::pair(1, 1));
  EXPECT_TRUE(SameText(snapshot));
}

TEST_F(GzipTextTest, EscapedNamesAreNotMistakenForStoredText) {
  namespace pb = ::io::prometheus::client;
  pb::MetricFamily family;
  family.set_name("my.metric");
  family.set_type(pb::GAUGE);
  for (int i = 0; i < 1000; ++i) {
    pb::Metric& metric = *family.add_metric();
    pb::LabelPair& label = *metric.add_label();
    label.set_name("i");
    label.set_value(std::to_string(i));
    metric.mutable_gauge()->set_value(i);
  }
  std::string body;
  AppendVarint(family.ByteSizeLong(), body);
  body += family.SerializeAsString();
  ASSERT_TRUE(driver_.PostMessages(GroupOf(5000), body, 1).ok());
  Fill(driver_, 1000, 1);
  const SnapshotRef snapshot = Snap(2);
  for (const Escaping escaping : {Escaping::kUnderscores, Escaping::kAllowUtf8, Escaping::kDots,
                                  Escaping::kValues, Escaping::kUnderscores}) {
    EXPECT_TRUE(SameText(snapshot, escaping)) << EscapingName(escaping);
  }
  EXPECT_TRUE(Plain(snapshot, Escaping::kAllowUtf8) != Plain(snapshot));
}

// Random histories, with snapshots that are looked at late and out of order.
TEST_F(GzipTextTest, EqualsThePlainTextWhateverHappened) {
  Random random(4711);
  std::vector<SnapshotRef> held;
  std::int64_t now = 1;
  for (int step = 0; step < 6000; ++step) {
    now += static_cast<std::int64_t>(random.Below(2));
    const auto group = static_cast<std::int64_t>(random.Below(400));
    if (random.OneIn(12)) {
      ASSERT_TRUE(driver_.Delete(GroupOf(group), now));
    } else {
      const auto value = static_cast<std::int64_t>(random.Below(random.OneIn(2) ? 3 : 1'000'000));
      ASSERT_TRUE(driver_.Put(GroupOf(group), Body(value), now).ok());
    }
    if (random.OneIn(20)) driver_.store().EraseExpired(At(now).boot, random.Below(50));
    if (random.OneIn(500)) now += 600;
    if (!random.OneIn(60)) continue;
    held.push_back(Snap(now));
    const SnapshotRef shown = held[random.Below(held.size())];
    ASSERT_TRUE(SameText(shown)) << "step " << step;
    if (held.size() > 4 || random.OneIn(3)) held.clear();
  }
}

// Most useful under ThreadSanitizer.
TEST_F(GzipTextTest, EveryScrapeIsWholeWhilePushesGoOn) {
  Fill(driver_, 300, 1);
  std::atomic<std::int64_t> now = 2;
  std::atomic<bool> done = false;
  std::atomic<int> scrapes = 0;
  std::vector<std::thread> scrapers;
  for (int s = 0; s < 2; ++s) {
    scrapers.emplace_back([&] {
      while (!done) {
        const SnapshotRef snapshot = Snap(now);
        EXPECT_TRUE(SameText(snapshot));
        ++scrapes;
      }
    });
  }
  // On a busy machine the scrapers may get their turn late.
  for (std::int64_t i = 0; i < 3000 || scrapes < 40; ++i) {
    const std::int64_t time = now.fetch_add(1);
    EXPECT_TRUE(driver_.Put(GroupOf(i % 300), Body(i % 7 == 0 ? i * 1003 : i), time).ok());
    if (i % 11 == 0) driver_.store().EraseExpired(At(time).boot, 20);
    if (i % 300 == 0) std::this_thread::yield();
  }
  done = true;
  for (std::thread& scraper : scrapers) scraper.join();
  EXPECT_GE(scrapes, 40);
}

}  // namespace
}  // namespace pgw
