#include "server/subcommand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/config.h"

namespace pgw {
namespace {

using Kind = Subcommand::Kind;

const ReadLines kNoFiles = [](const std::string& path) -> Result<std::vector<std::string>> {
  return InvalidArgument("open " + path);
};

Subcommand Parse(const std::vector<std::string>& arguments) {
  const auto parsed = ParseSubcommand(arguments, kNoFiles);
  EXPECT_TRUE(parsed && parsed->has_value());
  return parsed && *parsed ? **parsed : Subcommand();
}

std::string ErrorOf(const std::vector<std::string>& arguments) {
  const auto parsed = ParseArguments(arguments, kNoFiles);
  return parsed ? "none" : parsed.error().message;
}

TEST(SubcommandTest, TakesFileAndOutput) {
  EXPECT_EQ(Parse({"check", "F"}).kind, Kind::kCheck);
  EXPECT_EQ(Parse({"check", "F"}).file, "F");
  EXPECT_EQ(Parse({"repair", "F", "G"}).kind, Kind::kRepair);
  EXPECT_EQ(Parse({"repair", "F", "G"}).out, "G");
  for (const std::vector<std::string>& words : {std::vector<std::string>{"export", "F", "G"},
                                                {"export", "--format=gob", "F", "G"},
                                                {"export", "F", "--format", "gob", "G"},
                                                {"export", "F", "G", "--format=gob"}}) {
    EXPECT_EQ(Parse(words).kind, Kind::kExport);
    EXPECT_EQ(Parse(words).file, "F");
    EXPECT_EQ(Parse(words).out, "G");
  }
  EXPECT_EQ(Parse({"check", "--", "-F"}).file, "-F");
}

TEST(SubcommandTest, IsTheFirstArgumentOnly) {
  EXPECT_FALSE(ParseSubcommand({}, kNoFiles));
  EXPECT_FALSE(ParseSubcommand(std::vector<std::string>{"--log.level=info", "check"}, kNoFiles));
  EXPECT_EQ(ErrorOf({"--log.level=info", "check", "F"}), "unexpected check");
  EXPECT_EQ(ErrorOf({"chec", "F"}), "unexpected chec");
}

TEST(SubcommandTest, NamesWhatIsWrong) {
  EXPECT_EQ(ErrorOf({"check"}), "required argument 'file' not provided");
  EXPECT_EQ(ErrorOf({"check", ""}), "required argument 'file' not provided");
  EXPECT_EQ(ErrorOf({"repair", "F"}), "required argument 'out' not provided");
  EXPECT_EQ(ErrorOf({"check", "F", "G"}), "unexpected G");
  EXPECT_EQ(ErrorOf({"check", "--format=gob", "F"}), "unknown long flag '--format'");
  EXPECT_EQ(ErrorOf({"export", "--format=xml", "F", "G"}),
            "--format: enum value must be one of gob, got 'xml'");
  EXPECT_EQ(ErrorOf({"export", "--format=gob", "--format=gob", "F", "G"}),
            "flag 'format' cannot be repeated");
}

TEST(SubcommandTest, ShowsHelpWithoutItsArguments) {
  const std::vector<std::string> arguments = {"repair", "--help"};
  const auto parsed = ParseArguments(arguments, kNoFiles);
  EXPECT_EQ(parsed->action, CommandLine::Action::kShowHelp);
  EXPECT_EQ(parsed->help, SubcommandHelp(Kind::kRepair));
  for (const char* const name : {"check FILE", "repair FILE OUT", "export "}) {
    EXPECT_THAT(HelpText(), ::testing::HasSubstr(name));
  }
}

TEST(SubcommandTest, HelpsWithItselfAlone) {
  EXPECT_EQ(SubcommandHelp(Kind::kCheck),
            "usage: pushgateway check FILE\n\n"
            "Say what the persistence file and its journal hold. Exit code 1 if they are damaged, "
            "with\nthe first place. Changes nothing.\n\n"
            "Flags:\n"
            "  -h, --[no-]help                             Show this help.\n");
  EXPECT_THAT(SubcommandHelp(Kind::kRepair),
              ::testing::StartsWith("usage: pushgateway repair FILE OUT\n"));
  EXPECT_THAT(SubcommandHelp(Kind::kExport), ::testing::HasSubstr("--format=\"gob\""));
}

}  // namespace
}  // namespace pgw
