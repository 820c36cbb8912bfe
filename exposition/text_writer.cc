#include "exposition/text_writer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "exposition/byte_scan.h"

namespace pgw {
namespace {

constexpr std::string_view kInfinityText = "+Inf";
// More than all that stands in a line beside names, labels and numbers: suffix, quotes, braces,
// `quantile="`, blank, line feed.
constexpr std::size_t kLineOverheadBytes = 32;
// Behind a text that is being scanned: the scan reads whole vectors.
constexpr std::size_t kScanSlackBytes = 16;

bool IsPositiveInfinity(const Number& number) {
  if (!number.token().empty()) return number.token() == kInfinityText;
  return std::isinf(number.value()) && number.value() > 0;
}

// Writes behind the end of a string without a check per piece.
class Appender {
 public:
  // No more than `bytes_max` bytes will be written.
  Appender(std::string& out, std::size_t bytes_max) : out_(out) {
    const std::size_t size = out.size();
    out.resize(size + bytes_max + kScanSlackBytes);
    at_ = out.data() + size;
  }
  ~Appender() { out_.resize(static_cast<std::size_t>(at_ - out_.data())); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  const char* at() const { return at_; }
  void Put(char c) { *at_++ = c; }
  void Put(std::string_view text) { at_ = std::copy(text.begin(), text.end(), at_); }
  void Put(const Number& number) { at_ = number.WriteTo(at_); }

  // `text` in quotes. Takes at most 2 * text.size() + 2 bytes.
  void PutQuoted(std::string_view text) {
    Put('"');
    char* const begin = at_;
    Put(text);
    Put('"');
    // What was just written ends with a quote: a clean text stops the scan there.
    const char* const stop = ScanQuoted(begin, out_.data() + out_.size()).stop;
    if (stop + 1 == at_) return;
    at_ = begin + (stop - begin);
    for (const char c : text.substr(static_cast<std::size_t>(stop - begin))) PutEscaped(c);
    Put('"');
  }

 private:
  void PutEscaped(char c) {
    if (c == '\n') return Put("\\n");
    if (c == '"' || c == '\\') Put('\\');
    Put(c);
  }

  std::string& out_;
  char* at_;
};

// A metric's labels with their names as they are to be written.
class WrittenLabels {
 public:
  WrittenLabels(const FamilySet& set, const Metric& metric, Escaping escaping)
      : labels_(set.labels.data() + metric.first_label, metric.label_count) {
    for (const Label& label : labels_) {
      any_needs_escaping_ = any_needs_escaping_ || NeedsEscaping(label.name);
    }
    if (any_needs_escaping_ && escaping != Escaping::kAllowUtf8) EscapeNames(escaping);
    const std::size_t name_growth = any_needs_escaping_ ? 2 : 1;
    for (const Label& label : labels_) {
      bytes_max_ += name_growth * label.name.size() + 2 * label.value.size() + kLabelOverheadBytes;
    }
  }
  WrittenLabels(const WrittenLabels&) = delete;
  WrittenLabels& operator=(const WrittenLabels&) = delete;

  bool empty() const { return labels_.empty(); }
  std::size_t bytes_max() const { return bytes_max_; }

  // `{a="b",c="d"`, where `separator` stands for the brace.
  void WriteTo(Appender& out, char separator) const {
    for (const Label& label : labels_) {
      out.Put(separator);
      separator = ',';
      if (any_needs_escaping_ && NeedsEscaping(label.name)) {
        out.PutQuoted(label.name);
      } else {
        out.Put(label.name);
      }
      out.Put('=');
      out.PutQuoted(label.value);
    }
  }

 private:
  static constexpr std::size_t kLabelOverheadBytes = 8;  // comma, equals sign, four quotes

  void EscapeNames(Escaping escaping) {
    names_.reserve(labels_.size());
    escaped_.assign(labels_.begin(), labels_.end());
    for (Label& label : escaped_) {
      label.name = names_.emplace_back(EscapeName(label.name, escaping));
    }
    labels_ = escaped_;
  }

  std::span<const Label> labels_;
  std::size_t bytes_max_ = 0;
  bool any_needs_escaping_ = false;
  std::vector<Label> escaped_;
  std::vector<std::string> names_;
};

// A family's name as it is to be written, and whether in quotes and braces.
class WrittenName {
 public:
  WrittenName(std::string_view name, Escaping escaping) : text_(name) {
    if (!NeedsEscaping(name)) return;
    quoted_ = escaping == Escaping::kAllowUtf8;
    if (quoted_) {
      AppendEscapedLabelValue(name, own_text_);
    } else {
      own_text_ = EscapeName(name, escaping);
    }
    text_ = own_text_;
  }
  WrittenName(const WrittenName&) = delete;
  WrittenName& operator=(const WrittenName&) = delete;

  std::string_view text() const { return text_; }
  bool quoted() const { return quoted_; }

 private:
  std::string_view text_;
  std::string own_text_;
  bool quoted_ = false;
};

std::size_t LinesBytesMax(const WrittenName& name, const WrittenLabels& labels,
                          const Metric& metric) {
  constexpr std::size_t kLinesBesidePoints = 3;  // +Inf, sum, count
  return (metric.point_count + kLinesBesidePoints) *
         (name.text().size() + labels.bytes_max() + 2 * kFloatBytesMax + kLineOverheadBytes);
}

// The lines of one metric: name{labels} value, or {"name",labels} value.
class MetricWriter {
 public:
  MetricWriter(const FamilySet& set, const Family& family, const Metric& metric, Escaping escaping,
               std::string& out)
      : name_(family.name, escaping),
        labels_(set, metric, escaping),
        out_(out, LinesBytesMax(name_, labels_, metric)) {}

  std::uint32_t lines() const { return lines_; }

  void PutLine(std::string_view suffix, const Number& value) {
    PutNameAndLabels(suffix);
    if (name_.quoted() || !labels_.empty()) out_.Put('}');
    PutValue(value);
  }

  // Further lines of the same suffix and label only copy what stands before the bound.
  void PutBoundLine(std::string_view suffix, std::string_view label, const Number& bound,
                    const Number& value) {
    if (bound_prefix_.empty()) {
      const char* const begin = out_.at();
      PutNameAndLabels(suffix);
      out_.Put(name_.quoted() || !labels_.empty() ? ',' : '{');
      out_.Put(label);
      out_.Put("=\"");
      bound_prefix_ = {begin, static_cast<std::size_t>(out_.at() - begin)};
    } else {
      out_.Put(bound_prefix_);
    }
    out_.Put(bound);
    out_.Put("\"}");
    PutValue(value);
  }

 private:
  void PutNameAndLabels(std::string_view suffix) {
    if (name_.quoted()) out_.Put("{\"");
    out_.Put(name_.text());
    out_.Put(suffix);
    if (name_.quoted()) out_.Put('"');
    if (labels_.empty()) return;
    if (!labels_text_.empty()) {
      out_.Put(labels_text_);
      return;
    }
    const char* const begin = out_.at();
    labels_.WriteTo(out_, name_.quoted() ? ',' : '{');
    labels_text_ = {begin, static_cast<std::size_t>(out_.at() - begin)};
  }

  void PutValue(const Number& value) {
    out_.Put(' ');
    out_.Put(value);
    out_.Put('\n');
    ++lines_;
  }

  const WrittenName name_;
  const WrittenLabels labels_;
  Appender out_;
  std::uint32_t lines_ = 0;
  // What was written of the first line, to be copied into the next ones.
  std::string_view labels_text_;
  std::string_view bound_prefix_;
};

void PutSummary(const FamilySet& set, const Metric& metric, MetricWriter& writer) {
  for (std::uint32_t p = metric.first_point; p != kNoIndex; p = set.points[p].next) {
    writer.PutBoundLine("", "quantile", set.points[p].bound, set.points[p].value);
  }
  writer.PutLine("_sum", metric.sum);
  writer.PutLine("_count", metric.count);
}

void PutHistogram(const FamilySet& set, const Metric& metric, MetricWriter& writer) {
  bool has_infinity = false;
  for (std::uint32_t p = metric.first_point; p != kNoIndex; p = set.points[p].next) {
    const Point& point = set.points[p];
    writer.PutBoundLine("_bucket", "le", point.bound, point.value);
    has_infinity = has_infinity || IsPositiveInfinity(point.bound);
  }
  if (!has_infinity) {
    writer.PutBoundLine("_bucket", "le", Number::FromCanonical(kInfinityText), metric.count);
  }
  writer.PutLine("_sum", metric.sum);
  writer.PutLine("_count", metric.count);
}

// The text and the line feed behind it.
void AppendHelpText(std::string_view help, std::string& out) {
  const std::size_t begin = out.size();
  out += help;
  out += '\n';
  // A clean text stops the scan at the line feed just written.
  const char* const text = out.data() + begin;
  const auto clean =
      static_cast<std::size_t>(FindLineFeedOrBackslash(text, text + help.size() + 1) - text);
  if (clean == help.size()) return;
  out.resize(begin + clean);
  for (const char c : help.substr(clean)) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\\') {
      out += "\\\\";
    } else {
      out += c;
    }
  }
  out += '\n';
}

}  // namespace

void AppendFamilyHeader(std::string_view name, const std::string_view* help, MetricType type,
                        Escaping escaping, std::string& out) {
  const WrittenName name_text(name, escaping);
  std::string written(name_text.text());
  if (name_text.quoted()) written = '"' + written + '"';
  if (help != nullptr) {
    out += "# HELP ";
    out += written;
    out += ' ';
    AppendHelpText(*help, out);
  }
  out += "# TYPE ";
  out += written;
  out += ' ';
  out += TypeLineName(type);
  out += '\n';
}

std::uint32_t AppendMetricLines(const FamilySet& set, const Family& family, const Metric& metric,
                                Escaping escaping, std::string& out) {
  // A metric of another kind, which only unchecked pushes store, shows as an empty one.
  const bool fits = (metric.kinds & ValueKindOf(family.type)) != 0;
  Metric empty;
  empty.first_label = metric.first_label;
  empty.label_count = metric.label_count;
  const Metric& shown = fits ? metric : empty;
  MetricWriter writer(set, family, shown, escaping, out);
  switch (family.type) {
    case MetricType::kCounter:
    case MetricType::kGauge:
    case MetricType::kUntyped:
      writer.PutLine("", shown.value);
      break;
    case MetricType::kSummary:
      PutSummary(set, shown, writer);
      break;
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram:
      PutHistogram(set, shown, writer);
      break;
  }
  return writer.lines();
}

std::size_t MetricLinesBytesMax(const FamilySet& set, const Family& family, const Metric& metric,
                                Escaping escaping) {
  return LinesBytesMax(WrittenName(family.name, escaping), WrittenLabels(set, metric, escaping),
                       metric);
}

void AppendLabels(const FamilySet& set, const Metric& metric, Escaping escaping, std::string& out) {
  const WrittenLabels labels(set, metric, escaping);
  Appender appender(out, labels.bytes_max());
  labels.WriteTo(appender, '{');
}

void AppendEscapedLabelValue(std::string_view value, std::string& out) {
  const auto is_escaped = [](char c) { return c == '\n' || c == '"' || c == '\\'; };
  if (std::ranges::none_of(value, is_escaped)) {
    out.append(value);
    return;
  }
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
}

}  // namespace pgw
