#include "store/group_key.h"

#include <algorithm>
#include <map>

#include "exposition/names.h"
#include "exposition/quote.h"

namespace pgw {
namespace {

constexpr char kSeparator = '\xff';

Status CheckLabel(std::string_view name, std::string_view value) {
  if (name.empty() || name.starts_with("__") || !IsValidUtf8(name)) {
    return InvalidArgument("improper label name " + GoQuote(name));
  }
  if (!IsValidUtf8(value)) {
    return InvalidArgument("value of label " + std::string(name) +
                           " is not valid UTF-8: " + GoQuote(value));
  }
  return {};
}

}  // namespace

Result<GroupKey> GroupKey::Make(const std::vector<std::pair<std::string, std::string>>& labels) {
  std::size_t size = 0;
  for (const auto& [name, value] : labels) {
    if (Status status = CheckLabel(name, value); !status) return status.error();
    size += name.size() + value.size() + 2;
  }
  std::map<std::string_view, std::string_view> sorted;
  for (const auto& [name, value] : labels) sorted.insert_or_assign(name, value);
  std::string bytes;
  bytes.reserve(size);
  for (const auto& [name, value] : sorted) {
    if (!bytes.empty()) bytes.push_back(kSeparator);
    bytes.append(name).push_back(kSeparator);
    bytes.append(value);
  }
  return GroupKey(std::move(bytes));
}

bool IsGroupKey(std::string_view bytes) {
  std::size_t size = 0;  // of the labels joined again, with a separator behind the last
  std::string_view before;
  for (const auto& [name, value] : SplitGroupKey(bytes)) {
    if (name <= before || !CheckLabel(name, value)) return false;
    before = name;
    size += name.size() + value.size() + 2;
  }
  return !bytes.empty() && size == bytes.size() + 1;
}

std::vector<std::pair<std::string_view, std::string_view>> GroupKey::Labels() const {
  return SplitGroupKey(bytes_);
}

std::vector<std::pair<std::string_view, std::string_view>> SplitGroupKey(std::string_view bytes) {
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  const auto take = [&] {
    const std::string_view part = bytes.substr(0, bytes.find(kSeparator));
    bytes.remove_prefix(std::min(part.size() + 1, bytes.size()));
    return part;
  };
  while (!bytes.empty()) {
    const std::string_view name = take();
    labels.emplace_back(name, take());
  }
  return labels;
}

}  // namespace pgw
