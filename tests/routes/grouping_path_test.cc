#include "server/routes/grouping_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>

namespace pgw {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr NameValidation kLegacy = NameValidation::kLegacy;
constexpr NameValidation kUtf8 = NameValidation::kUtf8;

using Outcome = std::variant<GroupKey, GroupingFailure>;

GroupKey Key(std::string_view job, std::string_view labels, NameValidation validation = kLegacy,
             bool base64 = false) {
  Outcome outcome = ParseGroupingPath(job, base64, labels, validation);
  const auto* const failure = std::get_if<GroupingFailure>(&outcome);
  EXPECT_EQ(failure, nullptr) << failure->message;
  return std::get<GroupKey>(outcome);
}

GroupingFailure Failure(std::string_view job, std::string_view labels,
                        NameValidation validation = kLegacy, bool base64 = false) {
  Outcome outcome = ParseGroupingPath(job, base64, labels, validation);
  EXPECT_TRUE(std::holds_alternative<GroupingFailure>(outcome)) << job << labels;
  return std::get<GroupingFailure>(outcome);
}

TEST(GroupingPathTest, ReadsPairs) {
  EXPECT_THAT(Key("x", "/label_name1/label_value1/label_name2/label_value2").Labels(),
              ElementsAre(Pair("job", "x"), Pair("label_name1", "label_value1"),
                          Pair("label_name2", "label_value2")));
  EXPECT_THAT(Key("x", "").Labels(), ElementsAre(Pair("job", "x")));
  EXPECT_EQ(Key("x", "/"), Key("x", ""));
}

TEST(GroupingPathTest, KeepsATrailingEmptyValue) {
  EXPECT_THAT(Key("a", "/b/").Labels(), ElementsAre(Pair("b", ""), Pair("job", "a")));
  EXPECT_EQ(Key("a", "/b@base64/="), Key("a", "/b/"));
}

TEST(GroupingPathTest, LetsTheLastPairWinAndTheJobOverAll) {
  EXPECT_THAT(Key("a", "/b/x/b/y").Labels(), ElementsAre(Pair("b", "y"), Pair("job", "a")));
  EXPECT_EQ(Key("a", "/job/x"), Key("a", ""));
}

TEST(GroupingPathTest, DecodesBase64Values) {
  EXPECT_EQ(Key("x", "/label_name1@base64/bGFiZWwvdmFsdWUx/n/v"),
            Key("x", "/n/v/label_name1@base64/bGFiZWwvdmFsdWUx=="));
  EXPECT_THAT(Key("x", "/l@base64/bGFiZWwvdmFsdWUy").Labels(),
              ElementsAre(Pair("job", "x"), Pair("l", "label/value2")));
  EXPECT_EQ(Key("dGVzdC9qb2I=", "", kLegacy, true), Key("test/job", ""));
}

TEST(GroupingPathTest, TakesTheSuffixForSpecialOnNamesAlone) {
  EXPECT_THAT(Key("foo@base64", "/x/y@base64").Labels(),
              ElementsAre(Pair("job", "foo@base64"), Pair("x", "y@base64")));
  EXPECT_EQ(Failure("a", "/x@base64@base64/YQ").message, R"(improper label name "x@base64")");
}

TEST(GroupingPathTest, RefusesOddNumbersOfComponents) {
  EXPECT_EQ(Failure("a", "/b").message, R"(odd number of components in label string "/b")");
  EXPECT_EQ(Failure("a", "/b/c/").message, R"(odd number of components in label string "/b/c/")");
  EXPECT_EQ(Failure("x", "/p//var").message,
            R"(odd number of components in label string "/p//var")");
}

TEST(GroupingPathTest, RefusesImproperNames) {
  for (const std::string name : {"1x", "a=b", "a.b", "a:b", "", "__x", "\xff"}) {
    const GroupingFailure failure = Failure("a", "/" + name + "/y");
    EXPECT_EQ(failure.part, GroupingFailure::Part::kLabels);
    EXPECT_TRUE(failure.message.starts_with("improper label name \"")) << name;
  }
  EXPECT_EQ(Failure("a", "/@base64/x").message, R"(improper label name "")");
}

TEST(GroupingPathTest, NamesTheFirstOfSeveralMistakes) {
  EXPECT_EQ(Failure("a", "/ok/v/1a/v/1b/v").message, R"(improper label name "1a")");
  EXPECT_EQ(Failure("!", "/b", kLegacy, true).part, GroupingFailure::Part::kJobEncoding);
  EXPECT_EQ(Failure("", "/b").message, R"(odd number of components in label string "/b")");
}

TEST(GroupingPathTest, WantsAJob) {
  for (const bool base64 : {false, true}) {
    const GroupingFailure failure = Failure(base64 ? "=" : "", "/", kLegacy, base64);
    EXPECT_EQ(failure.part, GroupingFailure::Part::kJobMissing);
    EXPECT_EQ(failure.message, "job name is required");
  }
}

TEST(GroupingPathTest, QuotesWhatWasDecodedOfABadJob) {
  EXPECT_EQ(Failure("!", "", kLegacy, true).message,
            R"(invalid base64 encoding in job name "": illegal base64 data at input byte 0)");
  EXPECT_EQ(Failure("Zm9v*", "", kLegacy, true).message,
            R"(invalid base64 encoding in job name "foo": illegal base64 data at input byte 4)");
  EXPECT_EQ(Failure("Zm9v*", "", kLegacy, true).job, "foo");
}

TEST(GroupingPathTest, QuotesABadValueAsSent) {
  EXPECT_EQ(
      Failure("a", "/b@base64/foo.bar").message,
      R"(invalid base64 encoding for label b="foo.bar": illegal base64 data at input byte 3)");
}

TEST(GroupingPathTest, RefusesValuesThatAreNotUtf8) {
  EXPECT_EQ(Failure("p", "/x/\xff").message, R"(value of label x is not valid UTF-8: "\xff")");
  EXPECT_EQ(Failure("_w", "", kLegacy, true).message,
            R"(value of label job is not valid UTF-8: "\xff")");
}

TEST(GroupingPathTest, UnescapesNamesIfUtf8IsOn) {
  EXPECT_THAT(Key("x", "/U__label_2e_name2/v").Labels(),
              ElementsAre(Pair("U__label_2e_name2", "v"), Pair("job", "x")));
  EXPECT_THAT(Key("x", "/U__label_2e_name2/v", kUtf8).Labels(),
              ElementsAre(Pair("job", "x"), Pair("label.name2", "v")));
  EXPECT_THAT(Key("x", "/U__label_2e_name2@base64/bGFiZWwvdmFsdWUy", kUtf8).Labels(),
              ElementsAre(Pair("job", "x"), Pair("label.name2", "label/value2")));
  EXPECT_EQ(Failure("x", "/U__/v", kUtf8).message, R"(improper label name "U__")");
  EXPECT_THAT(Key("x", "/a.b/v", kUtf8).Labels(), ElementsAre(Pair("a.b", "v"), Pair("job", "x")));
}

TEST(GroupingPathTest, FindsReservedNamesBehindEscapes) {
  EXPECT_EQ(Failure("x", "/U______x/v", kUtf8).message, R"(improper label name "U______x")");
}

TEST(DecodeBase64Test, FollowsGo) {
  struct Case {
    std::string_view text, decoded, error;
  };
  for (const Case& c : {
           Case{"", "", ""},
           Case{"=", "", ""},
           Case{"YQ", "a", ""},
           Case{"YQ====", "a", ""},
           Case{"YR", "a", ""},  // bits that nobody needs
           Case{"YWI", "ab", ""},
           Case{"YWJj", "abc", ""},
           Case{"YQ\n", "a", ""},
           Case{"Y\r\nWJ\nj", "abc", ""},
           Case{"-_-_", "\xfb\xff\xbf", ""},
           Case{"Y", "", "illegal base64 data at input byte 0"},
           Case{"YWJjZ", "abc", "illegal base64 data at input byte 4"},
           Case{"YWJjZ\n", "abc", "illegal base64 data at input byte 5"},
           Case{"Y=Q", "", "illegal base64 data at input byte 1"},
           Case{"YQ==YQ", "", "illegal base64 data at input byte 2"},
           Case{"a+b/", "", "illegal base64 data at input byte 1"},
           Case{"YWJjYWJ.", "abc", "illegal base64 data at input byte 7"},
       }) {
    const Base64Text text = DecodeBase64(c.text);
    EXPECT_EQ(text.error.value_or(""), c.error) << c.text;
    EXPECT_EQ(text.decoded, c.decoded) << c.text;
  }
}

}  // namespace
}  // namespace pgw
