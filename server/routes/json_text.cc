#include "server/routes/json_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "exposition/names.h"

namespace pgw {
namespace {

// Bytes of the UTF-8 sequence at the front of the non-empty `text`; 0 if there is none.
std::size_t SequenceLength(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t bytes = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  const bool whole = text.size() >= bytes && IsValidUtf8(text.substr(0, bytes));
  return whole ? bytes : 0;
}

void AppendEscape(unsigned code, std::string& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  out.append("\\u");
  for (int shift = 12; shift >= 0; shift -= 4) out.push_back(kDigits[code >> shift & 0xf]);
}

void AppendEscapedAscii(char c, std::string& out) {
  switch (c) {
    case '"':
      out.append("\\\"");
      break;
    case '\\':
      out.append("\\\\");
      break;
    case '\b':
      out.append("\\b");
      break;
    case '\f':
      out.append("\\f");
      break;
    case '\n':
      out.append("\\n");
      break;
    case '\r':
      out.append("\\r");
      break;
    case '\t':
      out.append("\\t");
      break;
    default:
      AppendEscape(static_cast<unsigned char>(c), out);
  }
}

bool IsPlain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out.push_back('"');
  while (!text.empty()) {
    const auto plain =
        static_cast<std::size_t>(std::ranges::find_if_not(text, IsPlain) - text.begin());
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::size_t length = SequenceLength(text);
    if (length == 0) {
      out.append("\\ufffd");
    } else if (length == 1) {
      AppendEscapedAscii(text.front(), out);
    } else if (text.starts_with("\u2028") || text.starts_with("\u2029")) {
      AppendEscape(text[2] == '\xa8' ? 0x2028 : 0x2029, out);
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  out.push_back('"');
}

void AppendJsonTime(WallTime time, std::string& out) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
  const auto nanos = static_cast<int>((time.time_since_epoch() - seconds).count());
  const std::time_t unix_seconds = seconds.count();
  std::tm parts{};
  localtime_r(&unix_seconds, &parts);
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "\"%04d-%02d-%02dT%02d:%02d:%02d", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  out.append(text.data());
  if (nanos != 0) {
    std::snprintf(text.data(), text.size(), ".%09d", nanos);
    const std::string_view fraction = text.data();
    out.append(fraction.substr(0, fraction.find_last_not_of('0') + 1));
  }
  const long offset_minutes = parts.tm_gmtoff / 60;
  if (offset_minutes == 0) {
    out.append("Z\"");
    return;
  }
  const int magnitude = static_cast<int>(offset_minutes < 0 ? -offset_minutes : offset_minutes);
  std::snprintf(text.data(), text.size(), "%c%02d:%02d\"", offset_minutes < 0 ? '-' : '+',
                magnitude / 60, magnitude % 60);
  out.append(text.data());
}

}  // namespace pgw
