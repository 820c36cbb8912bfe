#include "store/memory_reserve.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <string_view>

namespace pgw {
namespace {

// What was installed before, for failures that are none of ours.
std::atomic<std::new_handler> handler_before = nullptr;

}  // namespace

thread_local constinit MemoryReserve::Use* MemoryReserve::innermost_ = nullptr;

void EndOutOfMemory() noexcept {
  constexpr std::string_view kLine =
      "pushgateway: out of memory in the middle of a change; ended at once, so that nothing is "
      "left half changed\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kLine.data(), kLine.size());
  ::_exit(kExitOutOfMemory);
}

MemoryReserve::MemoryReserve() {
  static std::once_flag installed;
  std::call_once(installed, [] { handler_before = std::set_new_handler(&OnFailure); });
}

// Called by operator new, which tries again if this returns.
void MemoryReserve::OnFailure() {
  for (const Use* use = innermost_; use != nullptr; use = use->outer) {
    if (use->reserve.Release()) return;
  }
  if (innermost_ != nullptr) EndOutOfMemory();
  const std::new_handler before = handler_before;
  if (before == nullptr) throw std::bad_alloc();
  before();
}

bool MemoryReserve::Grow(std::size_t bytes) {
  Release();
  // Rather more than is asked for, but where memory is short, what there is will do.
  for (std::size_t size = std::max(bytes, kKept);; size = std::max(bytes, size / 2)) {
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
      memory_ = memory;
      size_ = size;
      return true;
    }
    if (size == bytes) return false;
  }
}

bool MemoryReserve::Release() {
  if (memory_ == nullptr) return false;
  ::munmap(memory_, size_);
  memory_ = nullptr;
  size_ = 0;
  return true;
}

void MemoryReserve::Shrink() {
  if (::munmap(static_cast<char*>(memory_) + kKept, size_ - kKept) == 0) size_ = kKept;
}

}  // namespace pgw
