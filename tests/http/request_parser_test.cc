#include "server/http/request_parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace pgw::http {
namespace {

using Progress = RequestParser::Progress;

TEST(RequestParserTest, GivesViewsIntoWhatWasReceived) {
  const std::string head = "PUT /a HTTP/1.1\r\nHost: h\r\nA:  b c \t\r\nEmpty:\r\n\r\n";
  RequestParser parser;
  ASSERT_EQ(parser.ParseHead(head + "body", 0), Progress::kDone);
  EXPECT_EQ(parser.head_bytes(), head.size());
  parser.MoveHead(head);
  EXPECT_EQ(parser.line().method.data(), head.data());
  ASSERT_EQ(parser.headers().size(), 3u);
  EXPECT_EQ(parser.headers()[1].name, "A");
  EXPECT_EQ(parser.headers()[1].value, "b c");
  EXPECT_EQ(parser.headers()[2].value, "");
  EXPECT_GE(parser.headers()[1].value.data(), head.data());
}

TEST(RequestParserTest, GoesOnWhereverTheBytesWereSplit) {
  const std::string head = "PUT /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX: y\r\n\r\n";
  for (std::size_t split = 0; split < head.size(); ++split) {
    RequestParser parser;
    // Two buffers, as if it had moved while it grew.
    const std::string first = head.substr(0, split);
    ASSERT_EQ(parser.ParseHead(first, 0), Progress::kNeedMore) << split;
    const std::string whole(head.begin(), head.end());
    ASSERT_EQ(parser.ParseHead(whole, 0), Progress::kDone) << split;
    EXPECT_EQ(parser.line().target, "/a?b");
    ASSERT_EQ(parser.headers().size(), 3u);
    EXPECT_EQ(parser.headers()[1].value, "5");
    EXPECT_EQ(parser.head_bytes(), head.size());
  }
}

TEST(RequestParserTest, TakesALineFeedAloneForALineEnd) {
  const std::string heads[] = {
      "PUT /a HTTP/1.0\nHost: h\nA:  b \t\n\n",
      "PUT /a HTTP/1.0\r\nHost: h\nA: b\r\n\n",
      "PUT /a HTTP/1.0\nHost: h\r\nA: b\n\r\n",
  };
  for (const std::string& head : heads) {
    for (std::size_t split = 0; split < head.size(); ++split) {
      RequestParser parser;
      ASSERT_EQ(parser.ParseHead(head.substr(0, split), 0), Progress::kNeedMore) << head << split;
      const std::string whole = head + "\nbody";
      ASSERT_EQ(parser.ParseHead(whole, 0), Progress::kDone) << head << split;
      EXPECT_EQ(parser.head_bytes(), head.size());
      parser.MoveHead(head);
      EXPECT_EQ(parser.line().target, "/a");
      EXPECT_EQ(parser.line().version_minor, 0);
      ASSERT_EQ(parser.headers().size(), 2u);
      EXPECT_EQ(parser.headers()[0].value, "h");
      EXPECT_EQ(parser.headers()[1].name, "A");
      EXPECT_EQ(parser.headers()[1].value, "b");
    }
  }
}

TEST(RequestParserTest, TakesOneCarriageReturnOffALineAndNoMore) {
  for (const char* head : {"GET / HTTP/1.1\r\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\r\n\r\n",
                           "GET / HTTP/1.1\n\r\r\n", "GET / HTTP/1.1\nA\r: b\n\n",
                           "GET / HTTP/1.1\nA: \rb\n\n", "GET / HTTP/1.1\r\n\rA: b\r\n\r\n"}) {
    RequestParser parser;
    EXPECT_EQ(parser.ParseHead(head, 0), Progress::kRefused) << head;
    EXPECT_EQ(parser.refusal().status, 400) << head;
  }
}

// How a head is refused when its first `split` bytes came first.
std::string RefusalOf(const std::string& head, std::size_t split, std::size_t bytes_max) {
  RequestParser parser;
  Progress progress = parser.ParseHead(head.substr(0, split), bytes_max);
  if (progress == Progress::kNeedMore) progress = parser.ParseHead(head, bytes_max);
  if (progress != Progress::kRefused) return "not refused";
  return std::to_string(parser.refusal().status) + std::string(parser.refusal().detail);
}

TEST(RequestParserTest, RefusesForTheSameReasonHoweverTheHeadWasSplit) {
  struct Case {
    std::string head;
    std::size_t bytes_max;
    std::string refusal;
  };
  const std::string start = "GET / HTTP/1.1\r\n";
  const Case cases[] = {
      // One byte above the limit, with nonsense before it, across it, and behind it.
      {start + "A B: c\r\nD: " + std::string(20, 'd'), 45, "400invalid header name"},
      {start + "A: b\r\nnonsense\x01", 30, "431"},
      {start + "A: b\r\nnonsense\x01\r\n\r\n", 30, "431"},
      {start + "A: b\r\nnonsense\x01\r\n\r\n", 33, "400"},
      {start + "A: b\r\n\r\n", 23, "431"},
      {start + "A: b\r\n continued\r\n\r\n", 25, "431"},
      {"GET nonsense" + std::string(20, 'x') + "\r\n", 33, "431"},
      {"GET nonsense" + std::string(20, 'x') + "\r\n", 34, "400"},
      {"GET / HTTP/3.0\r\nA B: c\r\n\r\n", 20, "505unsupported protocol version"},
      {"\x16\x03\x01" + std::string(20, 'x'), 10, "400"},
  };
  for (const Case& tested : cases) {
    for (std::size_t split = 0; split <= tested.head.size(); ++split) {
      EXPECT_EQ(RefusalOf(tested.head, split, tested.bytes_max), tested.refusal)
          << tested.head << " split at " << split;
    }
  }
}

TEST(RequestParserTest, StartsAnewAfterReset) {
  RequestParser parser;
  EXPECT_EQ(parser.ParseHead("nonsense\r\n", 0), Progress::kRefused);
  parser.Reset();
  EXPECT_EQ(parser.ParseHead("GET / HTTP/1.1\r\n\r\n", 0), Progress::kDone);
  EXPECT_TRUE(parser.headers().empty());
}

TEST(RequestParserTest, RefusesGarbageBeforeItsFirstLineEnds) {
  RequestParser parser;
  EXPECT_EQ(parser.ParseHead("\x16\x03\x01", 0), Progress::kRefused);
  EXPECT_EQ(parser.refusal().status, 400);
}

TEST(RequestParserTest, LimitsTheHeadAloneNotWhatFollows) {
  const std::string head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  RequestParser parser;
  EXPECT_EQ(parser.ParseHead(head + std::string(1000, 'x'), head.size()), Progress::kDone);
  parser.Reset();
  EXPECT_EQ(parser.ParseHead(head, head.size() - 1), Progress::kRefused);
  EXPECT_EQ(parser.refusal().status, 431);
  parser.Reset();
  EXPECT_EQ(parser.ParseHead("GET /aaaaaaaaa", 10), Progress::kRefused);
  EXPECT_EQ(parser.refusal().status, 431);
}

// Feeds a chunked body in pieces of `step` bytes; returns what was joined, or the status.
std::string Join(const std::string& chunks, std::size_t step, std::uint64_t bytes_max,
                 std::string* rest = nullptr) {
  RequestParser parser;
  const std::string head = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(parser.ParseHead(head, 0), Progress::kDone);
  ByteBuffer body;
  std::string pending;
  for (std::size_t at = 0; at < chunks.size(); at += step) {
    pending += chunks.substr(at, step);
    std::size_t consumed = 0;
    const Progress progress = parser.ParseChunks(pending, bytes_max, &body, consumed);
    pending.erase(0, consumed);
    if (progress == Progress::kRefused) return std::to_string(parser.refusal().status);
    if (progress == Progress::kDone) {
      if (rest != nullptr) *rest = pending + chunks.substr(std::min(chunks.size(), at + step));
      return std::string(body.view());
    }
  }
  return "incomplete";
}

TEST(ChunkParserTest, JoinsChunksWhereverTheyWereSplit) {
  const std::string chunks =
      "5\r\nhello\r\n1;a=b;c=\"d\\\"e\"\r\n \r\nA\r\n0123456789\r\n0;x\r\nT: v\r\n\r\nNEXT";
  for (std::size_t step = 1; step <= chunks.size(); ++step) {
    std::string rest;
    EXPECT_EQ(Join(chunks, step, 0, &rest), "hello 0123456789") << step;
    EXPECT_EQ(rest, "NEXT") << step;
  }
}

TEST(ChunkParserTest, RefusesAsSoonAsAChunkAnnouncesTooMuch) {
  EXPECT_EQ(Join("5\r\nhello\r\n0\r\n\r\n", 100, 5), "hello");
  EXPECT_EQ(Join("6\r\n", 100, 5), "413");
  EXPECT_EQ(Join("5\r\nhello\r\n1\r\n", 100, 5), "413");
  EXPECT_EQ(Join("5\r\nhello\r\nffffffffffffffff\r\n", 100, 5), "413");
  EXPECT_EQ(Join("5\r\nhello\r\n10000000000000005\r\n", 100, 5), "400");
}

TEST(ChunkParserTest, WaitsForTheEndOfTheTrailer) {
  EXPECT_EQ(Join("0\r\n", 100, 0), "incomplete");
  EXPECT_EQ(Join("0\r\nA: b\r\n", 100, 0), "incomplete");
  EXPECT_EQ(Join("0\r\n\r\n", 100, 0), "");
}

// Every way to split, down to single bytes, ends alike.
void ExpectJoined(const std::string& chunks, const std::string& outcome) {
  for (std::size_t step = 1; step <= chunks.size(); ++step) {
    EXPECT_EQ(Join(chunks, step, 1000), outcome) << chunks << " in steps of " << step;
  }
}

TEST(ChunkParserTest, RefusesLineEndsAndControlsInExtensions) {
  using namespace std::string_literals;
  const std::string rest = "\r\nabcd\r\n0\r\n\r\n";
  ExpectJoined("4;a=\"\n\"" + rest, "400");
  ExpectJoined("4;a=\"\r\"" + rest, "400");
  ExpectJoined("4;a=\"\r\n\"" + rest, "400");
  ExpectJoined("4;a=\"\0\""s + rest, "400");
  ExpectJoined("4;a=\"\\\n\"" + rest, "400");
  ExpectJoined("4;a=\n" + rest, "400");
  ExpectJoined("4;a\r" + rest, "400");
  ExpectJoined("4;\0"s + rest, "400");
  ExpectJoined("4;\x7f" + rest, "400");
  ExpectJoined("4;a=\"b\tc\";d = e" + rest, "abcd");
  ExpectJoined("0;a=\"\n\"\r\n\r\n", "400");
}

TEST(ChunkParserTest, RefusesAQuoteThatIsNotClosedOnItsLine) {
  ExpectJoined("4;a=\"\r\nabcd\r\n0\r\n\r\n", "400");
  ExpectJoined("4;a=\"\\\"\r\nabcd\r\n0\r\n\r\n\"", "400");
  ExpectJoined("0;\"\r\n\r\n", "400");
  ExpectJoined("4;a=\"\\\"\"\r\nabcd\r\n0\r\n\r\n", "abcd");
}

TEST(ChunkParserTest, RefusesLinesThatEndInALineFeedAtOnce) {
  EXPECT_EQ(Join("4\n", 100, 0), "400");
  EXPECT_EQ(Join("4;x\n", 100, 0), "400");
  EXPECT_EQ(Join("4\r\nabcd\n", 100, 0), "400");
  EXPECT_EQ(Join("0\n", 100, 0), "400");
  EXPECT_EQ(Join("0\r\n\n", 100, 0), "400");
  EXPECT_EQ(Join("0\r\nA: b\n", 100, 0), "400");
}

TEST(ChunkParserTest, TakesBlanksBehindTheSizeAlone) {
  const std::string rest = "\r\nabcd\r\n0\r\n\r\n";
  ExpectJoined("4 " + rest, "abcd");
  ExpectJoined("4\t " + rest, "abcd");
  ExpectJoined("4 ;x" + rest, "abcd");
  ExpectJoined("0004" + rest, "abcd");
  ExpectJoined(" 4" + rest, "400");
  ExpectJoined("4 4" + rest, "400");
  ExpectJoined("4 x" + rest, "400");
  ExpectJoined(";x" + rest, "400");
}

TEST(ChunkParserTest, RefusesTrailersThatCouldBeTakenForMore) {
  ExpectJoined("0\r\nA: b\r\nC:\r\n\r\n", "");
  ExpectJoined("0\r\nA: b\r\n c\r\n\r\n", "400");
  ExpectJoined("0\r\nA : b\r\n\r\n", "400");
  ExpectJoined("0\r\nA: b\rc\r\n\r\n", "400");
  ExpectJoined("0\r\ncontent-LENGTH: 1\r\n\r\n", "400");
  ExpectJoined("0\r\nTransfer-Encoding: x\r\n\r\n", "400");
}

TEST(ChunkParserTest, LimitsLinesAndTrailers) {
  const std::string line = "1;" + std::string(4092, 'x') + "\r\n";
  EXPECT_EQ(Join(line + "a\r\n0\r\n\r\n", 10'000, 0), "a");
  EXPECT_EQ(Join("1;x" + line.substr(2) + "a\r\n0\r\n\r\n", 10'000, 0), "400");
  const std::string trailer = "A: " + std::string(4089, 'x') + "\r\n\r\n";
  EXPECT_EQ(Join("0\r\n" + trailer, 10'000, 0), "");
  EXPECT_EQ(Join("0\r\nA" + trailer, 10'000, 0), "400");
  EXPECT_EQ(Join("1;" + std::string(20'000, 'x'), 100, 0), "400");
  EXPECT_EQ(Join("1;" + std::string(20'000, 'x') + "\r\na\r\n0\r\n\r\n", 50'000, 0), "400");
  EXPECT_EQ(Join("0\r\nA: " + std::string(20'000, 'x'), 100, 0), "400");
  EXPECT_EQ(Join("0\r\nA: " + std::string(20'000, 'x') + "\r\n\r\n", 50'000, 0), "400");
}

TEST(ByteBufferTest, GrowsWithWhatItHoldsAndNotBeyondTheEnd) {
  ByteBuffer buffer;
  EXPECT_TRUE(buffer.Append("", 1'000'000));
  EXPECT_EQ(buffer.capacity(), 0u);
  const std::string block(1000, 'x');
  for (std::size_t i = 1; i <= 100; ++i) {
    ASSERT_TRUE(buffer.Append(block, 100'000));
    EXPECT_EQ(buffer.size(), i * 1000);
    EXPECT_LE(buffer.capacity(), std::max<std::size_t>(1000, i * 1500));
  }
  EXPECT_EQ(buffer.capacity(), 100'000u);
  EXPECT_EQ(buffer.view(), std::string(100'000, 'x'));
}

TEST(ByteBufferTest, TakesWhatWasWrittenToItsRoom) {
  ByteBuffer buffer;
  ASSERT_TRUE(buffer.Append("abc"));
  char* const room = buffer.Room(100, 100);
  ASSERT_NE(room, nullptr);
  EXPECT_EQ(buffer.view(), "abc");
  std::fill_n(room, 97, 'x');
  buffer.Extend(2);
  EXPECT_EQ(buffer.view(), "abcxx");
  EXPECT_EQ(buffer.Room(10, 100), room + 2);  // it is there already
  ASSERT_TRUE(buffer.Append("d"));
  EXPECT_EQ(buffer.view(), "abcxxd");
}

}  // namespace
}  // namespace pgw::http
