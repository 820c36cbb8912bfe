#include "store/line_form.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "exposition/family_table.h"
#include "exposition/number.h"

namespace pgw {
namespace {

constexpr std::string_view kInfinityText = "+Inf";
// What stands in a line beside names, labels and numbers: suffix, bound label, quotes, braces,
// blank, line feed.
constexpr std::size_t kLineOverheadBytes = 32;
constexpr std::size_t kLinesBesidePoints = 3;  // +Inf, sum, count

template <std::size_t kSize>
void CopyEnds(const char* from, std::size_t size, char* out) {
  std::memcpy(out, from, kSize);
  std::memcpy(out + size - kSize, from + size - kSize, kSize);
}

// Most pieces of a line are so short that the call of memcpy would cost more than the copy.
inline char* Put(std::string_view text, char* out) {
  const std::size_t size = text.size();
  const char* const from = text.data();
  if (size > 256) {
    std::memcpy(out, from, size);
  } else if (size > 32) {
    for (std::size_t at = 0; at + 32 < size; at += 32) std::memcpy(out + at, from + at, 32);
    std::memcpy(out + size - 32, from + size - 32, 32);
  } else if (size >= 16) {
    CopyEnds<16>(from, size, out);
  } else if (size >= 8) {
    CopyEnds<8>(from, size, out);
  } else if (size >= 4) {
    CopyEnds<4>(from, size, out);
  } else if (size > 0) {
    out[0] = from[0];
    out[size / 2] = from[size / 2];
    out[size - 1] = from[size - 1];
  }
  return out + size;
}

inline char* Put(const Number& number, char* out) {
  const std::string_view token = number.token();
  return token.empty() ? number.WriteTo(out) : Put(token, out);
}

bool IsWithin(std::string_view text, std::string_view whole) {
  const std::less_equal<> ordered;
  return ordered(whole.data(), text.data()) &&
         ordered(text.data() + text.size(), whole.data() + whole.size());
}

char* PutEscaped(std::string_view value, char* out) {
  for (const char c : value) {
    if (c == '\n') {
      out = Put("\\n", out);
      continue;
    }
    if (c == '"' || c == '\\') *out++ = '\\';
    *out++ = c;
  }
  return out;
}

char* PutValue(const Number& value, char* out) {
  *out++ = ' ';
  out = Put(value, out);
  *out++ = '\n';
  return out;
}

bool HasInfinity(const FamilySet& set, const Metric& metric) {
  // Where it has none, the text cannot say so.
  if (!metric.beyond_lines) return true;
  for (std::uint32_t p = metric.first_point; p != kNoIndex; p = set.points[p].next) {
    const Number& bound = set.points[p].bound;
    const bool infinite = bound.token().empty() ? std::isinf(bound.value()) && bound.value() > 0
                                                : bound.token() == kInfinityText;
    if (infinite) return true;
  }
  return false;
}

}  // namespace

void LineForm::Enter(const Family& family) {
  name_ = family.name;
  if (BoundLabel(family.type) != BoundLabel(type_)) made_ = false;
  type_ = family.type;
}

void LineForm::Make(const GroupingLabels& grouping, std::span<const Label> pushed) {
  constexpr std::string_view kInstance = "instance";
  made_ = true;
  names_.clear();
  for (const Label& label : pushed) names_.push_back(label.name);
  boost::container::small_vector<std::uint32_t, 8> order(pushed.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto name_of = [this](std::uint32_t i) { return names_[i]; };
  if (!std::ranges::is_sorted(order, {}, name_of)) std::ranges::sort(order, {}, name_of);

  const bool has_instance = std::ranges::find(names_, kInstance) != names_.end();
  const std::span<const Label> forced = has_instance ? grouping.labels() : grouping.with_instance();
  meets_grouping_ = has_instance;
  names_fine_ = true;
  pieces_.clear();
  char* out = Room(pushed, forced);
  const std::string_view bound = BoundLabel(type_);
  const auto open = [&](std::string_view name) {
    if (name.starts_with("__") || (!bound.empty() && name == bound)) names_fine_ = false;
    *out = out == text_.data() ? '{' : ',';
    out = Put("=\"", Put(name, out + 1));
  };
  const auto put_pushed = [&](std::uint32_t i) {
    open(names_[i]);
    pieces_.push_back({static_cast<std::uint32_t>(out - text_.data()), i});
    *out++ = '"';
  };
  auto next = order.begin();
  for (const Label& label : forced) {
    while (next != order.end() && names_[*next] < label.name) put_pushed(*next++);
    if (next != order.end() && names_[*next] == label.name) {
      meets_grouping_ = true;
      ++next;
    }
    open(label.name);
    out = PutEscaped(label.value, out);
    *out++ = '"';
  }
  while (next != order.end()) put_pushed(*next++);
  text_size_ = static_cast<std::size_t>(out - text_.data());
}

// For all that Make() writes.
char* LineForm::Room(std::span<const Label> pushed, std::span<const Label> forced) {
  constexpr std::size_t kLabelOverheadBytes = 4;  // comma, equals sign, quotes
  std::size_t bytes = 0;
  for (const Label& label : pushed) bytes += label.name.size() + kLabelOverheadBytes;
  for (const Label& label : forced) {
    bytes += label.name.size() + 2 * label.value.size() + kLabelOverheadBytes;
  }
  if (bytes > text_.size()) text_.resize(bytes);
  return text_.data();
}

bool LineForm::Fits(std::span<const Label> pushed) const {
  if (!made_ || pushed.size() != names_.size()) return false;
  for (std::size_t i = 0; i < pushed.size(); ++i) {
    const std::string_view name = pushed[i].name;
    // The parser gives lines in a row the same views.
    if (name.size() != names_[i].size()) return false;
    if (name.data() != names_[i].data() && name != names_[i]) return false;
  }
  return true;
}

std::size_t LineForm::BytesMax(const Metric& metric, std::span<const Label> pushed) const {
  std::size_t bytes = name_.size() + text_size_ + 2 * kFloatBytesMax + kLineOverheadBytes;
  for (const Piece& piece : pieces_) bytes += 2 * pushed[piece.pushed].value.size();
  return BoundLabel(type_).empty() ? bytes : (metric.point_count + kLinesBesidePoints) * bytes;
}

char* LineForm::WriteLabels(const FamilySet& set, std::span<const Label> pushed, char* out) const {
  const char* text = text_.data();
  for (const Piece& piece : pieces_) {
    const char* const end = text_.data() + piece.text_end;
    out = Put({text, static_cast<std::size_t>(end - text)}, out);
    text = end;
    const std::string_view value = pushed[piece.pushed].value;
    out = IsWithin(value, set.verbatim) ? Put(value, out) : PutEscaped(value, out);
  }
  return Put({text, static_cast<std::size_t>(text_.data() + text_size_ - text)}, out);
}

char* LineForm::Write(const FamilySet& set, const Metric& metric, std::span<const Label> pushed,
                      char* out) const {
  const std::string_view bound = BoundLabel(type_);
  if (bound.empty()) {
    out = WriteLabels(set, pushed, Put(name_, out));
    *out++ = '}';
    return PutValue(metric.value, out);
  }

  // Further lines copy from the one before.
  std::string_view labels;
  std::string_view prefix;
  const auto put_bound_line = [&](const Number& limit, const Number& value) {
    if (prefix.empty()) {
      const char* const line = out;
      out = Put(name_, out);
      if (type_ != MetricType::kSummary) out = Put("_bucket", out);
      const char* const brace = out;
      out = WriteLabels(set, pushed, out);
      labels = {brace, static_cast<std::size_t>(out - brace)};
      *out++ = ',';
      out = Put(bound, out);
      out = Put("=\"", out);
      prefix = {line, static_cast<std::size_t>(out - line)};
    } else {
      out = Put(prefix, out);
    }
    out = Put(limit, out);
    out = Put("\"}", out);
    out = PutValue(value, out);
  };
  for (std::uint32_t p = metric.first_point; p != kNoIndex; p = set.points[p].next) {
    put_bound_line(set.points[p].bound, set.points[p].value);
  }
  if (type_ != MetricType::kSummary && !HasInfinity(set, metric)) {
    put_bound_line(Number::FromCanonical(kInfinityText), metric.count);
  }
  const auto put_line = [&](std::string_view suffix, const Number& value) {
    out = Put(name_, out);
    out = Put(suffix, out);
    const char* const brace = out;
    out = labels.empty() ? WriteLabels(set, pushed, out) : Put(labels, out);
    labels = {brace, static_cast<std::size_t>(out - brace)};
    *out++ = '}';
    out = PutValue(value, out);
  };
  put_line("_sum", metric.sum);
  put_line("_count", metric.count);
  return out;
}

}  // namespace pgw
