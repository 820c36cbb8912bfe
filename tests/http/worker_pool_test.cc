#include "server/http/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <future>
#include <vector>

#include "server/http/body_budget.h"

namespace pgw::http {
namespace {

TEST(WorkerPoolTest, RunsEveryTask) {
  std::atomic<int> ran{0};
  std::promise<void> all;
  WorkerPool pool(3);
  for (int i = 0; i < 1000; ++i) {
    pool.Run([&] {
      if (++ran == 1000) all.set_value();
    });
  }
  all.get_future().wait();
  EXPECT_EQ(ran, 1000);
}

TEST(WorkerPoolTest, UsesAllItsThreads) {
  std::barrier together(4);
  WorkerPool pool(3);
  for (int i = 0; i < 3; ++i) pool.Run([&] { together.arrive_and_wait(); });
  together.arrive_and_wait();  // hangs unless three run at once
}

TEST(WorkerPoolTest, KeepsTheOrderOfOneThread) {
  std::vector<int> order;
  std::promise<void> last;
  WorkerPool pool(1);
  for (int i = 0; i < 10; ++i) pool.Run([&order, i] { order.push_back(i); });
  pool.Run([&] { last.set_value(); });
  last.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(WorkerPoolTest, DropsWhatComesAfterTheEnd) {
  WorkerPool pool(1);
  pool.Stop();
  pool.Run([] { FAIL(); });
  pool.Stop();
}

TEST(BodyBudgetTest, GivesNoMoreThanItsCommonPart) {
  BodyBudget budget(1000, 200);
  EXPECT_TRUE(budget.Take(800));
  EXPECT_FALSE(budget.Take(1));
  EXPECT_TRUE(budget.Exhausted());
  EXPECT_FALSE(budget.Return(1));
  EXPECT_TRUE(budget.Take(1));
  budget.Wait();
  EXPECT_TRUE(budget.Return(1));
  budget.StopWaiting();
  EXPECT_FALSE(budget.Return(1));
}

TEST(BodyBudgetTest, GivesTheReserveToOneAtATime) {
  BodyBudget budget(1000, 200);
  EXPECT_TRUE(budget.ClaimReserve());
  EXPECT_FALSE(budget.ClaimReserve());
  budget.ReleaseReserve();
  EXPECT_TRUE(budget.ClaimReserve());
}

TEST(BodyBudgetTest, OnlyCountsWithoutALimit) {
  BodyBudget budget(0, 0);
  EXPECT_TRUE(budget.Take(1ull << 60));
  EXPECT_FALSE(budget.Exhausted());
  EXPECT_EQ(budget.used(), 1ull << 60);
}

TEST(BodyBudgetTest, SurvivesExtremeRequests) {
  BodyBudget budget(1000, 0);
  EXPECT_FALSE(budget.Take(UINT64_MAX));
  EXPECT_TRUE(budget.Take(500));
  EXPECT_FALSE(budget.Take(UINT64_MAX));
}

}  // namespace
}  // namespace pgw::http
