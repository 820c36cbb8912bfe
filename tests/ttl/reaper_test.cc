#include "ttl/reaper.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <semaphore>
#include <string>

#include "tests/support/store_driver.h"

namespace pgw::testing {
namespace {

using namespace std::chrono_literals;

class ManualClock final : public Clock {
 public:
  Instant Now() const override { return At(now_ms_); }
  void Set(std::int64_t now_ms) { now_ms_ = now_ms; }

 private:
  std::atomic<std::int64_t> now_ms_ = 0;
};

// Counts, and tells when so many families are gone.
class Counter final : public ExpiryObserver {
 public:
  explicit Counter(std::size_t awaited = 0) : awaited_(awaited) {}

  void OnExpired(std::size_t families, std::size_t groups,
                 std::span<const std::chrono::nanoseconds> lags) override {
    EXPECT_EQ(lags.size(), families);
    const bool before = families_ < awaited_;
    families_ += families;
    groups_ += groups;
    if (before && families_ >= awaited_) reached_.set_value();
  }

  std::size_t families() const { return families_; }
  std::size_t groups() const { return groups_; }
  bool Await() { return reached_.get_future().wait_for(30s) == std::future_status::ready; }

 private:
  const std::size_t awaited_;
  std::size_t families_ = 0;
  std::size_t groups_ = 0;
  std::promise<void> reached_;
};

void PushGroups(StoreDriver& driver, int groups, std::int64_t now_ms) {
  for (int i = 0; i < groups; ++i) {
    ASSERT_TRUE(driver.Post({{"job", std::to_string(i)}}, "a 1\nb 1\n", now_ms));
  }
}

TEST(ReaperTest, ErasesInStepsAndTellsTheObserver) {
  StoreDriver driver({}, 1s);
  ManualClock clock;
  Counter counter;
  Reaper reaper(driver.store(), clock, counter);
  PushGroups(driver, 500, 0);
  EXPECT_FALSE(reaper.Step(At(999).boot));
  EXPECT_EQ(counter.families(), 0u);
  int steps = 1;
  while (reaper.Step(At(1'100).boot)) ++steps;
  EXPECT_GT(steps, 3);
  EXPECT_EQ(counter.families(), 1000u);
  EXPECT_EQ(counter.groups(), 500u);
}

TEST(ReaperTest, KeepsGroupRefreshedBetweenSteps) {
  StoreDriver driver({}, 1s);
  ManualClock clock;
  Counter counter;
  Reaper reaper(driver.store(), clock, counter);
  PushGroups(driver, 3, 0);
  ASSERT_TRUE(driver.Post({{"job", "1"}}, "a 1\n", 900));
  while (reaper.Step(At(1'100).boot)) {
  }
  EXPECT_EQ(driver.Groups(1'100).size(), 1u);
  EXPECT_EQ(driver.Lines(1'100).size(), 1u);
  EXPECT_EQ(counter.families(), 5u);
  EXPECT_EQ(counter.groups(), 2u);
}

TEST(ReaperTest, ThreadWakesUpForAPushAndErasesIt) {
  StoreDriver driver({}, 1ms);
  ManualClock clock;
  clock.Set(4'000);
  Counter counter(1000);
  Reaper reaper(driver.store(), clock, counter);
  reaper.Start();  // with nothing to do it sleeps
  PushGroups(driver, 500, 4'000);
  clock.Set(4'200);
  EXPECT_TRUE(counter.Await());
  reaper.Stop();
  EXPECT_EQ(driver.store().Stats().groups, 0u);
}

TEST(ReaperTest, TendsAStoreThatHasGrownPieceByPiece) {
  StoreDriver driver({}, 0s);
  ManualClock clock;
  Counter counter;
  std::promise<void> done;
  int pieces = 0;
  Reaper reaper(driver.store(), clock, counter, [&] {
    if (++pieces < 5) return true;
    done.set_value();
    return false;
  });
  reaper.Start();
  PushGroups(driver, 1, 0);
  const std::string body = "a{b=\"" + std::string(40u << 20, 'x') + "\"} 1\n";
  ASSERT_TRUE(driver.Post({{"job", "large"}}, body, 0));
  EXPECT_EQ(done.get_future().wait_for(30s), std::future_status::ready);
  PushGroups(driver, 1, 0);
  reaper.Stop();
  EXPECT_EQ(pieces, 5);
}

class GiveBackTest : public ::testing::Test {
 protected:
  void PushLarge(const std::string& job) {
    const std::string body = "a{b=\"" + std::string(5u << 20, 'x') + "\"} 1\n";
    ASSERT_TRUE(driver_.Post({{"job", job}}, body, 0));
  }
  bool AwaitGiveBack() { return given_back_.try_acquire_for(30s); }

  StoreDriver driver_{{}, 1s};
  ManualClock clock_;
  Counter counter_;
  std::counting_semaphore<> given_back_{0};
  Reaper reaper_{driver_.store(), clock_, counter_, {}, [this] { given_back_.release(); }};
};

TEST_F(GiveBackTest, WhateverFreesMuchHasItGivenBack) {
  reaper_.Start();
  PushLarge("deleted");
  ASSERT_TRUE(driver_.Delete({{"job", "deleted"}}, 0));
  EXPECT_TRUE(AwaitGiveBack());
  PushLarge("wiped");
  driver_.store().Wipe(At(0));
  EXPECT_TRUE(AwaitGiveBack());
  PushLarge("read");
  auto reader = driver_.store().SnapshotAt(At(0));
  ASSERT_TRUE(driver_.Delete({{"job", "read"}}, 0));
  reader.reset();
  EXPECT_TRUE(AwaitGiveBack());
  reaper_.Stop();
  EXPECT_FALSE(given_back_.try_acquire());
}

TEST_F(GiveBackTest, SoDoesExpiry) {
  PushLarge("expired");
  clock_.Set(2'000);
  reaper_.Start();
  EXPECT_TRUE(AwaitGiveBack());
}

TEST_F(GiveBackTest, LittleIsKept) {
  reaper_.Start();
  PushGroups(driver_, 100, 0);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(driver_.Delete({{"job", std::to_string(i)}}, 0));
  reaper_.Stop();
  EXPECT_FALSE(given_back_.try_acquire());
}

TEST(ReaperTest, StopsWhileItSleeps) {
  StoreDriver driver({}, 3600s);
  ManualClock clock;
  Counter counter;
  Reaper reaper(driver.store(), clock, counter);
  reaper.Start();
  PushGroups(driver, 1, 0);
  reaper.Stop();
  reaper.Stop();
  EXPECT_EQ(counter.families(), 0u);
}

}  // namespace
}  // namespace pgw::testing
