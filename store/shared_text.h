// Text that many may hold and nobody changes. Knows store/prefetch.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "store/prefetch.h"

namespace pgw {

// A counted reference to an immutable string; null is allowed and means "none", which differs
// from empty. Half the size of a shared_ptr: stored families hold one each.
// Copying and destroying is thread-safe, as for shared_ptr.
class SharedText {
 public:
  SharedText() = default;
  explicit SharedText(std::string text) : rep_(new Rep{std::move(text), {1}}) {}
  SharedText(const SharedText& other) : rep_(other.rep_) {
    if (rep_ != nullptr) rep_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  SharedText(SharedText&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
  SharedText& operator=(SharedText other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~SharedText() {
    if (rep_ != nullptr && rep_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete rep_;
  }

  explicit operator bool() const { return rep_ != nullptr; }
  // Asks for what a copy writes to.
  void Prefetch() const {
    if (rep_ != nullptr) pgw::Prefetch(&rep_->refs, sizeof(rep_->refs));
  }
  std::string_view view() const { return rep_ != nullptr ? rep_->text : std::string_view(); }

 private:
  struct Rep {
    std::string text;
    std::atomic<std::uint32_t> refs;
  };

  Rep* rep_ = nullptr;
};

}  // namespace pgw
