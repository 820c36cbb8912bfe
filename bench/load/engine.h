// One thread of the generator: a loop and the drivers on it. Knows drivers and options.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/load/figures.h"
#include "bench/load/network.h"
#include "bench/load/options.h"
#include "bench/load/timeline.h"
#include "bench/load/workload.h"

namespace pgw::load {

// The requests of a run against one server.
struct Requests {
  RequestTarget target;
  std::vector<RequestTemplate> forms;
  RequestTemplate cliff;
};

struct EngineSetup {
  const Options& options;
  const Endpoint& endpoint;
  const Requests& requests;
  std::size_t thread = 0;           // of options.threads
  std::int64_t start_ns = 0;        // of the warm-up
  std::uint64_t sequence_base = 0;  // numbers of pushes begin behind it
};

struct EngineOutcome {
  RunFigures figures;
  std::uint64_t highest_sequence = 0;
};

// Runs from `setup.start_ns` until all is over, or soon after `stop` is set. All that is referred
// to must stay; may be called from several threads for the parts of a run.
EngineOutcome RunEngine(const EngineSetup& setup, Timeline& timeline,
                        const std::atomic<bool>& stop);

}  // namespace pgw::load
