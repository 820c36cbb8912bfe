// What the text parser refuses: message and line.

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "exposition/text_parser.h"

namespace pgw {
namespace {

// The message without its common beginning, as `line: message`; or `accepted`.
std::string Refusal(std::string_view body, NameValidation validation) {
  constexpr std::string_view kPrefix = "text format parsing error in line ";
  FamilySet set;
  const Status status = ParseText(body, validation, set);
  if (status) return "accepted";
  EXPECT_EQ(status.error().code, Code::kInvalidArgument);
  EXPECT_TRUE(status.error().message.starts_with(kPrefix)) << status.error().message;
  return status.error().message.substr(kPrefix.size());
}

struct Case {
  std::string_view body;
  const char* refusal;
};

// Under both name validations.
void ExpectRefusals(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    EXPECT_EQ(Refusal(c.body, NameValidation::kLegacy), c.refusal) << c.body;
    EXPECT_EQ(Refusal(c.body, NameValidation::kUtf8), c.refusal) << c.body;
  }
}

TEST(TextParserErrorsTest, NamesLineOfUnfinishedInput) {
  ExpectRefusals({
      {"bla 3.14\nblubber 42", "2: unexpected end of input stream"},
      {"foo 1", "1: unexpected end of input stream"},
      {"foo", "1: unexpected end of input stream"},
      {"foo ", "1: unexpected end of input stream"},
      {"\n\n\nfoo{", "4: unexpected end of input stream"},
      {"foo{a=\"b", "1: unexpected end of input stream"},
      {"foo{a=\"b\\", "1: unexpected end of input stream"},
      {"foo{a=\"b\"}", "1: unexpected end of input stream"},
      {"foo 1 5", "1: unexpected end of input stream"},
      {"foo 1 x", "1: unexpected end of input stream"},
      {"foo x", "1: unexpected end of input stream"},
      {"# EOF", "1: unexpected end of input stream"},
      {"#", "1: unexpected end of input stream"},
      {"# HELP foo text", "1: unexpected end of input stream"},
      {"# HELP foo text\\", "1: unexpected end of input stream"},
      {"# TYPE foo counter", "1: unexpected end of input stream"},
      {"# TYPE foo nonsense", "1: unexpected end of input stream"},
      {"\"foo", "1: unexpected end of input stream"},
      {"{\"foo", "1: unexpected end of input stream"},
      {"{foo", "1: unexpected end of input stream"},
  });
}

TEST(TextParserErrorsTest, ReportsAnEarlierErrorOfAnUnfinishedLine) {
  ExpectRefusals({
      {"foo 1\n1foo", "2: invalid metric name"},
      {"foo{+", "1: invalid label name for metric \"foo\""},
      {"foo{a+", "1: expected '=' after label name, found '+'"},
      {"foo{a=\"\\t", "1: invalid escape sequence '\\t'"},
      {"foo x 1", "1: expected float as value, got \"x\""},
      {"# HELP 9m", "1: invalid metric name in comment"},
      {"{}", "1: invalid metric name"},
  });
}

TEST(TextParserErrorsTest, NamesMetricNamesThatAreNone) {
  ExpectRefusals({
      {"@m{l=\"b\"} 1\n", "1: invalid metric name"},
      {"1foo 1\n", "1: invalid metric name"},
      {"\"\" 1\n", "1: invalid metric name"},
      {"\r\n", "1: invalid metric name"},
      {"\xef\xbb\xbf"
       "foo 1\n",
       "1: invalid metric name"},
      {"foo 1\n\n# x\n=\n", "4: invalid metric name"},
      {"\"a\nb\" 1\n", "1: metric name \"a\" contains unescaped new-line"},
      {"\"a\\tb\" 1\n", "1: invalid escape sequence '\\t'"},
      {"\"a\\\nb\" 1\n", "1: invalid escape sequence '\\\n'"},
      {"foo\"b\xff\n", "1: metric name \"foob\\xff\" contains unescaped new-line"},
      {"\"\xff\" 1\n", "1: invalid metric name \"\\xff\""},
  });
}

TEST(TextParserErrorsTest, NamesCommentsThatAreWrong) {
  ExpectRefusals({
      {"# TYPE met-ric\n", "1: invalid metric name in comment"},
      {"# TYPE met-ric counter\n", "1: invalid metric name in comment"},
      {"# HELP 9m x\n", "1: invalid metric name in comment"},
      {"m 1\n# HELP m{ x\n", "2: invalid metric name in comment"},
      {"# HELP \"\" x\n", "1: invalid metric name \"\""},
      {"# HELP \"a\nb\" x\n", "1: metric name \"a\" contains unescaped new-line"},
      {"# HELP m a\n# HELP m b\n", "2: second HELP line for metric name \"m\""},
      {"# HELP m \n# HELP m a\n# HELP m b\n", "3: second HELP line for metric name \"m\""},
      {"# HELP m a\\tb\n", "1: invalid escape sequence '\\t'"},
      {"# HELP m a\\\n", "1: invalid escape sequence '\\\n'"},
      {"# HELP m a\\\xe9\n", "1: invalid escape sequence '\\\xc3\xa9'"},
      {"# TYPE m counter\n# TYPE m counter\n",
       "2: second TYPE line for metric name \"m\", or TYPE reported after samples"},
      {"m 1\n# TYPE m untyped\n",
       "2: second TYPE line for metric name \"m\", or TYPE reported after samples"},
      {"# TYPE m summary\n# TYPE m_count counter\n",
       "2: second TYPE line for metric name \"m\", or TYPE reported after samples"},
      {"# TYPE m histogram\n# HELP m a\n# HELP m_bucket b\n",
       "3: second HELP line for metric name \"m\""},
      {"# TYPE foo bla\n", "1: unknown metric type \"bla\""},
      {"# TYPE foo counter \n", "1: unknown metric type \"counter \""},
      {"# TYPE foo counter\r\n", "1: unknown metric type \"counter\\r\""},
      {"# TYPE foo unknown\n", "1: unknown metric type \"unknown\""},
      {"# TYPE foo info\n", "1: unknown metric type \"info\""},
      {"# TYPE foo stateset\n", "1: unknown metric type \"stateset\""},
      {"# TYPE foo \\x\\\\y\n", "1: unknown metric type \"xy\""},
  });
}

TEST(TextParserErrorsTest, NamesLabelsThatAreWrong) {
  ExpectRefusals({
      {"m{@=\"b\"} 1\n", "1: invalid label name for metric \"m\""},
      {"m{,} 1\n", "1: invalid label name for metric \"m\""},
      {"m{a=\"b\",,} 1\n", "1: invalid label name for metric \"m\""},
      {"m{\"\"=\"b\"} 1\n", "1: invalid label name for metric \"m\""},
      {"m{ \n", "1: invalid label name for metric \"m\""},
      {"# TYPE h histogram\nh_bucket{:=\"b\"} 1\n", "2: invalid label name for metric \"h\""},
      {"m{l+=\"b\"} 1\n", "1: expected '=' after label name, found '+'"},
      {"m{l:a=\"b\"} 1\n", "1: expected '=' after label name, found ':'"},
      {"m{l\n", "1: expected '=' after label name, found '\\n'"},
      {"m{l \xff=\"b\"} 1\n", "1: expected '=' after label name, found '\xc3\xbf'"},
      {"m{\"x.y\"} 1\n", "1: expected '=' after label name, found '}'"},
      {"m{__name__=\"b\"} 1\n", "1: label name \"__name__\" is reserved"},
      {"m{\"__name__\"=\"b\"} 1\n", "1: label name \"__name__\" is reserved"},
      {"m{\"\xff\"=\"b\"} 1\n", "1: invalid label name \"\\xff\""},
      {"m{l=\"a\",l=\"b\"} 1\n", "1: duplicate label names for metric \"m\""},
      {"m{l=\"a\",k=\"a\",l=+} 1\n", "1: duplicate label names for metric \"m\""},
      {"m{l=\"a\",\"l\"=\"b\"} 1\n", "1: duplicate label names for metric \"m\""},
      {"m{a=\"1\",b=\"1\"} 1\nm{b=\"1\",b=\"1\"} 1\n", "2: duplicate label names for metric \"m\""},
      {"m{a=\"1\",b=\"1\"} 1\nm{a=\"1\",b=\"1\",a=\"1\"} 1\n",
       "2: duplicate label names for metric \"m\""},
      {"m{le=\"1\",le=\"1\"} 1\n", "1: duplicate label names for metric \"m\""},
      {"# TYPE h histogram\nh{quantile=\"1\",le=\"1\",quantile=\"1\"} 1\n",
       "2: duplicate label names for metric \"h\""},
      {"m{l=b} 1\n", "1: expected '\"' at start of label value, found 'b'"},
      {"m{l='b'} 1\n", "1: expected '\"' at start of label value, found '\\''"},
      {"m{l=\n", "1: expected '\"' at start of label value, found '\\n'"},
      {"m{l=\"\\t\"} 1\n", "1: invalid escape sequence '\\t'"},
      {"m{l=\"\\\n\"} 1\n", "1: invalid escape sequence '\\\n'"},
      {"m{l=\"a\\n\nb\"} 1\n", "1: label value \"a\\n\" contains unescaped new-line"},
      {"m{l=\"\xbd\"} 1\n", "1: invalid label value \"\\xbd\""},
      {"m{l=\"0123456789abcdef0123456789abcdef\xbd\"} 1\n",
       "1: invalid label value \"0123456789abcdef0123456789abcdef\\xbd\""},
      {"m{l=\"\xed\xa0\x80\"} 1\n", "1: invalid label value \"\\xed\\xa0\\x80\""},
      {"m{l=\"\\n\xc3\"} 1\n", "1: invalid label value \"\\n\\xc3\""},
      {"m{l=\"b\"+} 1\n", "1: unexpected end of label value \"b\""},
      {"m{l=\"b\"\n", "1: unexpected end of label value \"b\""},
      {"m{l=\"b\"l=\"c\"} 1\n", "1: unexpected end of label value \"b\""},
  });
}

TEST(TextParserErrorsTest, NamesBoundsThatAreNoNumbers) {
  ExpectRefusals({
      {"# TYPE s summary\ns{quantile=\"x\"} 1\n",
       "2: expected float as value for 'quantile' label, got \"x\""},
      {"# TYPE s summary\ns{quantile=\"\"} 1\n",
       "2: expected float as value for 'quantile' label, got \"\""},
      {"# TYPE h histogram\nh_bucket{le=\"1\\n\"} 1\n",
       "2: expected float as value for 'le' label, got \"1\\n\""},
      {"# TYPE h histogram\nh_bucket{a=\"b\",le=\"1\"} 1\nh_bucket{a=\"b\",le=\"0x1\"} 1\n",
       "3: expected float as value for 'le' label, got \"0x1\""},
      {"# TYPE h histogram\nh_sum{le=\"1_0\"} 1\n",
       "2: expected float as value for 'le' label, got \"1_0\""},
      {"# TYPE h gaugehistogram\nh{le=\"1e999\"} 1\n",
       "2: expected float as value for 'le' label, got \"1e999\""},
      {"# TYPE h histogram\nh{le=\"1\"+} 1\n", "2: unexpected end of label value \"1\""},
  });
}

TEST(TextParserErrorsTest, NamesValuesThatAreNoNumbers) {
  ExpectRefusals({
      {"foo\n", "1: expected float as value, got \"\""},
      {"foo{}\n", "1: expected float as value, got \"\""},
      {"foo 1\r\n", "1: expected float as value, got \"1\\r\""},
      {"foo-bar 1\n", "1: expected float as value, got \"-bar\""},
      {"foo 1,5\n", "1: expected float as value, got \"1,5\""},
      {"foo 1e400\n", "1: expected float as value, got \"1e400\""},
      {"foo 0x1p4\n", "1: expected float as value, got \"0x1p4\""},
      {"foo 1_000\n", "1: expected float as value, got \"1_000\""},
      {"foo +nan\n", "1: expected float as value, got \"+nan\""},
      {"foo{a=\"b\"}{c=\"d\"} 1\n", "1: expected float as value, got \"{c=\\\"d\\\"}\""},
      {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} x\n",
       "3: expected float as value, got \"x\""},
  });
}

TEST(TextParserErrorsTest, NamesTimestampsThatAreNoIntegers) {
  ExpectRefusals({
      {"foo 1 \n", "1: expected integer as timestamp, got \"\""},
      {"foo 1\t\n", "1: expected integer as timestamp, got \"\""},
      {"foo 1 1.5\n", "1: expected integer as timestamp, got \"1.5\""},
      {"foo 1 5\r\n", "1: expected integer as timestamp, got \"5\\r\""},
      {"foo 1 +-5\n", "1: expected integer as timestamp, got \"+-5\""},
      {"foo 1 +\n", "1: expected integer as timestamp, got \"+\""},
      {"foo 1 9223372036854775808\n",
       "1: expected integer as timestamp, got \"9223372036854775808\""},
      {"foo 1 # {a=\"b\"} 2\n", "1: expected integer as timestamp, got \"#\""},
      {"foo 1 5 6\n", "1: spurious string after timestamp: \" 6\""},
      {"foo 1 5 \n", "1: spurious string after timestamp: \" \""},
      {"foo 1 5\t\\6\n", "1: spurious string after timestamp: \"\\t6\""},
  });
}

TEST(TextParserErrorsTest, RefusesCountsThatCannotBe) {
  ExpectRefusals({
      {"# TYPE h histogram\nh_count -1\n", "2: negative count for histogram \"h\""},
      {"# TYPE h histogram\nh_count{a=\"b\"} -0.5\n", "2: negative count for histogram \"h\""},
      {"# TYPE h histogram\nh_count -Inf\n", "2: negative count for histogram \"h\""},
      {"# TYPE h histogram\nh_bucket{le=\"1\"} -1\n",
       "2: negative bucket population for histogram \"h\""},
      {"# TYPE h gaugehistogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} -1.5\n",
       "3: negative bucket population for histogram \"h\""},
      {"# TYPE h histogram\nh_count -1 x\n", "2: negative count for histogram \"h\""},
      {"# TYPE s summary\ns_count -1\n",
       "2: expected unsigned integer as count of summary \"s\", got -1"},
      {"# TYPE s summary\ns_count NaN\n",
       "2: expected unsigned integer as count of summary \"s\", got NaN"},
      {"# TYPE s summary\ns_count 18446744073709551616\n",
       "2: expected unsigned integer as count of summary \"s\", got 1.8446744073709552e+19"},
      {"# TYPE s summary\ns_count Inf\n",
       "2: expected unsigned integer as count of summary \"s\", got +Inf"},
  });
}

TEST(TextParserErrorsTest, NamesBracedLinesThatAreWrong) {
  ExpectRefusals({
      {"{l=\"b\"} 1\n", "1: invalid metric name"},
      {"{} 1\n", "1: invalid metric name"},
      {"foo 1\n{} 1\n", "2: invalid metric name"},
      {"foo{a=\"b\"} 1\n{a=\"c\"} 1\n", "2: invalid metric name"},
      {"{\"\"} 1\n", "1: invalid label name for metric \"\""},
      {"{@} 1\n", "1: invalid label name for metric \"\""},
      {"{foo,@} 1\n", "1: invalid label name for metric \"foo\""},
      {"{foo,\"a.b\"} 1\n", "1: multiple metric names for metric \"foo\""},
      {"{foo,bar+} 1\n", "1: multiple metric names for metric \"foo\""},
      {"{\"a.b\".l=\"x\"} 1\n", "1: unexpected end of metric name '.'"},
      {"{\"a\"\n", "1: unexpected end of metric name '\\n'"},
      {"{a:b} 1\n", "1: unexpected end of metric name ':'"},
      {"{\"a\nb\"} 1\n", "1: label name \"a\" contains unescaped new-line"},
      {"{\"\xff\"} 1\n", "1: invalid metric name \"\\xff\""},
      {"{le=\"1\",le=\"2\",c} 1\n", "1: duplicate label names for metric \"c\""},
      {"{a=\"1\",a=\"2\",c} 1\n", "1: duplicate label names for metric \"\""},
      {"{a=\"1\",c,a=\"2\"} 1\n", "1: duplicate label names for metric \"c\""},
      {"# TYPE h histogram\n{le=\"x\",h} 1\n",
       "2: expected float as value for 'le' label, got \"x\""},
      {"{foo}\n", "1: expected float as value, got \"\""},
  });
}

TEST(TextParserErrorsTest, RefusesUtf8NamesOnlyUnderLegacyValidation) {
  const struct {
    const char* body;
    const char* legacy;
    const char* utf8;
  } cases[] = {
      {"{\"a.b\",\"c.d\"} 1\n", "1: invalid metric name \"a.b\"",
       "1: multiple metric names for metric \"a.b\""},
      {"{\"a.b\",\"c.d\"=\"e\"} 1\n", "1: invalid metric name \"a.b\"", "accepted"},
      {"\"a.b\" 1\n", "1: invalid metric name \"a.b\"", "accepted"},
      {"# HELP \"a.b\" x\n", "1: invalid metric name \"a.b\"", "accepted"},
      {"# TYPE \"a.b\" gauge\n", "1: invalid metric name \"a.b\"", "accepted"},
      {"m{\"foo\"=\"x\",\"d.l\"=\"y\"} 1\n", "1: invalid label name \"d.l\"", "accepted"},
      {"m{\"a:b\"=\"x\"} 1\n", "1: invalid label name \"a:b\"", "accepted"},
      {"m{\"\xc3\xa9\"=\"x\"} 1\n", "1: invalid label name \"\xc3\xa9\"", "accepted"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Refusal(c.body, NameValidation::kLegacy), c.legacy) << c.body;
    EXPECT_EQ(Refusal(c.body, NameValidation::kUtf8), c.utf8) << c.body;
  }
}

}  // namespace
}  // namespace pgw
