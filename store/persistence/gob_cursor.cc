#include "store/persistence/gob_cursor.h"

namespace pgw {

void GobCursor::Fail(std::size_t offset, const std::string& what) {
  if (failed_) return;
  failed_ = true;
  error_ = "byte " + std::to_string(offset) + ": " + what;
  limit_ = offset_;
}

void GobCursor::OpenMessage() {
  if (failed_) return;
  const std::size_t start = offset_;
  limit_ = file_.size();
  const std::uint64_t size = Unsigned();
  if (failed_) return;
  if (size > remaining()) {
    Fail(start, "a message of " + std::to_string(size) +
                    " bytes starts here, but the file has only " + std::to_string(remaining()) +
                    " more");
    return;
  }
  limit_ = offset_ + static_cast<std::size_t>(size);
}

void GobCursor::CloseMessage() {
  if (remaining() != 0) {
    Fail(offset_,
         "the message goes on for " + std::to_string(remaining()) + " bytes after its value");
  }
}

// A byte holding 256 - n, then n bytes, the most significant one first.
std::uint64_t GobCursor::LongUnsigned() {
  if (failed_) return 0;
  const std::size_t start = offset_;
  const std::size_t size =
      remaining() == 0 ? 1 : std::size_t{256} - static_cast<unsigned char>(file_[offset_]);
  if (size > sizeof(std::uint64_t)) {
    Fail(start, "a number of " + std::to_string(size) + " bytes");
    return 0;
  }
  if (size >= remaining()) {
    Fail(start, limit_ == file_.size() ? "the file ends inside a number"
                                       : "the message ends inside a number");
    return 0;
  }
  std::uint64_t value = 0;
  for (++offset_; offset_ <= start + size; ++offset_) {
    value = value << 8 | static_cast<unsigned char>(file_[offset_]);
  }
  return value;
}

std::string_view GobCursor::Bytes() {
  const std::size_t start = offset_;
  const std::uint64_t size = Unsigned();
  if (size > remaining()) {
    Fail(start, std::to_string(size) + " bytes should follow, but the message has only " +
                    std::to_string(remaining()) + " more");
    return {};
  }
  const std::string_view bytes = file_.substr(offset_, static_cast<std::size_t>(size));
  offset_ += bytes.size();
  return bytes;
}

std::uint64_t GobCursor::Count() {
  const std::size_t start = offset_;
  const std::uint64_t count = Unsigned();
  if (count > remaining()) {
    Fail(start, std::to_string(count) + " elements should follow, but the message has only " +
                    std::to_string(remaining()) + " more bytes");
    return 0;
  }
  return count;
}

bool GobFieldWalk::Next() {
  const std::size_t start = cursor_.offset();
  const std::uint64_t delta = cursor_.Unsigned();
  if (!cursor_.ok() || delta == 0) return false;
  if (delta > field_count_ - next_) {
    cursor_.Fail(start, "a field beyond the " + std::to_string(field_count_) + " of its struct");
    return false;
  }
  next_ += static_cast<std::size_t>(delta);
  return true;
}

}  // namespace pgw
