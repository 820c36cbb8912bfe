#include "bench/load/process_sampler.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <system_error>

#include "bench/load/network.h"

namespace pgw::load {
namespace {

constexpr std::size_t kThreadsMax = 10'000;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::optional<double> ParseCpuSeconds(std::string_view stat, long ticks_per_second) {
  // 12 (name, which may hold anything) S 1 …: the 12th and 13th field behind the name.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || ticks_per_second <= 0) return std::nullopt;
  std::string_view rest = stat.substr(name_end + 1);
  std::uint64_t ticks = 0;
  for (int field = 1; field <= 13; ++field) {
    const std::size_t begin = rest.find_first_not_of(' ');
    if (begin == std::string_view::npos) return std::nullopt;
    const std::size_t end = std::min(rest.find(' ', begin), rest.size());
    if (field >= 12) {
      std::uint64_t value = 0;
      const char* const stop = rest.data() + end;
      const auto read = std::from_chars(rest.data() + begin, stop, value);
      if (read.ec != std::errc() || read.ptr != stop) return std::nullopt;
      ticks += value;
    }
    rest.remove_prefix(end);
  }
  return static_cast<double>(ticks) / static_cast<double>(ticks_per_second);
}

std::optional<std::uint64_t> ParseStatusField(std::string_view status, std::string_view field) {
  while (!status.empty()) {
    const std::string_view line = status.substr(0, status.find('\n'));
    status.remove_prefix(std::min(line.size() + 1, status.size()));
    if (!line.starts_with(field) || line.substr(field.size(), 1) != ":") continue;
    const std::size_t begin = line.find_first_of("0123456789", field.size());
    if (begin == std::string_view::npos) return std::nullopt;
    std::uint64_t value = 0;
    const auto read = std::from_chars(line.data() + begin, line.data() + line.size(), value);
    if (read.ec != std::errc()) return std::nullopt;
    return line.ends_with(" kB") ? value * 1024 : value;
  }
  return std::nullopt;
}

ProcessSampler::ProcessSampler(int pid) : folder_("/proc/" + std::to_string(pid)) {}

std::optional<ProcessSample> ProcessSampler::Sample() {
  ProcessSample sample;
  sample.at_ns = NowNs();
  const std::optional<double> cpu =
      ParseCpuSeconds(ReadFile(folder_ + "/stat"), sysconf(_SC_CLK_TCK));
  const std::string status = ReadFile(folder_ + "/status");
  const std::optional<std::uint64_t> rss = ParseStatusField(status, "VmRSS");
  if (!cpu || !rss) return std::nullopt;
  sample.cpu_s = *cpu;
  sample.rss_bytes = *rss;
  sample.anonymous_bytes = ParseStatusField(status, "RssAnon").value_or(0);
  sample.threads = ParseStatusField(status, "Threads").value_or(0);
  sample.wake_ups = WakeUps();
  return sample;
}

// The status of the process counts its first thread alone.
std::uint64_t ProcessSampler::WakeUps() {
  std::error_code error;
  std::filesystem::directory_iterator threads(folder_ + "/task", error);
  for (; !error && threads != std::filesystem::directory_iterator(); threads.increment(error)) {
    const std::string path = threads->path().string();
    const auto count = ParseStatusField(ReadFile(path + "/status"), "voluntary_ctxt_switches");
    if (count && (wake_ups_.size() < kThreadsMax || wake_ups_.contains(path))) {
      wake_ups_[path] = *count;
    }
  }
  return std::accumulate(wake_ups_.begin(), wake_ups_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& each) { return sum + each.second; });
}

double OwnCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace pgw::load
