// Pushers, scrapers, deleters and expiry at once: every scrape is a consistent snapshot. Most
// useful under ThreadSanitizer.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/store_driver.h"

namespace pgw::testing {
namespace {

constexpr int kGroups = 6;
constexpr int kFamilies = 4;

// Each push gives all families of its group the same value, so a torn one shows.
std::string Body(std::int64_t value) {
  std::string body;
  for (int f = 0; f < kFamilies; ++f) {
    body += "f" + std::to_string(f) + " " + std::to_string(value) + "\n";
  }
  return body;
}

// Group → how often each value appears.
std::map<std::string, std::map<std::string, int>> ByGroup(const std::multiset<std::string>& lines) {
  std::map<std::string, std::map<std::string, int>> groups;
  for (const std::string& line : lines) {
    const std::size_t job = line.find("job=\"") + 5;
    ++groups[line.substr(job, line.find('"', job) - job)][line.substr(line.rfind(' ') + 1)];
  }
  return groups;
}

TEST(StoreConcurrencyTest, EveryScrapeSeesWholePushes) {
  StoreDriver driver({}, std::chrono::milliseconds(40));
  std::atomic<std::int64_t> now = 1;
  std::atomic<bool> done = false;
  std::atomic<int> scrapes = 0;
  std::vector<std::thread> threads;
  for (int p = 0; p < 2; ++p) {
    threads.emplace_back([&, p] {
      // On a busy machine the scraper may get its turn late.
      for (std::int64_t i = 0; i < 1500 || scrapes < 20; ++i) {
        const std::int64_t time = now.fetch_add(1);
        const std::string job = std::to_string((i + p * 3) % kGroups);
        // Lengths differ, so that texts move within their chunks.
        EXPECT_TRUE(driver.Put({{"job", job}}, Body(i % 7 == 0 ? i * 100'003 : i), time));
        if (i % 11 == 0) {
          EXPECT_TRUE(driver.Delete({{"job", job}}, time));
        }
      }
    });
  }
  threads.emplace_back([&] {
    while (!done) {
      driver.store().EraseExpired(At(now).boot, 3);
      std::this_thread::yield();
    }
  });
  std::thread scraper([&] {
    while (!done) {
      for (const auto& [group, values] : ByGroup(driver.Lines(now))) {
        EXPECT_EQ(values.size(), 1u) << "group " << group << " is torn";
        EXPECT_EQ(values.begin()->second, kFamilies) << "group " << group << " is not whole";
      }
      for (const GroupView& view : driver.Groups(now)) {
        EXPECT_EQ(view.families.size(), static_cast<std::size_t>(kFamilies));
      }
      ++scrapes;
    }
  });
  threads[0].join();
  threads[1].join();
  done = true;
  threads[2].join();
  scraper.join();
  EXPECT_GE(scrapes, 20);
}

}  // namespace
}  // namespace pgw::testing
