// Memory for operations of Asio that must not fail. Include it in beast_*.cc alone.
#pragma once

#include <boost/asio/bind_allocator.hpp>
#include <cassert>
#include <cstddef>
#include <new>
#include <utility>

namespace pgw::http {

// Holds one pending operation at a time: starting it takes no memory from anywhere else. Asio gives
// the place back before it calls the handler, which may start the next one. Must live until then.
class HandlerMemory {
 public:
  HandlerMemory() = default;
  HandlerMemory(const HandlerMemory&) = delete;
  HandlerMemory& operator=(const HandlerMemory&) = delete;

  void* Take(std::size_t bytes) {
    assert(!taken_ && bytes <= sizeof bytes_);
    if (taken_ || bytes > sizeof bytes_) return ::operator new(bytes);
    taken_ = true;
    return bytes_;
  }
  void GiveBack(void* memory) noexcept {
    if (memory == bytes_) {
      taken_ = false;
    } else {
      ::operator delete(memory);
    }
  }

 private:
  alignas(std::max_align_t) std::byte bytes_[160];
  bool taken_ = false;
};

// What Asio asks of an allocator.
template <typename T>
class HandlerAllocator {
 public:
  using value_type = T;

  explicit HandlerAllocator(HandlerMemory& memory) noexcept : memory_(&memory) {}
  template <typename U>
  HandlerAllocator(const HandlerAllocator<U>& other) noexcept  // NOLINT: as allocators convert
      : memory_(other.memory_) {}

  T* allocate(std::size_t count) {  // NOLINT(readability-identifier-naming)
    return static_cast<T*>(memory_->Take(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t /*count*/) noexcept {  // NOLINT
    memory_->GiveBack(memory);
  }
  friend bool operator==(const HandlerAllocator&, const HandlerAllocator&) = default;

 private:
  template <typename U>
  friend class HandlerAllocator;

  HandlerMemory* memory_;
};

// `handler` as one that keeps its operation in `memory`.
template <typename Handler>
auto KeptIn(HandlerMemory& memory, Handler handler) {
  return boost::asio::bind_allocator(HandlerAllocator<void>(memory), std::move(handler));
}

}  // namespace pgw::http
