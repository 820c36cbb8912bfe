// Expected failures as values. Knows nothing.
//
// Spelled like std::expected (which gcc 12 lacks), so that it can be swapped for it later:
// has_value(), operator*, operator->, error(). Programmer errors are asserted, not returned.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace pgw {

enum class Code : unsigned char {
  kInvalidArgument,  // what was sent is wrong; sending it again will not help
  kTooLarge,         // over a stated limit
  kOverloaded,       // over a limit shared with others; try again later
  kUnavailable,      // disk, address or peer failed
  kInternal,         // a defect of ours
};

// Why something failed. `message` is complete: it says what and where, for the person who sent it.
struct Error {
  Code code = Code::kInvalidArgument;
  std::string message;

  friend bool operator==(const Error&, const Error&) = default;
};

inline Error InvalidArgument(std::string message) {
  return {Code::kInvalidArgument, std::move(message)};
}

// Either a T or an Error. Not thread-safe; owns both.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: as std::expected
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& operator*() & { return *Get(); }
  const T& operator*() const& { return *Get(); }
  T&& operator*() && { return std::move(*Get()); }
  T* operator->() { return Get(); }
  const T* operator->() const { return Get(); }

  const Error& error() const {
    assert(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  T* Get() {
    assert(has_value());
    return std::get_if<0>(&state_);
  }
  const T* Get() const {
    assert(has_value());
    return std::get_if<0>(&state_);
  }

  std::variant<T, Error> state_;
};

// Success, or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : state_(std::move(error)) {}  // NOLINT: as std::expected

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  const Error& error() const {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<std::monostate, Error> state_;
};

}  // namespace pgw
