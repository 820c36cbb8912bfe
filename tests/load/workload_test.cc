#include "bench/load/workload.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "bench/load/scrape_scanner.h"

namespace pgw::load {
namespace {

RequestTarget Target() {
  RequestTarget target;
  target.host = "h:1";
  target.prefix = "/p";
  target.method = "POST";
  target.tag = "abcd-";
  return target;
}

TEST(WorkloadTest, WritesGroupAndNumberIntoTheirPlaces) {
  const RequestTemplate form = SyntheticTemplate(Target(), 3, 2);
  EXPECT_EQ(form.series, 3u);
  RequestBuffer buffer;
  EXPECT_EQ(buffer.Render(form, 123, 45),
            "POST /p/metrics/job/pgw_load/pgw_group/abcd-0000123 HTTP/1.1\r\n"
            "Host: h:1\r\nContent-Length: 83\r\n\r\n"
            "pgw_load{n=\"0\"}         45\n"
            "pgw_load{n=\"2\"}         45\n"
            "pgw_load_1{n=\"1\"}         45\n");
  // A shorter number leaves nothing of a longer one.
  const std::string_view again = buffer.Render(form, 7, 6);
  EXPECT_NE(again.find("abcd-0000007 "), std::string_view::npos);
  EXPECT_NE(again.find("{n=\"1\"}          6\n"), std::string_view::npos);
}

TEST(WorkloadTest, AsksForTheCloseOfConnectionsThatAreUsedOnce) {
  RequestTarget target = Target();
  target.close = true;
  EXPECT_NE(SyntheticTemplate(target, 1, 1).bytes.find("Connection: close\r\n"), std::string::npos);
}

std::string BodyOf(std::string_view request) {
  return std::string(request.substr(request.find("\r\n\r\n") + 4));
}

TEST(WorkloadTest, ReplaysAPayloadWithValuesThatMove) {
  constexpr std::string_view kText =
      "# HELP a b 5\n"
      "a 5\n"
      "a{x=\"1 2\\\"}\"} 0.19 1700000000000\n"
      "a {y=\"z\"}\t1e+06\n"
      "\n"
      "a{z=\"\"} NaN";
  const Result<RequestTemplate> form = ReplayTemplate(Target(), "f.prom", kText, true);
  ASSERT_TRUE(form);
  EXPECT_EQ(form->series, 1u);
  RequestBuffer buffer;
  EXPECT_EQ(BodyOf(buffer.Render(*form, 1, 1)),
            "# HELP a b 5\na 6\na{x=\"1 2\\\"}\"} 0.10\na {y=\"z\"}\t2e+06\na{z=\"\"} NaN\n"
            "pgw_load          1\n");
  EXPECT_EQ(BodyOf(buffer.Render(*form, 1, 12)),
            "# HELP a b 5\na 7\na{x=\"1 2\\\"}\"} 0.11\na {y=\"z\"}\t3e+06\na{z=\"\"} NaN\n"
            "pgw_load         12\n");
  const Result<RequestTemplate> kept = ReplayTemplate(Target(), "f.prom", "a 5\n", false);
  ASSERT_TRUE(kept);
  EXPECT_EQ(BodyOf(buffer.Render(*kept, 1, 3)), "a 5\npgw_load          3\n");
}

TEST(WorkloadTest, SaysWhichLineOfAPayloadIsWrong) {
  const Result<RequestTemplate> nothing = ReplayTemplate(Target(), "f", "# only\n", true);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().message, "f: has no samples");
  const Result<RequestTemplate> broken = ReplayTemplate(Target(), "f", "a 1\nb\n", true);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().message, "f line 2: expected a sample, a comment or nothing");
  EXPECT_FALSE(ReplayTemplate(Target(), "f", "a{x=\"1 2\n", true));
}

TEST(WorkloadTest, ABufferChangesItsTemplate) {
  const RequestTemplate one = SyntheticTemplate(Target(), 1, 1);
  const RequestTemplate two = SyntheticTemplate(Target(), 2, 1);
  RequestBuffer buffer;
  const std::string first(buffer.Render(one, 1, 1));
  buffer.Render(two, 1, 1);
  EXPECT_EQ(buffer.Render(one, 1, 1), first);
}

}  // namespace
}  // namespace pgw::load
