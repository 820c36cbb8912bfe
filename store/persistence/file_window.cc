#include "store/persistence/file_window.h"

#include <algorithm>

namespace pgw::persistence {

Result<FileWindow> FileWindow::On(const File& file) {
  const Result<std::uint64_t> size = file.Size();
  if (!size) return size.error();
  return FileWindow(file, *size);
}

Result<std::string_view> FileWindow::At(std::uint64_t offset, std::uint64_t length) {
  if (offset >= size_) return std::string_view();
  length = std::min(length, size_ - offset);
  if (offset >= start_ && offset - start_ + length <= filled_) {
    return std::string_view(buffer_.data() + (offset - start_), length);
  }
  const std::uint64_t wanted =
      std::min(std::max<std::uint64_t>(length, kReadBytes), size_ - offset);
  // A large piece is an exception; its memory is given back when the next one is small.
  if (buffer_.size() < wanted || buffer_.size() > std::max<std::uint64_t>(wanted, kReadBytes)) {
    std::vector<char>().swap(buffer_);
    buffer_.resize(wanted);
  }
  filled_ = 0;
  start_ = offset;
  const Result<std::size_t> read = file_->ReadAt(offset, std::span(buffer_).first(wanted));
  if (!read) return read.error();
  filled_ = *read;
  return std::string_view(buffer_.data(), std::min<std::uint64_t>(length, filled_));
}

}  // namespace pgw::persistence
