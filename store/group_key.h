// The identity of a group: its grouping labels as a set. Knows base and exposition names.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pgw {

// Label names sorted bytewise, joined as name FF value FF name FF value …: FF occurs in no UTF-8
// text, so no two label sets share a key. Immutable.
class GroupKey {
 public:
  // A later pair of the same name overwrites an earlier one.
  // kInvalidArgument: a name or value is not UTF-8, a name is empty or starts with __.
  static Result<GroupKey> Make(const std::vector<std::pair<std::string, std::string>>& labels);

  const std::string& bytes() const { return bytes_; }

  // The labels, sorted by name; views into this key.
  std::vector<std::pair<std::string_view, std::string_view>> Labels() const;

  friend bool operator==(const GroupKey&, const GroupKey&) = default;

 private:
  explicit GroupKey(std::string bytes) : bytes_(std::move(bytes)) {}

  std::string bytes_;
};

// The labels of any such key text.
std::vector<std::pair<std::string_view, std::string_view>> SplitGroupKey(std::string_view bytes);

// True for the bytes of a GroupKey.
bool IsGroupKey(std::string_view bytes);

}  // namespace pgw
