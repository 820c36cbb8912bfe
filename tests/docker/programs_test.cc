// What an image runs must be there, and run.
#include "docker/pack/programs.h"

#include <gtest/gtest.h>

#include "docker/pack/image_builder.h"
#include "tests/docker/support.h"

namespace pgw::image {
namespace {

using testing::MakeElf;
using testing::SampleImage;

class ProgramsTest : public ::testing::Test {
 protected:
  // Why the image cannot be built; "" where it can.
  std::string BuildError(const std::string& text = SampleImage::Text()) const {
    const auto description = sample_.Parse(text);
    EXPECT_TRUE(description) << description.error().message;
    if (!description) return "";
    const auto image = BuildImage(*description);
    return image ? "" : image.error().message;
  }
  std::string ErrorWith(std::string_view from, std::string_view to) const {
    return BuildError(SampleImage::TextWith(from, to));
  }
  // With this entry point, and these instead of the sample's links.
  std::string ErrorOfRunning(const std::string& entry, const std::string& links) const {
    std::string text = SampleImage::TextWith(R"(["/bin/program"])", "[\"" + entry + "\"]");
    const std::string old = R"({"path": "/program", "target": "bin/program"})";
    return BuildError(text.replace(text.find(old), old.size(), links));
  }

  const SampleImage sample_;
};

TEST_F(ProgramsTest, MustBeForTheAbiOfArm) {
  const std::string path =
      sample_.folder().Write("arm/program", MakeElf("arm", {.flags = 0x05000200}));
  EXPECT_EQ(BuildError(), "layers[1].files[0]: " + path +
                              ": not for arm's hard-float ABI, in the image for linux/arm/v7");
  EXPECT_EQ(ErrorWith(R"("v7")", R"("v5")"), "");
  sample_.folder().Write("arm/program", MakeElf("arm", {.flags = 0x400}));
  EXPECT_EQ(BuildError(), "layers[1].files[0]: " + path +
                              ": not for version 5 of arm's EABI, in the image for linux/arm/v7");
}

TEST_F(ProgramsTest, AreNoOtherFiles) {
  const std::string path = sample_.folder() / "arm64/program";
  const std::string start = "config.Entrypoint[0]: /bin/program";
  const std::string neither = start + " is no program: " + path + " is neither ELF nor a script";
  const std::pair<std::string, std::string> cases[] = {
      {"", start + " is no program: " + path + " is empty"},
      {"echo hello\n", neither},
      {"#!\n", neither},
      {"#!/bin/sh\necho hello\n", start + ", which needs /bin/sh is in no layer of linux/arm64"},
      {"#! /bin/program x", start + ", which needs /bin/program, which needs /bin/program, which "
                                    "needs /bin/program, which needs /bin/program, which needs "
                                    "too many interpreters"},
      {MakeElf("arm64").substr(0, 16),
       "layers[1].files[0]: " + path + ": an ELF file that is cut off"},
  };
  for (const auto& [content, error] : cases) {
    sample_.folder().Write("arm64/program", content);
    EXPECT_EQ(BuildError(), error);
  }
}

TEST_F(ProgramsTest, AreNoStumpsWhereverTheyLie) {
  const std::string path = sample_.folder().Write("LICENSE", MakeElf("amd64").substr(0, 4));
  EXPECT_EQ(BuildError(), "layers[0].files[0]: " + path + ": an ELF file that is cut off");
}

TEST_F(ProgramsTest, MustBeInTheLayersOfTheirPlatform) {
  EXPECT_EQ(ErrorWith(R"(["/bin/program"])", R"(["/bin/progam"])"),
            "config.Entrypoint[0]: /bin/progam is in no layer of linux/amd64");
  EXPECT_EQ(ErrorWith(R"(["/bin/program"])", R"(["/work"])"),
            "config.Entrypoint[0]: /work is no file (layers[0].directories[0])");
  EXPECT_EQ(ErrorWith(R"("mode": "0755")", R"("mode": "0644")"),
            "config.Entrypoint[0]: /bin/program may not be executed: its mode (layers[1].files[0]) "
            "has no x");
  EXPECT_EQ(ErrorWith(R"("Entrypoint": ["/bin/program"])", R"("Cmd": ["program"])"),
            "config.Cmd[0]: program is no absolute path");
  EXPECT_EQ(ErrorWith(R"("/bin/program", "--healthcheck")", R"("/bin/check")"),
            "config.Healthcheck.Test[1]: /bin/check is in no layer of linux/amd64");
  EXPECT_EQ(ErrorWith(R"("CMD", "/bin/program", )", R"("CMD-SHELL", )"),
            "config.Healthcheck.Test[0]: /bin/sh is in no layer of linux/amd64");
  EXPECT_EQ(ErrorWith(R"(["CMD", "/bin/program", "--healthcheck"])", R"(["NONE"])"), "");
}

TEST_F(ProgramsTest, AreFoundAcrossLinks) {
  EXPECT_EQ(ErrorWith(R"(["/bin/program"])", R"(["/program"])"), "");
  EXPECT_EQ(ErrorWith(R"(["/bin/program"])", R"(["/../work/..//program"])"), "");
  const std::string links = R"({"path": "/usr/sbin", "target": "../bin/"},
                               {"path": "/usr/bin", "target": "/bin"},
                               {"path": "/bin/run", "target": "/usr/bin/./program"})";
  EXPECT_EQ(ErrorOfRunning("/usr/sbin/run", links), "");
  EXPECT_EQ(ErrorOfRunning("/usr/sbin/none", links),
            "config.Entrypoint[0]: /usr/sbin/none is in no layer of linux/amd64");
  EXPECT_EQ(
      ErrorOfRunning("/a", R"({"path": "/a", "target": "b"}, {"path": "/b", "target": "/a"})"),
      "config.Entrypoint[0]: /a is in no layer of linux/amd64");
}

TEST_F(ProgramsTest, MayNeedInterpretersOfTheSameImage) {
  for (const std::string name : {"amd64", "arm64", "arm"}) {
    sample_.folder().Write(name + "/start", "#! /bin/program -e\n");
    sample_.folder().Write(name + "/dynamic", MakeElf(name, {.interpreter = "/bin/program"}));
  }
  const std::string files = R"("files": [{"from": "${HERE}/${ARCHITECTURE}/program")";
  for (const std::string name : {"start", "dynamic"}) {
    std::string text =
        SampleImage::TextWith(files, R"("files": [{"from": "${HERE}/${ARCHITECTURE}/)" + name +
                                         R"(", "to": "/start", "mode": "0755", "static": false},
                   {"from": "${HERE}/${ARCHITECTURE}/program")");
    const std::string entry = R"(["/bin/program"])";
    EXPECT_EQ(BuildError(text.replace(text.find(entry), entry.size(), R"(["/start"])")), "");
  }
}

}  // namespace
}  // namespace pgw::image
