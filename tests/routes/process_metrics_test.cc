#include "server/routes/process_metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace pgw {
namespace {

TEST(ParseProcStatTest, FindsFieldsBehindAnyProgramName) {
  const auto stat = ParseProcStat(
      "42 (push) gate way) S 1 42 42 0 -1 4194560 900 0 0 0 17 5 0 0 20 0 4 0 123456 92188672 1361 "
      "18446744073709551615 1 1 0\n");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->user_ticks, 17u);
  EXPECT_EQ(stat->system_ticks, 5u);
  EXPECT_EQ(stat->start_ticks, 123456u);
  EXPECT_EQ(stat->virtual_bytes, 92188672u);
  EXPECT_EQ(stat->resident_pages, 1361u);
}

TEST(ParseProcStatTest, RefusesWhatIsCutShort) {
  EXPECT_FALSE(ParseProcStat(""));
  EXPECT_FALSE(ParseProcStat("42 (x"));
  EXPECT_FALSE(ParseProcStat("42 (x) S 1 42"));
  EXPECT_FALSE(ParseProcStat("42 (x) S 1 2 3 0 -1 0 0 0 0 0 many 5 0 0 20 0 4 0 1 2 3"));
}

TEST(ParseNetstatTest, FindsTheColumnOfASection) {
  constexpr std::string_view kText =
      "TcpExt: SyncookiesSent InOctets\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets OutOctets\n"
      "IpExt: 0 748514742 482347963\n";
  EXPECT_EQ(ParseNetstat(kText, "IpExt:", "InOctets"), 748514742u);
  EXPECT_EQ(ParseNetstat(kText, "IpExt:", "OutOctets"), 482347963u);
  EXPECT_EQ(ParseNetstat(kText, "TcpExt:", "InOctets"), 2u);
  EXPECT_EQ(ParseNetstat(kText, "IpExt:", "Missing"), std::nullopt);
  EXPECT_EQ(ParseNetstat("IpExt: InOctets\n", "IpExt:", "InOctets"), std::nullopt);
  EXPECT_EQ(ParseNetstat("", "IpExt:", "InOctets"), std::nullopt);
}

// Emulators make up a /proc/self/stat in which both sizes are 0. Read without the parser under
// test.
bool ProcKnowsMemorySizes() {
  std::ifstream file("/proc/self/stat");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::istringstream behind_name(text.substr(text.rfind(')') + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) behind_name >> field;
  return behind_name >> field && field != "0";
}

TEST(ReadProcessTest, KnowsThisProcess) {
  const ProcessReading reading = ReadProcess();
  EXPECT_GE(reading.open_fds.value_or(-1), 1);
  EXPECT_GE(reading.max_fds.value_or(0), reading.open_fds.value_or(0));
  EXPECT_GE(reading.cpu_seconds.value_or(-1), 0);
  EXPECT_GT(reading.start_time_seconds.value_or(0), 1.5e9);
}

TEST(ReadProcessTest, KnowsThisProcessesMemory) {
  if (!ProcKnowsMemorySizes()) GTEST_SKIP() << "/proc/self/stat has no memory sizes here";
  const ProcessReading reading = ReadProcess();
  EXPECT_GT(reading.resident_bytes.value_or(0), 100'000);
  EXPECT_GT(reading.virtual_bytes.value_or(0), reading.resident_bytes.value_or(0));
}

}  // namespace
}  // namespace pgw
