#include "exposition/text_lexer.h"

#include <utility>

#include "exposition/names.h"
#include "exposition/quote.h"
#include "exposition/unicode.h"

namespace pgw {

bool TextLexer::Fail(std::string message) {
  error_ = std::move(message);
  return false;
}

bool TextLexer::FailQuoting(std::string_view what, std::string_view text) {
  std::string message(what);
  message += GoQuote(text);
  return Fail(std::move(message));
}

bool TextLexer::ReadEscape(std::string& out) {
  ++p;
  switch (*p) {
    case '\\':
    case '"':
      out += *p;
      break;
    case 'n':
      out += '\n';
      break;
    default: {
      // The byte is shown as the code point of its number, unquoted.
      std::string message = "invalid escape sequence '\\";
      AppendUtf8(static_cast<unsigned char>(*p), message);
      message += '\'';
      return Fail(std::move(message));
    }
  }
  ++p;
  return true;
}

bool TextLexer::ReadQuotedName(std::string_view kind, NameToken& name) {
  arena_.names_plain = false;
  scratch_ = name.text;
  ++p;
  const char* const begin = p;
  bool verbatim = name.text.empty();
  while (true) {
    const char* const stop = ScanQuoted(p, end).stop;
    scratch_.append(p, stop);
    p = stop;
    if (*p == '"') break;
    if (*p == '\n') {
      return Fail(std::string(kind) + " name " + GoQuote(scratch_) +
                  " contains unescaped new-line");
    }
    verbatim = false;
    if (!ReadEscape(scratch_)) return false;
  }
  const std::string_view text = verbatim
                                    ? std::string_view(begin, static_cast<std::size_t>(p - begin))
                                    : arena_.Intern(scratch_);
  name = {text, false};
  ++p;
  return true;
}

bool TextLexer::FinishQuotedText(std::string_view& text) {
  scratch_ = text;
  while (*p != '"') {
    if (*p == '\n') {
      return Fail("label value " + GoQuote(scratch_) + " contains unescaped new-line");
    }
    if (!ReadEscape(scratch_)) return false;
    const char* const stop = ScanQuoted(p, end).stop;
    scratch_.append(p, stop);
    p = stop;
  }
  text = arena_.Intern(scratch_);
  return true;
}

bool TextLexer::FinishLabelValue(std::string_view& value) {
  if (*p != '"' && !FinishQuotedText(value)) return false;
  return IsValidUtf8(value) || FailQuoting("invalid label value ", value);
}

bool TextLexer::ReadHelp(std::string_view& text) {
  const char* begin = p;
  p = FindLineFeedOrBackslash(p, end);
  text = {begin, static_cast<std::size_t>(p - begin)};
  if (*p == '\n') return true;
  scratch_ = text;
  while (*p != '\n') {
    if (!ReadEscape(scratch_)) return false;
    const char* const stop = FindLineFeedOrBackslash(p, end);
    scratch_.append(p, stop);
    p = stop;
  }
  text = arena_.Intern(scratch_);
  return true;
}

std::string TextLexer::ReadRestDroppingBackslashes() {
  // The backslash takes nothing with it: `\\` is dropped whole, `\n` becomes n.
  std::string rest;
  for (; *p != '\n'; ++p) {
    if (*p != '\\') rest += *p;
  }
  return rest;
}

}  // namespace pgw
