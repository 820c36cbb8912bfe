#include "exposition/number.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <system_error>

namespace pgw {
namespace {

// The bits Go's parser gives a NaN; they show in protobuf.
constexpr double kGoNan = std::bit_cast<double>(std::uint64_t{0x7ff8000000000001});

constexpr bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

char* Write(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// `lower` is in lower case.
bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

// For a number without sign that is too large or too small for a double: true if it is too large.
// Such numbers are hundreds of decimal places away from one, so the place of the first significant
// digit decides.
bool IsHuge(std::string_view decimal) {
  constexpr long long kExponentMax = std::numeric_limits<long long>::max() / 4;
  long long place = 0;  // of the first significant digit; 0 is the one before the point
  long long integer_digits = 0;
  bool point = false;
  bool significant = false;
  std::size_t i = 0;
  for (; i < decimal.size() && (IsDigit(decimal[i]) || decimal[i] == '.'); ++i) {
    if (decimal[i] == '.') {
      point = true;
      continue;
    }
    if (decimal[i] != '0') significant = true;
    if (!point && significant) ++integer_digits;
    if (point && !significant) --place;
  }
  place = integer_digits > 0 ? integer_digits - 1 : place - 1;
  if (i == decimal.size()) return place > 0;
  ++i;  // e
  const bool negative = decimal[i] == '-';
  if (decimal[i] == '-' || decimal[i] == '+') ++i;
  long long exponent = 0;
  for (; i < decimal.size() && exponent < kExponentMax / 10; ++i) {
    exponent = exponent * 10 + (decimal[i] - '0');
  }
  return place + (negative ? -exponent : exponent) > 0;
}

}  // namespace

std::optional<double> ParseFloat(std::string_view token) {
  const bool negative = token.starts_with('-');
  const bool has_sign = negative || token.starts_with('+');
  if (has_sign) token.remove_prefix(1);
  if (token.empty()) return std::nullopt;

  double value = 0;
  if (IsDigit(token[0]) || token[0] == '.') {
    const char* end = token.data() + token.size();
    const auto [rest, error] = std::from_chars(token.data(), end, value);
    if (error == std::errc::invalid_argument || rest != end) return std::nullopt;
    if (error == std::errc::result_out_of_range) {
      if (IsHuge(token)) return std::nullopt;
      value = 0;
    }
  } else if (EqualsIgnoringCase(token, "inf") || EqualsIgnoringCase(token, "infinity")) {
    value = std::numeric_limits<double>::infinity();
  } else if (!has_sign && EqualsIgnoringCase(token, "nan")) {
    value = kGoNan;
  } else {
    return std::nullopt;
  }
  return negative ? -value : value;
}

char* WriteFloat(double value, char* out) {
  if (std::isnan(value)) return Write("NaN", out);
  if (std::isinf(value)) return Write(value > 0 ? "+Inf" : "-Inf", out);
  if (std::fabs(value) < 1e6) {
    const int integer = static_cast<int>(value);
    if (integer == value) return std::to_chars(out, out + kFloatBytesMax, integer).ptr;
  }

  char scientific[32];
  const char* end = std::to_chars(scientific, scientific + sizeof(scientific), value,
                                  std::chars_format::scientific)
                        .ptr;
  const char* mantissa = scientific;
  if (*mantissa == '-') *out++ = *mantissa++;
  const char* mantissa_end = end - 4;  // behind the last digit
  while (*mantissa_end != 'e') --mantissa_end;
  int exponent = 0;
  std::from_chars(mantissa_end + 2, end, exponent);
  if (mantissa_end[1] == '-') exponent = -exponent;
  if (exponent < -4 || exponent >= 6) {
    return Write({mantissa, static_cast<std::size_t>(end - mantissa)}, out);
  }

  // Not an integer, so there are digits behind the point.
  if (exponent < 0) {
    out = Write(std::string_view("0.000", static_cast<std::size_t>(1 - exponent)), out);
    *out++ = *mantissa++;
    if (mantissa != mantissa_end) ++mantissa;  // the point
  } else {
    *out++ = *mantissa++;
    ++mantissa;  // the point
    out = Write({mantissa, static_cast<std::size_t>(exponent)}, out);
    mantissa += exponent;
    *out++ = '.';
  }
  return Write({mantissa, static_cast<std::size_t>(mantissa_end - mantissa)}, out);
}

void AppendFloat(double value, std::string& out) {
  char text[kFloatBytesMax];
  out.append(text, WriteFloat(value, text));
}

void AppendFloatKeepingZeroSign(double value, std::string& out) {
  if (value == 0 && std::signbit(value)) out += '-';
  AppendFloat(value, out);
}

// A decimal of at most 15 significant digits is the shortest one that reads back to its double, so
// only its form has to be looked at.
bool IsCanonicalFloat(std::string_view token) {
  constexpr int kSignificantMax = std::numeric_limits<double>::digits10;
  constexpr int kExponentMax = 306;  // well inside the normal range
  if (token == "0" || token == "+Inf" || token == "NaN" || token == "-Inf") return true;

  const char* p = token.data();
  const char* const end = p + token.size();
  if (p != end && *p == '-') ++p;
  const char* const integer = p;
  while (p != end && IsDigit(*p)) ++p;
  const auto integer_digits = p - integer;
  if (integer_digits == 0 || integer_digits > 6) return false;
  const bool below_one = *integer == '0';
  if (below_one && integer_digits > 1) return false;
  if (p == end) return !below_one;

  auto significant = below_one ? 0 : integer_digits;
  if (*p == '.') {
    const char* fraction = ++p;
    if (below_one) {
      while (p != end && *p == '0') ++p;
      if (p - fraction > 3) return false;
      fraction = p;
    }
    while (p != end && IsDigit(*p)) ++p;
    if (p == fraction || p[-1] == '0') return false;
    significant += p - fraction;
  }
  if (significant > kSignificantMax) return false;
  if (p == end) return true;

  if (*p != 'e' || below_one || integer_digits != 1 || end - p < 4) return false;
  const bool negative = p[1] == '-';
  if (!negative && p[1] != '+') return false;
  p += 2;
  if (end - p > 3 || (end - p == 3 && *p == '0')) return false;
  int exponent = 0;
  for (; p != end; ++p) {
    if (!IsDigit(*p)) return false;
    exponent = exponent * 10 + (*p - '0');
  }
  return exponent <= kExponentMax && exponent >= (negative ? 5 : 6);
}

bool Number::Parse(std::string_view token, Number& number) {
  if (IsCanonicalFloat(token)) {
    number = FromCanonical(token);
    return true;
  }
  const std::optional<double> value = ParseFloat(token);
  if (value) number = Number(*value);
  return value.has_value();
}

double Number::value() const {
  if (token_size_ == 0) return value_;
  return ParseFloat(token()).value_or(kGoNan);
}

char* Number::WriteTo(char* out) const {
  return token_size_ == 0 ? WriteFloat(value_, out) : Write(token(), out);
}

void Number::AppendTo(std::string& out) const {
  if (token_size_ == 0) {
    AppendFloat(value_, out);
  } else {
    out.append(token_, token_size_);
  }
}

}  // namespace pgw
