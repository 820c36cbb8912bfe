// What is found many bytes at a time, at every place where a vector can begin or end.

#include "exposition/byte_scan.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "tests/support/random.h"

namespace pgw {
namespace {

// Memory that ends where nothing may be read any more.
class GuardedPage {
 public:
  GuardedPage() : size_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    void* const pages =
        mmap(nullptr, 2 * size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return;
    begin_ = static_cast<char*>(pages);
    if (mprotect(begin_ + size_, size_, PROT_NONE) != 0) begin_ = nullptr;
  }
  ~GuardedPage() {
    if (begin_ != nullptr) munmap(begin_, 2 * size_);
  }
  GuardedPage(const GuardedPage&) = delete;
  GuardedPage& operator=(const GuardedPage&) = delete;

  bool ok() const { return begin_ != nullptr; }
  // A copy of `text` with nothing behind it.
  std::string_view Put(std::string_view text) {
    char* const at = begin_ + size_ - text.size();
    std::copy(text.begin(), text.end(), at);
    return {at, text.size()};
  }

 private:
  const std::size_t size_;
  char* begin_ = nullptr;
};

TEST(CountLineFeedsTest, CountsAtEveryPlace) {
  GuardedPage page;
  ASSERT_TRUE(page.ok());
  for (std::size_t size = 0; size < 140; ++size) {
    // Neighbours of the line feed by one bit, and what borrows from or carries into it.
    for (const char other : {'x', '\x0b', '\x09', '\x8a', '\x00', '\xff', '\x80'}) {
      EXPECT_EQ(CountLineFeeds(page.Put(std::string(size, other))), 0U);
      for (std::size_t at = 0; at < size; ++at) {
        std::string text(size, other);
        text[at] = '\n';
        EXPECT_EQ(CountLineFeeds(page.Put(text)), 1U) << size << " " << at;
      }
    }
    EXPECT_EQ(CountLineFeeds(page.Put(std::string(size, '\n'))), size);
  }
}

TEST(CountLineFeedsTest, CountsMoreThanAByteHolds) {
  for (const std::size_t size : {4031U, 4032U, 4033U, 4080U, 4096U, 8160U, 8161U, 100'000U}) {
    EXPECT_EQ(CountLineFeeds(std::string(size, '\n')), size);
  }
}

TEST(CountLineFeedsTest, AgreesWithPlainCountingAtEveryAlignment) {
  testing::Random random(1);
  std::string text(5000, '\0');
  for (char& c : text) c = random.OneIn(5) ? '\n' : static_cast<char>(random.Below(256));
  for (std::size_t first = 0; first < 40; ++first) {
    for (std::size_t cut = 0; cut < 40; ++cut) {
      const std::string_view part = std::string_view(text).substr(first, text.size() - first - cut);
      ASSERT_EQ(CountLineFeeds(part),
                static_cast<std::size_t>(std::count(part.begin(), part.end(), '\n')));
    }
  }
}

TEST(ScanQuotedTest, ReadsNothingBehindTheEnd) {
  GuardedPage page;
  ASSERT_TRUE(page.ok());
  for (std::size_t size = 1; size < 70; ++size) {
    for (const char stop : {'"', '\\', '\n'}) {
      std::string text(size, 'x');
      text.back() = stop;
      const std::string_view placed = page.Put(text);
      const QuotedScan scan = ScanQuoted(placed.data(), placed.data() + placed.size());
      EXPECT_EQ(scan.stop, placed.data() + size - 1);
      EXPECT_TRUE(scan.ascii);
      if (stop == '"') continue;
      EXPECT_EQ(FindLineFeedOrBackslash(placed.data(), placed.data() + placed.size()),
                placed.data() + size - 1);
    }
  }
}

TEST(SameBytesTest, SeesEachDifferenceAndNothingBehindTheEnd) {
  GuardedPage page;
  GuardedPage other_page;
  ASSERT_TRUE(page.ok());
  ASSERT_TRUE(other_page.ok());
  for (std::size_t size = 0; size < 70; ++size) {
    const std::string text(size, 'x');
    const std::string_view placed = page.Put(text);
    EXPECT_TRUE(SameBytes(placed.data(), other_page.Put(text).data(), size));
    for (std::size_t at = 0; at < size; ++at) {
      std::string changed = text;
      changed[at] = 'y';
      EXPECT_FALSE(SameBytes(placed.data(), other_page.Put(changed).data(), size)) << size << at;
    }
  }
}

}  // namespace
}  // namespace pgw
