#include "tests/support/failing_allocation.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

namespace pgw::testing {
namespace {

struct alignas(64) Aligned {
  char bytes[64];
};

// The compiler may leave out a new expression whose memory nobody uses, but not this call.
void* Allocate() { return ::operator new(8); }
void Free(void* memory) { ::operator delete(memory); }

bool Fails() {
  try {
    Free(Allocate());
    return false;
  } catch (const std::bad_alloc&) {
    return true;
  }
}

class FailingAllocationTest : public ::testing::Test {
 protected:
  ~FailingAllocationTest() override {
    StopFailingAllocations();
    std::set_new_handler(nullptr);
  }
};

TEST_F(FailingAllocationTest, FailsTheOneWithThatNumber) {
  FailAllocation(3);
  const bool results[] = {Fails(), Fails(), Fails(), Fails()};
  StopFailingAllocations();
  EXPECT_FALSE(results[0] || results[1] || results[3]);
  EXPECT_TRUE(results[2]);
  EXPECT_EQ(AllocationsSeen(), 4U);
  EXPECT_EQ(AllocationsFailed(), 1U);
}

TEST_F(FailingAllocationTest, FailsAllFromThereOn) {
  FailAllocation(2, FaultScope::kThisThread, FaultLength::kFromThenOn);
  const bool results[] = {Fails(), Fails(), Fails()};
  StopFailingAllocations();
  EXPECT_FALSE(results[0]);
  EXPECT_TRUE(results[1] && results[2]);
  EXPECT_FALSE(Fails());
}

TEST_F(FailingAllocationTest, FailsEveryForm) {
  FailAllocation(1, FaultScope::kThisThread, FaultLength::kFromThenOn);
  const auto align = static_cast<std::align_val_t>(64);
  void* const nulls[] = {::operator new(8, std::nothrow),
                         ::operator new[](8, std::nothrow),
                         ::operator new(64, align, std::nothrow),
                         std::malloc(8),
                         std::calloc(8, 1),
                         std::realloc(nullptr, 8),
                         std::aligned_alloc(64, 64)};
  int thrown = 0;
  try {
    (void)::operator new[](8);
  } catch (const std::bad_alloc&) {
    ++thrown;
  }
  try {
    (void)::operator new(64, align);
  } catch (const std::bad_alloc&) {
    ++thrown;
  }
  StopFailingAllocations();
  for (void* const memory : nulls) EXPECT_EQ(memory, nullptr);
  EXPECT_EQ(thrown, 2);
}

TEST_F(FailingAllocationTest, AlignedMemoryIsAligned) {
  const auto memory = std::make_unique<Aligned>();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.get()) % 64, 0U);
}

// Whether an allocation fails here and on another thread, all being set to fail in that scope.
std::pair<bool, bool> FailsHereAndThere(FaultScope scope) {
  std::atomic<bool> set{false};
  bool there = false;
  std::thread other([&] {
    set.wait(false);
    there = Fails();
  });
  FailAllocation(1, scope, FaultLength::kFromThenOn);
  set = true;
  set.notify_one();
  const bool here = Fails();
  other.join();
  StopFailingAllocations();
  return {here, there};
}

TEST_F(FailingAllocationTest, KeepsToItsScope) {
  EXPECT_EQ(FailsHereAndThere(FaultScope::kThisThread), std::pair(true, false));
  EXPECT_EQ(FailsHereAndThere(FaultScope::kOtherThreads), std::pair(false, true));
  EXPECT_EQ(FailsHereAndThere(FaultScope::kAllThreads), std::pair(true, true));
}

TEST_F(FailingAllocationTest, TriesAgainAfterTheNewHandler) {
  static int calls = 0;
  calls = 0;
  std::set_new_handler([] { ++calls; });
  FailAllocation(1);
  const bool failed = Fails();
  StopFailingAllocations();
  EXPECT_FALSE(failed);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(AllocationsSeen(), 2U);
}

}  // namespace
}  // namespace pgw::testing
