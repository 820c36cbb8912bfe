#include "docker/pack/elf.h"

#include <gtest/gtest.h>

#include "tests/docker/support.h"

namespace pgw::image {
namespace {

using testing::MakeElf;

TEST(ElfTest, KnowsArchitecturesOfBothWidthsAndByteOrders) {
  for (const char* const architecture : {"amd64", "arm64", "arm", "riscv64", "s390x"}) {
    const Result<ElfInfo> info = ReadElf(MakeElf(architecture));
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_EQ(info->architecture, architecture);
    EXPECT_TRUE(info->is_static());
  }
}

TEST(ElfTest, TakesStaticPieForStatic) {
  const Result<ElfInfo> info = ReadElf(MakeElf("amd64", {.type = 3}));
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->is_static());
}

TEST(ElfTest, NamesInterpreterAndLibrary) {
  for (const char* const architecture : {"amd64", "arm", "s390x"}) {
    const Result<ElfInfo> info =
        ReadElf(MakeElf(architecture, {.interpreter = "/lib/ld.so", .library = "libc.so.6"}));
    ASSERT_TRUE(info);
    EXPECT_FALSE(info->is_static());
    EXPECT_EQ(info->interpreter, "/lib/ld.so");
    EXPECT_EQ(info->library, "libc.so.6");
  }
}

TEST(ElfTest, RefusesObjectsAndCores) {
  EXPECT_FALSE(ReadElf(MakeElf("amd64", {.type = 1})));
  EXPECT_FALSE(ReadElf(MakeElf("amd64", {.type = 4})));
  EXPECT_FALSE(ReadElf("#!/bin/sh\n"));
}

TEST(ElfTest, JudgesStumpsAsElf) {
  const std::string whole = MakeElf("amd64");
  for (std::size_t size = 4; size <= 64; ++size) {
    const std::string_view stump = std::string_view(whole).substr(0, size);
    EXPECT_TRUE(IsElf(stump));
    EXPECT_FALSE(ReadElf(stump)) << size;
  }
  EXPECT_FALSE(IsElf(std::string_view(whole).substr(0, 3)));
}

TEST(ElfTest, ReadsTheAbiOfArm) {
  EXPECT_TRUE(ReadElf(MakeElf("arm"))->is_eabi5);
  EXPECT_TRUE(ReadElf(MakeElf("arm"))->is_hard_float);
  EXPECT_FALSE(ReadElf(MakeElf("arm", {.flags = 0x05000200}))->is_hard_float);
  EXPECT_FALSE(ReadElf(MakeElf("arm", {.flags = 0x04000400}))->is_eabi5);
}

TEST(ElfTest, RefusesEveryFileThatIsCutOff) {
  for (const char* const architecture : {"amd64", "arm", "s390x"}) {
    const std::string whole = MakeElf(architecture, {.library = "libm.so"});
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(ReadElf(std::string_view(whole).substr(0, size))) << size;
    }
  }
}

TEST(ElfTest, SurvivesEveryFlippedByte) {
  const std::string whole = MakeElf("amd64", {.interpreter = "/lib/ld.so", .library = "libm.so"});
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(~flipped[i]);
    (void)ReadElf(flipped).has_value();
  }
}

}  // namespace
}  // namespace pgw::image
