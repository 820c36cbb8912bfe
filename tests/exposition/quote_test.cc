#include "exposition/quote.h"

#include <gtest/gtest.h>

#include <string>

#include "exposition/unicode.h"

namespace pgw {
namespace {

using std::string_literals::operator""s;

TEST(GoQuoteTest, LeavesPrintableTextAlone) {
  EXPECT_EQ(GoQuote(""), R"("")");
  EXPECT_EQ(GoQuote("plain text, 'single' quotes"), R"("plain text, 'single' quotes")");
  EXPECT_EQ(GoQuote("Björn 花火 😱"), "\"Björn 花火 😱\"");
  EXPECT_EQ(GoQuote("\xef\xbf\xbd"), "\"\xef\xbf\xbd\"");  // U+FFFD itself
}

TEST(GoQuoteTest, EscapesQuotesAndControls) {
  EXPECT_EQ(GoQuote("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(GoQuote("\a\b\f\n\r\t\v"), R"("\a\b\f\n\r\t\v")");
  EXPECT_EQ(GoQuote("\0\x01\x1f\x7f"s), R"("\x00\x01\x1f\x7f")");
}

TEST(GoQuoteTest, ShowsMalformedBytesOneByOne) {
  EXPECT_EQ(GoQuote("\xbd"), R"("\xbd")");
  EXPECT_EQ(GoQuote("a\xe2\x82z"), R"("a\xe2\x82z")");
  EXPECT_EQ(GoQuote("\xed\xa0\x80"), R"("\xed\xa0\x80")");
}

TEST(GoQuoteTest, EscapesWhatGoDoesNotPrint) {
  EXPECT_EQ(GoQuote("\u0080\u00a0\u00ad"), R"("\u0080\u00a0\u00ad")");
  EXPECT_EQ(GoQuote("\u200b\u2028\u3000\ufeff\uffff"), R"("\u200b\u2028\u3000\ufeff\uffff")");
  EXPECT_EQ(GoQuote("\ue000"), R"("\ue000")");  // private use
  EXPECT_EQ(GoQuote("\U000e0001\U0010ffff"), R"("\U000e0001\U0010ffff")");
  EXPECT_EQ(GoQuote("\u0378"), R"("\u0378")");  // unassigned
}

TEST(GoQuoteByteTest, ShowsHighBytesAsCodePoints) {
  EXPECT_EQ(GoQuoteByte('x'), "'x'");
  EXPECT_EQ(GoQuoteByte('"'), "'\"'");
  EXPECT_EQ(GoQuoteByte('\''), R"('\'')");
  EXPECT_EQ(GoQuoteByte('\\'), R"('\\')");
  EXPECT_EQ(GoQuoteByte('\n'), R"('\n')");
  EXPECT_EQ(GoQuoteByte(0), R"('\x00')");
  EXPECT_EQ(GoQuoteByte(0x7f), R"('\x7f')");
  EXPECT_EQ(GoQuoteByte(0xff), "'ÿ'");
  EXPECT_EQ(GoQuoteByte(0x80), R"('\u0080')");
  EXPECT_EQ(GoQuoteByte(0xad), R"('\u00ad')");
}

TEST(IsPrintableTest, AgreesWithUnicodeAtTheEdges) {
  for (const char32_t c : {U' ', U'~', U'¡', U'ÿ', U'\u0377', U'\u0301', U'\ufffd', U'\U0001f631',
                           U'\U000323af', U'\U000e01ef'}) {
    EXPECT_TRUE(IsPrintable(c)) << static_cast<unsigned>(c);
  }
  for (const char32_t c : {U'\x00', U'\x1f', U'\x7f', U'\u00a0', U'\u0378', U'\u2003', U'\ud7ff',
                           U'\uf8ff', U'\U000323b0', U'\U000e01f0', U'\U0010ffff'}) {
    EXPECT_FALSE(IsPrintable(c)) << static_cast<unsigned>(c);
  }
}

TEST(IsPrintableTest, CountsAsManyAsUnicodeFifteenHas) {
  // 149,186 graphic and format characters, less 170 of format and all 19 separators but one.
  int count = 0;
  for (char32_t c = 0; c <= kMaxCodePoint; ++c) count += IsPrintable(c);
  EXPECT_EQ(count, 149186 - 170 - 18);
}

}  // namespace
}  // namespace pgw
