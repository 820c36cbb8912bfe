#include "store/persistence/gob_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "store/persistence/gob_cursor.h"
#include "store/persistence/gob_types.h"
#include "tests/store/persistence/gob_files.h"

namespace pgw {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kUnsignedMax = std::numeric_limits<std::uint64_t>::max();
constexpr std::int64_t kSignedMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSignedMin = std::numeric_limits<std::int64_t>::min();

TEST(GobCursorTest, ReadsUnsignedNumbers) {
  const std::vector<std::pair<std::string, std::uint64_t>> cases = {
      {"00", 0},
      {"07", 7},
      {"7f", 127},
      {"ff80", 128},
      {"ffff", 255},
      {"fe0100", 256},
      {"fd010000", 65536},
      {"f8ffffffffffffffff", kUnsignedMax},
      {"ff05", 5},  // longer than it need be, which Go reads too
      {"f80000000000000005", 5},
  };
  for (const auto& [notation, value] : cases) {
    const std::string bytes = Hex(notation);
    GobCursor cursor(bytes);
    cursor.OpenRest();
    EXPECT_EQ(cursor.Unsigned(), value) << notation;
    EXPECT_TRUE(cursor.ok());
    EXPECT_TRUE(cursor.at_file_end());
  }
}

TEST(GobCursorTest, ReadsSignedNumbers) {
  const std::vector<std::pair<std::string, std::int64_t>> cases = {
      {"00", 0},
      {"01", -1},
      {"02", 1},
      {"7f", -64},
      {"ff80", 64},
      {"ff81", -65},
      {"ff82", 65},
      {"fe0101", -129},
      {"f8fffffffffffffffe", kSignedMax},
      {"f8ffffffffffffffff", kSignedMin},
  };
  for (const auto& [notation, value] : cases) {
    const std::string bytes = Hex(notation);
    GobCursor cursor(bytes);
    cursor.OpenRest();
    EXPECT_EQ(cursor.Signed(), value) << notation;
    EXPECT_TRUE(cursor.ok());
  }
}

TEST(GobCursorTest, KeepsTheFirstFailureAndStops) {
  const std::string bytes = Hex("05 f7 01 02 03 04 05 06 07 08 09");
  GobCursor cursor(bytes);
  cursor.OpenRest();
  EXPECT_EQ(cursor.Unsigned(), 5U);
  EXPECT_EQ(cursor.Unsigned(), 0U);
  ASSERT_FALSE(cursor.ok());
  EXPECT_EQ(cursor.Unsigned(), 0U);
  EXPECT_EQ(cursor.Bytes(), "");
  EXPECT_EQ(cursor.remaining(), 0U);
  EXPECT_EQ(cursor.error().message, "byte 1: a number of 9 bytes");
}

// One group with a label and a family, in types of quite another shape: ids, order of the fields,
// fields nobody knows of every kind, both opaque kinds.
TEST(GobReaderTest, FollowsTheDefinitionsOfTheFile) {
  const std::string file =
      Message("fe 0191 04 01 02 fe 0192 00 01 0c 01 fe 07d0 00 00") +  // 201 = map[string]1000
      Message(
          "fe 07cf 03 01 01 01 'G' 01 fe 07d0 00 01 0d"  // 1000 = struct of 13
          "01 01 'a' 01 02 00"                           // bool
          "01 07 'Metrics' 01 fe 0194 00"
          "01 01 'b' 01 04 00"       // int
          "01 01 'c' 01 08 00"       // float
          "01 01 'd' 01 0a 00"       // []byte
          "01 01 'e' 01 0e 00"       // complex
          "01 01 'f' 01 10 00"       // interface
          "01 01 'g' 01 fe 019c 00"  // array
          "01 01 'h' 01 fe 019e 00"  // slice of 1000
          "01 01 'i' 01 fe 01a0 00"  // map[string][]…
          "01 06 'Labels' 01 fe 0196 00"
          "01 01 'j' 01 fe 01a2 00"  // TextMarshaler
          "01 01 'k' 01 fe 03e8 00"  // type 500, which is not defined, nor needed
          "00 00") +
      Message("fe 0193 04 01 02 fe 0194 00 01 0c 01 fe 0198 00 00") +  // 202 = map[string]204
      Message("fe 0195 04 01 02 fe 0196 00 01 0c 01 0c 00 00") +       // 203 = map[string]string
      Message(
          "fe 0197 03 01 02 fe 0198 00 01 03"           // 204 = struct
          "01 14 'GobbableMetricFamily' 01 fe 0199 00"  // 0199 is odd: an id < 0
          "01 09 'Timestamp' 01 fe 019a 00 01 01 'n' 01 06 00 00 00");
  // The odd id is refused; the same with an even one is read.
  const std::string time = "0f 01 0000000ee295a5e6 00000005 ffff";
  const std::string rest =
      Message("fe 0199 06 01 02 fe 019a 00 00 00") +                   // 205 = BinaryMarshaler
      Message("fe 01a3 05 01 02 fe 01a4 00 00 00") +                   // 210 = GobEncoder
      Message("fe 019b 01 01 02 fe 019c 00 01 04 01 04 00 00") +       // 206 = [2]int
      Message("fe 019d 02 01 02 fe 019e 00 01 fe 07d0 00 00") +        // 207 = []1000
      Message("fe 019f 04 01 02 fe 01a0 00 01 0c 01 fe 019e 00 00") +  // 208 = map[string]207
      Message("fe 01a1 07 01 02 fe 01a2 00 00 00") +                   // 209 = TextMarshaler
      Message(
          "fe 0192 00 01"  // a value of 201
          "03 'key'"
          "01 01"  // a = true
          "01 01 01 'f'  01 02 'mm' 01 " +
          time +
          "01 07 00"               // Metrics
          "01 05"                  // b = -3
          "01 fe f03f"             // c = 1.0
          "01 03 'xyz'"            // d
          "01 fe f03f 00"          // e
          "01 01 'T' 04 02 'vv'"   // f
          "01 02 02 04"            // g
          "01 02 00 01 01 00"      // h: two groups
          "01 01 01 'k' 01 00"     // i
          "01 01 03 'job' 01 'x'"  // Labels
          "01 02 'tt'"             // j
          "00");
  EXPECT_THAT(ErrorOf(file + rest), HasSubstr("must be opaque"));

  std::string sound = file;
  sound.replace(sound.find(Hex("fe 0199 00 01 09")), 3, Hex("fe 01a4"));
  std::vector<ReadGroup> groups;
  EXPECT_EQ(ErrorOf(sound + rest), "");
  ASSERT_TRUE(ReadAll(sound + rest, groups).ok());
  EXPECT_EQ(groups,
            (std::vector<ReadGroup>{{{{"job", "x"}}, {{"f", {1'795'403'494'000'000'005, "mm"}}}}}));
}

// The pushed time of a family whose time is `notation`, its length left out.
std::optional<std::int64_t> PushedAt(const std::string& notation) {
  const std::string time = Hex(notation);
  const std::string file = Definitions() + [&] {
    const std::string value =
        Hex("ff82 00 01 00 02 01 01 'f' 01") + Length(time.size()) + time + Hex("00 00");
    return Length(value.size()) + value;
  }();
  std::vector<ReadGroup> groups;
  EXPECT_EQ(ErrorOf(file), "");
  if (!ReadAll(file, groups)) return std::nullopt;
  return groups.at(0).families.at("f").pushed;
}

TEST(GobReaderTest, ReadsBothVersionsOfTime) {
  constexpr std::int64_t kTime = 1'795'403'494'557'927'397;
  EXPECT_EQ(PushedAt("01 0000000ee295a5e6 21414be5 ffff"), kTime);
  EXPECT_EQ(PushedAt("01 0000000ee295a5e6 21414be5 014a"), kTime);
  EXPECT_EQ(PushedAt("02 0000000ee295a5e6 21414be5 014a 1e"), kTime);
  EXPECT_EQ(PushedAt("01 0000000e7791f700 00000000 ffff"), 0);
  EXPECT_EQ(PushedAt("01 0000000e7791f6ff 3b9ac9ff ffff"), -1);
}

TEST(GobReaderTest, TakesTimesOutOfReachForAbsent) {
  constexpr std::int64_t kLast = 9'223'372'035'999'999'999;
  EXPECT_EQ(PushedAt("01 000000109d537403 3b9ac9ff ffff"), kLast);  // 2262-04-11T23:47:15
  EXPECT_EQ(PushedAt("01 000000109d537404 00000000 ffff"), std::nullopt);
  EXPECT_EQ(PushedAt("01 0000000c51d079fc 00000000 ffff"), -9'223'372'036'000'000'000);
  EXPECT_EQ(PushedAt("01 0000000c51d079fb 3b9ac9ff ffff"), std::nullopt);
  EXPECT_EQ(PushedAt("01 0000000000000000 00000000 ffff"), std::nullopt);
  EXPECT_EQ(PushedAt("01 7fffffffffffffff 00000000 ffff"), std::nullopt);
  EXPECT_EQ(PushedAt("01 8000000000000000 00000000 ffff"), std::nullopt);
}

TEST(GobReaderTest, TakesWhatIsLeftOutForEmpty) {
  std::vector<ReadGroup> groups;
  ASSERT_TRUE(ReadAll(File("04"
                           "01 'x' 00"                  // nothing
                           "01 'y' 01 01 01 'l' 00 00"  // labels alone
                           "01 'z' 02 01 01 'f' 00 00"  // a family without anything
                           "00     01 00 01 02 00 00 01 'f' 02 00 00 00"),  // empty lists, message
                      groups)
                  .ok());
  EXPECT_EQ(
      groups,
      (std::vector<ReadGroup>{
          {}, {{{"l", ""}}, {}}, {{}, {{"f", {}}}}, {{}, {{"", {}}, {"f", {std::nullopt, ""}}}}}));
}

TEST(GobReaderTest, HandsErrorsOfTheVisitorThrough) {
  int visited = 0;
  const Error trouble{Code::kUnavailable, "no"};
  const std::string file = File("03 00 00 00 00 00 00");
  const Status status =
      ReadGob(file, [&](const GobGroup&) { return ++visited == 2 ? Status(trouble) : Status(); });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error(), trouble);
  EXPECT_EQ(visited, 2);
}

TEST(GobReaderTest, NamesByteAndReason) {
  const std::string other_keys = Message("ff81 04 01 02 ff82 00 01 04 01 ff84 00 00");
  const std::string map = Message("ff81 04 01 02 ff82 00 01 0c 01 ff84 00 00");
  const std::string group =
      Message("ff83 03 01 02 ff84 00 01 02 01 06 'Labels' 01 0c 00 01 07 'Metrics' 01 0c 00 00 00");
  const std::string value = Message("ff82 00 00");
  const struct {
    std::string file;
    std::string error;
  } cases[] = {
      {Hex("00"), "byte 1: the file ends inside a number"},
      {Hex("00 00"), "byte 1: the message ends inside a number"},
      {Hex("f7"), "byte 0: a number of 9 bytes"},
      {Hex("f8 ffffffffffffffff 00"),
       "byte 0: a message of 18446744073709551615 bytes starts here, but the file has only 1 more"},
      {Message("02"), "byte 1: not a Pushgateway's: type 1 is not a map from strings to structs"},
      {Message("10"), "byte 1: not a Pushgateway's: type 8 is not a map from strings to structs"},
      {value, "byte 1: not a Pushgateway's: type 65 is not a map from strings to structs"},
      {Message("01 04"), "byte 1: a definition of a type that cannot be defined"},
      {Message("7d 04"), "byte 1: a definition of a type that cannot be defined"},
      {Message("f8 ffffffffffffffff 04"), "byte 1: a definition of a type that cannot be defined"},
      {Message("ff81"), "byte 3: the file ends inside a number"},
      {Message("ff81 00"), "byte 1: a definition that does not say one thing"},
      {Message("ff81 08"), "byte 3: a field beyond the 7 of its struct"},
      {Message("ff81 04 00 01 01 00 00"), "byte 1: a definition that does not say one thing"},
      {Message("ff81 04 04"), "byte 4: a field beyond the 3 of its struct"},
      {Message("ff81 04 00 00 00"), "byte 6: the message goes on for 1 bytes after its value"},
      {Message("ff81 04 01 01 7f 00"),
       "byte 6: 127 bytes should follow, but the message has only 1 more"},
      {Message("ff81 03 02 7f 00"),
       "byte 5: 127 elements should follow, but the message has only 1 more bytes"},
      {map + map, "byte 17: a second definition of type 65"},
      {other_keys + group + value,
       "byte 53: not a Pushgateway's: type 65 is not a map from strings to structs"},
      {map + value, "byte 17: not a Pushgateway's: type 65 is not a map from strings to structs"},
      {map + Message("ff83 03 01 02 ff84 00 00 00") + value,
       "byte 28: not a Pushgateway's: a struct lacks the field Labels"},
      {map + group + value,
       "byte 53: not a Pushgateway's: Labels is not a map from strings to strings"},
      {Definitions() + Message("ff82 01 00"), "byte 164: a value of a map starts with a zero"},
      {File("00 00"), "byte 166: the message goes on for 1 bytes after its value"},
      {File("00") + "x", "byte 166: the file goes on after its value"},
      {File("05 00 00"),
       "byte 165: 5 elements should follow, but the message has only 2 more bytes"},
      {File("01 00 03 00"), "byte 167: a field beyond the 2 of its struct"},
      {File("01 00 01 01 01 'l' 05 'v' 00"),
       "byte 171: 5 bytes should follow, but the message has only 2 more"},
      {File("01 00 02 01 01 'f' 01 00 00 00"), "byte 172: not a time"},
      {File("01 00 02 01 01 'f' 01 0f 03 0000000ee295a5e6 00000000 ffff 00 00"),
       "byte 172: not a time"},
      {File("01 00 02 01 01 'f' 01 0f 02 0000000ee295a5e6 00000000 ffff 00 00"),
       "byte 172: not a time"},
      {File("01 00 02 01 01 'f' 01 0f 01 0000000ee295a5e6 3b9aca00 ffff 00 00"),
       "byte 172: not a time"},
      {File("01 00 02 01 01 'f' 01 0f 01 0000000ee295a5e6 ffffffff ffff 00 00"),
       "byte 172: not a time"},
  };
  for (const auto& [file, error] : cases) EXPECT_EQ(ErrorOf(file), error);
}

// A file whose groups have one field more, `X`, of type 72 that `definition` defines; `value` is
// what the only group has there.
std::string FileWithUnknown(const std::string& definition, const std::string& value) {
  std::string file = Definitions();
  const std::string known = Message(
      "ff83 03 01 02 ff84 00 01 02"
      "01 06 'Labels' 01 ff86 00 01 07 'Metrics' 01 ff88 00 00 00");
  const std::string extended = Message(
      "ff83 03 01 02 ff84 00 01 03 01 06 'Labels' 01 ff86 00 01 07 'Metrics' 01 ff88 00"
      "01 01 'X' 01 ff90 00 00 00");
  file.replace(file.find(known), known.size(), extended);
  const std::string last = Hex("ff82 00 01 00 03") + value + Hex("00");
  return file + definition + Length(last.size()) + last;
}

TEST(GobReaderTest, BoundsHowDeepUnknownValuesNest) {
  const std::string self = Message("ff8f 02 01 02 ff90 00 01 ff90 00 00");  // 72 = []72
  for (const int depth : {1, 10, GobTypes::kDepthMax}) {
    EXPECT_EQ(ErrorOf(FileWithUnknown(self, std::string(depth - 1, '\1') + '\0')), "");
  }
  EXPECT_THAT(ErrorOf(FileWithUnknown(self, std::string(GobTypes::kDepthMax, '\1') + '\0')),
              HasSubstr("values nested more than 64 deep"));
  EXPECT_THAT(ErrorOf(FileWithUnknown(self, std::string(60'000, '\1') + '\0')),
              HasSubstr("values nested more than 64 deep"));
}

TEST(GobReaderTest, StepsOverUnknownValuesOfEveryKindOnlyIfTheyAreSound) {
  const struct {
    std::string definition;  // of 72
    std::string value;
    std::string error;
  } cases[] = {
      {"ff8f 03 01 02 ff90 00 01 00 00 00", "00", ""},              // struct{}
      {"ff8f 03 02 00 00 00", "01", "field beyond the 0"},          // struct{}
      {"ff8f 01 01 02 ff90 00 01 0c 00 00", "00", ""},              // [0]string
      {"ff8f 01 01 02 ff90 00 01 0c 01 04 00 00", "02 00 00", ""},  // [2]string
      {"ff8f 01 01 02 ff90 00 01 0c 01 04 00 00", "01 00", "1 elements in an array of 2"},
      {"ff8f 01 01 02 ff90 00 01 0c 01 03 00 00", "00", "0 elements in an array of -2"},
      {"ff8f 02 01 02 ff90 00 01 10 00 00", "02 00 01 'T' 0c 03 00 01 'x'", ""},  // []interface
      {"ff8f 02 01 02 ff90 00 01 10 00 00", "01 01 'T' ff95 00", "definition inside a value"},
      {"ff8f 02 01 02 ff90 00 00 00", "00", ""},  // of nothing
      {"ff8f 02 01 02 ff90 00 00 00", "01 00", "type 0, which is not defined"},
      {"ff8f 02 01 02 ff90 00 01 02 00 00", "fe 7fff 00 00", "32767 elements should follow"},
      {"ff8f 04 01 02 ff90 00 01 02 01 02 00 00", "02 01 02 03 04", ""},  // map
      {"ff8f 07 01 02 ff90 00 00 00", "02 'ab'", ""},                     // TextMarshaler
      {"ff95 07 01 02 ff96 00 00 00", "00", "type 72, which is not defined"},
  };
  for (const auto& [definition, value, error] : cases) {
    const std::string got = ErrorOf(FileWithUnknown(Message(definition), Hex(value)));
    if (error.empty()) {
      EXPECT_EQ(got, "") << definition << " / " << value;
    } else {
      EXPECT_THAT(got, HasSubstr(error)) << definition << " / " << value;
    }
  }
}

std::string Definition(std::size_t id, const std::string& body) {
  const std::string bits = Length(2 * id - 1);
  return Length(bits.size() + body.size()) + bits + body;
}

TEST(GobReaderTest, BoundsTheNumberOfTypes) {
  std::string file = Definitions();
  for (std::size_t id = 100; id < 1100; ++id) file += Definition(id, Hex("05 00 00"));
  EXPECT_EQ(ErrorOf(file + Message("ff82 00 00")), "");
  for (std::size_t id = 1100; id < 1200; ++id) file += Definition(id, Hex("05 00 00"));
  EXPECT_THAT(ErrorOf(file), HasSubstr("more than 1024 types"));
}

TEST(GobReaderTest, BoundsTheNumberOfFields) {
  const auto structs = [](std::size_t fields) {
    return Definition(100,
                      Hex("03 02") + Length(fields) + std::string(fields, '\0') + Hex("00 00"));
  };
  EXPECT_EQ(ErrorOf(Definitions() + structs(16'000) + Message("ff82 00 00")), "");
  EXPECT_THAT(ErrorOf(structs(16'385)), HasSubstr("more than 16384 fields"));
  EXPECT_THAT(ErrorOf(structs(60'000)), HasSubstr("more than 16384 fields"));
}

// A value message that no Message() has room for.
std::string LargeFile(const std::string& value) {
  std::string size;
  for (int shift = 24; shift >= 0; shift -= 8) size += static_cast<char>(value.size() >> shift);
  return Definitions() + '\xfc' + size + value;
}

TEST(GobReaderTest, RefusesGroupsThatGrowInMemory) {
  const std::string count = Hex("fd 200000");  // 2^21
  const std::size_t size = std::size_t{1} << 21;
  EXPECT_THAT(
      ErrorOf(LargeFile(Hex("ff82 00 01 00 02") + count + std::string(2 * size, '\0') + Hex("00"))),
      HasSubstr("next to nothing but empty labels and families"));
  // As many with something in them are read.
  std::string families;
  for (std::size_t i = 0; i < size / 16; ++i) families += Hex("03 'abc' 02 02 'ab' 00");
  EXPECT_EQ(ErrorOf(LargeFile(Hex("ff82 00 01 00 02 fd 020000") + families + Hex("00"))), "");
}

}  // namespace
}  // namespace pgw
