#include "server/http/response_writer.h"

#include <gtest/gtest.h>

#include <string>

namespace pgw::http {
namespace {

std::string Head(const Response& response, const RequestLine& line, bool keep_alive) {
  std::string out;
  AppendResponseHead(out, response, PlanResponse(response, line, keep_alive), line.version_minor,
                     "now");
  return out;
}

TEST(ResponseWriterTest, SaysCloseTo11AndKeepAliveTo10) {
  const Response response;
  EXPECT_EQ(Head(response, {"GET", "/", 1}, true),
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(Head(response, {"GET", "/", 1}, false),
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(Head(response, {"GET", "/", 0}, true),
            "HTTP/1.0 200 OK\r\nDate: now\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST(ResponseWriterTest, NamesUnknownCodesAsGo) {
  Response response;
  response.status = 299;
  EXPECT_TRUE(
      Head(response, {"GET", "/", 1}, true).starts_with("HTTP/1.1 299 status code 299\r\n"));
}

TEST(ResponseWriterTest, CloseOfTheResponseWins) {
  Response response;
  response.close = true;
  EXPECT_FALSE(PlanResponse(response, {"GET", "/", 1}, true).keep_alive);
}

TEST(ResponseWriterTest, RepeatsTheStatusLineOfARefusal) {
  std::string out;
  AppendRefusal(out, {400, "why", {}});
  EXPECT_EQ(out,
            "HTTP/1.1 400 Bad Request: why\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Connection: close\r\n\r\n400 Bad Request: why");
}

TEST(ResponseWriterTest, WritesChunkHeadsInHex) {
  std::string out;
  AppendChunkHead(out, 0);
  AppendChunkHead(out, 255);
  AppendChunkHead(out, 1u << 20);
  EXPECT_EQ(out, "0\r\nff\r\n100000\r\n");
}

TEST(HttpDateTest, IsRfc1123InGmt) {
  EXPECT_EQ(HttpDate(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(HttpDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(HttpDate(1709210096), "Thu, 29 Feb 2024 12:34:56 GMT");
}

}  // namespace
}  // namespace pgw::http
