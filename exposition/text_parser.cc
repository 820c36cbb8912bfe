#include "exposition/text_parser.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "exposition/family_table.h"
#include "exposition/label_names.h"
#include "exposition/quote.h"
#include "exposition/sample_value.h"
#include "exposition/series_finder.h"
#include "exposition/text_lexer.h"

namespace pgw {
namespace {

std::optional<MetricType> ParseTypeLineName(std::string_view text) {
  static constexpr struct {
    std::string_view name;
    MetricType type;
  } kNames[] = {
      {"counter", MetricType::kCounter},
      {"gauge", MetricType::kGauge},
      {"histogram", MetricType::kHistogram},
      {"summary", MetricType::kSummary},
      {"untyped", MetricType::kUntyped},
      {"gaugehistogram", MetricType::kGaugeHistogram},
      {"gauge_histogram", MetricType::kGaugeHistogram},
  };
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  for (const auto& entry : kNames) {
    if (lower == entry.name) return entry.type;
  }
  return std::nullopt;
}

// One use, for one body.
//
// Two things make it fast. Most lines share their name with the line before, so the current family
// is tried before any table. And most lines of a histogram differ from the line before only behind
// `le="`, so those bytes are compared instead of parsed.
class TextParser {
 public:
  TextParser(NameValidation validation, FamilySet& out)
      : validation_(validation), out_(out), lexer_(out), families_(out), series_(out) {}

  Status Parse(std::string_view body);

 private:
  // `message` about the line that begins or is under way behind `text`.
  static Error ErrorBehind(std::string_view text, const std::string& message) {
    const auto line = 1 + std::count(text.begin(), text.end(), '\n');
    return InvalidArgument("text format parsing error in line " + std::to_string(line) + ": " +
                           message);
  }

  bool ParseLines(std::string_view lines);
  bool ParseComment();
  bool ParseHelp();
  bool ParseType();
  bool ParseSample();
  bool ParseBracedSample();
  bool FinishSample();
  bool ParseTimestamp();

  // Families.
  bool TakeCurrentFamily();
  bool ResolveFamily(const NameToken& name);
  void EnterFamily(std::uint32_t family, bool bare_name);
  void LeaveFamily();

  // Labels.
  bool TakeRepeatedBucketPrefix();
  bool TakeRepeatedLabels();
  bool TakeBound(std::string_view label);
  void BeginLabels();
  bool ParseLabels(const char* line, bool braced);
  bool TakeKnownLabelName(std::string_view& name);
  bool ParseElementName(NameToken& name);
  bool TakeBracedName(const NameToken& name, bool braced);
  bool ReviewEarlyLabels();
  bool CheckLabelName(const NameToken& name);
  bool OpenLabelValue();
  bool FailDuplicateLabel();
  bool SetBound(std::string_view text);
  void ChooseMetric();

  // Values.
  bool ReadValue(Number& value);
  bool SetValue(const Number& value);

  // Empty while a braced line has not given its name.
  std::string_view FamilyName() const {
    return family_ == kNoIndex ? std::string_view() : out_.families[family_].name;
  }
  // The labels of the current line.
  std::span<const Label> Labels() const {
    return std::span<const Label>(out_.labels).subspan(labels_begin_);
  }
  bool IsBound(std::string_view label) const {
    return !bound_label_.empty() && label == bound_label_;
  }

  const NameValidation validation_;
  FamilySet& out_;
  TextLexer lexer_;
  FamilyTable families_;
  SeriesFinder series_;

  // The family of the current line; it outlives the line.
  std::uint32_t family_ = kNoIndex;
  MetricType type_ = MetricType::kUntyped;
  std::string_view bound_label_;  // le, quantile or nothing: what this type consumes
  std::string_view bare_name_;    // the family's name if it may stand unquoted, else empty
  SamplePart part_ = SamplePart::kNone;

  // The metric of the current line. Histograms and summaries: of the family's last line.
  std::uint32_t metric_ = kNoIndex;
  Bound bound_;

  // Labels of the current line, before they are given to a metric.
  std::size_t labels_begin_ = 0;
  LabelNames label_names_;

  // The labels of the line before, as a guess at the names of this one's.
  std::size_t known_first_ = 0;
  std::size_t known_count_ = 0;
  bool follows_known_ = false;   // this line's names have been the same so far
  bool names_are_bare_ = false;  // none of this line's label names was quoted

  // Bytes of the line before (same family) that make this line one of the same metric: up to the
  // bound, and from the brace to the last label, without the comma or brace behind it.
  std::string_view bucket_prefix_;
  std::string_view labels_text_;
  bool has_labels_text_ = false;
};

Status TextParser::Parse(std::string_view body) {
  const std::size_t last_line_feed = body.rfind('\n');
  const std::size_t complete = last_line_feed == body.npos ? 0 : last_line_feed + 1;
  const std::string_view lines = body.substr(0, complete);
  if (!ParseLines(lines)) {
    return ErrorBehind({lines.data(), lexer_.p}, lexer_.error());
  }

  // An unfinished last line is an error, but it may have another one before its end.
  std::string rest(body.substr(complete));
  if (rest.find_first_not_of(" \t") != rest.npos) {
    rest += '\n';
    const char* const missing_line_feed = rest.data() + rest.size() - 1;
    const bool ended = ParseLines(rest) || lexer_.p == missing_line_feed;
    return ErrorBehind(lines, ended ? "unexpected end of input stream" : lexer_.error());
  }

  MarkHistogramsWithoutInfinity(out_);
  std::erase_if(out_.families, [](const Family& family) { return family.metric_count == 0; });
  return {};
}

bool TextParser::ParseLines(std::string_view lines) {
  lexer_.Start(lines);
  while (lexer_.p != lexer_.end) {
    if (TakeRepeatedBucketPrefix()) {
      if (!FinishSample()) return false;
      continue;
    }
    lexer_.SkipBlanks();
    switch (*lexer_.p) {
      case '\n':
        ++lexer_.p;
        break;
      case '#':
        if (!ParseComment()) return false;
        break;
      case '{':
        if (!ParseBracedSample()) return false;
        break;
      default:
        if (!ParseSample()) return false;
    }
  }
  return true;
}

// HELP and TYPE lines; all other comments are skipped.
bool TextParser::ParseComment() {
  ++lexer_.p;
  lexer_.SkipBlanks();
  const std::string_view keyword = lexer_.ReadWord();
  const bool is_help = keyword == "HELP";
  if (*lexer_.p == '\n' || (!is_help && keyword != "TYPE")) {
    lexer_.p = static_cast<const char*>(
        std::memchr(lexer_.p, '\n', static_cast<std::size_t>(lexer_.end - lexer_.p)));
    ++lexer_.p;
    return true;
  }
  lexer_.SkipBlanks();
  NameToken name;
  const bool is_current = TakeCurrentFamily();
  if (!is_current && !lexer_.ReadMetricName(name)) return false;
  if (*lexer_.p == '\n') {
    ++lexer_.p;
    return true;
  }
  if (!Is(*lexer_.p, kBlank)) return lexer_.Fail("invalid metric name in comment");
  if (!is_current && !ResolveFamily(name)) return false;
  lexer_.SkipBlanks();
  if (*lexer_.p != '\n' && !(is_help ? ParseHelp() : ParseType())) return false;
  ++lexer_.p;
  return true;
}

bool TextParser::ParseHelp() {
  Family& family = out_.families[family_];
  if (family.has_help) {
    return lexer_.FailQuoting("second HELP line for metric name ", family.name);
  }
  family.has_help = true;
  return lexer_.ReadHelp(family.help);
}

bool TextParser::ParseType() {
  Family& family = out_.families[family_];
  if (families_.HasType(family_)) {
    return lexer_.Fail("second TYPE line for metric name " + GoQuote(family.name) +
                       ", or TYPE reported after samples");
  }
  const std::string rest = lexer_.ReadRestDroppingBackslashes();
  const std::optional<MetricType> type = ParseTypeLineName(rest);
  if (!type) return lexer_.FailQuoting("unknown metric type ", rest);
  family.type = *type;
  families_.FixType(family_);
  EnterFamily(family_, !bare_name_.empty());
  return true;
}

// name [labels] value [timestamp]
bool TextParser::ParseSample() {
  const char* const line = lexer_.p;
  if (!TakeCurrentFamily()) {
    NameToken name;
    if (!lexer_.ReadMetricName(name)) return false;
    if (name.text.empty()) return lexer_.Fail("invalid metric name");
    if (!ResolveFamily(name)) return false;
  }
  families_.FixType(family_);
  lexer_.SkipBlanks();
  bound_.present = false;
  if (TakeRepeatedLabels()) return FinishSample();
  BeginLabels();
  if (*lexer_.p == '{') {
    if (!ParseLabels(line, /*braced=*/false)) return false;
  } else {
    labels_text_ = {lexer_.p, 0};
    has_labels_text_ = !bound_label_.empty();
  }
  ChooseMetric();
  return FinishSample();
}

// {"name", labels} value [timestamp]
bool TextParser::ParseBracedSample() {
  LeaveFamily();
  bound_.present = false;
  BeginLabels();
  if (!ParseLabels(lexer_.p, /*braced=*/true)) return false;
  ChooseMetric();
  return FinishSample();
}

// From behind the labels: value, timestamp, line feed.
bool TextParser::FinishSample() {
  lexer_.SkipBlanks();
  Number value;
  if (!ReadValue(value) || !SetValue(value)) return false;
  if (*lexer_.p != '\n' && !ParseTimestamp()) return false;
  ++lexer_.p;
  return true;
}

bool TextParser::ParseTimestamp() {
  lexer_.SkipBlanks();
  const std::string_view token = lexer_.ReadWord();
  std::string_view digits = token;
  // from_chars takes no plus sign.
  if (digits.starts_with('+') && !digits.substr(1).starts_with('-')) digits.remove_prefix(1);
  std::int64_t timestamp = 0;
  const auto [rest, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), timestamp);
  if (error != std::errc() || rest != digits.data() + digits.size()) {
    return lexer_.FailQuoting("expected integer as timestamp, got ", token);
  }
  if (*lexer_.p != '\n') {
    return lexer_.FailQuoting("spurious string after timestamp: ",
                              lexer_.ReadRestDroppingBackslashes());
  }
  // The time itself is of no interest: whoever has one is refused.
  out_.metrics[metric_].has_timestamp = true;
  out_.metrics[metric_].beyond_lines = true;
  return true;
}

// --- Families ---

// Takes the name at the cursor if it is the current family's, with or without a suffix.
bool TextParser::TakeCurrentFamily() {
  if (bare_name_.empty() || !lexer_.StartsWith(bare_name_)) return false;
  const char* const behind = lexer_.p + bare_name_.size();
  if (*behind == '{' || *behind == ' ') {
    lexer_.p = behind;
    part_ = SamplePart::kNone;
    return true;
  }
  if (*behind != '_') return false;
  const char* const name = lexer_.p;
  lexer_.p = behind;
  for (const SamplePart part : kSuffixedParts) {
    const std::string_view suffix = Suffix(part);
    if (!lexer_.StartsWith(suffix)) continue;
    const char next = behind[suffix.size()];
    if ((next != '{' && next != ' ') || !HasPart(type_, part)) break;
    if (families_.HasFamilyNamedLike(part)) break;
    lexer_.p = behind + suffix.size();
    part_ = part;
    return true;
  }
  lexer_.p = name;
  return false;
}

// Makes the family that `name` belongs to the current one.
bool TextParser::ResolveFamily(const NameToken& name) {
  if (name.text.empty() || (!name.bare && !IsValidMetricName(name.text, validation_))) {
    return lexer_.FailQuoting("invalid metric name ", name.text);
  }
  const FamilyTable::Member member = families_.Resolve(name.text);
  EnterFamily(member.family, name.bare);
  part_ = member.part;
  return true;
}

void TextParser::EnterFamily(std::uint32_t family, bool bare_name) {
  const Family& entered = out_.families[family];
  if (family != family_ || entered.type != type_) {
    LeaveFamily();
    family_ = family;
    type_ = entered.type;
    bound_label_ = BoundLabel(type_);
  }
  if (bare_name) bare_name_ = entered.name;
}

void TextParser::LeaveFamily() {
  family_ = kNoIndex;
  type_ = MetricType::kUntyped;
  bound_label_ = {};
  bare_name_ = {};
  metric_ = kNoIndex;
  known_count_ = 0;
  bucket_prefix_ = {};
  has_labels_text_ = false;
}

// --- Labels ---

// A further bucket or quantile of the current metric: takes everything before the value.
bool TextParser::TakeRepeatedBucketPrefix() {
  if (bucket_prefix_.empty() || !lexer_.StartsWith(bucket_prefix_)) return false;
  const char* const line = lexer_.p;
  lexer_.p += bucket_prefix_.size();
  if (TakeBound({})) {
    part_ = SamplePart::kNone;
    return true;
  }
  lexer_.p = line;
  return false;
}

// The same labels as on the line before, perhaps with a bound behind them.
bool TextParser::TakeRepeatedLabels() {
  if (!has_labels_text_ || metric_ == kNoIndex) return false;
  const char* const begin = lexer_.p;
  if (!lexer_.StartsWith(labels_text_)) return false;
  lexer_.p += labels_text_.size();
  if (labels_text_.empty() ? *lexer_.p != '{' : *lexer_.p == '}') {
    if (!labels_text_.empty()) ++lexer_.p;
    return true;
  }
  if (*lexer_.p == (labels_text_.empty() ? '{' : ',')) {
    ++lexer_.p;
    if (TakeBound(bound_label_)) return true;
  }
  lexer_.p = begin;
  return false;
}

// Takes `label="number"}` (an empty label: just the number and what follows it).
bool TextParser::TakeBound(std::string_view label) {
  const char* p = lexer_.p;
  if (!label.empty()) {
    if (!lexer_.StartsWith(label)) return false;
    p += label.size();
    if (p[0] != '=' || p[1] != '"') return false;
    p += 2;
  }
  const char* const begin = p;
  while (Is(*p, kFloatByte)) ++p;
  if (p[0] != '"' || p[1] != '}') return false;
  if (!Number::Parse({begin, static_cast<std::size_t>(p - begin)}, bound_.number)) return false;
  bound_.present = !IsNan(bound_.number);
  lexer_.p = p + 2;
  return true;
}

// From the opening brace to behind the closing one. A braced line has its metric name among the
// labels, as the element without a value.
bool TextParser::ParseLabels(const char* line, bool braced) {
  const char* const brace = lexer_.p;
  const char* labels_end = brace;  // behind the last label that is no bound
  const char* bound_begin = nullptr;
  bool bound_is_last = false;
  bool bound_amid_labels = false;
  do {
    ++lexer_.p;  // the brace or a comma
    lexer_.SkipBlanks();
    if (*lexer_.p == '}') break;
    std::string_view name;
    if (!TakeKnownLabelName(name)) {
      NameToken token;
      if (!ParseElementName(token)) return false;
      if (*lexer_.p != '=') {
        if (!TakeBracedName(token, braced)) return false;
        bound_is_last = false;
        continue;
      }
      name = token.text;
      names_are_bare_ = names_are_bare_ && token.bare;
      if (!CheckLabelName(token) || !OpenLabelValue()) return false;
    }
    const char* const value_begin = lexer_.p;
    std::string_view value;
    if (!lexer_.ReadLabelValue(value)) return false;
    if (IsBound(name)) {
      if (!SetBound(value)) return false;
      bound_begin = value_begin;
      bound_is_last = true;
    } else {
      out_.labels.push_back({name, value});
      labels_end = lexer_.p + 1;
      bound_amid_labels = bound_amid_labels || bound_begin != nullptr;
      bound_is_last = false;
    }
    ++lexer_.p;  // the closing quote
    lexer_.SkipBlanks();
    if (*lexer_.p != ',' && *lexer_.p != '}') {
      return lexer_.FailQuoting("unexpected end of label value ", value);
    }
  } while (*lexer_.p == ',');
  if (family_ == kNoIndex) return lexer_.Fail("invalid metric name");
  ++lexer_.p;

  if (bound_is_last && part_ != SamplePart::kSum && part_ != SamplePart::kCount) {
    bucket_prefix_ = {line, static_cast<std::size_t>(bound_begin - line)};
  }
  if (!braced && !bound_label_.empty() && !bound_amid_labels) {
    labels_text_ = {brace, static_cast<std::size_t>(labels_end - brace)};
    has_labels_text_ = true;
  }
  return true;
}

// Takes `name="` where the line before had this label at this place: then it is valid and, as all
// before it were taken so too, no duplicate.
bool TextParser::TakeKnownLabelName(std::string_view& name) {
  const std::size_t index = Labels().size();
  if (!follows_known_ || index >= known_count_) return false;
  const std::string_view known = out_.labels[known_first_ + index].name;
  if (!lexer_.StartsWith(known)) return false;
  const char* const behind = lexer_.p + known.size();
  if (behind[0] != '=' || behind[1] != '"') return false;
  name = known;  // the same view: whoever compares the two lines' names need not look at the text
  lexer_.p = behind + 2;
  return true;
}

// A label name, or the metric name of a braced line, and the blanks behind it.
bool TextParser::ParseElementName(NameToken& name) {
  if (!lexer_.ReadLabelName(name)) return false;
  if (name.text.empty()) {
    return lexer_.FailQuoting("invalid label name for metric ", FamilyName());
  }
  lexer_.SkipBlanks();
  return true;
}

// An element without a value: the metric name of a braced line.
bool TextParser::TakeBracedName(const NameToken& name, bool braced) {
  const auto found = GoQuoteByte(static_cast<unsigned char>(*lexer_.p));
  if (!braced) return lexer_.Fail("expected '=' after label name, found " + found);
  if (family_ != kNoIndex) {
    return lexer_.FailQuoting("multiple metric names for metric ", FamilyName());
  }
  if (*lexer_.p != ',' && *lexer_.p != '}') {
    return lexer_.Fail("unexpected end of metric name " + found);
  }
  if (!ResolveFamily(name)) return false;
  families_.FixType(family_);
  return ReviewEarlyLabels();
}

// Labels that were read before the metric name: only now it is known whether they hold a bound.
bool TextParser::ReviewEarlyLabels() {
  const auto begin = out_.labels.begin() + static_cast<std::ptrdiff_t>(labels_begin_);
  for (const std::string_view special : {kBucketLabel, kQuantileLabel}) {
    const auto is_special = [special](const Label& label) { return label.name == special; };
    if (special == bound_label_) {
      for (auto label = begin; label != out_.labels.end(); ++label) {
        if (is_special(*label) && !SetBound(label->value)) return false;
      }
      out_.labels.erase(std::remove_if(begin, out_.labels.end(), is_special), out_.labels.end());
      label_names_.Clear();  // the labels have moved
    } else if (std::count_if(begin, out_.labels.end(), is_special) > 1) {
      return FailDuplicateLabel();
    }
  }
  return true;
}

// With `=` at the cursor.
bool TextParser::CheckLabelName(const NameToken& name) {
  if (name.text == "__name__") return lexer_.Fail("label name \"__name__\" is reserved");
  if (!name.bare && !IsValidLabelName(name.text, validation_)) {
    return lexer_.FailQuoting("invalid label name ", name.text);
  }
  if (IsBound(name.text)) return true;
  follows_known_ = false;
  // Before its metric name a line may repeat what may turn out to be the bound.
  if (family_ == kNoIndex && (name.text == kBucketLabel || name.text == kQuantileLabel))
    return true;
  return !label_names_.Contain(name.text, Labels()) || FailDuplicateLabel();
}

// From `=` to behind the opening quote.
bool TextParser::OpenLabelValue() {
  ++lexer_.p;
  lexer_.SkipBlanks();
  if (*lexer_.p != '"') {
    return lexer_.Fail("expected '\"' at start of label value, found " +
                       GoQuoteByte(static_cast<unsigned char>(*lexer_.p)));
  }
  ++lexer_.p;
  return true;
}

bool TextParser::FailDuplicateLabel() {
  return lexer_.FailQuoting("duplicate label names for metric ", FamilyName());
}

bool TextParser::SetBound(std::string_view text) {
  if (!Number::Parse(text, bound_.number)) {
    return lexer_.Fail("expected float as value for '" + std::string(bound_label_) +
                       "' label, got " + GoQuote(text));
  }
  bound_.present = !IsNan(bound_.number);
  return true;
}

void TextParser::BeginLabels() {
  labels_begin_ = out_.labels.size();
  follows_known_ = true;
  names_are_bare_ = true;
  bucket_prefix_ = {};
  has_labels_text_ = false;
  label_names_.Clear();
}

// The metric that the labels just read belong to: histograms and summaries have one for each label
// set, all others one for each line.
void TextParser::ChooseMetric() {
  const bool shared = !bound_label_.empty();
  const std::uint32_t found = shared ? series_.Find(family_, Labels()) : kNoIndex;
  if (found != kNoIndex) {
    out_.labels.resize(labels_begin_);
    metric_ = found;
  } else {
    metric_ = out_.AddMetric(family_);
    Metric& metric = out_.metrics[metric_];
    metric.first_label = static_cast<std::uint32_t>(labels_begin_);
    metric.label_count = static_cast<std::uint32_t>(Labels().size());
    metric.kinds = ValueKindOf(type_);
    if (shared) series_.Add(family_);
  }
  known_first_ = out_.metrics[metric_].first_label;
  known_count_ = names_are_bare_ ? out_.metrics[metric_].label_count : 0;
}

// --- Values ---

bool TextParser::ReadValue(Number& value) {
  constexpr std::ptrdiff_t kPlainDigitsMax = 6;  // more print in another form
  const char* const begin = lexer_.p;
  const char* p = begin;
  if (*p == '0') {
    ++p;
  } else {
    while (static_cast<unsigned char>(*p - '0') < 10 && p - begin < kPlainDigitsMax) ++p;
  }
  if (*p == '\n' && p != begin) {
    lexer_.p = p;
    value = Number::FromCanonical({begin, static_cast<std::size_t>(p - begin)});
    return true;
  }
  const std::string_view token = lexer_.ReadWord();
  return Number::Parse(token, value) || lexer_.FailQuoting("expected float as value, got ", token);
}

bool TextParser::SetValue(const Number& value) {
  std::string error;
  return AssignValue(out_, metric_, out_.families[family_], part_, bound_, value, error) ||
         lexer_.Fail(std::move(error));
}

}  // namespace

Status ParseText(std::string_view body, NameValidation validation, FamilySet& out) {
  // Indices have 32 bits.
  constexpr std::size_t kBodyBytesMax = std::numeric_limits<std::uint32_t>::max();
  if (body.size() > kBodyBytesMax) {
    return Error{Code::kTooLarge, "body of " + std::to_string(body.size()) +
                                      " bytes is larger than " + std::to_string(kBodyBytesMax)};
  }
  out.labels_valid = true;
  out.names_plain = true;  // until the lexer meets a quoted one
  out.verbatim = body;
  return TextParser(validation, out).Parse(body);
}

}  // namespace pgw
