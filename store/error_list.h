// Several complaints as one message, in the form of client_golang's MultiError. Knows base.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pgw {

class ErrorList {
 public:
  // More are counted but not worded: a push of a million bad samples gets a readable answer.
  static constexpr std::size_t kWordedMax = 100;

  // `word` returns the text; it is called only if that will be shown.
  template <typename Word>
  void Add(const Word& word) {
    if (++count_ <= kWordedMax) texts_.push_back(word());
  }

  // Adds complaints that nobody worded.
  void Count(std::size_t more) { count_ += more; }

  bool empty() const { return count_ == 0; }
  std::size_t count() const { return count_; }
  void Clear() {
    count_ = 0;
    texts_.clear();
  }

  // One: its text. Several: "N error(s) occurred:" and a line each.
  Error ToError() const {
    if (count_ == 1) return InvalidArgument(texts_.front());
    std::string all = std::to_string(count_) + " error(s) occurred:";
    for (const std::string& text : texts_) all.append("\n* ").append(text);
    if (count_ > texts_.size()) {
      all.append("\n* and ").append(std::to_string(count_ - texts_.size())).append(" more");
    }
    return InvalidArgument(std::move(all));
  }

  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::size_t count_ = 0;
  std::vector<std::string> texts_;
};

}  // namespace pgw
