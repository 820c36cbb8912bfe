#include "exposition/quote.h"

#include "exposition/unicode.h"

namespace pgw {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

void AppendHex(char32_t value, int digits, std::string& out) {
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
    out.push_back(kHexDigits[value >> shift & 0xf]);
  }
}

void AppendHexByte(unsigned char byte, std::string& out) {
  out += "\\x";
  AppendHex(byte, 2, out);
}

// The letter after the backslash in the short escapes, or 0.
char ShortEscape(char32_t code_point) {
  switch (code_point) {
    case '\a':
      return 'a';
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\v':
      return 'v';
    default:
      return 0;
  }
}

void AppendQuotedChar(char32_t code_point, char quote, std::string& out) {
  if (code_point == static_cast<unsigned char>(quote) || code_point == '\\') {
    out.push_back('\\');
    out.push_back(static_cast<char>(code_point));
  } else if (IsPrintable(code_point)) {
    AppendUtf8(code_point, out);
  } else if (const char letter = ShortEscape(code_point)) {
    out.push_back('\\');
    out.push_back(letter);
  } else if (code_point < 0x80) {
    AppendHexByte(static_cast<unsigned char>(code_point), out);
  } else if (code_point < 0x10000) {
    out += "\\u";
    AppendHex(code_point, 4, out);
  } else {
    out += "\\U";
    AppendHex(code_point, 8, out);
  }
}

}  // namespace

std::string GoQuote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  out.push_back('"');
  while (!text.empty()) {
    const DecodedChar next = DecodeUtf8(text);
    if (next.valid) {
      AppendQuotedChar(next.code_point, '"', out);
    } else {
      AppendHexByte(static_cast<unsigned char>(text.front()), out);
    }
    text.remove_prefix(next.size);
  }
  out.push_back('"');
  return out;
}

std::string GoQuoteByte(unsigned char byte) {
  std::string out = "'";
  AppendQuotedChar(byte, '\'', out);
  out.push_back('\'');
  return out;
}

}  // namespace pgw
