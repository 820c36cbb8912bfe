#include "bench/load/result.h"

#include <gtest/gtest.h>

#include <string>

namespace pgw::load {
namespace {

RunFigures Round(std::uint64_t pushes, std::int64_t latency_ns) {
  RunFigures figures;
  figures.measured_s = 2;
  figures.pushes = pushes;
  figures.push.statuses[200] = pushes;
  figures.push.latency.Record(latency_ns, pushes);
  figures.push.Failed(Failure::kReset);
  figures.process = ProcessFigures{.cpu_s = 1, .cpu_us_per_push = 2, .rss_bytes_max = 100};
  figures.seconds.resize(1);
  return figures;
}

LoadResult Compared() {
  LoadResult result;
  result.options.targets.resize(2);
  result.targets = {{{{}, "ours", 0}, {Round(100, 1'000'000), Round(200, 1'000'000)}},
                    {{{}, "<b>", 0}, {Round(50, 3'000'000), Round(50, 2'000'000)}}};
  return result;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(LoadResultTest, TotalIsAllRounds) {
  const RunFigures total = TotalOf(Compared().targets[0]);
  EXPECT_EQ(total.pushes, 300u);
  EXPECT_DOUBLE_EQ(total.pushes_per_s(), 75);
  EXPECT_EQ(total.push.latency.count(), 300u);
  ASSERT_TRUE(total.process);
  EXPECT_DOUBLE_EQ(total.process->cpu_share, 0.5);
}

TEST(LoadResultTest, RatiosAreOfRoundsNotOfTotals) {
  const LoadResult result = Compared();
  const std::vector<Ratio> ratios = RatiosTo(result.targets[0], result.targets[1]);
  ASSERT_FALSE(ratios.empty());
  EXPECT_EQ(ratios[0].name, "pushes_per_s");
  EXPECT_DOUBLE_EQ(ratios[0].median, 0.375);
  EXPECT_DOUBLE_EQ(ratios[0].least, 0.25);
  EXPECT_DOUBLE_EQ(ratios[0].most, 0.5);
}

TEST(LoadResultTest, ExitCodeTellsViolationsBeforeFailures) {
  LoadResult result = Compared();
  EXPECT_EQ(ExitCode(result), 3);  // reset connections
  for (TargetResult& target : result.targets) {
    for (RunFigures& round : target.rounds) round.push.failures = {};
  }
  EXPECT_EQ(ExitCode(result), 0);
  RunFigures& last = result.targets[1].rounds[1];
  last.scrape_gzip.statuses[500] = 1;
  EXPECT_EQ(ExitCode(result), 3);
  last.scrape_gzip.statuses.clear();
  last.push.not_sent = 1;
  EXPECT_EQ(ExitCode(result), 3);
  last.expiry.stale = 1;
  EXPECT_EQ(ExitCode(result), 2);
  last.expiry = {};
  CliffFigures& cliff = last.cliff.emplace();
  cliff.complete = true;
  cliff.shown_after = 1;
  EXPECT_EQ(ExitCode(result), 2);
}

TEST(LoadResultTest, JsonSaysItsVersion) {
  const std::string json = ToJson(Compared());
  EXPECT_TRUE(Has(json, R"("schema":"pushgateway-load","version":1)"));
  EXPECT_TRUE(Has(json, R"("failures":{"reset":2})"));
  EXPECT_TRUE(Has(json, R"("ratios_to_first")"));
}

TEST(LoadResultTest, TextNamesServersAndLoop) {
  LoadResult result = Compared();
  result.options.closed_loop = true;
  result.notes = {"few files"};
  const std::string text = ToText(result);
  EXPECT_TRUE(Has(text, "ours: steady, 2 rounds"));
  EXPECT_TRUE(Has(text, "closed loop"));
  EXPECT_TRUE(Has(text, "relative to ours"));
  EXPECT_TRUE(Has(text, "note: few files"));
}

}  // namespace
}  // namespace pgw::load
