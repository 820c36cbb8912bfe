// Runs a program with little input and little output. Knows base.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pgw::image {

struct ProcessOutput {
  int exit_code = -1;  // -1: killed by a signal
  std::string text;    // of its standard output
};

// `words[0]` is looked up in PATH; stderr stays ours. kUnavailable where it cannot be started,
// writes more than 64 KiB or takes longer than `timeout` until it has ended, whether or not it has
// closed its output before (it is killed then, though not what it has started itself).
Result<ProcessOutput> RunProcess(const std::vector<std::string>& words, std::string_view input,
                                 std::chrono::milliseconds timeout);

}  // namespace pgw::image
