#include "exposition/unicode.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <iterator>

namespace pgw {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

constexpr Range kPrintable[] = {
// clang-format off
#include "exposition/printable_ranges.inc"
    // clang-format on
};

constexpr bool IsContinuation(unsigned char byte) { return (byte & 0xc0) == 0x80; }

}  // namespace

DecodedChar DecodeUtf8(std::string_view text) {
  assert(!text.empty());
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};

  // What the lead byte promises, and the least code point that needs so many bytes.
  std::size_t size = 0;
  char32_t code_point = 0;
  char32_t least = 0;
  if ((lead & 0xe0) == 0xc0) {
    size = 2, code_point = lead & 0x1f, least = 0x80;
  } else if ((lead & 0xf0) == 0xe0) {
    size = 3, code_point = lead & 0x0f, least = 0x800;
  } else if ((lead & 0xf8) == 0xf0) {
    size = 4, code_point = lead & 0x07, least = 0x10000;
  } else {
    return {};
  }
  if (text.size() < size) return {};
  for (std::size_t i = 1; i < size; ++i) {
    if (!IsContinuation(byte(i))) return {};
    code_point = code_point << 6 | (byte(i) & 0x3f);
  }
  if (code_point < least || !IsScalarValue(code_point)) return {};
  return {code_point, size, true};
}

void AppendUtf8(char32_t code_point, std::string& out) {
  assert(IsScalarValue(code_point));
  const auto put = [&out](char32_t byte) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
  };
  if (code_point < 0x80) {
    put(code_point);
    return;
  }
  if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
  } else {
    if (code_point < 0x10000) {
      put(0xe0 | code_point >> 12);
    } else {
      put(0xf0 | code_point >> 18);
      put(0x80 | (code_point >> 12 & 0x3f));
    }
    put(0x80 | (code_point >> 6 & 0x3f));
  }
  put(0x80 | (code_point & 0x3f));
}

bool IsPrintable(char32_t code_point) {
  if (code_point < 0x7f) return code_point >= 0x20;
  const Range* range = std::lower_bound(
      std::begin(kPrintable), std::end(kPrintable), code_point,
      [](const Range& candidate, char32_t wanted) { return candidate.last < wanted; });
  return range != std::end(kPrintable) && range->first <= code_point;
}

}  // namespace pgw
