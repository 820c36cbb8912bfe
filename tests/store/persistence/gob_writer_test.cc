#include "store/persistence/gob_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>

#include "tests/store/persistence/gob_files.h"

namespace pgw {
namespace {

using std::chrono::nanoseconds;

GobWalk WalkOf(const std::vector<GobGroup>& groups) {
  return [&groups](const GobVisitor& visit) {
    for (const GobGroup& group : groups) {
      if (Status status = visit(group); !status) return status;
    }
    return Status();
  };
}

GobWalk WalkOfFile(const std::string& file) {
  return [&file](const GobVisitor& visit) { return ReadGob(file, visit); };
}

std::string Written(const GobWalk& walk) {
  std::string file;
  const Status status = WriteGob(walk, [&](std::string_view bytes) {
    file += bytes;
    return Status();
  });
  return status.ok() ? file : "error: " + status.error().message;
}

std::vector<ReadGroup> GroupsOf(const std::string& file) {
  std::vector<ReadGroup> groups;
  const Status status = ReadAll(file, groups);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return groups;
}

TEST(GobWriterTest, WritesTheSmallestFileByteForByte) {
  const std::string file = GobFile("minimal.gob");
  EXPECT_EQ(Written(WalkOfFile(file)), file);
}

TEST(GobWriterTest, WritesEmptyStore) {
  const std::string minimal = GobFile("minimal.gob");
  EXPECT_EQ(Written(WalkOf({})), minimal.substr(0, 0x11c) + Hex("04 ff82 00 00"));
}

TEST(GobWriterTest, KeepsAllThatWasRead) {
  for (const char* name : {"pushgateway_1_5_1.gob", "pushgateway_1_11_2.gob", "empty_1_5_1.gob"}) {
    const std::string file = GobFile(name);
    const std::string written = Written(WalkOfFile(file));
    EXPECT_EQ(GroupsOf(written), GroupsOf(file)) << name;
    EXPECT_EQ(Written(WalkOfFile(written)), written) << name;
  }
}

TEST(GobWriterTest, SortsLabelsInTheKey) {
  const GobGroup group{{{"job", "b"}, {"a", ""}, {"instance", "ü"}}, {}};
  EXPECT_THAT(Written(WalkOf({group})),
              testing::EndsWith(Hex("ff82 00 01"
                                    "14 'a' ff ff 'instance' ff 'ü' ff 'job' ff 'b'"
                                    "01 03 01 'a' 00 08 'instance' 02 'ü' 03 'job' 01 'b' 00")));
}

TEST(GobWriterTest, LeavesOutWhatIsAbsent) {
  const WallTime time(nanoseconds(0));
  const std::vector<GobGroup> groups = {
      {{}, {{"none", {}, {}}, {"time", time, {}}, {"message", {}, "m"}, {"empty", {}, ""}}},
      {{}, {}}};
  const std::string file = Written(WalkOf(groups));
  EXPECT_THAT(file, testing::EndsWith(Hex("ff82 00 02 00 02 04"
                                          "04 'none' 00"
                                          "04 'time' 01 0f 01 0000000e7791f700 00000000 ffff 00"
                                          "07 'message' 02 01 'm' 00"
                                          "05 'empty' 02 00 00"
                                          "00 00 00")));
  EXPECT_EQ(GroupsOf(file), (std::vector<ReadGroup>{Owned(groups[0]), Owned(groups[1])}));
}

TEST(GobWriterTest, KeepsTimesToTheNanosecond) {
  for (const std::int64_t time :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, std::int64_t{-999'999'999},
        std::int64_t{-1'000'000'000}, std::int64_t{1'795'403'494'557'927'397},
        std::int64_t{9'223'372'035'999'999'999}, std::int64_t{-9'223'372'036'000'000'000}}) {
    const GobGroup group{{}, {{"f", WallTime(nanoseconds(time)), {}}}};
    EXPECT_EQ(GroupsOf(Written(WalkOf({group}))).at(0).families.at("f").pushed, time);
  }
}

TEST(GobWriterTest, WritesLengthsOfEverySize) {
  for (const std::size_t size : {0U, 1U, 127U, 128U, 255U, 256U, 65535U, 65536U, 300'000U}) {
    const std::string text(size, 'x');
    const GobGroup group{{{"l", text}}, {{"f", {}, text}}};
    const std::vector<ReadGroup> read = GroupsOf(Written(WalkOf({group, group})));
    EXPECT_EQ(read, (std::vector<ReadGroup>{Owned(group), Owned(group)})) << size;
  }
}

TEST(GobWriterTest, HandsOnPiecesOfBoundedSize) {
  const std::string message(1000, 'm');
  const GobGroup group{{{"job", "j"}}, std::vector<GobFamily>(50, {"f", {}, message})};
  std::size_t pieces = 0;
  std::size_t largest = 0;
  const Status status = WriteGob(WalkOf(std::vector<GobGroup>(100, group)), [&](auto bytes) {
    ++pieces;
    largest = std::max(largest, bytes.size());
    return Status();
  });
  EXPECT_TRUE(status.ok());
  EXPECT_GT(pieces, 50U);
  EXPECT_LE(largest, 64U * 1024);
}

TEST(GobWriterTest, HandsErrorsThrough) {
  const std::vector<GobGroup> groups(3);
  const auto sink = [](std::string_view) { return Status(); };
  const Error trouble{Code::kUnavailable, "no space left on device"};
  Status status = WriteGob(WalkOf(groups), [&](std::string_view) { return Status(trouble); });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error(), trouble);

  status = WriteGob([&](const GobVisitor&) { return Status(trouble); }, sink);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error(), trouble);

  int walks = 0;
  status = WriteGob(
      [&](const GobVisitor& visit) { return ++walks == 2 ? Status(trouble) : visit(GobGroup()); },
      sink);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error(), trouble);
}

TEST(GobWriterTest, StopsWalkingWhenTheSinkFails) {
  const std::string message(100'000, 'm');
  const GobGroup group{{}, {{"f", {}, message}}};
  int shown = 0;
  const GobWalk walk = [&](const GobVisitor& visit) {
    for (int i = 0; i < 10; ++i, ++shown) {
      if (Status status = visit(group); !status) return status;
    }
    return Status();
  };
  const Status status = WriteGob(
      walk, [](std::string_view) { return Status(Error{Code::kUnavailable, "disk full"}); });
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(shown, 10);  // all of the first walk, none of the second
}

TEST(GobWriterTest, NoticesGroupsThatChangeBetweenTheWalks) {
  const GobGroup small{{{"job", "a"}}, {}};
  const GobGroup large{{{"job", "aa"}}, {}};
  for (const auto& [first, second] :
       std::vector<std::pair<std::vector<GobGroup>, std::vector<GobGroup>>>{
           {{small}, {large}}, {{small}, {}}, {{small}, {small, small}}}) {
    int walks = 0;
    const Status status = WriteGob(
        [&](const GobVisitor& visit) { return WalkOf(++walks == 1 ? first : second)(visit); },
        [](std::string_view) { return Status(); });
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kInternal);
  }
}

// What Go has no hope to read is refused before the sink gets a byte.
TEST(GobWriterTest, RefusesMoreThanGoReads) {
  const std::string message(std::size_t{1} << 20, 'm');
  const GobGroup group{{}, std::vector<GobFamily>(1024, {"f", {}, message})};
  std::size_t written = 0;
  const Status status = WriteGob(WalkOf(std::vector<GobGroup>(8, group)), [&](auto bytes) {
    written += bytes.size();
    return Status();
  });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kTooLarge);
  EXPECT_EQ(written, 0U);
}

}  // namespace
}  // namespace pgw
