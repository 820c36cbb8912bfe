#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <limits>
#include <string>

namespace pgw {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class FixedClock final : public Clock {
 public:
  // 2026-11-23T02:55:55.253999999Z
  Instant Now() const override { return {BootTime(1s), WallTime(1'795'402'555'253'999'999ns)}; }
};

// A logger whose lines can be read back.
class LogTest : public ::testing::Test {
 protected:
  LogTest() { EXPECT_EQ(pipe2(pipe_.data(), O_NONBLOCK), 0); }
  ~LogTest() override {
    close(pipe_[0]);
    close(pipe_[1]);
  }

  Logger Make(LogFormat format = LogFormat::kLogfmt, LogLevel level = LogLevel::kDebug) {
    return Logger(clock_, pipe_[1], level, format);
  }

  std::string Written() {
    std::array<char, 65536> buffer{};
    const ssize_t size = read(pipe_[0], buffer.data(), buffer.size());
    return size > 0 ? std::string(buffer.data(), static_cast<std::size_t>(size)) : std::string();
  }

  // What stands behind `key=` in the line that logging `value` gives.
  std::string Shown(std::string_view value) {
    Make().Info("m", {{"key", value}});
    const std::string line = Written();
    return line.substr(line.find(" key=") + 5, line.size() - line.find(" key=") - 6);
  }

  std::string ShownAsJson(std::string_view value) {
    Make(LogFormat::kJson).Info("m", {{"key", value}});
    const std::string line = Written();
    const std::size_t at = line.find("\"key\":") + 6;
    return line.substr(at, line.size() - at - 2);
  }

 private:
  FixedClock clock_;
  std::array<int, 2> pipe_{};
};

TEST_F(LogTest, WritesTimeLevelCallerMessageAndFieldsInThatOrder) {
  Make().Info("starting pushgateway", {{"version", std::string_view("(version=1)")},
                                       {"count", std::int64_t{-3}},
                                       {"http2", false}});
  EXPECT_THAT(Written(),
              MatchesRegex("ts=2026-11-23T02:55:55\\.253Z level=info caller=log_test\\.cc:[0-9]+ "
                           "msg=\"starting pushgateway\" version=\"\\(version=1\\)\" count=-3 "
                           "http2=false\n"));
}

TEST_F(LogTest, WritesTheSameKeysAsJson) {
  Make(LogFormat::kJson).Warn("a b", {{"n", std::int64_t{7}}, {"on", true}, {"x", 1.5}});
  EXPECT_THAT(Written(), MatchesRegex("\\{\"ts\":\"2026-11-23T02:55:55\\.253Z\",\"level\":\"warn\","
                                      "\"caller\":\"log_test\\.cc:[0-9]+\",\"msg\":\"a b\",\"n\":7,"
                                      "\"on\":true,\"x\":1\\.5\\}\n"));
}

TEST_F(LogTest, LeavesOutWhatIsBelowTheLevel) {
  Logger log = Make(LogFormat::kLogfmt, LogLevel::kWarn);
  log.Debug("d");
  log.Info("i");
  EXPECT_EQ(Written(), "");
  log.Warn("w");
  EXPECT_THAT(Written(), HasSubstr(" level=warn "));
  log.Error("e");
  EXPECT_THAT(Written(), HasSubstr(" level=error "));
}

TEST_F(LogTest, QuotesWhatWouldBeAmbiguous) {
  EXPECT_EQ(Shown("plain"), "plain");
  EXPECT_EQ(Shown(R"(back\slash)"), R"(back\slash)");
  EXPECT_EQ(Shown("[::]:9091"), "[::]:9091");
  EXPECT_EQ(Shown("Björn"), "Björn");
  EXPECT_EQ(Shown(""), R"("")");
  EXPECT_EQ(Shown("a b"), R"("a b")");
  EXPECT_EQ(Shown("a=b"), R"("a=b")");
  EXPECT_EQ(Shown("say \"x\\\""), R"("say \"x\\\"")");
}

TEST_F(LogTest, NeverBreaksALine) {
  EXPECT_EQ(Shown("a\nb\r\t\v\f\a\b"), R"("a\nb\r\t\v\f\a\b")");
  EXPECT_EQ(Shown(std::string_view("\0\x1b\x7f", 3)), R"("\x00\x1b\x7f")");
  EXPECT_EQ(Shown("\u0085"), R"("\u0085")");
  EXPECT_EQ(Shown("\u2028"), R"("\u2028")");
  EXPECT_EQ(Shown("\u202e"), R"("\u202e")");
  EXPECT_EQ(Shown("\U000e0001"), R"("\U000e0001")");
}

TEST_F(LogTest, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(Shown("\xff"), R"("\xff")");
  EXPECT_EQ(Shown("\xc0\xaf"), R"("\xc0\xaf")");          // overlong
  EXPECT_EQ(Shown("\xed\xa0\x80"), R"("\xed\xa0\x80")");  // surrogate
  EXPECT_EQ(Shown("x\xe2\x82"), R"("x\xe2\x82")");        // cut
  EXPECT_EQ(ShownAsJson("a\xff"), R"("a\ufffd")");
}

TEST_F(LogTest, EscapesJsonButNotHtml) {
  EXPECT_EQ(ShownAsJson("<&>\"\\\n\x01\u2028é"), "\"<&>\\\"\\\\\\n\\u0001\\u2028é\"");
}

TEST_F(LogTest, RenamesKeysOfTheLineItself) {
  Make().Info("m", {{"source", std::string_view("1.2.3.4:5")}, {"level", std::string_view("x")}});
  EXPECT_THAT(Written(), EndsWith(" logged_source=1.2.3.4:5 logged_level=x\n"));
}

TEST_F(LogTest, PrintsNumbersAndDurations) {
  Make().Info("m", {{"a", 0.1}, {"b", std::numeric_limits<double>::infinity()}, {"c", 90s}});
  EXPECT_THAT(Written(), EndsWith(" a=0.1 b=+Inf c=1m30s\n"));
  Make(LogFormat::kJson).Info("m", {{"b", -std::numeric_limits<double>::infinity()}, {"c", 5ms}});
  EXPECT_THAT(Written(), EndsWith(",\"b\":\"-Inf\",\"c\":\"5ms\"}\n"));
}

TEST_F(LogTest, SurvivesAClosedDescriptor) {
  const FixedClock clock;
  Logger log(clock, -1, LogLevel::kInfo, LogFormat::kLogfmt);
  log.Info("nobody hears this");
}

TEST(LogOptionsTest, ReadLevelsInAnyCaseAndFormatsInLowerCase) {
  EXPECT_EQ(ParseLogLevel("WaRn"), LogLevel::kWarn);
  EXPECT_EQ(ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(ParseLogLevel("warning"), std::nullopt);
  EXPECT_EQ(ParseLogLevel(""), std::nullopt);
  EXPECT_EQ(ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_EQ(ParseLogFormat("JSON"), std::nullopt);
}

TEST(FormatGoDurationTest, PrintsAsGoDoes) {
  EXPECT_EQ(FormatGoDuration(0ns), "0s");
  EXPECT_EQ(FormatGoDuration(1ns), "1ns");
  EXPECT_EQ(FormatGoDuration(1'100ns), "1.1µs");
  EXPECT_EQ(FormatGoDuration(500ms), "500ms");
  EXPECT_EQ(FormatGoDuration(2'200us), "2.2ms");
  EXPECT_EQ(FormatGoDuration(1'500ms), "1.5s");
  EXPECT_EQ(FormatGoDuration(2min), "2m0s");
  EXPECT_EQ(FormatGoDuration(1h), "1h0m0s");
  EXPECT_EQ(FormatGoDuration(24h), "24h0m0s");
  EXPECT_EQ(FormatGoDuration(4h + 5min + 6s + 1ns), "4h5m6.000000001s");
  EXPECT_EQ(FormatGoDuration(-90s), "-1m30s");
  EXPECT_EQ(FormatGoDuration(std::chrono::nanoseconds::max()), "2562047h47m16.854775807s");
  EXPECT_EQ(FormatGoDuration(std::chrono::nanoseconds::min()), "-2562047h47m16.854775808s");
}

}  // namespace
}  // namespace pgw
