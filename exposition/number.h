// Sample values: reading and printing doubles the way Go's strconv does. Knows base.
//
// Reading: decimal floats, inf, infinity (signed, any case), nan (unsigned, any case). Hex floats,
// underscores and values that overflow are rejected; underflow gives zero or a denormal.
// Printing: shortest digits that read back to the same double; scientific with a two-digit
// exponent below 0.0001 and from a million on: 100000, 1e+06, 0.0001, 1e-05.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgw {

// The whole of `token` as a double, or nothing.
std::optional<double> ParseFloat(std::string_view token);

// No double prints longer: -1.7976931348623157e+308.
inline constexpr std::size_t kFloatBytesMax = 24;

// Writes `value` as exposition text prints it into `out`, which has room for kFloatBytesMax bytes;
// returns the end of the text. Both zeros print as 0.
char* WriteFloat(double value, char* out);

// Appends what WriteFloat writes.
void AppendFloat(double value, std::string& out);

// Appends `value` as the JSON API prints it: as AppendFloat, but negative zero prints as -0.
void AppendFloatKeepingZeroSign(double value, std::string& out);

// True only if AppendFloat(ParseFloat(token)) would print exactly `token`. Cheap and conservative:
// false may also mean "not sure".
bool IsCanonicalFloat(std::string_view token);

// A double that remembers its text where that is already what we would print, so that it need
// not be converted at all. A copy views the same token: the body it came from must outlive it.
class Number {
 public:
  constexpr Number() = default;
  constexpr explicit Number(double value) : value_(value) {}

  // REQUIRES: IsCanonicalFloat(token).
  static constexpr Number FromCanonical(std::string_view token) {
    Number number;
    number.token_ = token.data();
    number.token_size_ = static_cast<std::uint32_t>(token.size());
    return number;
  }

  // The whole of `token`, which is viewed where it is canonical. False: it is no number.
  static bool Parse(std::string_view token, Number& number);

  // Converts on demand where only the token is known.
  double value() const;

  // Empty where only the double is known.
  std::string_view token() const {
    return token_size_ == 0 ? std::string_view() : std::string_view(token_, token_size_);
  }

  // As AppendFloat(value()).
  void AppendTo(std::string& out) const;

  // The same into `out`, which has room for kFloatBytesMax bytes; returns the end of the text.
  char* WriteTo(char* out) const;

 private:
  // Sixteen bytes: a large push holds some ten thousand of these.
  union {
    double value_ = 0;   // token_size_ == 0
    const char* token_;  // otherwise
  };
  std::uint32_t token_size_ = 0;
};

}  // namespace pgw
