// What checks have found. Knows nothing.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace pgw::image {

// A bounded list of sentences.
class Findings {
 public:
  // True if `condition` holds; else remembers "where: what".
  bool Check(bool condition, const std::string& where, std::string_view what) {
    if (!condition) Add(where, what);
    return condition;
  }
  void Add(const std::string& where, std::string_view what) {
    constexpr std::size_t kMax = 200;
    if (list_.size() < kMax) list_.push_back(where + ": " + std::string(what));
  }
  std::vector<std::string> Take() { return std::move(list_); }

 private:
  std::vector<std::string> list_;
};

}  // namespace pgw::image
