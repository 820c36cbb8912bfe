#include "server/huge_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

namespace pgw {
namespace {

#ifdef MADV_COLLAPSE
constexpr int kCollapse = MADV_COLLAPSE;
#else
constexpr int kCollapse = 25;  // linux/mman.h
#endif

// Of the system, and, in newer ones, of this size; "inherit" is the former.
constexpr const char* kSettings[] = {
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled",
};

// In use all over: one part in so many may be missing, and is what the memory grows by.
constexpr std::size_t kPartsPerMissing = 32;
// Looked at in one call, some 20 us each.
constexpr int kLooksMax = 32;
constexpr std::chrono::microseconds kWorthRest{100};
// Then the kernel has none left, or knows no such call.
constexpr int kFailuresMax = 8;
// No heap is larger; what tools that watch memory map beside it is.
constexpr std::uint64_t kRangeBytesMax = std::uint64_t{1} << 40;

bool IsForbidden() {
  return std::ranges::any_of(kSettings, [](const char* path) {
    std::ifstream file(path);
    std::string setting;
    std::getline(file, setting);
    return setting.find("[never]") != std::string::npos;
  });
}

// NOLINTNEXTLINE(performance-no-int-to-ptr): addresses that the kernel told.
void* Pointer(std::uintptr_t address) { return reinterpret_cast<void*>(address); }

// Has the kernel make a large page and takes it back: the next one made is that. Behind a virtual
// machine's memory there is often nothing yet, and the host finds it in small pages. It does so
// now, which takes some milliseconds, and not while the piece is being copied and others wait.
void MakeOneReady() {
  constexpr std::size_t kRoom = 2 * HugePages::kPageBytes;
  void* const room =
      mmap(nullptr, kRoom, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return;
  auto begin = reinterpret_cast<std::uintptr_t>(room);
  begin = (begin + HugePages::kPageBytes - 1) / HugePages::kPageBytes * HugePages::kPageBytes;
  if (madvise(Pointer(begin), HugePages::kPageBytes, MADV_HUGEPAGE) == 0) {
    *static_cast<volatile char*>(Pointer(begin)) = 1;
  }
  munmap(room, kRoom);
}

bool IsInUse(std::uintptr_t begin) {
  const auto page_bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t pages = HugePages::kPageBytes / page_bytes;
  std::vector<unsigned char> states(pages);
  if (mincore(Pointer(begin), HugePages::kPageBytes, states.data()) != 0) return false;
  const auto missing = std::ranges::count_if(states, [](unsigned char s) { return (s & 1) == 0; });
  return static_cast<std::size_t>(missing) * kPartsPerMissing <= pages;
}

}  // namespace

bool HugePages::PackNext() {
  if (ranges_.empty()) {
    failures_ = 0;
    FindRanges();
  }
  bool ready = false;
  for (int looks = 0; !ranges_.empty() && looks < kLooksMax; ++looks) {
    Range& range = ranges_.back();
    const std::uintptr_t piece = range.begin;
    range.begin += kPageBytes;
    if (range.begin == range.end) ranges_.pop_back();
    if (!IsInUse(piece)) continue;
    if (!std::exchange(ready, true)) MakeOneReady();
    const auto begin = std::chrono::steady_clock::now();
    const bool packed = madvise(Pointer(piece), kPageBytes, kCollapse) == 0;
    failures_ = packed ? 0 : failures_ + 1;
    if (failures_ == kFailuresMax) ranges_.clear();
    // Where it was one already, that took no time.
    if (std::chrono::steady_clock::now() - begin >= kWorthRest) break;
  }
  return !ranges_.empty();
}

// proc_pid_maps(5): private memory of no file that may be written to.
void HugePages::FindRanges() {
  if (IsForbidden()) return;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string addresses;
    std::string access;
    std::string offset;
    std::string device;
    std::string inode;
    std::string name;
    fields >> addresses >> access >> offset >> device >> inode >> name;
    if (access != "rw-p" || inode != "0" || (!name.empty() && name != "[heap]")) continue;
    unsigned long long begin = 0;
    unsigned long long end = 0;
    if (std::sscanf(addresses.c_str(), "%llx-%llx", &begin, &end) != 2) continue;
    if (end - begin > kRangeBytesMax) continue;
    begin = (begin + kPageBytes - 1) / kPageBytes * kPageBytes;
    end = end / kPageBytes * kPageBytes;
    if (begin >= end) continue;
    ranges_.push_back({static_cast<std::uintptr_t>(begin), static_cast<std::uintptr_t>(end)});
  }
}

}  // namespace pgw
