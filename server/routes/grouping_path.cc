#include "server/routes/grouping_path.h"

#include <algorithm>
#include <array>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "exposition/quote.h"

namespace pgw {
namespace {

constexpr std::string_view kBase64Suffix = "@base64";

using Pair = std::pair<std::string_view, std::string_view>;
using Labels = std::vector<Pair>;
using Storage = std::list<std::string>;  // what is not as it was sent

std::string_view Keep(std::string text, Storage& storage) {
  return storage.emplace_back(std::move(text));
}

// 0-63, or 255.
unsigned char Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<unsigned char>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<unsigned char>(c - 'a' + 26);
  if (c >= '0' && c <= '9') return static_cast<unsigned char>(c - '0' + 52);
  if (c == '-') return 62;
  if (c == '_') return 63;
  return 255;
}

std::string BadBase64At(std::size_t offset) {
  return "illegal base64 data at input byte " + std::to_string(offset);
}

std::string_view NextComponent(std::string_view& rest) {
  const std::string_view component = rest.substr(0, rest.find('/'));
  rest.remove_prefix(std::min(component.size() + 1, rest.size()));
  return component;
}

// One name and value, decoded, or why not.
Result<Pair> ParsePair(std::string_view name, std::string_view value, NameValidation validation,
                       Storage& storage) {
  const bool base64 = name.ends_with(kBase64Suffix);
  const std::string_view trimmed =
      base64 ? name.substr(0, name.size() - kBase64Suffix.size()) : name;
  std::string_view decoded_name = trimmed;
  if (validation == NameValidation::kUtf8 && trimmed.starts_with("U__")) {
    decoded_name = Keep(UnescapeValuesName(trimmed), storage);
  }
  // The decoded name is looked at too: U______x is __x.
  const bool reserved = trimmed.starts_with("__") || decoded_name.starts_with("__");
  if (reserved || !IsValidLabelName(decoded_name, validation)) {
    return InvalidArgument("improper label name " + GoQuote(trimmed));
  }
  if (!base64) return Pair(decoded_name, value);
  Base64Text text = DecodeBase64(value);
  if (text.error) {
    return InvalidArgument("invalid base64 encoding for label " + std::string(trimmed) + "=" +
                           GoQuote(value) + ": " + *text.error);
  }
  return Pair(decoded_name, Keep(std::move(text.decoded), storage));
}

Result<Labels> ParseLabels(std::string_view labels, NameValidation validation, Storage& storage) {
  Labels result;
  if (labels.size() <= 1) return result;
  std::string_view rest = labels.substr(1);
  const auto components = std::ranges::count(rest, '/') + 1;
  if (components % 2 != 0) {
    return InvalidArgument("odd number of components in label string " + GoQuote(labels));
  }
  result.reserve(static_cast<std::size_t>(components / 2) + 1);
  for (auto left = components; left > 0; left -= 2) {
    const std::string_view name = NextComponent(rest);
    const std::string_view value = NextComponent(rest);
    const Result<Pair> pair = ParsePair(name, value, validation, storage);
    if (!pair) return pair.error();
    result.push_back(*pair);
  }
  return result;
}

GroupingFailure BadLabels(const Error& error) {
  return {GroupingFailure::Part::kLabels, error.message, error.message, {}};
}

}  // namespace

Base64Text DecodeBase64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  Base64Text result;
  std::array<unsigned char, 4> quantum{};
  std::size_t filled = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\r' || c == '\n') continue;
    quantum[filled] = Base64Digit(c);
    if (quantum[filled] == 255) {
      result.error = BadBase64At(at);
      return result;
    }
    if (++filled < 4) continue;
    filled = 0;
    result.decoded.push_back(static_cast<char>(quantum[0] << 2 | quantum[1] >> 4));
    result.decoded.push_back(static_cast<char>(quantum[1] << 4 | quantum[2] >> 2));
    result.decoded.push_back(static_cast<char>(quantum[2] << 6 | quantum[3]));
  }
  // Bits left over in an incomplete quantum are ignored, as Go does unless told to be strict.
  if (filled == 1) result.error = BadBase64At(text.size() - 1);
  if (filled >= 2) result.decoded.push_back(static_cast<char>(quantum[0] << 2 | quantum[1] >> 4));
  if (filled == 3) result.decoded.push_back(static_cast<char>(quantum[1] << 4 | quantum[2] >> 2));
  return result;
}

std::variant<GroupKey, GroupingFailure> ParseGroupingPath(std::string_view job, bool job_is_base64,
                                                          std::string_view labels,
                                                          NameValidation validation) {
  using Part = GroupingFailure::Part;
  Storage storage;
  std::string_view job_name = job;
  if (job_is_base64) {
    Base64Text text = DecodeBase64(job);
    if (text.error) {
      std::string message = "invalid base64 encoding in job name " + GoQuote(text.decoded) + ": ";
      message.append(*text.error);
      return GroupingFailure{Part::kJobEncoding, std::move(message), *text.error, text.decoded};
    }
    job_name = Keep(std::move(text.decoded), storage);
  }
  Result<Labels> pairs = ParseLabels(labels, validation, storage);
  if (!pairs) return BadLabels(pairs.error());
  if (job_name.empty()) return GroupingFailure{Part::kJobMissing, "job name is required", {}, {}};
  // Last, so that it wins over a pair named job.
  pairs->emplace_back("job", job_name);
  Result<GroupKey> key = GroupKey::Make(std::move(*pairs));
  if (!key) return BadLabels(key.error());
  return std::move(*key);
}

}  // namespace pgw
