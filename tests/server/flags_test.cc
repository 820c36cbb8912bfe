#include "server/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace pgw {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr std::array kSpecs = std::to_array<FlagSpec>({
    {"help", FlagKind::kSwitch, "", "Shows help.", "", 'h'},
    {"on", FlagKind::kSwitch, "false", "A switch."},
    {"value", FlagKind::kValue, "default",
     "A value with a help text of more words than one line "
     "can hold, so that it goes on below."},
    {"many", FlagKind::kRepeatable, "x", "Values."},
    {"ttl", FlagKind::kOptionalValue, "0s", "An optional value.", "120s"},
    {"secret", FlagKind::kSwitch, "", "Hidden.", "", 0, true},
});

using Uses = std::vector<std::pair<std::string, std::string>>;

struct Outcome {
  Uses uses;
  std::string error;
};

Result<std::vector<std::string>> ReadFake(const std::string& path) {
  if (path == "args") return std::vector<std::string>{"--value", "from file", "--on"};
  if (path == "empty") return std::vector<std::string>{};
  if (path == "self") return std::vector<std::string>{"--on", "@self"};
  if (path == "nested") return std::vector<std::string>{"@args"};
  return InvalidArgument("open " + path + ": no such file or directory");
}

Outcome Parse(const std::vector<std::string>& arguments) {
  const ParsedCommandLine parsed = ParseCommandLine(kSpecs, arguments, ReadFake);
  Outcome outcome;
  for (const FlagUse& use : parsed.uses) outcome.uses.emplace_back(use.flag->name, use.value);
  if (parsed.error) outcome.error = parsed.error->message;
  return outcome;
}

Uses Good(const std::vector<std::string>& arguments) {
  Outcome outcome = Parse(arguments);
  EXPECT_EQ(outcome.error, "");
  return outcome.uses;
}

TEST(FlagsTest, TakesValuesWithEqualsSignOrSpace) {
  EXPECT_THAT(Good({"--value=a=b", "--many", "1", "--many="}),
              ElementsAre(Pair("value", "a=b"), Pair("many", "1"), Pair("many", "")));
  EXPECT_THAT(Good({}), IsEmpty());
}

TEST(FlagsTest, SwitchesOnAndOff) {
  EXPECT_THAT(Good({"--on", "--no-on", "-h"}),
              ElementsAre(Pair("on", "true"), Pair("on", "false"), Pair("help", "true")));
  EXPECT_EQ(Parse({"--on=true"}).error, "unexpected true");
  EXPECT_EQ(Parse({"--no-value"}).error, "unknown long flag '--no-value'");
}

TEST(FlagsTest, NamesWhatItDoesNotKnow) {
  EXPECT_EQ(Parse({"--x"}).error, "unknown long flag '--x'");
  EXPECT_EQ(Parse({"--x=1"}).error, "unknown long flag '--x'");
  EXPECT_EQ(Parse({"-x"}).error, "unknown short flag '-x'");
  EXPECT_EQ(Parse({"-value"}).error, "unknown short flag '-v'");
  EXPECT_EQ(Parse({"-ha"}).error, "unknown short flag '-a'");
  EXPECT_EQ(Parse({"-é"}).error, "unknown short flag '-é'");
  EXPECT_EQ(Parse({"word"}).error, "unexpected word");
  EXPECT_EQ(Parse({"-"}).error, "unexpected ");
  EXPECT_EQ(Parse({"--=x"}).error, "unknown long flag '--'");
}

TEST(FlagsTest, WantsAValueThatIsNoFlag) {
  EXPECT_EQ(Parse({"--value"}).error, "expected argument for flag '--value'");
  EXPECT_EQ(Parse({"--value", "--on"}).error, "expected argument for flag '--value'");
  EXPECT_EQ(Parse({"--value", "-5s"}).error, "expected argument for flag '--value'");
  EXPECT_THAT(Good({"--value=-5s"}), ElementsAre(Pair("value", "-5s")));
  EXPECT_THAT(Good({"--value", "-"}), ElementsAre(Pair("value", "")));
}

TEST(FlagsTest, LetsAnOptionalValueStandBare) {
  EXPECT_THAT(Good({"--ttl"}), ElementsAre(Pair("ttl", "120s")));
  EXPECT_THAT(Good({"--ttl", "--on"}), ElementsAre(Pair("ttl", "120s"), Pair("on", "true")));
  EXPECT_THAT(Good({"--ttl", "5s"}), ElementsAre(Pair("ttl", "5s")));
  EXPECT_THAT(Good({"--ttl="}), ElementsAre(Pair("ttl", "")));
  EXPECT_THAT(Good({"--ttl", "--"}), ElementsAre(Pair("ttl", "120s")));
  EXPECT_THAT(Good({"--ttl", "@empty"}), ElementsAre(Pair("ttl", "120s")));
  const Outcome negative = Parse({"--ttl", "-5s"});
  EXPECT_THAT(negative.uses, ElementsAre(Pair("ttl", "120s")));
  EXPECT_EQ(negative.error, "unknown short flag '-5'");
  EXPECT_EQ(Parse({"--ttl", "-"}).error, "unexpected ");
}

TEST(FlagsTest, EndsFlagsAtTwoDashes) {
  EXPECT_EQ(Parse({"--on", "--", "--on"}).error, "unexpected --on");
  EXPECT_EQ(Parse({"--", "@args"}).error, "unexpected @args");
  EXPECT_THAT(Good({"--on", "--"}), ElementsAre(Pair("on", "true")));
}

TEST(FlagsTest, ReadsArgumentsFromFiles) {
  EXPECT_THAT(Good({"--many=1", "@args", "--no-on"}),
              ElementsAre(Pair("many", "1"), Pair("value", "from file"), Pair("on", "true"),
                          Pair("on", "false")));
  EXPECT_THAT(Good({"@empty", "@nested"}),
              ElementsAre(Pair("value", "from file"), Pair("on", "true")));
  EXPECT_EQ(Parse({"@nothing"}).error, "unexpected error: open nothing: no such file or directory");
  EXPECT_EQ(Parse({"@self"}).error, "unexpected error: too many arguments");
}

TEST(FlagsTest, KeepsWhatCameBeforeAnError) {
  EXPECT_THAT(Parse({"-h", "--x", "--on"}).uses, ElementsAre(Pair("help", "true")));
}

TEST(FlagsTest, DescribesWhatIsNotHidden) {
  const std::string text = DescribeFlags(kSpecs);
  EXPECT_THAT(text, HasSubstr("  -h, --[no-]help "));
  EXPECT_THAT(text, HasSubstr("      --value=\"default\" "));
  EXPECT_THAT(text, HasSubstr("      --many=\"x\" ... "));
  EXPECT_THAT(text, HasSubstr("      --ttl[=120s] "));
  EXPECT_EQ(text.find("secret"), std::string::npos);
  std::size_t start = 0;
  for (std::size_t end = 0; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    EXPECT_LE(end - start, 100u);
  }
}

TEST(ReadArgumentFileTest, NamesAFileThatIsMissing) {
  const auto lines = ReadArgumentFile("/nonexistent/args");
  ASSERT_FALSE(lines);
  EXPECT_EQ(lines.error().message, "open /nonexistent/args: no such file or directory");
}

TEST(ReadArgumentFileTest, DoesNotTakeAFolderForAnEmptyFile) {
  const auto lines = ReadArgumentFile("/");
  ASSERT_FALSE(lines);
  EXPECT_EQ(lines.error().message, "read /: is a directory");
  EXPECT_TRUE(ReadArgumentFile("/dev/null"));
}

}  // namespace
}  // namespace pgw
