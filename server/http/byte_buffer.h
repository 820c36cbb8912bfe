// A body as it arrives. Knows nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace pgw::http {

// Grows by half of what it holds, never by what somebody announced. realloc moves pages instead of
// copying a large body, and does not clear memory that is about to be written.
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ~ByteBuffer() { std::free(data_); }
  ByteBuffer(ByteBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  // `size_max`: the size it will not exceed, if known. False when there is no memory.
  [[nodiscard]] bool Append(std::string_view bytes, std::uint64_t size_max = UINT64_MAX) {
    if (bytes.empty()) return true;
    char* const tail = Room(bytes.size(), size_max);
    if (tail == nullptr) return false;
    std::memcpy(tail, bytes.data(), bytes.size());
    Extend(bytes.size());
    return true;
  }

  // As Append(), but takes no more memory than it needs for now: for what mostly does not grow.
  [[nodiscard]] bool AppendExactly(std::string_view bytes) { return Append(bytes, 0); }

  // Forgets its first bytes, and gives their memory back.
  void DropFront(std::size_t bytes) {
    size_ -= bytes;
    if (bytes == 0) return;
    if (size_ == 0) {
      *this = ByteBuffer();
      return;
    }
    std::memmove(data_, data_ + bytes, size_);
    void* const moved = std::realloc(data_, size_);
    if (moved == nullptr) return;
    data_ = static_cast<char*>(moved);
    capacity_ = size_;
  }

  // Where `bytes` more may be written behind what it holds; null when there is no memory. They
  // belong to it once Extend() says so.
  [[nodiscard]] char* Room(std::size_t bytes, std::uint64_t size_max = UINT64_MAX) {
    const std::size_t needed = size_ + bytes;
    if (needed > capacity_) {
      const std::uint64_t roomy = std::min<std::uint64_t>(capacity_ + capacity_ / 2, size_max);
      const std::size_t capacity = std::max(needed, static_cast<std::size_t>(roomy));
      void* moved = std::realloc(data_, capacity);
      if (moved == nullptr) return nullptr;
      data_ = static_cast<char*>(moved);
      capacity_ = capacity;
    }
    return data_ + size_;
  }
  // REQUIRES: no more than the last Room() was asked for.
  void Extend(std::size_t bytes) { size_ += bytes; }

  std::string_view view() const { return {data_, size_}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t capacity() const { return capacity_; }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace pgw::http
