#include "bench/load/options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pgw::load {
namespace {

Options Parsed(const std::vector<std::string>& arguments) {
  const Result<CommandLine> line = ParseArguments(arguments);
  EXPECT_TRUE(line) << line.error().message;
  return line ? line->options : Options();
}

std::string ErrorOf(const std::vector<std::string>& arguments) {
  const Result<CommandLine> line = ParseArguments(arguments);
  return line ? "" : line.error().message;
}

TEST(LoadOptionsTest, SteadyRenewsFourTimesWithinALife) {
  const Options options = Parsed({"--ttl=8s", "--groups=400"});
  EXPECT_EQ(options.scenario, Scenario::kSteady);
  EXPECT_EQ(options.interval_ns, 2'000'000'000);
  EXPECT_DOUBLE_EQ(options.rate, 200);
  EXPECT_EQ(options.linger_ns, 9'000'000'000);
  EXPECT_EQ(options.targets.at(0).url.Authority(), "127.0.0.1:9091");
}

TEST(LoadOptionsTest, RateAndIntervalFollowFromEachOther) {
  EXPECT_EQ(Parsed({"--rate=100", "--groups=50"}).interval_ns, 500'000'000);
  EXPECT_DOUBLE_EQ(Parsed({"--interval=2s", "--groups=50"}).rate, 25);
  EXPECT_NE(ErrorOf({"--rate=1", "--interval=1s"}), "");
  EXPECT_TRUE(Parsed({"--rate=max"}).closed_loop);
  EXPECT_EQ(Parsed({"--rate=10", "--groups=100", "--ttl=5s"}).warnings.size(), 1u);
}

TEST(LoadOptionsTest, ScenariosAreDefaultsThatFlagsReplace) {
  EXPECT_EQ(Parsed({"scrape"}).scrapers, 4u);
  EXPECT_EQ(Parsed({"scrape", "--scrapers=1", "--no-scrape-gzip"}).scrapers, 1u);
  EXPECT_EQ(Parsed({"slow", "--stalled=3"}).stalled, 3u);
  EXPECT_TRUE(Parsed({"churn"}).reconnect);
  EXPECT_FALSE(Parsed({"churn", "--no-reconnect"}).reconnect);
  const Options cliff = Parsed({"cliff", "--ttl=3s"});
  EXPECT_EQ(cliff.cliff_groups * cliff.cliff_series, 1'000'000u);
  EXPECT_EQ(cliff.duration_ns, 8'000'000'000);
  const Options herd = Parsed({"herd", "--connections=7", "--interval=1s"});
  EXPECT_EQ(herd.arrivals, Arrivals::kBursts);
  EXPECT_EQ(herd.groups, 7u);
  EXPECT_EQ(Parsed({"replay", "a", "b"}).files, (std::vector<std::string>{"a", "b"}));
}

TEST(LoadOptionsTest, ChurnUsesAGroupAgainOnlyWhenItIsGone) {
  const Options options = Parsed({"churn", "--rate=100", "--ttl=2s", "--duration=60s"});
  EXPECT_EQ(options.groups, 500u);
}

TEST(LoadOptionsTest, NameAndPidAreAboutTheServerBefore) {
  const Options options = Parsed({"--url=http://127.0.0.1:1/x/", "--name=ours", "--pid=12",
                                  "--vs=http://[::1]:2", "--pid=13", "--vs=http://other"});
  ASSERT_EQ(options.targets.size(), 3u);
  EXPECT_EQ(options.targets[0].name, "ours");
  EXPECT_EQ(options.targets[0].pid, 12);
  EXPECT_EQ(options.targets[0].url.prefix, "/x");
  EXPECT_EQ(options.targets[1].name, "[::1]:2");
  EXPECT_EQ(options.targets[1].url.host, "::1");
  EXPECT_EQ(options.targets[1].pid, 13);
  EXPECT_EQ(options.targets[2].url.port, "80");
}

TEST(LoadOptionsTest, RefusesUrlsThatItCannotMeasure) {
  EXPECT_EQ(ErrorOf({"--url=https://x"}),
            "--url: URL \"https://x\": https is not measured; point at the server behind the TLS");
  for (const char* const url : {"x", "ftp://x", "http://", "http://:80", "http://x:0",
                                "http://x:65536", "http://x:y", "http://u@x", "http://x/?q",
                                "http://[::1", "http://[::1]x", "http://x y", "http://x/\r\nA"}) {
    EXPECT_NE(ErrorOf({std::string("--url=") + url}), "") << url;
  }
}

TEST(LoadOptionsTest, NamesWhatIsWrong) {
  EXPECT_EQ(ErrorOf({"--groups=0"}), "--groups: expected a number from 1 to 1000000, got \"0\"");
  EXPECT_EQ(ErrorOf({"--method=GET"}), "--method: expected PUT or POST, got \"GET\"");
  EXPECT_EQ(ErrorOf({"--ttl=5"}), "--ttl: time: missing unit in duration \"5\"");
  EXPECT_EQ(ErrorOf({"--duration=2h"}),
            "--duration: expected a duration from 0.100s to 3600s, got \"2h\"");
  EXPECT_EQ(
      ErrorOf({"nonsense"}),
      "no scenario is called \"nonsense\"; there are steady, churn, cliff, herd, scrape, slow "
      "and replay");
  EXPECT_EQ(ErrorOf({"steady", "file"}), "unexpected file");
  EXPECT_EQ(ErrorOf({"replay"}), "replay: expected files with payloads");
  EXPECT_EQ(ErrorOf({"cliff", "--ttl=0s"}), "cliff: nothing expires with --ttl=0s");
  EXPECT_EQ(ErrorOf({"--unknown"}), "unknown long flag '--unknown'");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--rate=0"},
                                             {"--rate=-1"},
                                             {"--rate=nan"},
                                             {"--rate=x"},
                                             {"--pid=0"},
                                             {"--pid=x"},
                                             {"cliff", "--groups=1000000"},
                                             {"herd", "--rate=max"},
                                             {"--arrivals=x"},
                                             {"--values=x"},
                                             {"--threads=2", "--connections=1"},
                                             {"cliff", "--duration=1s"}}) {
    EXPECT_NE(ErrorOf(arguments), "") << arguments[0];
  }
}

// Each flag that takes a value, with one that it does not take.
TEST(LoadOptionsTest, NamesTheFlagOfEveryBadValue) {
  for (const char* const flag : {"url",          "vs",
                                 "pid",          "ttl",
                                 "duration",     "warm-up",
                                 "linger",       "rate",
                                 "interval",     "arrivals",
                                 "connections",  "threads",
                                 "method",       "groups",
                                 "series",       "families",
                                 "first-value",  "tag",
                                 "cliff-groups", "cliff-series",
                                 "scrapers",     "scrape-interval",
                                 "watchers",     "watch-interval",
                                 "stalled",      "values",
                                 "timeout",      "rounds",
                                 "seed"}) {
    EXPECT_NE(HelpText().find("--" + std::string(flag) + "="), std::string::npos) << flag;
    for (const char* const value : {"/", "-1", ""}) {
      const std::string error = ErrorOf({"--" + std::string(flag) + "=" + value});
      EXPECT_NE(error.find("--" + std::string(flag)), std::string::npos) << flag << ": " << error;
    }
  }
  EXPECT_NE(ErrorOf({"cliff", "--groups=1000000"}).find("--groups"), std::string::npos);
}

// Memory is what bounds them; see memory_need.h.
TEST(LoadOptionsTest, TakesManySeries) {
  EXPECT_EQ(Parsed({"--groups=1000000", "--series=100000"}).series, 100'000U);
}

TEST(LoadOptionsTest, GroupsThatOthersKnowAreNotWatched) {
  const Options options = Parsed({"--tag=bench-", "--watchers=0", "--scatter"});
  EXPECT_EQ(options.tag, "bench-");
  EXPECT_TRUE(options.scatter);
  EXPECT_NE(ErrorOf({"--tag=bench-"}).find("--watchers=0"), std::string::npos);
  EXPECT_NE(ErrorOf({"cliff", "--tag=bench-", "--watchers=0"}), "");
  EXPECT_NE(ErrorOf({"--tag=a/b", "--watchers=0"}).find("--tag"), std::string::npos);
  EXPECT_EQ(Parsed({"--first-value=100000", "--watchers=0"}).first_value, 100'000U);
  EXPECT_NE(ErrorOf({"--first-value=100000"}).find("--watchers=0"), std::string::npos);
  EXPECT_NE(ErrorOf({"--first-value=-1", "--watchers=0"}), "");
}

TEST(LoadOptionsTest, HelpNamesEveryScenario) {
  const Result<CommandLine> line = ParseArguments(std::vector<std::string>{"--help", "--bad"});
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->help);
  for (const char* const name : {"steady", "churn", "cliff", "herd", "scrape", "slow", "replay"}) {
    EXPECT_NE(HelpText().find(std::string("  ") + name), std::string::npos);
  }
}

}  // namespace
}  // namespace pgw::load
