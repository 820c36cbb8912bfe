// The process's own resources, as /proc and the kernel tell them. Knows base.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pgw {

// What could be found out; the rest is left out of the scrape.
struct ProcessReading {
  std::optional<double> cpu_seconds;
  std::optional<double> virtual_bytes;
  std::optional<double> resident_bytes;
  std::optional<double> start_time_seconds;  // Unix time
  std::optional<double> open_fds;
  std::optional<double> max_fds;
  std::optional<double> virtual_bytes_max;
  std::optional<double> network_receive_bytes;
  std::optional<double> network_transmit_bytes;
};

ProcessReading ReadProcess();

// The fields of /proc/self/stat that matter here, in the kernel's units.
struct ProcStat {
  std::uint64_t user_ticks = 0;
  std::uint64_t system_ticks = 0;
  std::uint64_t start_ticks = 0;  // since boot
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_pages = 0;
};
std::optional<ProcStat> ParseProcStat(std::string_view text);

// The number behind `column` in the two lines of `section` (IpExt: …) of /proc/self/net/netstat.
std::optional<std::uint64_t> ParseNetstat(std::string_view text, std::string_view section,
                                          std::string_view column);

}  // namespace pgw
