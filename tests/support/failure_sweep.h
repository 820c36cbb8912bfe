// Plays something again and again, and has memory run out at one allocation later each time. For
// test binaries that link pgw_test_failing_allocation.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "tests/support/failing_allocation.h"

namespace pgw::testing {

// `play(number, length)` has memory run out at that allocation, looks whether all is well, and
// returns whether that allocation came at all.
template <typename Play>
void SweepSingleFailures(const Play& play) {
  std::uint64_t number = 1;
  for (; !::testing::Test::HasFailure(); ++number) {
    SCOPED_TRACE("allocation " + std::to_string(number));
    if (!play(number, FaultLength::kOnce)) break;
  }
  EXPECT_GT(number, 1u) << "nothing was allocated";
}

// The same with memory that does not come back; in child processes, since that may end the process:
// with this exit code and a line on standard error that begins with `line`. Then `after_end()`
// looks at what the process has left behind.
template <typename Play, typename AfterEnd>
void SweepEndlessFailures(const Play& play, int exit_code, const std::string& line,
                          const AfterEnd& after_end) {
  // Where a child is; 0 when there is nothing left.
  void* const shared = mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto& number = *static_cast<std::uint64_t*>(shared);
  for (number = 1; number != 0 && !::testing::Test::HasFailure();) {
    ::testing::internal::CaptureStderr();
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      while (!::testing::Test::HasFailure() && play(number, FaultLength::kFromThenOn)) ++number;
      if (!::testing::Test::HasFailure()) number = 0;
      std::fflush(nullptr);
      _exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int end = 0;
    ASSERT_EQ(waitpid(child, &end, 0), child);
    const std::string said = ::testing::internal::GetCapturedStderr();
    SCOPED_TRACE("allocation " + std::to_string(number));
    ASSERT_TRUE(WIFEXITED(end)) << said;
    if (WEXITSTATUS(end) == exit_code) {
      ASSERT_EQ(said.find(line), 0u) << said;
      after_end();
      ++number;
    } else {
      ASSERT_EQ(WEXITSTATUS(end), 0) << said;
      ASSERT_EQ(number, 0u);
    }
  }
  munmap(shared, sizeof(std::uint64_t));
}

}  // namespace pgw::testing
