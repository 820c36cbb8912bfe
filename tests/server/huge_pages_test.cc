#include "server/huge_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

namespace pgw {
namespace {

constexpr std::size_t kPieces = 4;

// Memory that begins where a large page may.
class Pieces {
 public:
  Pieces() {
    const std::size_t page = HugePages::kPageBytes;
    whole_ = mmap(nullptr, (kPieces + 1) * page, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const auto begin = reinterpret_cast<std::uintptr_t>(whole_);
    first_ = static_cast<char*>(whole_) + (page - begin % page) % page;
  }
  ~Pieces() { munmap(whole_, (kPieces + 1) * HugePages::kPageBytes); }
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  char* at(std::size_t piece) { return first_ + piece * HugePages::kPageBytes; }
  void Fill(std::size_t piece, std::size_t bytes) {
    std::memset(at(piece), static_cast<int>('a' + piece), bytes);
  }

 private:
  void* whole_ = nullptr;
  char* first_ = nullptr;
};

// A line of smaps(5) about the mapping that has the address, in KB.
std::size_t MappingKb(const void* address, std::string_view what) {
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long long begin = 0;
    unsigned long long end = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<std::uintptr_t>(address);
      inside = begin <= at && at < end;
    } else if (inside && line.starts_with(what)) {
      return std::stoul(line.substr(what.size()));
    }
  }
  return 0;
}

void PackAll() {
  HugePages pages;
  while (pages.PackNext()) {
  }
}

// Why what is looked for cannot be seen here; empty if it can.
std::string Hindrance() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string setting;
  std::getline(file, setting);
  if (setting.find("[always]") != std::string::npos) return "the kernel uses large pages by itself";
  if (setting.find("[never]") != std::string::npos) return "the administrator forbids large pages";
  constexpr int kCollapse = 25;  // MADV_COLLAPSE
  Pieces pieces;
  pieces.Fill(0, HugePages::kPageBytes);
  if (madvise(pieces.at(0), HugePages::kPageBytes, kCollapse) == 0) return "";
  return std::string("the kernel puts nothing together: ") + std::strerror(errno);
}

TEST(HugePagesTest, PutsTogetherWhatIsInUseAllOver) {
  if (const std::string why = Hindrance(); !why.empty()) GTEST_SKIP() << why;
  Pieces pieces;
  pieces.Fill(0, HugePages::kPageBytes);
  pieces.Fill(1, HugePages::kPageBytes);
  pieces.Fill(2, HugePages::kPageBytes / 2);
  const std::size_t resident = MappingKb(pieces.at(0), "Rss:");
  PackAll();
  EXPECT_EQ(MappingKb(pieces.at(0), "Rss:"), resident) << "it takes no more memory";
  for (std::size_t i = 0; i < HugePages::kPageBytes; i += 1000) {
    ASSERT_EQ(pieces.at(0)[i], 'a');
    ASSERT_EQ(pieces.at(1)[i], 'b');
    ASSERT_EQ(pieces.at(2)[i], i < HugePages::kPageBytes / 2 ? 'c' : 0);
  }
  EXPECT_EQ(MappingKb(pieces.at(0), "AnonHugePages:"), 2 * HugePages::kPageBytes / 1024);
}

TEST(HugePagesTest, ComesToAnEndAgainAndAgain) {
  HugePages pages;
  for (int round = 0; round < 2; ++round) {
    int calls = 1;
    while (pages.PackNext()) ++calls;
    EXPECT_LT(calls, 1'000'000);
  }
}

}  // namespace
}  // namespace pgw
