// How a scrape's body is cut: in pieces that one send takes.
#include "server/routes/scrape_body.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exposition/protobuf_reader.h"
#include "server/routes/gzip_stream.h"
#include "tests/support/store_driver.h"

namespace pgw {
namespace {

using testing::At;
using testing::StoreDriver;

constexpr Negotiated kFormat{ExpositionFormat::kProtobuf, Escaping::kUnderscores};

// What each call gives.
std::vector<std::string> Calls(http::BodySource& source) {
  std::vector<std::string> calls;
  std::vector<std::string_view> pieces;
  for (source.Next(pieces); !pieces.empty(); source.Next(pieces)) {
    std::string& call = calls.emplace_back();
    for (const std::string_view piece : pieces) call.append(piece);
    pieces.clear();
  }
  return calls;
}

// Families of a few bytes, of a few KB and of more than a call takes, in turns.
ScrapeContent Content() {
  StoreDriver driver;
  for (std::size_t family = 0; family < 30; ++family) {
    const std::size_t samples = family % 3 == 0 ? 1 : family % 3 == 1 ? 200 : 3000;
    std::string body;
    for (std::size_t n = 0; n < samples; ++n) {
      body += "family_" + std::to_string(family) + "{n=\"" + std::to_string(n) + "\"} 1\n";
    }
    EXPECT_TRUE(driver.Post({{"job", std::to_string(family)}}, body, 0).ok());
  }
  return {std::make_unique<FamilySet>(), driver.store().SnapshotAt(At(0))};
}

TEST(ScrapeBodyTest, EveryCallForTextIsFullButTheLast) {
  TextScrape scrape(Content(), Escaping::kUnderscores);
  std::string whole;
  for (const TextPiece& piece : scrape.pieces()) whole.append(piece.text);
  const std::vector<std::string> calls = Calls(scrape);
  ASSERT_GT(calls.size(), 20U);
  std::string together;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_LE(calls[i].size(), kScrapeBytesPerCall) << i;
    EXPECT_TRUE(calls[i].size() == kScrapeBytesPerCall || i + 1 == calls.size()) << i;
    together += calls[i];
  }
  EXPECT_TRUE(together == whole);
  EXPECT_EQ(scrape.length(), whole.size());
}

TEST(ScrapeBodyTest, NoCallForMessagesIsLonger) {
  MessageScrape scrape(Content(), kFormat);
  const std::vector<std::string> calls = Calls(scrape);
  ASSERT_GT(calls.size(), 10U);
  std::string together;
  for (const std::string& call : calls) {
    EXPECT_LE(call.size(), kScrapeBytesPerCall);
    together += call;
  }
  FamilySet set;
  ASSERT_TRUE(ParseDelimited(together, set).ok());
  std::size_t samples = 0;
  for (const Family& family : set.families) samples += family.metric_count;
  EXPECT_EQ(samples, 10U * (1 + 200 + 3000) + 2 * 30);  // with the times of the last push
}

// Gives the same full piece some times.
class FullPieces final : public ReaderBody {
 public:
  std::size_t buffered_bytes() const noexcept override { return 0; }
  void Next(std::vector<std::string_view>& pieces) override {
    if (left_-- > 0) pieces.push_back(piece_);
  }

  static constexpr int kPieces = 10;

 private:
  const std::string piece_ = std::string(kScrapeBytesPerCall, 'x');
  int left_ = kPieces;
};

TEST(ScrapeBodyTest, GzipCompressesOneFullCallATurn) {
  GzipStream zipped(std::make_unique<FullPieces>());
  EXPECT_GE(Calls(zipped).size(), std::size_t{FullPieces::kPieces});
}

}  // namespace
}  // namespace pgw
