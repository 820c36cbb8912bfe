#include "store/memory_reserve.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>

namespace pgw {
namespace {

// It guards the list of all reserves. Nothing is allocated while it is held.
constinit std::mutex list_mutex;
constinit MemoryReserve* list_head = nullptr;
constinit bool installed = false;
// The handler that was installed before ours is called for failures that no reserve can help.
constinit std::new_handler handler_before = nullptr;

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
  const std::lock_guard lock(list_mutex);
  if (!std::exchange(installed, true)) handler_before = std::set_new_handler(&OnFailure);
  next_ = list_head;
  if (next_ != nullptr) next_->previous_ = this;
  list_head = this;
}

MemoryReserve::~MemoryReserve() {
  const std::lock_guard lock(list_mutex);
  (previous_ != nullptr ? previous_->next_ : list_head) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  Release();
}

// Called by operator new, which tries again if this returns.
void MemoryReserve::OnFailure() {
  for (const Use* use = innermost_; use != nullptr; use = use->outer) {
    if (use->reserve.Release()) return;
  }
  if (ReleaseIdle()) return;
  if (innermost_ != nullptr) EndOutOfMemory();
  if (handler_before == nullptr) throw std::bad_alloc();
  handler_before();
}

bool MemoryReserve::ReleaseIdle() {
  const std::lock_guard lock(list_mutex);
  for (MemoryReserve* reserve = list_head; reserve != nullptr; reserve = reserve->next_) {
    if (reserve->busy_.exchange(true, std::memory_order_acquire)) continue;
    const bool released = reserve->Release();
    reserve->busy_.store(false, std::memory_order_release);
    if (released) return true;
  }
  return false;
}

bool MemoryReserve::Grow(std::size_t bytes) {
  Release();
  for (const std::size_t size : {std::max(bytes, kKept), bytes}) {
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) continue;
    memory_ = memory;
    size_ = size;
    return true;
  }
  return false;
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
