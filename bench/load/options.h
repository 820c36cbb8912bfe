// The command line: flags, and scenarios as named sets of them. Knows server/flags.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/load/schedule.h"

namespace pgw::load {

enum class Scenario : unsigned char { kSteady, kChurn, kCliff, kHerd, kScrape, kSlow, kReplay };
std::string_view ScenarioName(Scenario scenario);

struct Url {
  std::string host;  // without the brackets of an IPv6 address
  std::string port;
  std::string prefix;  // of the path, without a slash at its end
  std::string text;    // as it was given
  // As a Host header has it.
  std::string Authority() const;
};

// http:// only: this program measures a Pushgateway, not the TLS in front of it.
Result<Url> ParseUrl(std::string_view text);

struct Target {
  Url url;
  std::string name;
  int pid = 0;  // 0: not known, no figures about the process
};

struct Options {
  Scenario scenario = Scenario::kSteady;
  std::vector<Target> targets;  // the first is the one others are compared with
  std::int64_t ttl_ns = 5'000'000'000;
  std::int64_t duration_ns = 10'000'000'000;
  std::int64_t warm_up_ns = 1'000'000'000;
  std::int64_t linger_ns = 0;  // watching goes on after the last push
  std::int64_t timeout_ns = 10'000'000'000;
  bool closed_loop = false;  // --rate=max
  double rate = 0;           // pushes a second
  Arrivals arrivals = Arrivals::kConstant;
  std::int64_t interval_ns = 0;  // in which each group is renewed; of kHerd: between bursts
  std::size_t threads = 1;
  std::size_t connections = 16;
  bool reconnect = false;
  std::string method = "PUT";
  std::size_t groups = 1000;
  std::size_t series = 10;
  std::size_t families = 10;
  std::string tag;                // in the names of the groups; empty: one of this run
  bool scatter = false;           // groups are pushed to out of order
  std::uint64_t first_value = 1;  // of what is not watched
  std::size_t cliff_groups = 0;   // besides the others, pushed once and at the same instant
  std::size_t cliff_series = 0;
  std::size_t scrapers = 0;
  std::int64_t scrape_interval_ns = 1'000'000'000;
  bool scrape_gzip = false;
  std::size_t watchers = 1;
  std::int64_t watch_interval_ns = 200'000'000;
  std::size_t stalled = 0;
  std::vector<std::string> files;
  bool change_values = true;
  std::size_t rounds = 1;
  std::uint64_t seed = 1;
  std::string json_file;
  std::string report_file;
  bool quiet = false;
  std::vector<std::string> warnings;  // what was asked for and will not be as one may think

  std::size_t all_groups() const { return groups + cliff_groups; }
};

// What --help prints.
std::string HelpText();

struct CommandLine {
  bool help = false;
  bool version = false;
  Options options;
};

// `arguments` without the program's name.
Result<CommandLine> ParseArguments(std::span<const std::string> arguments);

}  // namespace pgw::load
