#include "store/memory_account.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "store/block.h"
#include "store/block_refs.h"
#include "tests/support/store_driver.h"

namespace pgw::testing {
namespace {

constexpr std::size_t kMiB = 1u << 20;

const StoreDriver::LabelList kJobA = {{"job", "a"}};
const StoreDriver::LabelList kJobB = {{"job", "b"}};

// One family of one line of that size.
std::string Large(std::size_t bytes, char fill) {
  return "large{l=\"" + std::string(bytes, fill) + "\"} 1\n";
}

class MemoryAccountTest : public ::testing::Test {
 protected:
  void CountTellings() {
    driver_.store().SetExpiryWaker([this] { ++tellings_; });
  }
  std::size_t held() { return driver_.store().memory()->held(); }
  std::size_t Freed() { return driver_.store().EraseExpired(At(0).boot, 1).freed; }

  StoreDriver driver_;
  int tellings_ = 0;
};

TEST_F(MemoryAccountTest, WhatOnlyReadersHaveIsHeldUntilTheLastOneGoes) {
  ASSERT_TRUE(driver_.Post(kJobA, Large(5 * kMiB, 'x'), 0));
  auto first = driver_.store().SnapshotAt(At(1));
  auto second = driver_.store().SnapshotAt(At(1));
  EXPECT_EQ(held(), 0u) << "the store has it as well";
  ASSERT_TRUE(driver_.Put(kJobA, Large(5 * kMiB, 'y'), 2));
  EXPECT_GT(held(), 5 * kMiB);
  EXPECT_LT(held(), 6 * kMiB);
  first.reset();
  EXPECT_GT(held(), 5 * kMiB);
  second.reset();
  EXPECT_EQ(held(), 0u);
}

TEST_F(MemoryAccountTest, EveryVersionIsHeldThatAReaderHas) {
  ASSERT_TRUE(driver_.Post(kJobA, Large(kMiB, 'a'), 0));
  std::vector<std::shared_ptr<const Snapshot>> readers;
  for (int i = 0; i < 5; ++i) {
    readers.push_back(driver_.store().SnapshotAt(At(i)));
    ASSERT_TRUE(driver_.Post(kJobA, Large(kMiB, static_cast<char>('b' + i)), i));
    EXPECT_GT(held(), static_cast<std::size_t>(i + 1) * kMiB);
  }
  readers.erase(readers.begin() + 2);
  EXPECT_GT(held(), 4 * kMiB);
  EXPECT_LT(held(), 5 * kMiB);
  readers.clear();
  EXPECT_EQ(held(), 0u);
}

TEST_F(MemoryAccountTest, WhatIsWrittenInPlaceIsNotHeld) {
  ASSERT_TRUE(driver_.Post(kJobA, Large(kMiB, 'a'), 0));
  driver_.store().SnapshotAt(At(1)).reset();
  ASSERT_TRUE(driver_.Post(kJobA, Large(kMiB, 'b'), 2));
  EXPECT_EQ(held(), 0u);
}

TEST_F(MemoryAccountTest, DeletesWipesAndExpiryLeaveItToReaders) {
  StoreDriver driver({}, std::chrono::seconds(1));
  const auto held_after = [&](const auto& remove) {
    EXPECT_TRUE(driver.Post(kJobA, Large(kMiB, 'a'), 0));
    const auto reader = driver.store().SnapshotAt(At(1));
    remove();
    return driver.store().memory()->held();
  };
  EXPECT_GT(held_after([&] { EXPECT_TRUE(driver.Delete(kJobA, 2)); }), kMiB);
  EXPECT_GT(held_after([&] {
              driver.store().Wipe(At(2));
              driver.store().EraseExpired(At(2).boot, 1);
            }),
            kMiB);
  EXPECT_GT(held_after([&] { driver.store().EraseExpired(At(5'000).boot, 100); }), kMiB);
  EXPECT_EQ(driver.store().memory()->held(), 0u);
}

TEST_F(MemoryAccountTest, GroupViewsHoldAsSnapshotsDo) {
  ASSERT_TRUE(driver_.Post(kJobA, Large(kMiB, 'a'), 0));
  {
    const std::vector<GroupView> groups = driver_.Groups(1);
    ASSERT_EQ(groups.size(), 1u);
    ASSERT_TRUE(driver_.Delete(kJobA, 2));
    EXPECT_GT(held(), kMiB);
    EXPECT_NE(groups[0].families[0].samples.lines.find("aaaa"), std::string_view::npos);
  }
  EXPECT_EQ(held(), 0u);
}

TEST_F(MemoryAccountTest, CompressedFormsAndMessagesCountWithTheirBlock) {
  MemoryAccount account;
  const DeflatedBytes total = std::make_shared<std::atomic<std::size_t>>(0);
  Block* const block = Block::Create(1, 100);
  block->Append("a 1\n", MetricType::kGauge, 1);
  block->SetExtra(0, SharedText(std::string(10'000, 'm')), SharedText(std::string(5'000, 'e')));
  block->deflated().Keep({.bytes = std::string(20'000, 'z'), .text_size = 4}, total);
  block->Ref();
  EXPECT_FALSE(block->outdated());
  block->Leave(account);
  EXPECT_TRUE(block->outdated());
  EXPECT_GT(account.held(), 35'000u);
  EXPECT_EQ(block->Unref(), account.held());
}

TEST_F(MemoryAccountTest, ASnapshotOutlivesItsStore) {
  std::shared_ptr<const Snapshot> snapshot;
  std::shared_ptr<MemoryAccount> account;
  {
    StoreDriver driver;
    account = driver.store().memory();
    ASSERT_TRUE(driver.Post(kJobA, Large(5 * kMiB, 'a'), 0));
    driver.store().SetExpiryWaker([this] { ++tellings_; });
    snapshot = driver.store().SnapshotAt(At(1));
  }
  EXPECT_GT(account->held(), 5 * kMiB);
  snapshot.reset();
  EXPECT_EQ(account->held(), 0u);
  EXPECT_EQ(tellings_, 0) << "there is nobody to tell";
}

TEST_F(MemoryAccountTest, BytesThatCommandsFreeAreToldNotFamilies) {
  CountTellings();
  ASSERT_TRUE(driver_.Post(kJobA, Large(kMiB, 'x'), 0));
  ASSERT_TRUE(driver_.Delete(kJobA, 1));
  EXPECT_EQ(tellings_, 0) << "too little";
  EXPECT_EQ(Freed(), 0u);
  ASSERT_TRUE(driver_.Post(kJobA, Large(5 * kMiB, 'x'), 2));
  ASSERT_TRUE(driver_.Delete(kJobA, 3));
  EXPECT_EQ(tellings_, 1);
  ASSERT_TRUE(driver_.Delete(kJobB, 3));
  EXPECT_EQ(tellings_, 1) << "one is enough until somebody looks";
  EXPECT_GT(Freed(), 5 * kMiB);
  EXPECT_EQ(Freed(), 0u);
  ASSERT_TRUE(driver_.Post(kJobA, Large(5 * kMiB, 'x'), 4));
  ASSERT_TRUE(driver_.Put(kJobA, "small 1\n", 5));
  EXPECT_EQ(tellings_, 2);
  EXPECT_GT(Freed(), 5 * kMiB);
}

TEST_F(MemoryAccountTest, ManySmallThingsCountByTheirBytesToo) {
  CountTellings();
  std::string body;
  for (int i = 0; i < 10'000; ++i) body += "m" + std::to_string(i) + " 1\n";
  ASSERT_TRUE(driver_.Post(kJobA, body, 0));
  ASSERT_TRUE(driver_.Delete(kJobA, 1));
  EXPECT_EQ(tellings_, 1);
  EXPECT_GT(Freed(), MemoryAccount::kFallWorthTelling);
}

TEST_F(MemoryAccountTest, BytesThatReadersFreeAreTold) {
  CountTellings();
  ASSERT_TRUE(driver_.Post(kJobA, Large(5 * kMiB, 'x'), 0));
  auto reader = driver_.store().SnapshotAt(At(1));
  ASSERT_TRUE(driver_.Delete(kJobA, 2));
  EXPECT_EQ(tellings_, 0) << "nothing is free yet";
  EXPECT_EQ(Freed(), 0u);
  std::thread([&reader] { reader.reset(); }).join();
  EXPECT_EQ(tellings_, 1);
  EXPECT_GT(Freed(), 5 * kMiB);
}

TEST_F(MemoryAccountTest, ReplacingByAsMuchFreesNothing) {
  CountTellings();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(driver_.Post(kJobA, Large(5 * kMiB, static_cast<char>('a' + i)), i));
  }
  EXPECT_EQ(tellings_, 0);
  EXPECT_EQ(Freed(), 0u);
}

TEST_F(MemoryAccountTest, OfALargeStoreAPartIsWorthTelling) {
  ASSERT_TRUE(driver_.Post(kJobB, Large(100 * kMiB, 'x'), 0));
  EXPECT_EQ(Freed(), 0u);
  CountTellings();
  ASSERT_TRUE(driver_.Post(kJobA, Large(5 * kMiB, 'x'), 1));
  ASSERT_TRUE(driver_.Delete(kJobA, 2));
  EXPECT_EQ(Freed(), 0u);
  ASSERT_TRUE(driver_.Post(kJobA, Large(8 * kMiB, 'x'), 3));
  ASSERT_TRUE(driver_.Delete(kJobA, 4));
  EXPECT_GT(Freed(), 8 * kMiB);
}

TEST_F(MemoryAccountTest, TheLimitIsToldAfterACommandAndWhenAReaderNeedsMore) {
  int over = 0;
  const std::shared_ptr<MemoryAccount> account = driver_.store().memory();
  account->SetLimit(4 * kMiB, [&over] { ++over; });
  ASSERT_TRUE(driver_.Post(kJobA, Large(3 * kMiB, 'a'), 0));
  auto first = driver_.store().SnapshotAt(At(1));
  ASSERT_TRUE(driver_.Post(kJobA, Large(3 * kMiB, 'b'), 2));
  EXPECT_EQ(over, 0);
  {
    ReaderCharge charge(account);
    charge.Set(kMiB / 2);
    EXPECT_EQ(over, 0);
    charge.Set(2 * kMiB);
    EXPECT_EQ(over, 1);
    charge.Set(kMiB / 4);
    EXPECT_EQ(over, 1);
  }
  auto second = driver_.store().SnapshotAt(At(3));
  ASSERT_TRUE(driver_.Delete(kJobA, 4));
  EXPECT_EQ(over, 2);
  first.reset();
  ASSERT_TRUE(driver_.Post(kJobB, "a 1\n", 5));
  EXPECT_EQ(over, 2);
  account->SetLimit(0, nullptr);
}

TEST_F(MemoryAccountTest, IsTrueWhereWritersAndReadersRace) {
  constexpr int kReaders = 3;
  constexpr int kPushes = 400;
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      std::vector<std::shared_ptr<const Snapshot>> snapshots;
      while (!done) {
        snapshots.push_back(driver_.store().SnapshotAt(At(0)));
        if (snapshots.size() == 4) snapshots.erase(snapshots.begin(), snapshots.begin() + 3);
      }
    });
  }
  for (int i = 0; i < kPushes; ++i) {
    ASSERT_TRUE(driver_.Post(kJobA, Large(20'000, static_cast<char>('a' + i % 20)), 0));
    if (i % 7 == 0) {
      ASSERT_TRUE(driver_.Delete(kJobA, 0));
    }
    EXPECT_LT(held(), std::size_t{kPushes} * 100'000) << "never below zero";
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(held(), 0u);
}

// What happens while a hook is being called may have come too late for that call.
TEST(MemoryAccountHookTest, TellsAgainWhatCameWhileItWasTelling) {
  MemoryAccount account;
  int calls = 0;
  account.SetLimit(100, [&] {
    if (++calls > 1) return;
    std::thread([&account] { account.Recharge(0, 200); }).join();
  });
  account.Recharge(0, 150);
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace pgw::testing
