// One line per record on a file descriptor, in the form of Prometheus's promslog:
//   ts=2026-11-23T02:55:55.253Z level=info caller=main.cc:82 msg="starting pushgateway" version=…
// or the same keys in the same order as a JSON object. Knows base/clock.
//
// docs/decisions/0004-logging.md says why this is not a logging library.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"

namespace pgw {

enum class LogLevel : unsigned char { kDebug, kInfo, kWarn, kError };
enum class LogFormat : unsigned char { kLogfmt, kJson };

// Case-insensitive, as --log.level takes it.
std::optional<LogLevel> ParseLogLevel(std::string_view text);
// Case-sensitive, as --log.format takes it.
std::optional<LogFormat> ParseLogFormat(std::string_view text);

// A key with its value. Views must outlive the call they are passed to. A key equal to one of the
// line's own (ts, level, caller, msg, source) is written with the prefix `logged_`, as upstream
// does.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, bool, std::int64_t, double, std::chrono::nanoseconds> value;
};

// Go's notation of a duration: 0s, 1.5s, 500ms, 2m0s, 24h0m0s.
std::string FormatGoDuration(std::chrono::nanoseconds duration);

// A message together with the place of the call.
struct LogMessage {
  LogMessage(const char* message,  // NOLINT: implicit by design
             std::source_location caller = std::source_location::current())
      : text(message), where(caller) {}
  LogMessage(std::string_view message,  // NOLINT
             std::source_location caller = std::source_location::current())
      : text(message), where(caller) {}
  LogMessage(const std::string& message,  // NOLINT
             std::source_location caller = std::source_location::current())
      : text(message), where(caller) {}

  std::string_view text;
  std::source_location where;
};

// Thread-safe: a record is one write(2). Never blocks on anything but that write; a failing
// write is ignored, there is nobody to tell. Does not throw: where there is no memory for a record,
// it has its level and its message alone.
class Logger {
 public:
  using Fields = std::initializer_list<LogField>;

  // `clock` and the open descriptor `fd` must outlive the logger.
  Logger(const Clock& clock, int fd, LogLevel level, LogFormat format);
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  bool Enabled(LogLevel level) const { return level >= level_; }
  void Debug(LogMessage message, Fields fields = {}) { Log(LogLevel::kDebug, message, fields); }
  void Info(LogMessage message, Fields fields = {}) { Log(LogLevel::kInfo, message, fields); }
  void Warn(LogMessage message, Fields fields = {}) { Log(LogLevel::kWarn, message, fields); }
  void Error(LogMessage message, Fields fields = {}) { Log(LogLevel::kError, message, fields); }
  void Log(LogLevel level, LogMessage message, Fields fields) noexcept;

 private:
  const Clock& clock_;
  const int fd_;
  const LogLevel level_;
  const LogFormat format_;
};

}  // namespace pgw
