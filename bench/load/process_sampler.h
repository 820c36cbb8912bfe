// What a process of this machine uses, from /proc. Knows figures.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "bench/load/figures.h"

namespace pgw::load {

// The time a process has run for, in seconds, from its /proc/PID/stat; nothing if that is no such
// line.
std::optional<double> ParseCpuSeconds(std::string_view stat, long ticks_per_second);
// A number of /proc/PID/status, in bytes if the line says kB.
std::optional<std::uint64_t> ParseStatusField(std::string_view status, std::string_view field);

// Not thread-safe.
class ProcessSampler {
 public:
  explicit ProcessSampler(int pid);

  // Nothing if the process is gone or hidden.
  std::optional<ProcessSample> Sample();

 private:
  std::uint64_t WakeUps();

  std::string folder_;
  std::map<std::string, std::uint64_t> wake_ups_;  // by thread, also of those that ended
};

// The CPU time of the calling process.
double OwnCpuSeconds();

}  // namespace pgw::load
