// The identity of a group: its grouping labels as a set. Knows base and exposition names.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "exposition/keyed_hash.h"

namespace pgw {

// Label names sorted bytewise, joined as name FF value FF name FF value …: FF occurs in no UTF-8
// text, so no two label sets share a key. Immutable.
class GroupKey {
 public:
  // A later pair of the same name overwrites an earlier one.
  // kInvalidArgument: a name or value is not UTF-8, a name is empty or starts with __.
  static Result<GroupKey> Make(std::vector<std::pair<std::string_view, std::string_view>> labels);

  const std::string& bytes() const { return bytes_; }
  std::uint64_t hash() const { return hash_; }  // KeyedHash of the bytes

  // The labels, sorted by name; views into this key.
  std::vector<std::pair<std::string_view, std::string_view>> Labels() const;

  friend bool operator==(const GroupKey& a, const GroupKey& b) { return a.bytes_ == b.bytes_; }

 private:
  explicit GroupKey(std::string bytes) : bytes_(std::move(bytes)), hash_(KeyedHash(bytes_)) {}

  std::string bytes_;
  std::uint64_t hash_;
};

inline constexpr char kGroupKeySeparator = '\xff';

// Calls `visit(name, value)` for each label of any such key text.
template <typename Visit>
void VisitGroupKey(std::string_view bytes, const Visit& visit) {
  const auto take = [&bytes] {
    const std::string_view part = bytes.substr(0, bytes.find(kGroupKeySeparator));
    bytes.remove_prefix(std::min(part.size() + 1, bytes.size()));
    return part;
  };
  while (!bytes.empty()) {
    const std::string_view name = take();
    visit(name, take());
  }
}

// The same as a list.
std::vector<std::pair<std::string_view, std::string_view>> SplitGroupKey(std::string_view bytes);

// True for the bytes of a GroupKey.
bool IsGroupKey(std::string_view bytes);

}  // namespace pgw
