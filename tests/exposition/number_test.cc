#include "exposition/number.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace pgw {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string Printed(double value) {
  std::string text;
  AppendFloat(value, text);
  return text;
}

bool SameBits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

TEST(ParseFloatTest, AcceptsEveryDecimalForm) {
  const struct {
    const char* text;
    double value;
  } cases[] = {
      {"0", 0},
      {"-0", -0.0},
      {"08", 8},
      {".5", 0.5},
      {"5.", 5},
      {"+5", 5},
      {"-5", -5},
      {"5.e2", 500},
      {"-.5E-1", -0.05},
      {"1E+05", 100000},
      {"1e05", 100000},
      {"3.14e+42", 3.14e42},
      {"-1.23e-45", -1.23e-45},
      {"1.7976931348623157e308", std::numeric_limits<double>::max()},
      // Below half a unit above the largest double.
      {"1.7976931348623158e308", std::numeric_limits<double>::max()},
      {"9007199254740993", 9007199254740992},
      {"00000000000000000000000000000000000000000000000000000000001", 1},
      {"0.1000000000000000055511151231257827021181583404541015625", 0.1},
  };
  for (const auto& c : cases) {
    const auto value = ParseFloat(c.text);
    ASSERT_TRUE(value.has_value()) << c.text;
    EXPECT_TRUE(SameBits(*value, c.value)) << c.text << " gave " << *value;
  }
}

TEST(ParseFloatTest, AcceptsInfinityInAnyCaseWithAnySign) {
  for (const char* text : {"inf", "Inf", "+Inf", "+iNf", "infinity", "+INFINITY", "Infinity"}) {
    EXPECT_EQ(ParseFloat(text), kInfinity) << text;
  }
  for (const char* text : {"-inf", "-Inf", "-INFinity"}) {
    EXPECT_EQ(ParseFloat(text), -kInfinity) << text;
  }
}

TEST(ParseFloatTest, GivesNanTheBitsThatGoGivesIt) {
  for (const char* text : {"nan", "NaN", "nAn", "NAN"}) {
    const auto value = ParseFloat(text);
    ASSERT_TRUE(value.has_value()) << text;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(*value), 0x7ff8000000000001U) << text;
  }
}

TEST(ParseFloatTest, RejectsWhatIsNoDecimalFloat) {
  for (const char* text :
       {"",     "+",     "-",       ".",         "+.",   "e5",    ".e5",  "1e",     "1e+",
        "1e-",  "1.5e",  "+-5",     "-+5",       "++5",  "+nan",  "-nan", "nan(1)", "nan()",
        "nano", "infi",  "infinit", "infinityy", "0x10", "0x1p4", "0b1",  "1_000",  "1,5",
        "1f",   "1.2.3", "1e5.0",   "1 ",        " 1",   "1\r",   "1d",   "--1",    "٣"}) {
    EXPECT_FALSE(ParseFloat(text).has_value()) << text;
  }
  EXPECT_FALSE(ParseFloat(std::string_view("1\0", 2)).has_value());
}

TEST(ParseFloatTest, RejectsOverflow) {
  for (const char* text :
       {"1e309", "1e400", "-1e400", "1.7976931348623159e308", "1e99999999999999999",
        "1e9223372036854775808", "0.0001e400", "1000000e305"}) {
    EXPECT_FALSE(ParseFloat(text).has_value()) << text;
  }
  EXPECT_FALSE(ParseFloat(std::string(400, '9')).has_value());
  EXPECT_FALSE(ParseFloat(std::string(400, '9') + "." + std::string(400, '9')).has_value());
}

TEST(ParseFloatTest, TurnsUnderflowIntoZeroOrDenormal) {
  const struct {
    const char* text;
    double value;
  } cases[] = {
      {"1e-400", 0.0},
      {"-1e-400", -0.0},
      {"1e-99999999999999999999", 0.0},
      {"0.00000000000000000000000000000000000000000000000000001e-300", 0.0},
      {"123456e-340", 0.0},
      {"2e-324", 0.0},
      {"3e-324", 5e-324},
      {"4e-320", 4e-320},
      {"0e99999999999999999999", 0.0},
  };
  for (const auto& c : cases) {
    const auto value = ParseFloat(c.text);
    ASSERT_TRUE(value.has_value()) << c.text;
    EXPECT_TRUE(SameBits(*value, c.value)) << c.text << " gave " << *value;
  }
  EXPECT_EQ(ParseFloat("0." + std::string(400, '0') + "1"), 0.0);
  EXPECT_EQ(ParseFloat("0." + std::string(400, '0') + "1e401"), 1.0);
}

TEST(WriteFloatTest, SwitchesToExponentsAsGoDoes) {
  const struct {
    double value;
    const char* text;
  } cases[] = {
      {0.0, "0"},
      {-0.0, "0"},
      {1, "1"},
      {-1, "-1"},
      {0.5, "0.5"},
      {100000, "100000"},
      {999999, "999999"},
      {-999999, "-999999"},
      {1000000, "1e+06"},
      {-1000000, "-1e+06"},
      {1234567, "1.234567e+06"},
      {123456789, "1.23456789e+08"},
      {123456.5, "123456.5"},
      {999999.9999, "999999.9999"},
      {999999.9999999999, "999999.9999999999"},
      {0.001, "0.001"},
      {0.0001, "0.0001"},
      {0.00012345, "0.00012345"},
      {0.00001, "1e-05"},
      {-0.000012345, "-1.2345e-05"},
      {10.25, "10.25"},
      {1e21, "1e+21"},
      {1e100, "1e+100"},
      {3.14e42, "3.14e+42"},
      {-1.23e-45, "-1.23e-45"},
      {5e-324, "5e-324"},
      {0.1, "0.1"},
      {0.1 + 0.2, "0.30000000000000004"},
      {1.7954034945579274e9, "1.7954034945579274e+09"},
      {18446744073709551615.0, "1.8446744073709552e+19"},
      {-1.7976931348623157e308, "-1.7976931348623157e+308"},
      {-2.2250738585072014e-308, "-2.2250738585072014e-308"},
      {kInfinity, "+Inf"},
      {-kInfinity, "-Inf"},
      {std::numeric_limits<double>::quiet_NaN(), "NaN"},
      {-std::numeric_limits<double>::quiet_NaN(), "NaN"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Printed(c.value), c.text);
    EXPECT_LE(Printed(c.value).size(), kFloatBytesMax);
  }
}

TEST(WriteFloatTest, KeepsTheSignOfZeroOnlyForJson) {
  std::string text;
  AppendFloatKeepingZeroSign(-0.0, text);
  AppendFloatKeepingZeroSign(0.0, text);
  AppendFloatKeepingZeroSign(-1.5, text);
  EXPECT_EQ(text, "-00-1.5");
}

// The same by way of printf: the fewest digits that read back to `value`, in the form that the
// decimal exponent asks for.
std::string PrintedByPrintf(double value) {
  char text[512];
  for (int digits = 1;; ++digits) {
    std::snprintf(text, sizeof(text), "%.*e", digits - 1, value);
    if (std::strtod(text, nullptr) != value) continue;
    const int exponent =
        std::atoi(std::string(text).substr(std::string(text).find('e') + 1).c_str());
    if (exponent >= -4 && exponent < 6) {
      std::snprintf(text, sizeof(text), "%.*f", std::max(0, digits - 1 - exponent), value);
    }
    return text;
  }
}

// Doubles of all magnitudes, and such as are pushed: sums, times, counts, round decimals.
std::vector<double> RandomDoubles(std::uint64_t seed, int count) {
  std::mt19937_64 random(seed);
  std::vector<double> values;
  while (static_cast<int>(values.size()) < count) {
    const double any = std::bit_cast<double>(random());
    if (std::isfinite(any) && any != 0) values.push_back(any);
    values.push_back(static_cast<double>(random() >> 11) / 9007199254740992.0 + 1e-9);
    values.push_back(static_cast<double>(random() % 2000000) + 1);
    values.push_back(static_cast<double>(random() % 100000000) / 1000 + 0.001);
    values.push_back(std::ldexp(static_cast<double>(random() % 1000 + 1), -20));
    values.push_back(static_cast<double>(random() | 1));
  }
  return values;
}

TEST(WriteFloatTest, AgreesWithPrintfOnShortestDigits) {
  for (const double value : RandomDoubles(20, 30000)) {
    ASSERT_EQ(Printed(value), PrintedByPrintf(value));
  }
}

TEST(WriteFloatTest, ReadsBackToTheSameBits) {
  std::vector<double> values = RandomDoubles(21, 100000);
  for (int exponent = -1074; exponent < 1024; ++exponent) values.push_back(std::ldexp(1, exponent));
  for (const double value : values) {
    const std::string text = Printed(value);
    ASSERT_TRUE(SameBits(ParseFloat(text).value(), value)) << text;
    ASSERT_TRUE(SameBits(std::strtod(text.c_str(), nullptr), value)) << text;
  }
}

TEST(IsCanonicalFloatTest, KnowsTheUsualTokens) {
  for (const char* text : {"0",
                           "1",
                           "-1",
                           "10",
                           "999999",
                           "100000",
                           "-999999",
                           "0.1",
                           "0.005",
                           "0.0001",
                           "0.00025",
                           "123456.789",
                           "-0.5",
                           "2.5",
                           "1e+06",
                           "1.5e+06",
                           "1e-05",
                           "-4.6e-05",
                           "1e+21",
                           "1e+100",
                           "1.23456789012345e+08",
                           "0.000123456789012345",
                           "+Inf",
                           "-Inf",
                           "NaN"}) {
    EXPECT_TRUE(IsCanonicalFloat(text)) << text;
  }
}

TEST(IsCanonicalFloatTest, RefusesWhatPrintsDifferently) {
  for (const char* text :
       {"",         "-",      "+1",     "-0",      "00",      "01",        "1000000",
        "1.0",      "0.10",   "1.",     ".5",      "0.00001", "0.0",       "-0.0",
        "1e6",      "1e06",   "1e+6",   "1e+05",   "1e-04",   "1e+006",    "1.0e+06",
        "1.50e+06", "10e+06", "0e+06",  "0.5e+06", "1E+06",   "Inf",       "inf",
        "nan",      "-NaN",   "+inf",   "1e+400",  "1e-400",  "1e",        "1e+",
        "1e+0",     "1e+0x",  "1.e+06", "1.5.5",   "1 ",      "1234567.5", "0.00001234",
        "infinity", "1e-1",   "1e+1a",  "abc"}) {
    EXPECT_FALSE(IsCanonicalFloat(text)) << text;
  }
}

TEST(IsCanonicalFloatTest, HoldsOnlyForWhatWouldBePrinted) {
  static constexpr std::string_view kBytes = "00011234567899..eE+-+-InfNa";
  std::mt19937_64 random(22);
  int canonical = 0;
  for (int i = 0; i < 300000; ++i) {
    std::string text;
    for (std::uint64_t length = random() % 10; text.size() < length;) {
      text += kBytes[random() % kBytes.size()];
    }
    // Half of them near the truth.
    if (i % 2 == 0 && text.find_first_of("eE") == text.npos) {
      text += (random() % 2 == 0 ? "e+" : "e-") + std::to_string(random() % 330);
    }
    if (!IsCanonicalFloat(text)) continue;
    ++canonical;
    const auto value = ParseFloat(text);
    ASSERT_TRUE(value.has_value()) << text;
    ASSERT_EQ(Printed(*value), text);
  }
  EXPECT_GT(canonical, 5000);
}

TEST(IsCanonicalFloatTest, HoldsForPrintedNumbersOfFifteenDigits) {
  std::mt19937_64 random(23);
  for (int i = 0; i < 50000; ++i) {
    char text[64];
    std::snprintf(
        text, sizeof(text), "%.*e", static_cast<int>(random() % 15),
        std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 200) - 100));
    const std::string printed = Printed(std::strtod(text, nullptr));
    ASSERT_TRUE(IsCanonicalFloat(printed)) << printed;
  }
}

TEST(NumberTest, KeepsCanonicalTextAndConvertsOnDemand) {
  const std::string token = "1.5e+06";
  const Number number = Number::FromCanonical(token);
  EXPECT_EQ(number.token().data(), token.data());
  EXPECT_EQ(number.value(), 1500000);
  std::string text;
  number.AppendTo(text);
  EXPECT_EQ(text, token);
}

TEST(NumberTest, PrintsADoubleWithoutText) {
  const Number number(1500000);
  EXPECT_TRUE(number.token().empty());
  std::string text;
  number.AppendTo(text);
  Number().AppendTo(text);
  EXPECT_EQ(text, "1.5e+060");
}

TEST(NumberTest, ParsesKeepingOnlyCanonicalText) {
  Number number;
  ASSERT_TRUE(Number::Parse("0.25", number));
  EXPECT_EQ(number.token(), "0.25");
  ASSERT_TRUE(Number::Parse("0.250", number));
  EXPECT_EQ(number.token(), "");
  EXPECT_EQ(number.value(), 0.25);
  EXPECT_FALSE(Number::Parse("0x1", number));
}

}  // namespace
}  // namespace pgw
