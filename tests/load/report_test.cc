#include "bench/load/report.h"

#include <gtest/gtest.h>

#include <string>

namespace pgw::load {
namespace {

TEST(HtmlReportTest, HoldsTheResultAndNothingThatEndsIt) {
  const std::string page = HtmlReport(R"({"name":"</script><b>"})");
  EXPECT_NE(page.find(R"({"name":"\u003c/script>\u003cb>"})"), std::string::npos);
  EXPECT_EQ(page.find("@RESULT@"), std::string::npos);
}

TEST(HtmlReportTest, NeedsNothingFromElsewhere) {
  const std::string page = HtmlReport("{}");
  for (const char* const part : {"src=", "<link", "@import", "url(", "https://", "fetch("}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace pgw::load
