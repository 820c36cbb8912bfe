#include "bench/load/response_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace pgw::load {
namespace {

struct Outcome {
  bool done = false;
  bool failed = false;
  int status = 0;
  bool keep_alive = false;
  std::string body;
  std::size_t rest = 0;  // bytes that were left

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Gives `bytes` in pieces of `piece` bytes, then, if asked, the end of the connection.
Outcome Parse(std::string_view bytes, std::size_t piece, bool close = false) {
  ResponseParser parser;
  Outcome outcome;
  while (!bytes.empty() && !parser.done() && !parser.failed()) {
    std::string_view some = bytes.substr(0, piece);
    while (!some.empty() && !parser.done() && !parser.failed()) {
      const ResponseParser::Step step = parser.Next(some);
      outcome.body += step.body;
      some.remove_prefix(step.consumed);
      bytes.remove_prefix(step.consumed);
    }
  }
  if (close) parser.Close();
  outcome.done = parser.done();
  outcome.failed = parser.failed();
  outcome.status = parser.status();
  outcome.keep_alive = parser.keep_alive();
  outcome.rest = bytes.size();
  return outcome;
}

TEST(ResponseParserTest, ReadsTheSameHoweverItIsCut) {
  const struct {
    std::string_view text;
    bool close;
    Outcome expected;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\n\r\n",
       false,
       {true, false, 200, true, "", 0}},
      {"HTTP/1.1 202 Accepted\r\ncontent-length:  5 \r\n\r\nhelloHTTP",
       false,
       {true, false, 202, true, "hello", 4}},
      {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, {true, false, 200, false, "ok", 0}},
      {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
       false,
       {true, false, 200, true, "", 0}},
      {"HTTP/1.1 400 Bad Request\r\nConnection: foo, close\r\nContent-Length: 3\r\n\r\nbad",
       false,
       {true, false, 400, false, "bad", 0}},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
       "chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n"
       "X: y\r\n\r\n!",
       false,
       {true, false, 200, true, "abc0123456789", 1}},
      {"HTTP/1.1 200 OK\r\n\r\nuntil the end", true, {true, false, 200, false, "until the end", 0}},
      {"HTTP/1.1 200 OK\n\nbare", true, {true, false, 200, false, "bare", 0}},
      {"HTTP/1.1 204 No Content\r\n\r\n", false, {true, false, 204, true, "", 0}},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
       false,
       {true, false, 200, true, "x", 0}},
  };
  for (const auto& [text, close, expected] : cases) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, text.size()}) {
      EXPECT_EQ(Parse(text, piece, close), expected) << text << " in pieces of " << piece;
    }
  }
}

TEST(ResponseParserTest, RefusesWhatIsNoResponse) {
  for (const std::string_view text : {
           "SSH-2.0-OpenSSH\r\n",
           "HTTP/2 200 OK\r\n",
           "HTTP/1.1 20 OK\r\n",
           "HTTP/1.1 2000 OK\r\n",
           "HTTP/1.1 099 Low\r\n",
           "HTTP/1.1 200 OK\r\nno colon\r\n",
           "HTTP/1.1 200 OK\r\n: no name\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
       }) {
    EXPECT_TRUE(Parse(text, 1).failed) << text;
    EXPECT_TRUE(Parse(text, text.size()).failed) << text;
  }
}

TEST(ResponseParserTest, BoundsTheHead) {
  std::string text = "HTTP/1.1 200 OK\r\n";
  while (text.size() <= ResponseParser::kHeadBytesMax)
    text += "X-Long: aaaaaaaaaaaaaaaaaaaaaaaa\r\n";
  EXPECT_TRUE(Parse(text, 4096).failed);
  // One line without an end, too.
  EXPECT_TRUE(
      Parse("HTTP/1.1 200 " + std::string(ResponseParser::kHeadBytesMax, 'a'), 1000).failed);
}

TEST(ResponseParserTest, ACutResponseIsNotDone) {
  EXPECT_FALSE(Parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 4, true).done);
  EXPECT_FALSE(Parse("HTTP/1.1 200 OK\r\nContent-Le", 4, true).done);
}

TEST(ResponseParserTest, StartsAnewAfterReset) {
  ResponseParser parser;
  const std::string_view first =
      "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(parser.Next(first).consumed, first.size());
  EXPECT_TRUE(parser.gzip());
  EXPECT_TRUE(parser.started());
  EXPECT_EQ(parser.Next("more").consumed, 0u);
  parser.Reset();
  EXPECT_FALSE(parser.started());
  const std::string_view second = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(parser.Next(second).consumed, second.size());
  EXPECT_TRUE(parser.done());
  EXPECT_EQ(parser.status(), 200);
  EXPECT_TRUE(parser.keep_alive());
  EXPECT_FALSE(parser.gzip());
}

}  // namespace
}  // namespace pgw::load
