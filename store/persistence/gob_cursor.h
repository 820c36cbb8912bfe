// Takes the primitive values of a Go gob stream off a file in memory, one message at a time.
// Knows base.
//
// The first failure is kept and ends everything: from then on each value is zero or empty, no loop
// that asks ok() or Next() goes on, and error() names the byte. Not thread-safe; must not outlive
// the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw {

class GobCursor {
 public:
  explicit GobCursor(std::string_view file) : file_(file) {}

  bool ok() const { return !failed_; }
  // `byte 12: …`. Call only if not ok().
  Error error() const { return InvalidArgument(error_); }
  // Keeps the first failure: `what` went wrong with the value at `offset`.
  void Fail(std::size_t offset, const std::string& what);

  // Where the next byte is taken from, counted from the start of the file.
  std::size_t offset() const { return offset_; }
  // Bytes left in the open message.
  std::size_t remaining() const { return limit_ - offset_; }
  bool at_file_end() const { return offset_ == file_.size(); }

  // Takes the length of the next message; values come from inside it until it is closed.
  void OpenMessage();
  // All there is as one message without a length.
  void OpenRest() { limit_ = file_.size(); }
  // Fails unless everything in the message was taken.
  void CloseMessage();

  std::uint64_t Unsigned();
  std::int64_t Signed();
  // A string, a []byte or an opaque value: a length, then that many bytes.
  std::string_view Bytes();
  // How many elements follow. Each takes a byte at least, so more than remaining() cannot be.
  std::uint64_t Count();

 private:
  std::uint64_t LongUnsigned();

  std::string_view file_;
  std::size_t offset_ = 0;
  std::size_t limit_ = 0;  // end of the open message
  bool failed_ = false;
  std::string error_;
};

// The fields of a struct that are present, in rising order.
//
//   for (GobFieldWalk walk(cursor, 2); walk.Next();) Take(walk.field());
class GobFieldWalk {
 public:
  GobFieldWalk(GobCursor& cursor, std::size_t field_count)
      : cursor_(cursor), field_count_(field_count) {}

  // False at the end of the struct and after a failure.
  bool Next();
  std::size_t field() const { return next_ - 1; }

 private:
  GobCursor& cursor_;
  std::size_t field_count_;
  std::size_t next_ = 0;  // the lowest field number that may still come
};

// Inline: a file is little else than these, for one byte each.

inline std::uint64_t GobCursor::Unsigned() {
  if (offset_ < limit_) {
    const auto first = static_cast<unsigned char>(file_[offset_]);
    if (first < 0x80) {
      ++offset_;
      return first;
    }
  }
  return LongUnsigned();
}

inline std::int64_t GobCursor::Signed() {
  const std::uint64_t bits = Unsigned();
  const auto half = static_cast<std::int64_t>(bits >> 1);
  return (bits & 1) != 0 ? ~half : half;
}

}  // namespace pgw
