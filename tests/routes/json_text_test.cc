#include "server/routes/json_text.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <string>

namespace pgw {
namespace {

using namespace std::chrono_literals;

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

// Runs with another local zone.
class JsonTimeTest : public ::testing::Test {
 protected:
  ~JsonTimeTest() override {
    unsetenv("TZ");
    tzset();
  }

  static std::string In(const char* zone, WallTime time) {
    setenv("TZ", zone, 1);
    tzset();
    std::string out;
    AppendJsonTime(time, out);
    return out;
  }
};

TEST(JsonStringTest, LeavesPlainTextAlone) {
  EXPECT_EQ(Quoted(""), R"("")");
  EXPECT_EQ(Quoted("job='x' /é花😱"), R"("job='x' /é花😱")");
}

TEST(JsonStringTest, EscapesAsGoDoes) {
  EXPECT_EQ(Quoted("inst'a\"n\\ce1"), R"("inst'a\"n\\ce1")");
  EXPECT_EQ(Quoted("\n\r\t\b\f"), R"("\n\r\t\b\f")");
  EXPECT_EQ(Quoted(std::string_view("\0\x1f\x7f", 3)), "\"\\u0000\\u001f\x7f\"");
  EXPECT_EQ(Quoted("<a&b>"), R"("\u003ca\u0026b\u003e")");
  EXPECT_EQ(Quoted("\u2027\u2028\u2029\u202a"), "\"\u2027\\u2028\\u2029\u202a\"");
}

TEST(JsonStringTest, ReplacesEachByteThatIsNotUtf8) {
  EXPECT_EQ(Quoted("a\xff\xfe z"), R"("a\ufffd\ufffd z")");
  EXPECT_EQ(Quoted("\xe2\x82"), R"("\ufffd\ufffd")");
  EXPECT_EQ(Quoted("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");
  EXPECT_EQ(Quoted("\xc3\xa9\xc3"), "\"é\\ufffd\"");
}

TEST_F(JsonTimeTest, ShowsTheLocalZone) {
  const WallTime time(1'583'781'848'025'744'841ns);
  EXPECT_EQ(In("UTC0", time), R"("2020-03-09T19:24:08.025744841Z")");
  EXPECT_EQ(In("IST-5:30", time), R"("2020-03-10T00:54:08.025744841+05:30")");
  EXPECT_EQ(In("NST3:30", time), R"("2020-03-09T15:54:08.025744841-03:30")");
}

TEST_F(JsonTimeTest, TrimsZerosOfTheFraction) {
  EXPECT_EQ(In("UTC0", WallTime(1'583'781'848s)), R"("2020-03-09T19:24:08Z")");
  EXPECT_EQ(In("UTC0", WallTime(1'583'781'848s + 120ms)), R"("2020-03-09T19:24:08.12Z")");
  EXPECT_EQ(In("UTC0", WallTime(1'583'781'848s + 1ns)), R"("2020-03-09T19:24:08.000000001Z")");
  EXPECT_EQ(In("UTC0", WallTime(-1ns)), R"("1969-12-31T23:59:59.999999999Z")");
}

}  // namespace
}  // namespace pgw
