#include "exposition/names.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "exposition/unicode.h"

namespace pgw {
namespace {

using std::string_literals::operator""s;

TEST(Utf8Test, AcceptsEveryScalarValueAndNothingElse) {
  for (char32_t c = 0; c <= kMaxCodePoint; ++c) {
    if (!IsScalarValue(c)) continue;
    std::string text;
    AppendUtf8(c, text);
    ASSERT_TRUE(IsValidUtf8(text)) << static_cast<unsigned>(c);
    const DecodedChar decoded = DecodeUtf8(text);
    ASSERT_TRUE(decoded.valid);
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(decoded.size, text.size());
    text.pop_back();
    ASSERT_EQ(IsValidUtf8(text), text.empty()) << static_cast<unsigned>(c);
  }
}

TEST(Utf8Test, RejectsMalformedSequencesWhereverTheyStand) {
  const std::vector<std::string> malformed = {
      "\x80",              // continuation without a lead
      "\xc3",              // cut off
      "\xc3(",             // lead without continuation
      "\xc0\xaf",          // overlong, two bytes
      "\xe0\x9f\xbf",      // overlong, three
      "\xf0\x8f\xbf\xbf",  // overlong, four
      "\xed\xa0\x80",      // surrogate
      "\xf4\x90\x80\x80",  // beyond U+10FFFF
      "\xf8\x88\x80\x80\x80",
      "\xff",
  };
  for (const std::string& bytes : malformed) {
    EXPECT_FALSE(DecodeUtf8(bytes).valid);
    EXPECT_EQ(DecodeUtf8(bytes).size, 1U);
    // In every position relative to the words that ASCII is skipped by.
    for (std::size_t before = 0; before < 18; ++before) {
      const std::string text = std::string(before, 'a') + bytes + std::string(9, 'b');
      EXPECT_FALSE(IsValidUtf8(text)) << before;
    }
  }
}

TEST(Utf8Test, AcceptsAsciiOfAnyLengthAndNul) {
  for (std::size_t size = 0; size < 40; ++size) EXPECT_TRUE(IsValidUtf8(std::string(size, '\x7f')));
  EXPECT_TRUE(IsValidUtf8("a\0b"s));
}

TEST(NamesTest, LegacyRules) {
  struct Case {
    std::string_view name;
    bool metric;
    bool label;
  };
  const Case cases[] = {
      {"a", true, true},     {"_", true, true},
      {":", true, false},    {"Avalid_23name", true, true},
      {"a:b", true, false},  {"1a", false, false},
      {"", false, false},    {"a.b", false, false},
      {"a b", false, false}, {"a\xc3\xa9", false, false},
      {"a-b", false, false}, {"__x", true, true},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(IsLegacyMetricName(c.name), c.metric) << c.name;
    EXPECT_EQ(IsLegacyLabelName(c.name), c.label) << c.name;
    EXPECT_EQ(IsValidMetricName(c.name, NameValidation::kLegacy), c.metric) << c.name;
    EXPECT_EQ(IsValidLabelName(c.name, NameValidation::kLegacy), c.label) << c.name;
    EXPECT_EQ(NeedsEscaping(c.name), !c.metric) << c.name;
  }
}

TEST(NamesTest, Utf8RulesTakeAnythingNonEmptyAndWellFormed) {
  for (const std::string_view name : {"a", "1", " ", "a.b", "花火", ":"}) {
    EXPECT_TRUE(IsValidMetricName(name, NameValidation::kUtf8)) << name;
    EXPECT_TRUE(IsValidLabelName(name, NameValidation::kUtf8)) << name;
  }
  for (const std::string_view name : {"", "a\xff"}) {
    EXPECT_FALSE(IsValidMetricName(name, NameValidation::kUtf8));
    EXPECT_FALSE(IsValidLabelName(name, NameValidation::kUtf8));
  }
}

struct EscapingCase {
  std::string_view name;
  std::string_view underscores;
  std::string_view dots;
  std::string_view values;
};

class EscapeNameTest : public testing::TestWithParam<EscapingCase> {};

TEST_P(EscapeNameTest, WritesEveryForm) {
  const EscapingCase& c = GetParam();
  EXPECT_EQ(EscapeName(c.name, Escaping::kUnderscores), c.underscores);
  EXPECT_EQ(EscapeName(c.name, Escaping::kDots), c.dots);
  EXPECT_EQ(EscapeName(c.name, Escaping::kValues), c.values);
  EXPECT_EQ(EscapeName(c.name, Escaping::kAllowUtf8), c.name);
}

TEST_P(EscapeNameTest, ValuesFormCanBeUndone) {
  EXPECT_EQ(UnescapeValuesName(GetParam().values), GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(
    Names, EscapeNameTest,
    testing::Values(EscapingCase{"", "", "", ""},
                    EscapingCase{"legacy_valid:name", "legacy_valid:name", "legacy_valid:name",
                                 "legacy_valid:name"},
                    EscapingCase{"mysystem.prod.west.cpu.load_total",
                                 "mysystem_prod_west_cpu_load_total",
                                 "mysystem_dot_prod_dot_west_dot_cpu_dot_load__total",
                                 "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total"},
                    EscapingCase{"my.é_1", "my___1", "my_dot_____1", "U__my_2e__e9___1"},
                    EscapingCase{"label with 😱", "label_with__", "label__with____",
                                 "U__label_20_with_20__1f631_"},
                    EscapingCase{"花火", "__", "____", "U___82b1__706b_"},
                    // A digit is invalid in front only, the colon nowhere.
                    EscapingCase{"1a1.b:c", "_a1_b:c", "__a1_dot_b:c", "U___31_a1_2e_b:c"}));

TEST(EscapeNameTest, CountsMalformedBytesAsReplacementCharacters) {
  EXPECT_EQ(EscapeName("a\xff\xfe", Escaping::kUnderscores), "a__");
  EXPECT_EQ(EscapeName("a\xff", Escaping::kValues), "U__a_fffd_");
}

TEST(UnescapeValuesNameTest, DecodesEitherCaseOfHex) {
  EXPECT_EQ(UnescapeValuesName("U__foo_2e_bar"), "foo.bar");
  EXPECT_EQ(UnescapeValuesName("U__foo_2E_bar"), "foo.bar");
  EXPECT_EQ(UnescapeValuesName("U__capitals_2E_ok"), "capitals.ok");
  EXPECT_EQ(UnescapeValuesName("U__a__b"), "a_b");
  EXPECT_EQ(UnescapeValuesName("U___55_____foo__2e__bar"), "U__foo_2e_bar");
  EXPECT_EQ(UnescapeValuesName("U______x"), "__x");
  EXPECT_EQ(UnescapeValuesName("U__a_0_"), "a\0"s);
  EXPECT_EQ(UnescapeValuesName("U___fffff_"), "\xf3\xbf\xbf\xbf");
}

TEST(UnescapeValuesNameTest, EmptyBehindThePrefix) { EXPECT_EQ(UnescapeValuesName("U__"), ""); }

TEST(UnescapeValuesNameTest, LeavesMalformedSegmentsAlone) {
  for (const std::string_view segment :
       {"plain", "U_", "U_x_2e_y", "U__underscores_doubled_", "U__my__hack_2e", "U__bad__utf_2eg_",
        "U__bad__utf_D900_", "U__x_D900_", "U__in_xxx_valid", "U__x_10ffff_", "U__x_000041_",
        "U__x_-1_", "U__x_2e", "u__a_2e_b"}) {
    EXPECT_EQ(UnescapeValuesName(segment), segment);
  }
}

TEST(UnescapeValuesNameTest, CopiesBytesThatAreNoUnderscore) {
  EXPECT_EQ(UnescapeValuesName("U__\xff.é"), "\xff.é");
}

}  // namespace
}  // namespace pgw
