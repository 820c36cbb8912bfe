// All rounds against all servers, one after the other. Knows engine, sampler and progress.
#pragma once

#include <atomic>

#include "base/result.h"
#include "bench/load/options.h"
#include "bench/load/result.h"

namespace pgw::load {

// Ends early when `stop` is set, with what there is by then. Errors: a server that cannot be
// reached or whose process cannot be seen, a payload that cannot be read.
Result<LoadResult> RunSession(const Options& options, const std::atomic<bool>& stop);

}  // namespace pgw::load
