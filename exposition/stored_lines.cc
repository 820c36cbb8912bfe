// ParseStoredLines of text_parser.h: the inverse of AppendMetricLines.
//
// Far stricter than the parser of pushed bodies, and simpler: it knows the one form in which its
// lines were written, the order of a metric's lines included. So it needs no table to tell which
// lines belong together.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "exposition/names.h"
#include "exposition/quote.h"
#include "exposition/text_lexer.h"
#include "exposition/text_parser.h"

namespace pgw {
namespace {

// One use, for one family.
class StoredLinesReader {
 public:
  StoredLinesReader(std::string_view name, MetricType type, std::string_view lines, FamilySet& out)
      : written_name_(EscapeName(name, Escaping::kUnderscores)),
        lines_(lines),
        out_(out),
        lexer_(out),
        family_(static_cast<std::uint32_t>(out.families.size())) {
    Family& family = out_.families.emplace_back();
    family.name = name;
    family.type = type;
    if (type == MetricType::kSummary) {
      bound_label_ = "quantile";
    } else if (type == MetricType::kHistogram || type == MetricType::kGaugeHistogram) {
      bound_label_ = "le";
      point_suffix_ = "_bucket";
    }
  }

  Status Read() {
    if (!lines_.empty() && lines_.back() != '\n') return Fail("a line feed at the end");
    lexer_.Start(lines_);
    while (lexer_.p != lexer_.end) {
      metric_ = out_.AddMetric(family_);
      metric().kinds = ValueKindOf(out_.families[family_].type);
      metric().first_label = static_cast<std::uint32_t>(out_.labels.size());
      if (!(bound_label_.empty() ? ReadPlainMetric() : ReadMetricWithPoints())) {
        return Fail(expected_);
      }
    }
    return {};
  }

 private:
  Error Fail(std::string_view expected) const {
    const auto offset =
        lexer_.p == nullptr ? lines_.size() : static_cast<std::size_t>(lexer_.p - lines_.data());
    return {Code::kInternal, "stored lines of metric " + GoQuote(out_.families[family_].name) +
                                 ": expected " + std::string(expected) + " at byte " +
                                 std::to_string(offset)};
  }

  Metric& metric() { return out_.metrics[metric_]; }

  // Counters, gauges, untyped: one line.
  bool ReadPlainMetric() {
    return Take(written_name_, "the metric's name") && ReadLabels(/*with_bound=*/false) &&
           ReadValue(metric().value);
  }

  // Histograms and summaries: points, sum, count.
  bool ReadMetricWithPoints() {
    labels_text_ = {};
    const char* const line = lexer_.p;
    std::string_view point_prefix;
    if (StartsPoint()) {
      if (!ReadLabels(/*with_bound=*/true)) return false;
      point_prefix = {line, static_cast<std::size_t>(bound_begin_ - line)};
      if (!ReadPointValue()) return false;
      while (lexer_.StartsWith(point_prefix)) {
        lexer_.p += point_prefix.size();
        if (!ReadBound() || !Take("}", "a brace") || !ReadPointValue()) return false;
      }
      return ReadTotal("_sum", metric().sum) && ReadTotal("_count", metric().count);
    }
    if (!Take(written_name_, "the metric's name") || !Take("_sum", "_sum") ||
        !ReadLabels(/*with_bound=*/false) || !ReadValue(metric().sum)) {
      return false;
    }
    return ReadTotal("_count", metric().count);
  }

  // Takes the name and suffix of a point's line. No other line has a brace there.
  bool StartsPoint() {
    const char* const line = lexer_.p;
    if (Take(written_name_, "") && Take(point_suffix_, "") && *lexer_.p == '{') return true;
    lexer_.p = line;
    return false;
  }

  // A line of the labels that are known already.
  bool ReadTotal(std::string_view suffix, Number& value) {
    return Take(written_name_, "the metric's name") && Take(suffix, suffix) &&
           Take(labels_text_, "the labels of the line before") &&
           (labels_text_.empty() || Take("}", "a brace")) && ReadValue(value);
  }

  // The labels, if any, up to behind the closing brace. With a bound, it is the last one.
  bool ReadLabels(bool with_bound) {
    const char* const brace = lexer_.p;
    const char* labels_end = brace;
    if (*lexer_.p == '{') {
      do {
        ++lexer_.p;
        Label label;
        const char* const begin = lexer_.p;
        while (Is(*lexer_.p, kMetricNameByte)) ++lexer_.p;
        label.name = {begin, static_cast<std::size_t>(lexer_.p - begin)};
        if (!Is(*begin, kMetricNameStart)) return Expected("a label");
        if (!Take("=\"", "an equals sign and a quote")) return false;
        bound_begin_ = lexer_.p;
        if (!lexer_.ReadQuotedText(label.value)) return Expected("a label value");
        ++lexer_.p;
        if (*lexer_.p != ',' && with_bound && label.name == bound_label_) {
          const char* const behind = lexer_.p;
          lexer_.p = bound_begin_;
          if (!ReadBound() || lexer_.p != behind) return Expected("a number");
          with_bound = false;
          break;
        }
        out_.labels.push_back(label);
        ++metric().label_count;
        labels_end = lexer_.p;
      } while (*lexer_.p == ',');
      if (!Take("}", "a brace")) return false;
    }
    labels_text_ = {brace, static_cast<std::size_t>(labels_end - brace)};
    return !with_bound || Expected("a bound");
  }

  // A number and the quote behind it.
  bool ReadBound() { return ReadNumber('"', bound_); }

  bool ReadPointValue() {
    Number value;
    if (!ReadValue(value)) return false;
    out_.AddPoint(metric_, bound_, value);
    return true;
  }

  // A blank, the number, the line feed.
  bool ReadValue(Number& value) { return Take(" ", "a blank") && ReadNumber('\n', value); }

  bool ReadNumber(char terminator, Number& number) {
    const char* const begin = lexer_.p;
    while (Is(*lexer_.p, kFloatByte)) ++lexer_.p;
    const std::string_view token(begin, static_cast<std::size_t>(lexer_.p - begin));
    if (*lexer_.p != terminator || !Number::Parse(token, number)) return Expected("a number");
    ++lexer_.p;
    return true;
  }

  bool Take(std::string_view text, std::string_view what) {
    if (!lexer_.StartsWith(text)) return Expected(what);
    lexer_.p += text.size();
    return true;
  }

  bool Expected(std::string_view what) {
    expected_ = what;
    return false;
  }

  const std::string written_name_;
  const std::string_view lines_;
  FamilySet& out_;
  TextLexer lexer_;
  const std::uint32_t family_;
  std::string_view bound_label_;   // le, quantile or nothing
  std::string_view point_suffix_;  // of the lines that have a bound

  std::uint32_t metric_ = kNoIndex;
  Number bound_;
  const char* bound_begin_ = nullptr;  // the last label's value
  std::string_view labels_text_;       // from the brace to behind the last label's quote
  std::string_view expected_;          // what was missing
};

}  // namespace

Status ParseStoredLines(std::string_view name, MetricType type, std::string_view lines,
                        FamilySet& out) {
  return StoredLinesReader(name, type, lines, out).Read();
}

}  // namespace pgw
