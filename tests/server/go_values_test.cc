#include "server/go_values.h"

#include <gtest/gtest.h>

#include <string>

namespace pgw {
namespace {

using namespace std::chrono_literals;

std::chrono::nanoseconds Duration(std::string_view text) {
  const auto duration = ParseGoDuration(text);
  EXPECT_TRUE(duration) << text << ": " << duration.error().message;
  return duration ? *duration : -1ns;
}

std::string DurationError(std::string_view text) {
  const auto duration = ParseGoDuration(text);
  return duration ? "none" : duration.error().message;
}

TEST(ParseGoDurationTest, ReadsEveryUnit) {
  EXPECT_EQ(Duration("1ns"), 1ns);
  EXPECT_EQ(Duration("1us"), 1us);
  EXPECT_EQ(Duration("1\u00b5s"), 1us);
  EXPECT_EQ(Duration("1\u03bcs"), 1us);
  EXPECT_EQ(Duration("1ms"), 1ms);
  EXPECT_EQ(Duration("90s"), 90s);
  EXPECT_EQ(Duration("5m"), 5min);
  EXPECT_EQ(Duration("1h"), 1h);
  EXPECT_EQ(Duration("1d"), 24h);
  EXPECT_EQ(Duration("1w"), 168h);
}

TEST(ParseGoDurationTest, AddsTermsAndFractions) {
  EXPECT_EQ(Duration("1h30m"), 90min);
  EXPECT_EQ(Duration("1.5d"), 36h);
  EXPECT_EQ(Duration(".5s"), 500ms);
  EXPECT_EQ(Duration("1.s"), 1s);
  EXPECT_EQ(Duration("2m0.5s"), 2min + 500ms);
  EXPECT_EQ(Duration("+1s"), 1s);
  EXPECT_EQ(Duration("-1.5h"), -90min);
}

TEST(ParseGoDurationTest, AcceptsABareZeroAlone) {
  EXPECT_EQ(Duration("0"), 0ns);
  EXPECT_EQ(Duration("-0"), 0ns);
  EXPECT_EQ(DurationError("5"), "time: missing unit in duration \"5\"");
  EXPECT_EQ(DurationError("1h5"), "time: missing unit in duration \"1h5\"");
}

TEST(ParseGoDurationTest, NamesWhatIsWrong) {
  for (const std::string text : {"", "abc", "-", "s", ".s", "1s.", " 1s"}) {
    EXPECT_EQ(DurationError(text), "time: invalid duration \"" + text + "\"") << text;
  }
  EXPECT_EQ(DurationError("1..5s"), "time: missing unit in duration \"1..5s\"");
  EXPECT_EQ(DurationError("5x"), "time: unknown unit \"x\" in duration \"5x\"");
  EXPECT_EQ(DurationError("5s "), "time: unknown unit \"s \" in duration \"5s \"");
}

TEST(ParseGoDurationTest, StaysWithinSixtyThreeBits) {
  EXPECT_EQ(Duration("9223372036854775807ns"), std::chrono::nanoseconds::max());
  EXPECT_EQ(DurationError("9223372036854775808ns"),
            "time: invalid duration \"9223372036854775808ns\"");
  EXPECT_EQ(DurationError("99999999999999999999w"),
            "time: invalid duration \"99999999999999999999w\"");
  EXPECT_EQ(DurationError("15251w"), "time: invalid duration \"15251w\"");
  EXPECT_EQ(DurationError("15250w15250w"), "time: invalid duration \"15250w15250w\"");
}

std::string Path(std::string_view url) {
  const auto path = ParseUrlPath(url);
  return path ? *path : "error: " + path.error().message;
}

TEST(ParseUrlPathTest, FindsThePath) {
  EXPECT_EQ(Path(""), "");
  EXPECT_EQ(Path("http://h/pg/"), "/pg/");
  EXPECT_EQ(Path("http://h"), "");
  EXPECT_EQ(Path("http://user@h:9091/a%20b?x=/y#/z"), "/a b");
  EXPECT_EQ(Path("http://[::1]:9091/pg"), "/pg");
  EXPECT_EQ(Path("http://h:/pg"), "/pg");
  EXPECT_EQ(Path("h.example/pg"), "h.example/pg");
  EXPECT_EQ(Path("/pg"), "/pg");
  EXPECT_EQ(Path("//h/pg"), "/pg");
  EXPECT_EQ(Path("mailto:x"), "");
}

TEST(ParseUrlPathTest, RefusesWhatGoRefuses) {
  EXPECT_EQ(Path("%zz"), "error: parse \"%zz\": invalid URL escape \"%zz\"");
  EXPECT_EQ(Path("http://h/%4"), "error: parse \"http://h/%4\": invalid URL escape \"%4\"");
  EXPECT_EQ(Path(":9091"), "error: parse \":9091\": missing protocol scheme");
  EXPECT_EQ(Path("1a:b"), "error: parse \"1a:b\": first path segment in URL cannot contain colon");
  EXPECT_EQ(Path("http://h:9x/"), "error: parse \"http://h:9x/\": invalid port \":9x\" after host");
  EXPECT_EQ(Path("http://[::1]x"), "error: parse \"http://[::1]x\": invalid port \"x\" after host");
  EXPECT_EQ(Path("http://[::1/"), "error: parse \"http://[::1/\": missing ']' in host");
  EXPECT_EQ(Path("a\nb"), "error: parse \"a\\nb\": net/url: invalid control character in URL");
}

}  // namespace
}  // namespace pgw
