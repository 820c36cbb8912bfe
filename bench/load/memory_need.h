// Whether there is memory enough for a run, before it begins. Knows options.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "bench/load/options.h"

namespace pgw::load {

// The memory that one request takes, with all its series.
struct RequestSizes {
  std::uint64_t push_bytes = 0;   // of the largest
  std::uint64_t cliff_bytes = 0;  // 0 without a cliff
};

// What this program will take at most for a run with these options, in bytes: requests, which each
// connection has one of, what is remembered of groups, and buffers. Not what the server takes.
std::uint64_t MemoryNeed(const Options& options, const RequestSizes& sizes);

// What this process may still take: of the machine, of its control group, of its address space.
// Nothing if the system does not tell.
std::optional<std::uint64_t> MemoryAvailable();

// kTooLarge, with both figures, if it is not enough.
Status CheckMemory(std::uint64_t need_bytes, std::optional<std::uint64_t> available_bytes);

// "1.5 GB".
std::string ShowMemory(std::uint64_t bytes);

}  // namespace pgw::load
