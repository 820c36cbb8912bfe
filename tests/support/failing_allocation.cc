#include "tests/support/failing_allocation.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

// The linker sends the calls of malloc to __wrap_malloc, and those of __real_malloc to malloc.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the linker makes these names
void* __real_malloc(std::size_t size);
void* __real_calloc(std::size_t count, std::size_t size);
void* __real_realloc(void* memory, std::size_t size);
void* __real_aligned_alloc(std::size_t alignment, std::size_t size);
int __real_posix_memalign(void** memory, std::size_t alignment, std::size_t size);
void* __wrap_malloc(std::size_t size);
void* __wrap_calloc(std::size_t count, std::size_t size);
void* __wrap_realloc(void* memory, std::size_t size);
void* __wrap_aligned_alloc(std::size_t alignment, std::size_t size);
int __wrap_posix_memalign(void** memory, std::size_t alignment, std::size_t size);
// NOLINTEND(bugprone-reserved-identifier)
}

namespace pgw::testing {
namespace {

std::atomic<bool> counting{false};
std::atomic<FaultScope> fault_scope{FaultScope::kThisThread};
std::atomic<FaultLength> fault_length{FaultLength::kOnce};
std::atomic<std::uint64_t> fault_number{0};
std::atomic<const void*> fault_owner{nullptr};
std::atomic<std::uint64_t> seen{0};
std::atomic<std::uint64_t> failed{0};

// Its address tells the threads that are alive apart.
thread_local constinit char thread_mark = 0;

// Whether the allocation at hand has to fail.
bool Fails() {
  if (!counting.load(std::memory_order_relaxed)) return false;
  const FaultScope scope = fault_scope;
  const bool mine = fault_owner == &thread_mark;
  if (scope != FaultScope::kAllThreads && mine != (scope == FaultScope::kThisThread)) return false;
  const std::uint64_t number = seen.fetch_add(1) + 1;
  const std::uint64_t first = fault_number;
  if (first == 0 || number < first) return false;
  if (number > first && fault_length == FaultLength::kOnce) return false;
  failed.fetch_add(1);
  return true;
}

// As operator new: never null. `alignment` 0: whatever malloc gives.
void* New(std::size_t size, std::size_t alignment) {
  size = std::max<std::size_t>(size, 1);
  for (;;) {
    if (!Fails()) {
      void* memory = nullptr;
      if (alignment == 0) {
        memory = __real_malloc(size);
      } else if (__real_posix_memalign(&memory, std::max(alignment, sizeof(void*)), size) != 0) {
        memory = nullptr;
      }
      if (memory != nullptr) return memory;
    }
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void* NewOrNull(std::size_t size, std::size_t alignment) noexcept {
  try {
    return New(size, alignment);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

void FailAllocation(std::uint64_t number, FaultScope scope, FaultLength length) {
  counting = false;
  fault_scope = scope;
  fault_length = length;
  fault_number = number;
  fault_owner = &thread_mark;
  seen = 0;
  failed = 0;
  counting = true;
}

void StopFailingAllocations() { counting = false; }

std::uint64_t AllocationsSeen() { return seen; }
std::uint64_t AllocationsFailed() { return failed; }

}  // namespace pgw::testing

// The leak sanitizer asks for this. libprotobuf is not made for allocations that throw: an element
// that is ready is lost where the array that it goes into cannot grow.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() { return "leak:google::protobuf"; }

// NOLINTBEGIN(bugprone-reserved-identifier)
void* __wrap_malloc(std::size_t size) {
  if (!pgw::testing::Fails()) return __real_malloc(size);
  errno = ENOMEM;
  return nullptr;
}

void* __wrap_calloc(std::size_t count, std::size_t size) {
  if (!pgw::testing::Fails()) return __real_calloc(count, size);
  errno = ENOMEM;
  return nullptr;
}

void* __wrap_realloc(void* memory, std::size_t size) {
  if (!pgw::testing::Fails()) return __real_realloc(memory, size);
  errno = ENOMEM;
  return nullptr;
}

void* __wrap_aligned_alloc(std::size_t alignment, std::size_t size) {
  if (!pgw::testing::Fails()) return __real_aligned_alloc(alignment, size);
  errno = ENOMEM;
  return nullptr;
}

int __wrap_posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  return pgw::testing::Fails() ? ENOMEM : __real_posix_memalign(memory, alignment, size);
}
// NOLINTEND(bugprone-reserved-identifier)

void* operator new(std::size_t size) { return pgw::testing::New(size, 0); }
void* operator new[](std::size_t size) { return pgw::testing::New(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return pgw::testing::New(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return pgw::testing::New(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return pgw::testing::NewOrNull(size, 0);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return pgw::testing::NewOrNull(size, 0);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return pgw::testing::NewOrNull(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return pgw::testing::NewOrNull(size, static_cast<std::size_t>(alignment));
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}
