#include "bench/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

// Constant-initialised: objects are made before main, too.
std::atomic<std::uint64_t> count = 0;

}  // namespace

namespace pgw::bench {

std::uint64_t Allocations() { return count.load(std::memory_order_relaxed); }

}  // namespace pgw::bench

// The other forms, but the aligned ones, call these two. Those stay as they are, and uncounted.
void* operator new(std::size_t size) {
  count.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
