#include "base/log.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace pgw {
namespace {

using std::chrono::nanoseconds;

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warn", "error"};
constexpr char kHexDigits[] = "0123456789abcdef";

char LowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  // 0: not UTF-8 here
};

// Decodes the sequence at the front of the non-empty `text`.
CodePoint DecodeUtf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  char32_t value = lead & (0x7fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3fu);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kSmallest[bytes] || surrogate || value > 0x10ffff) return {};
  return {value, bytes};
}

// Code points that may break a line, reorder it or show nothing. Coarser than Unicode's tables:
// what matters is that a record stays one readable line.
bool IsUnprintable(char32_t c) {
  if (c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad) return true;
  if (c >= 0x2000 && c <= 0x200f) return true;  // spaces, joiners, direction marks
  if (c >= 0x2028 && c <= 0x202f) return true;  // separators, direction overrides
  if (c >= 0x205f && c <= 0x206f) return true;
  if (c == 0x1680 || c == 0x3000 || c == 0xfeff) return true;
  if (c >= 0xe000 && c <= 0xf8ff) return true;  // private use
  if (c >= 0xfff0 && c <= 0xfffb) return true;
  return (c & 0xfffe) == 0xfffe || c >= 0xe0000;
}

void AppendHex(char32_t value, int digits, std::string& out) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    out.push_back(kHexDigits[(value >> shift) & 0xf]);
  }
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  while (!text.empty()) {
    const CodePoint c = DecodeUtf8(text);
    if (c.bytes == 0 || c.value == U'\ufffd' || IsUnprintable(c.value)) return true;
    if (c.value == ' ' || c.value == '=' || c.value == '"') return true;
    text.remove_prefix(c.bytes);
  }
  return false;
}

void AppendGoEscaped(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const CodePoint c = DecodeUtf8(text);
    if (c.bytes == 0) {
      out.append("\\x");
      AppendHex(static_cast<unsigned char>(text.front()), 2, out);
      text.remove_prefix(1);
      continue;
    }
    switch (c.value) {
      case '"':
        out.append("\\\"");
        break;
      case '\\':
        out.append("\\\\");
        break;
      case '\a':
        out.append("\\a");
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
      case '\v':
        out.append("\\v");
        break;
      default:
        if (!IsUnprintable(c.value)) {
          out.append(text.substr(0, c.bytes));
        } else if (c.value < 0x80) {
          out.append("\\x");
          AppendHex(c.value, 2, out);
        } else if (c.value < 0x10000) {
          out.append("\\u");
          AppendHex(c.value, 4, out);
        } else {
          out.append("\\U");
          AppendHex(c.value, 8, out);
        }
    }
    text.remove_prefix(c.bytes);
  }
}

void AppendLogfmtText(std::string_view text, std::string& out) {
  if (!NeedsQuotes(text)) {
    out.append(text);
    return;
  }
  out.push_back('"');
  AppendGoEscaped(text, out);
  out.push_back('"');
}

void AppendJsonText(std::string_view text, std::string& out) {
  out.push_back('"');
  while (!text.empty()) {
    const CodePoint c = DecodeUtf8(text);
    if (c.bytes == 0) {
      out.append("\\ufffd");
      text.remove_prefix(1);
      continue;
    }
    switch (c.value) {
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
        // U+2028 and U+2029 end lines for some readers.
        if (c.value < 0x20 || c.value == 0x2028 || c.value == 0x2029) {
          out.append("\\u");
          AppendHex(c.value, 4, out);
        } else {
          out.append(text.substr(0, c.bytes));
        }
    }
    text.remove_prefix(c.bytes);
  }
  out.push_back('"');
}

std::string FormatDouble(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

// 2026-11-23T02:55:55.253Z
std::string FormatTimestamp(WallTime time) {
  const auto millis = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(millis);
  const std::time_t unix_seconds = seconds.count();
  std::tm parts{};
  gmtime_r(&unix_seconds, &parts);
  std::array<char, 80> text{};
  const int size =
      std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                    parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                    parts.tm_min, parts.tm_sec, static_cast<int>((millis - seconds).count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string Caller(const std::source_location& where) {
  const std::string_view path = where.file_name();
  const std::size_t slash = path.rfind('/');
  std::string caller(slash == std::string_view::npos ? path : path.substr(slash + 1));
  caller.push_back(':');
  caller.append(std::to_string(where.line()));
  return caller;
}

bool IsReservedKey(std::string_view key) {
  return key == "ts" || key == "level" || key == "caller" || key == "msg" || key == "source";
}

// Writes `key=value` pairs or a JSON object, in the order they are added.
class RecordWriter {
 public:
  explicit RecordWriter(LogFormat format) : format_(format) {}

  void Add(std::string_view key, std::string_view text) {
    AddKey(key);
    format_ == LogFormat::kJson ? AppendJsonText(text, line_) : AppendLogfmtText(text, line_);
  }

  void Add(const LogField& field) {
    const std::string key =
        IsReservedKey(field.key) ? "logged_" + std::string(field.key) : std::string(field.key);
    std::visit([&](const auto& value) { AddValue(key, value); }, field.value);
  }

  std::string_view Finish() {
    line_.append(format_ == LogFormat::kJson ? "}\n" : "\n");
    return line_;
  }

 private:
  void AddKey(std::string_view key) {
    if (format_ == LogFormat::kJson) {
      line_.push_back(line_.empty() ? '{' : ',');
      AppendJsonText(key, line_);
      line_.push_back(':');
    } else {
      if (!line_.empty()) line_.push_back(' ');
      AppendLogfmtText(key, line_);
      line_.push_back('=');
    }
  }

  void AddValue(std::string_view key, std::string_view value) { Add(key, value); }
  void AddValue(std::string_view key, bool value) { AddBare(key, value ? "true" : "false"); }
  void AddValue(std::string_view key, std::int64_t value) { AddBare(key, std::to_string(value)); }
  void AddValue(std::string_view key, nanoseconds value) { Add(key, FormatGoDuration(value)); }
  void AddValue(std::string_view key, double value) {
    // JSON has no numbers for these.
    std::isfinite(value) ? AddBare(key, FormatDouble(value)) : Add(key, FormatDouble(value));
  }

  void AddBare(std::string_view key, std::string_view text) {
    AddKey(key);
    line_.append(text);
  }

  const LogFormat format_;
  std::string line_;
};

// The least of a record, when there is no memory for the rest. What would need an escape is a
// blank.
void WriteWithoutMemory(int fd, LogFormat format, std::string_view level, std::string_view text) {
  std::array<char, 512> line;
  std::size_t size = 0;
  const auto put = [&](std::string_view part, bool plain) {
    for (const char c : part.substr(0, line.size() - size)) {
      line[size++] = plain || (c > ' ' && c < 0x7f && c != '"' && c != '\\') ? c : ' ';
    }
  };
  const bool json = format == LogFormat::kJson;
  put(json ? R"({"level":")" : "level=", true);
  put(level, false);
  put(json ? R"(","msg":")" : " msg=\"", true);
  put(text.substr(0, line.size() / 2), false);
  put(json ? "\"}\n" : "\"\n", true);
  if (write(fd, line.data(), size) < 0) return;  // nobody to tell
}

// Appends value / unit with as many decimals as are not zero.
void AppendFraction(std::uint64_t value, std::uint64_t unit, std::string& out) {
  out.append(std::to_string(value / unit));
  std::uint64_t rest = value % unit;
  if (rest == 0) return;
  out.push_back('.');
  while (rest != 0) {
    unit /= 10;
    out.push_back(static_cast<char>('0' + rest / unit));
    rest %= unit;
  }
}

}  // namespace

std::optional<LogLevel> ParseLogLevel(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = LowerAscii(c);
  for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
    if (lower == kLevelNames[i]) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

std::optional<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "logfmt") return LogFormat::kLogfmt;
  if (text == "json") return LogFormat::kJson;
  return std::nullopt;
}

std::string FormatGoDuration(nanoseconds duration) {
  if (duration == nanoseconds::zero()) return "0s";
  std::string out;
  const bool negative = duration < nanoseconds::zero();
  // Unsigned, because the most negative duration has no positive counterpart.
  std::uint64_t left = static_cast<std::uint64_t>(duration.count());
  if (negative) {
    out.push_back('-');
    left = ~left + 1;
  }
  constexpr std::uint64_t kMicrosecond = 1'000;
  constexpr std::uint64_t kMillisecond = 1'000'000;
  constexpr std::uint64_t kSecond = 1'000'000'000;
  if (left < kMicrosecond) return out + std::to_string(left) + "ns";
  if (left < kSecond) {
    const bool micro = left < kMillisecond;
    AppendFraction(left, micro ? kMicrosecond : kMillisecond, out);
    return out + (micro ? "\u00b5s" : "ms");
  }
  const std::uint64_t minutes = left / (60 * kSecond);
  if (minutes >= 60) out.append(std::to_string(minutes / 60)).push_back('h');
  if (minutes > 0) out.append(std::to_string(minutes % 60)).push_back('m');
  AppendFraction(left % (60 * kSecond), kSecond, out);
  out.push_back('s');
  return out;
}

Logger::Logger(const Clock& clock, int fd, LogLevel level, LogFormat format)
    : clock_(clock), fd_(fd), level_(level), format_(format) {}

void Logger::Log(LogLevel level, LogMessage message, Fields fields) noexcept {
  if (!Enabled(level)) return;
  const std::string_view level_name = kLevelNames[static_cast<std::size_t>(level)];
  try {
    RecordWriter record(format_);
    record.Add("ts", FormatTimestamp(clock_.Now().wall));
    record.Add("level", level_name);
    record.Add("caller", Caller(message.where));
    record.Add("msg", message.text);
    for (const LogField& field : fields) record.Add(field);
    const std::string_view line = record.Finish();
    if (write(fd_, line.data(), line.size()) < 0) return;  // nobody to tell
  } catch (...) {
    WriteWithoutMemory(fd_, format_, level_name, message.text);
  }
}

}  // namespace pgw
