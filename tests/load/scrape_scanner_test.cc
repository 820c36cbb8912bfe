#include "bench/load/scrape_scanner.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgw::load {
namespace {

constexpr std::string_view kTag = "abcd-";

TEST(ScrapeScannerTest, KnowsItsSeries) {
  const struct {
    std::string_view line;
    bool ours;
    std::uint32_t group;
    std::uint64_t sequence;
  } cases[] = {
      {R"(pgw_load{instance="",job="pgw_load",n="3",pgw_group="abcd-0000123"} 17)", true, 123, 17},
      {R"(pgw_load_9{instance="",job="pgw_load",n="3",pgw_group="abcd-9999999"} 1e+06)", true,
       9999999, 1'000'000},
      {R"(pgw_load{pgw_group="abcd-0000001"} 1.234567e+06)", true, 1, 1'234'567},
      {"pgw_load{pgw_group=\"abcd-0000001\"} 2\r", true, 1, 2},
      {R"(pgw_load{pgw_group="abce-0000001"} 2)", false, 0, 0},
      {R"(pgw_load{pgw_group="abcd-000001"} 2)", false, 0, 0},
      {R"(pgw_load{pgw_group="abcd-000000x"} 2)", false, 0, 0},
      {R"(pgw_load{pgw_group="abcd-0000001"} NaN)", false, 0, 0},
      {R"(pgw_load{pgw_group="abcd-0000001"} 1.5)", false, 0, 0},
      {R"(pgw_load{pgw_group="abcd-0000001"} -1)", false, 0, 0},
      {R"(push_time_seconds{instance="",job="pgw_load",pgw_group="abcd-0000001"} 2)", false, 0, 0},
      {"# TYPE pgw_load untyped", false, 0, 0},
      {"pgw_load", false, 0, 0},
      {"pgw_load 3", false, 0, 0},
      {"", false, 0, 0},
  };
  for (const auto& [line, ours, group, sequence] : cases) {
    SeenSeries seen;
    ASSERT_EQ(ParseSeries(line, kTag, seen), ours) << line;
    if (!ours) continue;
    EXPECT_EQ(seen.group, group) << line;
    EXPECT_EQ(seen.sequence, sequence) << line;
  }
}

TEST(ScrapeScannerTest, FindsTheSameHoweverTheBodyIsCut) {
  std::string body = "# HELP x y\nx 1\n";
  for (int i = 0; i < 30; ++i) {
    body += "pgw_load{pgw_group=\"abcd-00000" + std::to_string(10 + i) + "\"} " +
            std::to_string(i) + "\nother{a=\"b\"} 3\n";
  }
  body += "pgw_load{pgw_group=\"abcd-0000099\"} 9";  // no end: not whole, not counted
  for (std::size_t piece = 1; piece < 200; ++piece) {
    ScrapeScanner scanner{std::string(kTag)};
    std::vector<std::pair<std::uint32_t, std::uint64_t>> found;
    for (std::size_t at = 0; at < body.size(); at += piece) {
      scanner.Feed(std::string_view(body).substr(at, piece),
                   [&](const SeenSeries& seen) { found.emplace_back(seen.group, seen.sequence); });
    }
    ASSERT_EQ(found.size(), 30u) << piece;
    for (std::uint32_t i = 0; i < 30; ++i) {
      EXPECT_EQ(found[i].first, 10 + i);
      EXPECT_EQ(found[i].second, i);
    }
  }
}

TEST(ScrapeScannerTest, LeavesOutLinesWithoutAnEndInSight) {
  ScrapeScanner scanner{std::string(kTag)};
  int found = 0;
  const auto count = [&](const SeenSeries&) { ++found; };
  for (int i = 0; i < 1000; ++i) scanner.Feed(std::string(100, 'x'), count);
  scanner.Feed("\npgw_load{pgw_group=\"abcd-0000001\"} 2\n", count);
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace pgw::load
