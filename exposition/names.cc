#include "exposition/names.h"

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "exposition/unicode.h"

namespace pgw {
namespace {

constexpr bool IsAsciiLetter(std::size_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr bool IsAsciiDigit(std::size_t c) { return c >= '0' && c <= '9'; }

// Where a byte may stand in a legacy name, as bits.
enum : std::uint8_t { kMetricFirst = 1, kMetricRest = 2, kLabelFirst = 4, kLabelRest = 8 };

constexpr std::array<std::uint8_t, 256> MakeNameBytes() {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    if (IsAsciiLetter(byte) || byte == '_') {
      table[byte] = kMetricFirst | kMetricRest | kLabelFirst | kLabelRest;
    } else if (byte == ':') {
      table[byte] = kMetricFirst | kMetricRest;
    } else if (IsAsciiDigit(byte)) {
      table[byte] = kMetricRest | kLabelRest;
    }
  }
  return table;
}

constexpr std::array<std::uint8_t, 256> kNameBytes = MakeNameBytes();

// Every scrape and push asks this of every name.
bool IsName(std::string_view name, std::uint8_t first, std::uint8_t rest) {
  if (name.empty()) return false;
  std::uint8_t allowed = first;
  for (const char c : name) {
    if ((kNameBytes[static_cast<unsigned char>(c)] & allowed) == 0) return false;
    allowed = rest;
  }
  return true;
}

// Length of the ASCII prefix, to the nearest eight bytes or exactly.
std::size_t SkipAscii(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t i = 0;
  for (; i + sizeof(std::uint64_t) <= text.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, sizeof word);
    if (word & kHighBits) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

void AppendHex(char32_t value, std::string& out) {
  int shift = 20;
  while (shift > 0 && (value >> shift & 0xf) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) out.push_back("0123456789abcdef"[value >> shift & 0xf]);
}

// Appends what stands for one character of a name that is not legacy-valid.
void AppendEscapedChar(char32_t c, bool first, Escaping escaping, std::string& out) {
  const bool keep = c < kNameBytes.size() && (kNameBytes[c] & (first ? kMetricFirst : kMetricRest));
  switch (escaping) {
    case Escaping::kUnderscores:
      out.push_back(keep ? static_cast<char>(c) : '_');
      return;
    case Escaping::kDots:
      if (c == '.') {
        out += "_dot_";
      } else if (c == '_' || !keep) {
        out += "__";
      } else {
        out.push_back(static_cast<char>(c));
      }
      return;
    case Escaping::kValues:
      if (c == '_') {
        out += "__";
      } else if (keep) {
        out.push_back(static_cast<char>(c));
      } else {
        out.push_back('_');
        AppendHex(c, out);
        out.push_back('_');
      }
      return;
    case Escaping::kAllowUtf8:
      AppendUtf8(c, out);
      return;
  }
}

// Value of a hex digit of either case, or -1.
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::string_view kValuesPrefix = "U__";

// Decodes what follows the prefix; false if it is malformed.
bool DecodeValues(std::string_view text, std::string& out) {
  // Six digits would reach U+10FFFF, but upstream reads at most five.
  constexpr int kDigitsMax = 5;
  std::size_t i = 0;
  while (i < text.size()) {
    const char c = text[i++];
    if (c != '_') {
      out.push_back(c);
      continue;
    }
    if (i == text.size()) return false;
    if (text[i] == '_') {
      out.push_back('_');
      ++i;
      continue;
    }
    char32_t code_point = 0;
    int digits = 0;
    while (i < text.size() && text[i] != '_') {
      const int digit = HexDigit(text[i++]);
      if (digit < 0 || ++digits > kDigitsMax) return false;
      code_point = code_point << 4 | static_cast<char32_t>(digit);
    }
    if (i == text.size() || !IsScalarValue(code_point)) return false;
    AppendUtf8(code_point, out);
    ++i;  // the closing underscore
  }
  return true;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  while (true) {
    text.remove_prefix(SkipAscii(text));
    if (text.empty()) return true;
    const DecodedChar next = DecodeUtf8(text);
    if (!next.valid) return false;
    text.remove_prefix(next.size);
  }
}

bool IsLegacyMetricName(std::string_view name) { return IsName(name, kMetricFirst, kMetricRest); }

bool IsLegacyLabelName(std::string_view name) { return IsName(name, kLabelFirst, kLabelRest); }

bool IsValidMetricName(std::string_view name, NameValidation validation) {
  if (validation == NameValidation::kLegacy) return IsLegacyMetricName(name);
  return !name.empty() && IsValidUtf8(name);
}

bool IsValidLabelName(std::string_view name, NameValidation validation) {
  if (validation == NameValidation::kLegacy) return IsLegacyLabelName(name);
  return !name.empty() && IsValidUtf8(name);
}

std::string_view EscapingName(Escaping escaping) {
  switch (escaping) {
    case Escaping::kUnderscores:
      return "underscores";
    case Escaping::kDots:
      return "dots";
    case Escaping::kValues:
      return "values";
    case Escaping::kAllowUtf8:
      return "allow-utf-8";
  }
  assert(false);
  return "underscores";
}

std::string EscapeName(std::string_view name, Escaping escaping) {
  if (name.empty() || escaping == Escaping::kAllowUtf8 || !NeedsEscaping(name)) {
    return std::string(name);
  }
  std::string out;
  out.reserve(name.size() * 2);
  if (escaping == Escaping::kValues) out += kValuesPrefix;
  for (std::size_t i = 0; i < name.size();) {
    const DecodedChar next = DecodeUtf8(name.substr(i));
    AppendEscapedChar(next.code_point, i == 0, escaping, out);
    i += next.size;
  }
  return out;
}

std::string UnescapeValuesName(std::string_view segment) {
  if (segment.substr(0, kValuesPrefix.size()) == kValuesPrefix) {
    std::string out;
    if (DecodeValues(segment.substr(kValuesPrefix.size()), out)) return out;
  }
  return std::string(segment);
}

}  // namespace pgw
