// The result of all runs: what was asked for, what came of it, as JSON and as text. Knows figures.
//
// The JSON is described in docs/load.md; kSchemaVersion changes when a member changes its meaning
// or goes away.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/figures.h"
#include "bench/load/options.h"

namespace pgw::load {

inline constexpr int kSchemaVersion = 1;

struct TargetResult {
  Target target;
  std::vector<RunFigures> rounds;
};

struct LoadResult {
  Options options;
  std::string started;  // UTC, RFC 3339
  std::string program_version;
  std::vector<TargetResult> targets;
  std::vector<std::string> notes;  // what limits the figures
};

// A figure of one server over that of the first, round by round.
struct Ratio {
  std::string name;
  double median = 0;
  double least = 0;
  double most = 0;
};
std::vector<Ratio> RatiosTo(const TargetResult& first, const TargetResult& other);

// All rounds as one. Processes: means of what was used, the largest of what was held.
RunFigures TotalOf(const TargetResult& target);

// What the program ends with: 2 where a violation is proven, else 3 where a request failed, was
// refused or could not be sent; else 0.
int ExitCode(const LoadResult& result);

std::string ToJson(const LoadResult& result);
// For a terminal.
std::string ToText(const LoadResult& result);

}  // namespace pgw::load
