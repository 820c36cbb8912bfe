// The small languages: references, variables, package lists, dates, JSON, the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "docker/command_line.h"
#include "docker/json.h"
#include "docker/oci.h"
#include "docker/pack/packages.h"
#include "docker/pack/variables.h"
#include "docker/printable.h"
#include "docker/reference.h"

namespace pgw::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ReferenceTest, HasRegistryRepositoryAndTag) {
  const Result<Reference> reference = ParseReference("registry.example/team/pushgateway-ttl:1.2.3");
  ASSERT_TRUE(reference);
  EXPECT_EQ(*reference, (Reference{"registry.example", "team/pushgateway-ttl", "1.2.3"}));
  EXPECT_EQ(reference->text(), "registry.example/team/pushgateway-ttl:1.2.3");
  EXPECT_EQ(ParseReference("localhost:5000/a/b__c/d--e:v_1")->registry, "localhost:5000");
  EXPECT_EQ(ParseReference("[::1]:5000/a:b")->registry, "[::1]:5000");
}

TEST(ReferenceTest, RefusesWhatIsNotFull) {
  for (const char* const text :
       {"pushgateway:1", "team/pushgateway:1", "registry.example/team/pushgateway",
        "registry.example/A:1", "registry.example/a:", "registry.example/a:-x",
        "registry.example/a//b:1", "registry.example/a:1/b", "registry.example/-a:1",
        "registry.example/a___b:1", "registry.example/:1", "registry.example:port/a:1",
        "exa mple.org/a:1", "", ":", "/:"}) {
    EXPECT_FALSE(ParseReference(text)) << text;
  }
  EXPECT_FALSE(ParseReference("registry.example/a:" + std::string(129, 'x')));
}

TEST(VariablesTest, AreReplacedOnce) {
  const Variables variables{{"A", "1"}, {"B", "${A}"}, {"EMPTY", ""}};
  EXPECT_EQ(*Substitute("${A}-${B}-${EMPTY}-$A-$${A}", variables), "1-${A}--$A-${A}");
}

TEST(VariablesTest, MustBeKnownAndWhole) {
  EXPECT_THAT(Substitute("x${NONE}", {}).error().message, HasSubstr("--set NONE="));
  EXPECT_THAT(Substitute("x${A", {{"A", "1"}}).error().message, HasSubstr("no closing }"));
  EXPECT_FALSE(Substitute("${}", {}));
  EXPECT_FALSE(Substitute("${a-b}", {}));
}

TEST(PackagesTest, AreSortedAndHaveUrls) {
  const std::string sum(64, 'a');
  const auto packages =
      ParsePackages("# list\n\nzlib\t1:1.2+x~1\tamd64\t" + sum + "\tZlib\nboost\t1.88\tsource\t" +
                    sum + "\tBSL-1.0 AND (MIT OR GPL-2.0-only WITH GCC-exception-2.0)\n");
  ASSERT_TRUE(packages) << packages.error().message;
  ASSERT_EQ(packages->size(), 2u);
  EXPECT_EQ((*packages)[0].name, "boost");
  EXPECT_EQ((*packages)[1].purl(), "pkg:deb/debian/zlib@1%3A1.2%2Bx~1?arch=amd64");
}

TEST(PackagesTest, NameTheLineThatIsWrong) {
  const std::string sum(64, 'a');
  const std::string good = "a\t1\tamd64\t" + sum + "\tMIT\n";
  const struct {
    std::string text;
    const char* error;
  } cases[] = {
      {good + "b 1 amd64", "line 2: expected name"},
      {"a\t1\tamd64\t" + sum + "\n", "line 1: expected name"},
      {"a\t1\tamd64\t" + sum + "\tMIT\tmore\n", "line 1: expected linked or headers, got \"more\""},
      {"a\t1\tamd64\t" + sum + "\tMIT\t\n", "line 1: expected linked or headers, got \"\""},
      {"a\t1\tamd64\t" + sum + "\tMIT\tlinked\tmore\n", "line 1: expected name"},
      {"a\t1\tamd64\t" + sum.substr(1) + "\tMIT\n", "line 1: the SHA-256"},
      {"a\t1\tamd64\t" + sum + "\tMIT AND\n", "line 1: the SPDX licence expression"},
      {"a\t1\tamd64\t" + sum + "\t(MIT\n", "line 1: the SPDX licence expression"},
      {"a\t1\tamd64\t" + sum + "\tMIT MIT\n", "line 1: the SPDX licence expression"},
      {"a b\t1\tamd64\t" + sum + "\tMIT\n", "line 1: the name"},
      {"a\t1\tamd64\t" + sum + "\tMIT\r\n", "line 1: the SPDX licence expression"},
      {good + good, "a is there twice"},
  };
  for (const auto& each : cases) {
    const auto packages = ParsePackages(each.text);
    ASSERT_FALSE(packages) << each.text;
    EXPECT_THAT(packages.error().message, HasSubstr(each.error));
  }
}

TEST(DateTest, IsWrittenAsDateDoes) {
  EXPECT_EQ(FormatDateUtc(1661335475), "Wed Aug 24 10:04:35 UTC 2022");
  EXPECT_EQ(FormatDateUtc(0), "Thu Jan  1 00:00:00 UTC 1970");
  EXPECT_EQ(FormatDateUtc(951782400), "Tue Feb 29 00:00:00 UTC 2000");
}

TEST(DateTest, IsReadBack) {
  EXPECT_EQ(FormatRfc3339(1661335475), "2022-08-24T10:04:35Z");
  EXPECT_EQ(ParseRfc3339("2022-08-24T10:04:35Z"), 1661335475);
  EXPECT_EQ(ParseRfc3339("9999-12-31T23:59:59Z"), 253402300799);
  for (const char* const text :
       {"2022-08-24T10:04:35", "2022-08-24T10:04:60Z", "2022-02-30T10:04:35Z",
        "2022-08-24 10:04:35Z", "2022-8-24T10:04:35ZZ", ""}) {
    EXPECT_EQ(ParseRfc3339(text), std::nullopt) << text;
  }
}

TEST(DigestTest, IsSha256) {
  EXPECT_EQ(Digest::Of("abc").text(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Digest::Parse(Digest::Of("abc").text()), Digest::Of("abc"));
  EXPECT_EQ(Digest::Parse("sha256:abc"), std::nullopt);
  EXPECT_EQ(Digest::Parse("sha512:" + Digest::Of("").hex()), std::nullopt);
  EXPECT_EQ(Digest::Parse("sha256:" + std::string(64, 'A')), std::nullopt);
}

TEST(JsonTest, IsWrittenInItsOrder) {
  const Result<Json> value = ParseJson(R"({"b":[1,{"c":"\u0001é"}],"a":{},"d":[]})");
  ASSERT_TRUE(value);
  EXPECT_EQ(PrettyJson(*value),
            "{\n  \"b\": [\n    1,\n    {\n      \"c\": \"\\u0001é\"\n    }\n  ],\n  \"a\": {},\n  "
            "\"d\": []\n}");
}

TEST(JsonTest, NamesLineAndColumn) {
  EXPECT_THAT(ParseJson("{\n  \"a\": tru\n}").error().message, HasSubstr("JSON, line 2, column "));
  EXPECT_THAT(ParseJson("{}{}").error().message, HasSubstr("more than one value"));
  EXPECT_THAT(ParseJson("{\"a\": 1").error().message, HasSubstr("incomplete"));
  EXPECT_FALSE(ParseJson(""));
  EXPECT_THAT(ParseJson("{\n \"a\": [1, 1e999]}").error().message,
              HasSubstr("JSON, line 2, column 16: a[1]: is out of range"));
  EXPECT_THAT(ParseJson("-1e999").error().message, HasSubstr("the number: is out of range"));
  // What Boost makes of it is no number.
  const Result<Json> zero = ParseJson("0E999");
  EXPECT_TRUE(!zero || ParseJson(PrettyJson(*zero)));
}

TEST(JsonTest, IsBounded) {
  EXPECT_FALSE(ParseJson(std::string(40, '[') + std::string(40, ']')));
  EXPECT_TRUE(ParseJson(std::string(30, '[') + std::string(30, ']')));
  EXPECT_EQ(ParseJson(std::string(100, ' ') + "1", {.bytes_max = 100}).error().code,
            Code::kTooLarge);
}

TEST(PrintableTest, EscapesWhatSteersTerminals) {
  EXPECT_EQ(Printable("a\x1b[2J\n\\\xc3"), "a\\x1b[2J\\x0a\\x5c\\xc3");
  EXPECT_LT(Printable(std::string(1000, 'a')).size(), 310u);
}

std::vector<CommandSpec> SomeCommands() {
  return {{"build",
           {"FILE"},
           "",
           {{"--output", "DIR", "", 'o'}, {"--set", "N=V", "", 's', true}, {"--json", "", ""}}}};
}

Result<ParsedCommand> ParseWords(const std::vector<std::string>& words) {
  static const std::vector<CommandSpec> kCommands = SomeCommands();
  return ParseCommand(kCommands, words);
}

TEST(CommandLineTest, TakesOptionsInEachForm) {
  const auto parsed = ParseWords({"build", "--set=A=1", "in", "-o", "out", "-sB=2", "--json"});
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_THAT(parsed->operands, ElementsAre("in"));
  EXPECT_EQ(parsed->Value("--output"), "out");
  EXPECT_THAT(parsed->options.at("--set"), ElementsAre("A=1", "B=2"));
  EXPECT_TRUE(parsed->Has("--json"));
  EXPECT_THAT(ParseWords({"build", "--", "-o"})->operands, ElementsAre("-o"));
  EXPECT_TRUE(ParseWords({"build", "--help"})->help);
}

TEST(CommandLineTest, NamesTheWordThatIsWrong) {
  const struct {
    std::vector<std::string> words;
    const char* error;
  } cases[] = {{{}, "a command is expected"},
               {{"pack"}, "unknown command pack"},
               {{"build"}, "build expects FILE"},
               {{"build", "a", "b"}, "unexpected b"},
               {{"build", "a", "--nope"}, "unknown option --nope"},
               {{"build", "a", "-o"}, "-o expects DIR"},
               {{"build", "a", "--json=1"}, "--json takes no value"},
               {{"build", "a", "-o1", "-o2"}, "-o is there twice"}};
  for (const auto& each : cases) {
    const auto parsed = ParseWords(each.words);
    ASSERT_FALSE(parsed) << each.error;
    EXPECT_EQ(parsed.error().message, each.error);
  }
}

}  // namespace
}  // namespace pgw::image
