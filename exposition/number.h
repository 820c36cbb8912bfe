// Sample values: reading and printing doubles the way Go's strconv does. Knows base.
//
// Reading: decimal floats, inf, infinity (signed, any case), nan (unsigned, any case). Hex floats,
// underscores and values that overflow are rejected; underflow gives zero or a denormal.
// Printing: shortest digits that read back to the same double; scientific with a two-digit
// exponent below 0.0001 and from a million on: 100000, 1e+06, 0.0001, 1e-05.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pgw {

// The whole of `token` as a double, or nothing.
std::optional<double> ParseFloat(std::string_view token);

// Appends `value` as exposition text prints it; both zeros print as 0.
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
    number.token_ = token;
    return number;
  }

  // Converts on demand where only the token is known.
  double value() const;

  // Empty where only the double is known.
  std::string_view token() const { return token_; }

  // As AppendFloat(value()).
  void AppendTo(std::string& out) const;

 private:
  std::string_view token_;
  double value_ = 0;
};

}  // namespace pgw
