// The tokens of the text exposition format 0.0.4. Knows family_set, names, quote.
//
// Works on bytes that end with a line feed. That line feed is a sentinel: no token contains one,
// so no scan needs another bound. Not thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "exposition/byte_class.h"
#include "exposition/byte_scan.h"
#include "exposition/family_set.h"

namespace pgw {

// A name, and whether it stood there bare: then it is legacy-valid.
struct NameToken {
  std::string_view text;
  bool bare = true;
};

// A cursor over lines. The functions that can fail return false, leave `p` at the byte that
// upstream would have read last, and set error().
class TextLexer {
 public:
  // Text that had escapes is put into `arena`.
  explicit TextLexer(FamilySet& arena) : arena_(arena) {}

  // REQUIRES: `lines` is empty or ends with a line feed.
  void Start(std::string_view lines) {
    p = lines.data();
    end = p + lines.size();
  }

  const std::string& error() const { return error_; }
  [[nodiscard]] bool Fail(std::string message);
  // Fails with `what` followed by Go's quoted form of `text`.
  [[nodiscard]] bool FailQuoting(std::string_view what, std::string_view text);

  bool StartsWith(std::string_view text) const {
    return static_cast<std::size_t>(end - p) >= text.size() &&
           SameBytes(p, text.data(), text.size());
  }

  void SkipBlanks() {
    while (Is(*p, kBlank)) ++p;
  }

  // Everything up to a blank or line feed.
  std::string_view ReadWord() {
    const char* begin = p;
    while (!Is(*p, kTokenEnd)) ++p;
    return {begin, static_cast<std::size_t>(p - begin)};
  }

  // An empty token where no name starts.
  [[nodiscard]] bool ReadMetricName(NameToken& name) {
    return ReadName(kMetricNameStart, kMetricNameByte, "metric", name);
  }
  [[nodiscard]] bool ReadLabelName(NameToken& name) {
    return ReadName(kLabelNameStart, kLabelNameByte, "label", name);
  }

  // From behind the opening quote; leaves `p` at the closing one.
  [[nodiscard]] bool ReadQuotedText(std::string_view& text) {
    const char* begin = p;
    p = ScanQuoted(p, end).stop;
    text = {begin, static_cast<std::size_t>(p - begin)};
    return *p == '"' || FinishQuotedText(text);
  }

  // The same, and checks that it is UTF-8.
  [[nodiscard]] bool ReadLabelValue(std::string_view& value) {
    const char* begin = p;
    const QuotedScan scan = ScanQuoted(p, end);
    p = scan.stop;
    value = {begin, static_cast<std::size_t>(p - begin)};
    return (*p == '"' && scan.ascii) || FinishLabelValue(value);
  }

  // Up to the line feed, with the escapes of a HELP line.
  [[nodiscard]] bool ReadHelp(std::string_view& text);

  // Up to the line feed, without the backslashes that upstream loses.
  std::string ReadRestDroppingBackslashes();

  const char* p = nullptr;
  const char* end = nullptr;  // behind the sentinel

 private:
  bool ReadName(ByteClass start, ByteClass continuation, std::string_view kind, NameToken& name) {
    const char* begin = p;
    if (Is(*p, start)) {
      do {
        ++p;
      } while (Is(*p, continuation));
    }
    name = {{begin, static_cast<std::size_t>(p - begin)}, true};
    return *p != '"' || ReadQuotedName(kind, name);
  }

  // With the opening quote at `p`; what was read before it is part of the name.
  bool ReadQuotedName(std::string_view kind, NameToken& name);
  // With what ended the plain part of a text at `p`.
  bool FinishQuotedText(std::string_view& text);
  bool FinishLabelValue(std::string_view& value);
  // With a backslash at `p`: appends what the sequence stands for and goes behind it.
  bool ReadEscape(std::string& out);

  FamilySet& arena_;
  std::string error_;
  std::string scratch_;
};

}  // namespace pgw
