#include "docker/archive/gzip.h"

#include <gtest/gtest.h>

#include <string>

namespace pgw::image {
namespace {

Result<std::string> Gunzip(std::string_view bytes, std::uint64_t bytes_max = 1 << 20) {
  MemorySource source(bytes);
  GunzipSource unpacked(source, bytes_max);
  return ReadAll(unpacked, 1 << 24);
}

TEST(GzipTest, HasNoTimeNameOrSystemInItsHeader) {
  const Result<std::string> packed = Gzip("hello");
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->substr(0, 10), std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10));
}

TEST(GzipTest, GivesBackWhatItWasGiven) {
  std::string text;
  for (unsigned i = 0; i < 100000; ++i) text += std::to_string(i * i);
  for (const std::string& each : {std::string(), std::string("a"), text}) {
    const Result<std::string> packed = Gzip(each);
    ASSERT_TRUE(packed);
    const Result<std::string> unpacked = Gunzip(*packed);
    ASSERT_TRUE(unpacked) << unpacked.error().message;
    EXPECT_EQ(*unpacked, each);
  }
}

TEST(GzipTest, IsTheSameEachTime) { EXPECT_EQ(*Gzip("some text"), *Gzip("some text")); }

TEST(GunzipTest, ReadsSeveralMembers) {
  EXPECT_EQ(*Gunzip(*Gzip("one ") + *Gzip("two")), "one two");
}

TEST(GunzipTest, StopsAtTheBound) {
  const std::string bomb = *Gzip(std::string(10 << 20, 'a'));
  ASSERT_LT(bomb.size(), 20000u);
  const Result<std::string> unpacked = Gunzip(bomb, 1 << 20);
  ASSERT_FALSE(unpacked);
  EXPECT_EQ(unpacked.error().code, Code::kTooLarge);
  EXPECT_TRUE(Gunzip(bomb, 10 << 20));
}

TEST(GunzipTest, NamesTheByteOfWhatIsBroken) {
  const std::string packed = *Gzip("some text to be packed");
  EXPECT_EQ(Gunzip(packed.substr(0, 15)).error().message,
            "gzip, at byte 15: the stream is cut off");
  EXPECT_EQ(Gunzip("").error().message, "gzip, at byte 0: an empty stream");
  EXPECT_FALSE(Gunzip(packed + "tail"));
  std::string wrong_sum = packed;
  wrong_sum[packed.size() - 6] ^= 1;
  EXPECT_NE(Gunzip(wrong_sum).error().message.find("incorrect data check"), std::string::npos);
}

}  // namespace
}  // namespace pgw::image
