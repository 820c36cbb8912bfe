#include "bench/load/memory_need.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>

namespace pgw::load {
namespace {

// Rounded up; expiry_ledger.h and ScrapeView say of what they consist.
constexpr std::uint64_t kLedgerGroupBytes = 256;
constexpr std::uint64_t kSeenGroupBytes = 32;
constexpr std::uint64_t kConnectionBytes = std::uint64_t{64} * 1024;
constexpr std::uint64_t kProgramBytes = std::uint64_t{32} * 1024 * 1024;

// The number behind `name` in a file of lines `name number`, or the first one if there is no name.
std::optional<std::uint64_t> NumberIn(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  while (!name.empty() && file >> word && word != name) {
  }
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

}  // namespace

std::uint64_t MemoryNeed(const Options& options, const RequestSizes& sizes) {
  const std::uint64_t watchers = options.watchers * options.threads;
  const std::uint64_t others = watchers + options.scrapers + options.stalled;
  return kProgramBytes + options.all_groups() * (kLedgerGroupBytes + watchers * kSeenGroupBytes) +
         options.connections * (kConnectionBytes + sizes.push_bytes) +
         options.cliff_groups * (kConnectionBytes + sizes.cliff_bytes) + others * kConnectionBytes +
         options.targets.size() * (sizes.push_bytes + sizes.cliff_bytes);
}

std::optional<std::uint64_t> MemoryAvailable() {
  std::optional<std::uint64_t> least;
  const auto bound = [&least](std::uint64_t bytes) {
    least = std::min(least.value_or(bytes), bytes);
  };
  if (const auto kib = NumberIn("/proc/meminfo", "MemAvailable:")) bound(*kib * 1024);
  const auto group_most = NumberIn("/sys/fs/cgroup/memory.max", "");
  const auto group_used = NumberIn("/sys/fs/cgroup/memory.current", "");
  if (group_most && group_used) bound(*group_most - std::min(*group_most, *group_used));
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) bound(limit.rlim_cur);
  return least;
}

Status CheckMemory(std::uint64_t need_bytes, std::optional<std::uint64_t> available_bytes) {
  if (!available_bytes || need_bytes <= *available_bytes) return {};
  return Error{Code::kTooLarge, "this would take up to " + ShowMemory(need_bytes) +
                                    " of memory, and there are " + ShowMemory(*available_bytes) +
                                    ": fewer --groups, --series or --connections, please"};
}

std::string ShowMemory(std::uint64_t bytes) {
  constexpr double kGiga = 1e9;
  std::array<char, 48> text{};
  const auto amount = static_cast<double>(bytes);
  if (amount < kGiga) {
    std::snprintf(text.data(), text.size(), "%.0f MB", amount / 1e6);
  } else {
    std::snprintf(text.data(), text.size(), "%.1f GB", amount / kGiga);
  }
  return text.data();
}

}  // namespace pgw::load
