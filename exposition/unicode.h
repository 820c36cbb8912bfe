// Code points and their UTF-8 form, with Go's rules for what is malformed and what is printable.
// Knows nothing. All functions are pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pgw {

inline constexpr char32_t kReplacementChar = 0xfffd;
inline constexpr char32_t kMaxCodePoint = 0x10ffff;

struct DecodedChar {
  char32_t code_point = kReplacementChar;
  std::size_t size = 1;  // bytes it takes
  bool valid = false;    // false: one malformed byte, which counts as U+FFFD
};

// The first code point of `text`: no surrogates, no overlong forms.
// REQUIRES: !text.empty()
DecodedChar DecodeUtf8(std::string_view text);

// True unless it is a surrogate or beyond U+10FFFF.
constexpr bool IsScalarValue(char32_t code_point) {
  return code_point < 0xd800 || (code_point > 0xdfff && code_point <= kMaxCodePoint);
}

// REQUIRES: IsScalarValue(code_point)
void AppendUtf8(char32_t code_point, std::string& out);

// Letters, marks, numbers, punctuation, symbols and the ASCII space; Unicode 15.0, as in Go 1.21
// and later.
bool IsPrintable(char32_t code_point);

}  // namespace pgw
