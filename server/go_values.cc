#include "server/go_values.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "exposition/quote.h"

namespace pgw {
namespace {

using std::chrono::nanoseconds;

constexpr std::uint64_t kDurationMax = std::numeric_limits<std::int64_t>::max();

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::optional<std::uint64_t> UnitNanoseconds(std::string_view unit) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  constexpr auto kUnits =
      std::to_array<std::pair<std::string_view, std::uint64_t>>({{"ns", 1},
                                                                 {"us", 1'000},
                                                                 {"\u00b5s", 1'000},  // micro sign
                                                                 {"\u03bcs", 1'000},  // Greek mu
                                                                 {"ms", 1'000'000},
                                                                 {"s", kSecond},
                                                                 {"m", 60 * kSecond},
                                                                 {"h", 3600 * kSecond},
                                                                 {"d", 24 * 3600 * kSecond},
                                                                 {"w", 7 * 24 * 3600 * kSecond}});
  for (const auto& [name, size] : kUnits) {
    if (name == unit) return size;
  }
  return std::nullopt;
}

// value * unit, or more than any duration.
std::uint64_t Multiply(std::uint64_t value, std::uint64_t unit) {
  return value > kDurationMax / unit ? kDurationMax + 1 : value * unit;
}

// The nanoseconds of one `<decimal><unit>` at the front of `rest`, which is cut off.
Result<std::uint64_t> TakeTerm(std::string_view& rest, std::string_view whole) {
  const auto invalid = [&] { return InvalidArgument("time: invalid duration " + GoQuote(whole)); };
  std::uint64_t integer = 0;
  double fraction = 0;
  double scale = 1;
  bool digits = false;
  for (; !rest.empty() && IsDigit(rest.front()); rest.remove_prefix(1), digits = true) {
    if (integer > kDurationMax / 10) return invalid();
    integer = integer * 10 + static_cast<std::uint64_t>(rest.front() - '0');
  }
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    for (; !rest.empty() && IsDigit(rest.front()); rest.remove_prefix(1), digits = true) {
      scale /= 10;
      fraction += scale * (rest.front() - '0');
    }
  }
  if (!digits) return invalid();
  const auto unit_end = std::ranges::find_if(rest, [](char c) { return c == '.' || IsDigit(c); });
  const std::string_view unit = rest.substr(0, static_cast<std::size_t>(unit_end - rest.begin()));
  if (unit.empty()) return InvalidArgument("time: missing unit in duration " + GoQuote(whole));
  const std::optional<std::uint64_t> size = UnitNanoseconds(unit);
  if (!size) {
    return InvalidArgument("time: unknown unit " + GoQuote(unit) + " in duration " +
                           GoQuote(whole));
  }
  rest.remove_prefix(unit.size());
  const std::uint64_t whole_units = Multiply(integer, *size);
  const auto part = static_cast<std::uint64_t>(std::llround(fraction * static_cast<double>(*size)));
  if (whole_units + part > kDurationMax) return invalid();
  return whole_units + part;
}

// What Go finds wrong with `[user@]host[:port]`; empty if nothing. A colon without a port is fine.
std::string FaultOfAuthority(std::string_view authority) {
  const std::size_t at = authority.rfind('@');
  std::string_view port = at == std::string_view::npos ? authority : authority.substr(at + 1);
  if (port.starts_with('[')) {
    const std::size_t bracket = port.rfind(']');
    if (bracket == std::string_view::npos) return "missing ']' in host";
    port.remove_prefix(bracket + 1);
  } else {
    port.remove_prefix(std::min(port.rfind(':'), port.size()));
  }
  const bool valid =
      port.empty() || (port.front() == ':' && std::ranges::all_of(port.substr(1), IsDigit));
  return valid ? std::string() : "invalid port " + GoQuote(port) + " after host";
}

}  // namespace

Result<nanoseconds> ParseGoDuration(std::string_view text) {
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return nanoseconds::zero();
  if (rest.empty()) return InvalidArgument("time: invalid duration " + GoQuote(text));
  std::uint64_t total = 0;
  while (!rest.empty()) {
    const Result<std::uint64_t> term = TakeTerm(rest, text);
    if (!term) return term.error();
    total += *term;
    if (total > kDurationMax) return InvalidArgument("time: invalid duration " + GoQuote(text));
  }
  const auto count = static_cast<std::int64_t>(total);
  return nanoseconds(negative ? -count : count);
}

Result<std::string> ParseUrlPath(std::string_view url) {
  const auto error = [&](const std::string& what) {
    return InvalidArgument("parse " + GoQuote(url) + ": " + what);
  };
  const auto is_control = [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; };
  if (std::ranges::any_of(url, is_control)) {
    return error("net/url: invalid control character in URL");
  }
  std::string_view rest = url.substr(0, url.find('#'));
  rest = rest.substr(0, rest.find('?'));
  if (rest.starts_with(':')) return error("missing protocol scheme");
  const std::size_t colon = rest.find(':');
  const bool scheme = colon != std::string_view::npos && IsLetter(rest.front()) &&
                      std::ranges::all_of(rest.substr(0, colon), [](char c) {
                        return IsLetter(c) || IsDigit(c) || c == '+' || c == '-' || c == '.';
                      });
  if (scheme) {
    rest.remove_prefix(colon + 1);
    if (!rest.starts_with('/')) return std::string();  // mailto:x and the like have no path
  } else if (rest.substr(0, rest.find('/')).find(':') != std::string_view::npos) {
    return error("first path segment in URL cannot contain colon");
  }
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const std::string_view authority = rest.substr(0, rest.find('/'));
    if (const std::string fault = FaultOfAuthority(authority); !fault.empty()) return error(fault);
    rest.remove_prefix(authority.size());
  }
  std::string path;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] != '%') {
      path.push_back(rest[i]);
      continue;
    }
    const std::string_view escape = rest.substr(i, 3);
    if (escape.size() < 3 || !IsHexDigit(escape[1]) || !IsHexDigit(escape[2])) {
      return error("invalid URL escape " + GoQuote(escape));
    }
    path.push_back(static_cast<char>(std::stoi(std::string(escape.substr(1)), nullptr, 16)));
    i += 2;
  }
  return path;
}

}  // namespace pgw
