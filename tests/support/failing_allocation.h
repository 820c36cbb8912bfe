// Makes a chosen allocation fail, to see what a program does when memory runs out.
//
// Linking pgw_test_failing_allocation replaces every form of the global `operator new` and
// `operator delete` of that binary, in all its libraries too, and the calls of malloc, calloc,
// realloc, aligned_alloc and posix_memalign in its own objects. As the standard asks, an operator
// new that fails calls the installed new handler and tries again, and throws std::bad_alloc (or
// returns null) where there is none.
//
// At most one fault is set at a time. Thread-safe. Knows nothing.
#pragma once

#include <cstdint>

namespace pgw::testing {

// Whose allocations are counted, and fail.
enum class FaultScope : unsigned char {
  kThisThread,    // those of the thread that sets the fault
  kOtherThreads,  // all but those
  kAllThreads,
};

enum class FaultLength : unsigned char {
  kOnce,
  kFromThenOn,  // that one and all after it
};

// The allocation with that number from now on fails; 1 is the next one, 0 lets all succeed and only
// counts. An attempt that an operator new repeats after calling the new handler counts as one more.
// Replaces the fault set before and starts both counts anew.
void FailAllocation(std::uint64_t number, FaultScope scope = FaultScope::kThisThread,
                    FaultLength length = FaultLength::kOnce);

// From now on everything succeeds and nothing is counted. The counts stay readable.
void StopFailingAllocations();

// Allocations of the scope since FailAllocation(), and how many of them failed.
std::uint64_t AllocationsSeen();
std::uint64_t AllocationsFailed();

}  // namespace pgw::testing
