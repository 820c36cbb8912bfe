#include "store/group_key.h"

#include <algorithm>
#include <functional>

#include "exposition/names.h"
#include "exposition/quote.h"

namespace pgw {
namespace {

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

Result<GroupKey> GroupKey::Make(std::vector<std::pair<std::string_view, std::string_view>> labels) {
  using Pair = std::pair<std::string_view, std::string_view>;
  std::size_t size = 0;
  for (const auto& [name, value] : labels) {
    if (Status status = CheckLabel(name, value); !status) return status.error();
    size += name.size() + value.size() + 2;
  }
  if (!std::ranges::is_sorted(labels, {}, &Pair::first)) {
    std::ranges::stable_sort(labels, {}, &Pair::first);
  }
  std::string bytes(size, kGroupKeySeparator);
  char* out = bytes.data();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto& [name, value] = labels[i];
    if (i + 1 < labels.size() && labels[i + 1].first == name) continue;  // overwritten
    if (out != bytes.data()) ++out;
    out = std::copy(name.begin(), name.end(), out) + 1;
    out = std::copy(value.begin(), value.end(), out);
  }
  bytes.resize(static_cast<std::size_t>(out - bytes.data()));
  return GroupKey(std::move(bytes));
}

bool IsGroupKey(std::string_view bytes) {
  std::size_t size = 0;  // of the labels joined again, with a separator behind the last
  std::string_view before;
  bool fine = !bytes.empty();
  VisitGroupKey(bytes, [&](std::string_view name, std::string_view value) {
    fine = fine && name > before && CheckLabel(name, value);
    before = name;
    size += name.size() + value.size() + 2;
  });
  return fine && size == bytes.size() + 1;
}

std::vector<std::pair<std::string_view, std::string_view>> GroupKey::Labels() const {
  return SplitGroupKey(bytes_);
}

std::vector<std::pair<std::string_view, std::string_view>> SplitGroupKey(std::string_view bytes) {
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  VisitGroupKey(bytes, [&labels](std::string_view name, std::string_view value) {
    labels.emplace_back(name, value);
  });
  return labels;
}

}  // namespace pgw
