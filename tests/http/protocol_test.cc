// The protocol table of docs/http.md, row by row, over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/http/test_server.h"

namespace pgw::http::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kBare =
    "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n";

std::string BareAnswer(std::string_view line, std::string_view body = "") {
  return "HTTP/1.1 " + std::string(line) + std::string(kBare) +
         std::string(body.empty() ? line : body);
}

// A request that must be refused, as the only answer on its connection, whatever follows it.
struct Refused {
  const char* name;
  std::string_view request;
  std::string answer;
};

std::ostream& operator<<(std::ostream& out, const Refused& refused) { return out << refused.name; }

std::string NameOf(const ::testing::TestParamInfo<Refused>& tested) { return tested.param.name; }

class RefusedRequestTest : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedRequestTest, GetsOneAnswerAndTheConnectionCloses) {
  TestServer server;
  const std::string answer = server.Exchange(std::string(GetParam().request) +
                                             "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(WithoutDate(answer), GetParam().answer);
  EXPECT_THAT(server.handler().seen(), IsEmpty());
}

using namespace std::string_view_literals;

const std::string k400 = BareAnswer("400 Bad Request");
const std::string k501 = BareAnswer("501 Not Implemented", "Unsupported transfer encoding");
const std::string k505 = BareAnswer("505 HTTP Version Not Supported: unsupported protocol version");

INSTANTIATE_TEST_SUITE_P(
    RequestLine, RefusedRequestTest,
    ::testing::Values(
        Refused{"NoTarget", "GET HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"NoVersion", "GET /\r\nHost: h\r\n\r\n", k400},
        Refused{"EmptyLine", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"MethodIsNoToken", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"TwoSpaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"RawSpaceInPath", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"TabInPath", "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"NulInPath", "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"sv, k400},
        Refused{"DelInPath", "GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"BadEscape", "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"HalfEscape", "GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"HalfEscapeBeforeQuery", "GET /%4?1 HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"RelativeTarget", "GET metrics HTTP/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"LowerCaseVersion", "GET / http/1.1\r\nHost: h\r\n\r\n", k400},
        Refused{"LongVersion", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", k400},
        Refused{"TlsHandshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"sv, k400},
        Refused{"Version2", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", k505},
        Refused{"Version09", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", k505},
        Refused{"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", k505}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Headers, RefusedRequestTest,
    ::testing::Values(
        Refused{"MissingHost", "GET / HTTP/1.1\r\n\r\n",
                BareAnswer("400 Bad Request: missing required Host header")},
        Refused{"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", k400},
        Refused{"MalformedHost", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
                BareAnswer("400 Bad Request: malformed Host header")},
        Refused{"SpaceBeforeColon", "GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
                BareAnswer("400 Bad Request: invalid header name")},
        Refused{"NoColon", "GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n", k400},
        Refused{"EmptyName", "GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n", k400},
        Refused{"NulInName", "GET / HTTP/1.1\r\nHost: h\r\nA\0: b\r\n\r\n"sv, k400},
        Refused{"NulInValue", "GET / HTTP/1.1\r\nHost: h\r\nA: b\0\r\n\r\n"sv, k400},
        Refused{"CarriageReturnInValue", "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", k400},
        Refused{"TwoCarriageReturns", "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", k400},
        Refused{"FoldBehindALineFeed", "GET / HTTP/1.1\nHost: h\nA: b\n c\n\n", k400},
        Refused{"FoldedValue", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", k400},
        Refused{"FoldedEmptyValue", "GET / HTTP/1.1\r\nHost: h\r\nA:\r\n c\r\n\r\n", k400},
        Refused{"FoldedLength", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n 5\r\n\r\nhello",
                k400},
        Refused{"FirstLineFolded", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", k400}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Framing, RefusedRequestTest,
    ::testing::Values(
        Refused{"NegativeLength", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", k400},
        Refused{"SignedLength", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello",
                k400},
        Refused{"SpacedLength", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 1\r\n\r\nhello",
                k400},
        Refused{"ListLength", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello",
                k400},
        Refused{"EmptyLength", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", k400},
        Refused{"HexLength", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello",
                k400},
        Refused{"OverflowingLength",
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
                k400},
        Refused{"NegativeAsUnsigned",
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\nhello",
                k400},
        Refused{"ConflictingLengths",
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                k400},
        Refused{"LengthsOfDifferentSpelling",
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: "
                "05\r\n\r\nhello",
                k400},
        Refused{"LengthThenChunked",
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: "
                "chunked\r\n\r\n0\r\n\r\n",
                k400},
        Refused{"ChunkedThenLength",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: "
                "5\r\n\r\n0\r\n\r\n",
                k400},
        Refused{"Gzip", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", k501},
        Refused{"Identity", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n",
                k501},
        Refused{"GzipChunked",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                k501},
        Refused{"ChunkedGzip",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
                k501},
        Refused{"ChunkedChunked",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"
                "0\r\n\r\n",
                k501},
        Refused{"ChunkedTwice",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
                "chunked\r\n\r\n0\r\n\r\n",
                k501},
        Refused{"ChunkedThenGzip",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
                "gzip\r\n\r\n0\r\n\r\n",
                k501},
        Refused{"GzipThenChunked",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: "
                "chunked\r\n\r\n0\r\n\r\n",
                k501},
        Refused{"EmptyEncoding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", k501},
        Refused{"QuotedEncoding",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
                k501},
        Refused{"VerticalTabEncoding",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n",
                k400},
        Refused{"EncodingNameWithSpace",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
                BareAnswer("400 Bad Request: invalid header name")},
        Refused{"ChunkedInVersion10",
                "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", k400}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Chunks, RefusedRequestTest, ::testing::ValuesIn([] {
      std::vector<Refused> cases;
      static const std::pair<const char*, std::string> kBodies[] = {
          {"SizeIsNoNumber", "g\r\n"},
          {"SizeMissing", "\r\n0\r\n\r\n"},
          {"SizeSigned", "+1\r\na\r\n0\r\n\r\n"},
          {"SizeNegative", "-1\r\na\r\n0\r\n\r\n"},
          {"SizePrefixed", "0x1\r\na\r\n0\r\n\r\n"},
          {"SizeWithLeadingSpace", " 1\r\na\r\n0\r\n\r\n"},
          {"SizeOverflows", "10000000000000000\r\na\r\n0\r\n\r\n"},
          {"SizeOverflowsFar", "fffffffffffffffffffffffff\r\na\r\n0\r\n\r\n"},
          {"SizeLineWithBareLineFeed", "1\na\r\n0\r\n\r\n"},
          {"DataTooLong", "1\r\nab\r\n0\r\n\r\n"},
          {"DataEndsInLineFeed", "1\r\na\n0\r\n\r\n"},
          {"ExtensionWithQuotedLineFeed", "4;a=\"\n\"\r\nabcd\r\n0\r\n\r\n"},
          {"ExtensionWithQuotedLineEnd", "4;a=\"\r\n\"\r\nabcd\r\n0\r\n\r\n"},
          {"ExtensionWithoutClosingQuote", "4;a=\"\r\nabcd\r\n0\r\n\r\n"},
          {"LinesThatEndInLineFeeds", "1\na\n0\n\n"},
          {"TrailerWithLineFeed", "1\r\na\r\n0\r\nA: b\n\r\n"},
          {"TrailerEndsInLineFeed", "1\r\na\r\n0\r\n\n"},
          {"TrailerFolded", "1\r\na\r\n0\r\nA: b\r\n c\r\n\r\n"},
          {"ExtensionWithNul", std::string("1;a=\0\r\na\r\n0\r\n\r\n"sv)},
          {"TrailerWithLength", "1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n"},
          {"TrailerWithEncoding", "1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"},
          {"TrailerMalformed", "1\r\na\r\n0\r\nno colon\r\n\r\n"},
          {"EndlessExtension", "1;a=" + std::string(20'000, 'x')},
          {"EndlessTrailer", "0\r\nA: " + std::string(20'000, 'x')},
      };
      for (const auto& [name, body] : kBodies) {
        static std::vector<std::string> requests(100);
        std::string& request = requests[cases.size()];
        request = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
        cases.push_back({name, request, k400});
      }
      return cases;
    }()),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Answered, RefusedRequestTest,
    ::testing::Values(
        Refused{"OtherExpectation", "GET / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n",
                "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: "
                "close\r\n\r\n"},
        Refused{"GetAsterisk", "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
        Refused{"Connect", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
                "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "X-Content-Type-Options: nosniff\r\nContent-Length: 19\r\nConnection: "
                "close\r\n\r\n404 page not found\n"}),
    NameOf);

// ---- What is accepted ----

TEST(ProtocolTest, AnswersAnEmptyBodyWithLengthAndDateAlone) {
  TestServer server;
  Client client = server.Connect();
  client.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string answer = client.ReadResponse();
  EXPECT_TRUE(HasDate(answer));
  EXPECT_EQ(WithoutDate(answer), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST(ProtocolTest, OmitsDateAndLengthFromARefusal) {
  TestServer server;
  const std::string answer = server.Exchange("nonsense\r\n\r\n");
  EXPECT_FALSE(HasDate(answer));
  EXPECT_EQ(answer, k400);
}

TEST(ProtocolTest, RefusesAnOversizedHeaderBlock) {
  TestServer server;
  const std::string answer =
      server.Exchange("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(70'000, 'a') + "\r\n\r\n");
  EXPECT_EQ(answer, BareAnswer("431 Request Header Fields Too Large"));
}

TEST(ProtocolTest, RefusesAnEndlessRequestLine) {
  TestServer server;
  EXPECT_EQ(server.Exchange("GET /" + std::string(70'000, 'a')),
            BareAnswer("431 Request Header Fields Too Large"));
}

TEST(ProtocolTest, AcceptsAHeaderBlockOfExactlyTheLimit) {
  ServerOptions options;
  options.limits.header_bytes_max = 1000;
  TestServer server(options);
  std::string head = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nA: ";
  head += std::string(1000 - head.size() - 4, 'a') + "\r\n\r\n";
  EXPECT_THAT(server.Exchange(head), StartsWith("HTTP/1.1 200 OK"));
  head.insert(head.size() - 4, "a");
  EXPECT_THAT(server.Exchange(head), StartsWith("HTTP/1.1 431 "));
}

TEST(ProtocolTest, TakesAnySizeOfHeaderWithoutALimit) {
  ServerOptions options;
  options.limits.header_bytes_max = 0;
  TestServer server(options);
  EXPECT_THAT(server.Exchange("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nA: " +
                              std::string(300'000, 'a') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 200 OK"));
}

TEST(ProtocolTest, AnswersHttp10AsHttp10AndCloses) {
  TestServer server;
  EXPECT_EQ(WithoutDate(server.Exchange("GET / HTTP/1.0\r\n\r\n")),
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST(ProtocolTest, KeepsHttp10OpenIfAsked) {
  TestServer server;
  Client client = server.Connect();
  client.Send("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(WithoutDate(client.ReadResponse()),
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  client.Send("GET /2 HTTP/1.0\r\n\r\n");
  EXPECT_EQ(WithoutDate(client.ReadToEnd()), "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST(ProtocolTest, TakesALaterMinorVersionFor11) {
  TestServer server;
  Client client = server.Connect();
  client.Send("GET / HTTP/1.7\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
}

TEST(ProtocolTest, ClosesWhenAsked) {
  TestServer server;
  EXPECT_EQ(
      WithoutDate(server.Exchange("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n")),
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(ProtocolTest, AnswersPipelinedRequestsInOrder) {
  TestServer server;
  std::string requests;
  for (int i = 0; i < 100; ++i) {
    const std::string body = "body " + std::to_string(i);
    requests += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n";
    if (i % 3 == 0) {
      requests += "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n" +
                  std::string(i < 10 ? "2" : "3") + "\r\n" + body.substr(4) + "\r\n0\r\n\r\n";
    } else {
      requests += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
  }
  requests += "GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  const std::string answers = server.Exchange(requests);
  EXPECT_EQ(Count(answers, "HTTP/1.1 200 OK\r\n"), 101u);
  std::size_t at = 0;
  for (int i = 0; i < 100; ++i) {
    at = answers.find("body " + std::to_string(i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST(ProtocolTest, GivesTheSameAnswersByteByByte) {
  const std::string requests =
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
      "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;x=\"y\"\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"
      "\r\n"
      "GET /c?d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  TestServer server;
  const std::string at_once = WithoutDate(WithoutDate(WithoutDate(server.Exchange(requests))));
  Client client = server.Connect();
  for (const char byte : requests) ASSERT_TRUE(client.Send({&byte, 1}));
  EXPECT_EQ(WithoutDate(WithoutDate(WithoutDate(client.ReadToEnd()))), at_once);
  EXPECT_THAT(server.handler().bodies(), ElementsAre("hello", "abcde", "", "hello", "abcde", ""));
}

// The first part of a long body passes through the thread's buffer, the rest is read in place.
TEST(ProtocolTest, PutsALongBodyTogetherAndGoesOnBehindIt) {
  TestServer server;
  server.handler().on_request = [](const Request&) { return Response(); };
  std::string body;
  for (int i = 0; body.size() < 700'000; ++i) body += std::to_string(i) + " ";
  const std::string request =
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
      body + "GET /behind HTTP/1.1\r\nHost: h\r\n\r\n";
  for (const std::size_t piece : {std::size_t{10'000}, std::size_t{100'001}, request.size()}) {
    Client client = server.Connect();
    for (std::size_t at = 0; at < request.size(); at += piece) {
      ASSERT_TRUE(client.Send(std::string_view(request).substr(at, piece)));
    }
    client.ReadResponse();
    client.ReadResponse();
    const std::vector<Seen> seen = server.handler().seen();
    ASSERT_GE(seen.size(), 2u);
    EXPECT_EQ(seen[seen.size() - 2].body, body);
    EXPECT_EQ(seen.back().target, "/behind");
  }
}

TEST(ProtocolTest, TakesABodyForABodyWhateverTheMethod) {
  TestServer server;
  const std::string answers = server.Exchange(
      "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /"
      "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(Count(answers, "HTTP/1.1 200 OK"), 2u);
  const std::vector<Seen> seen = server.handler().seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].body, "GET /");
  EXPECT_EQ(seen[1].target, "/b");
}

TEST(ProtocolTest, AcceptsARepeatedEqualLength) {
  TestServer server;
  EXPECT_THAT(server.Exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: "
                              "5\r\nConnection: close\r\n\r\nhello"),
              HasSubstr("\r\n\r\nhello"));
}

TEST(ProtocolTest, TakesLinesThatEndInALineFeed) {
  TestServer server;
  EXPECT_EQ(BodyOf(server.Exchange("POST /a HTTP/1.0\nContent-Length: 6\n\na_g 1\n")), "a_g 1\n");
  const std::string answers = server.Exchange(
      "POST /b HTTP/1.1\nHost: h\r\nContent-Length: 5\n\nhello"
      "POST /c HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n2\r\nhi\r\n0\r\n\r\n"
      "GET /d HTTP/1.1\nHost: h\nConnection: close\n\r\nGET /e HTTP/1.1\nHost: h\n\n");
  EXPECT_EQ(Count(answers, "HTTP/1.1 200 OK"), 3u);
  EXPECT_THAT(server.handler().bodies(), ElementsAre("a_g 1\n", "hello", "hi", ""));
}

TEST(ProtocolTest, IgnoresAConnectionHeaderThatIsNoListOfTokens) {
  TestServer server;
  const std::string answers = server.Exchange(
      "GET /a HTTP/1.1\r\nHost: h\r\nConnection: @ (close), x y\r\nProxy-Connection: ;\r\n\r\n"
      "GET /b HTTP/1.1\r\nHost: h\r\nConnection: , \"x\", CLOSE\r\n\r\n"
      "GET /c HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(Count(answers, "HTTP/1.1 200 OK"), 2u);
}

TEST(ProtocolTest, JoinsChunksAndDropsExtensionsAndTrailers) {
  TestServer server;
  const std::string answer = server.Exchange(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n"
      "5;name=value;other=\"quoted; \\\" text\"\r\nhello\r\n"
      "0000000000000006 ;x\r\n world\r\n"
      "000\r\nTrailer: value\r\nHost: other\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(BodyOf(answer), "hello world");
  const std::vector<Seen> seen = server.handler().seen();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].host, "h");
  EXPECT_EQ(seen[0].content_length, std::nullopt);
  EXPECT_TRUE(seen[0].has_body);
}

TEST(ProtocolTest, RefusesChunksThatAreMostlyExtensions) {
  TestServer server;
  std::string body;
  for (int i = 0; i < 100; ++i) body += "1;x=" + std::string(1000, 'x') + "\r\na\r\n";
  EXPECT_EQ(server.Exchange("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
                            body + "0\r\n\r\n"),
            k400);
  EXPECT_THAT(server.handler().seen(), IsEmpty());
}

TEST(ProtocolTest, ForgivesALineEndBehindAPost) {
  TestServer server;
  const std::string answers = server.Exchange(
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi\r\n"
      "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(Count(answers, "HTTP/1.1 200 OK"), 2u);
}

TEST(ProtocolTest, CutsAbsoluteTargetsDownToPathAndQuery) {
  TestServer server;
  Client client = server.Connect();
  for (const char* target : {"http://h/p", "http://h:80/p?q=%zz", "HTTPS://u:p@h2", "http://h3?a=b",
                             "/p%2Fq", "//x//y", "/\xff\xfe"}) {
    client.Send("GET " + std::string(target) + " HTTP/1.1\r\nHost: header\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 OK")) << target;
  }
  std::vector<std::pair<std::string, std::string>> got;
  for (const Seen& seen : server.handler().seen()) got.emplace_back(seen.target, seen.host);
  using P = std::pair<std::string, std::string>;
  EXPECT_THAT(got,
              ElementsAre(P("/p", "h"), P("/p?q=%zz", "h:80"), P("/", "h2"), P("/?a=b", "h3"),
                          P("/p%2Fq", "header"), P("//x//y", "header"), P("/\xff\xfe", "header")));
}

TEST(ProtocolTest, AnswersServerOptions) {
  TestServer server;
  Client client = server.Connect();
  client.Send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(WithoutDate(client.ReadResponse()), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(server.handler().seen(), IsEmpty());
}

TEST(ProtocolTest, AnswersHeadWithHeadersOnly) {
  TestServer server;
  server.handler().on_request = [](const Request&) {
    Response response;
    response.body = "a body";
    return response;
  };
  Client client = server.Connect();
  client.Send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(WithoutDate(client.ReadUntil("\r\n\r\n")),
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 OK"));
}

TEST(ProtocolTest, SendsNoBodyWith204And304) {
  TestServer server;
  server.handler().on_request = [](const Request& request) {
    Response response;
    response.status = request.target == "/204" ? 204 : 304;
    response.body = "never sent";
    return response;
  };
  Client client = server.Connect();
  client.Send("GET /204 HTTP/1.1\r\nHost: h\r\n\r\nGET /304 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(WithoutDate(client.ReadUntil("\r\n\r\n")), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(WithoutDate(client.ReadUntil("\r\n\r\n")), "HTTP/1.1 304 Not Modified\r\n\r\n");
}

TEST(ProtocolTest, KeepsEchoedTextFromAddingHeaders) {
  TestServer server;
  server.handler().on_request = [](const Request&) {
    Response response;
    response.headers = {{"Location", "/a\r\nSet-Cookie: x"}};
    return response;
  };
  Client client = server.Connect();
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), HasSubstr("\r\nLocation: /a  Set-Cookie: x\r\n"));
}

TEST(ProtocolTest, AnswersAThrowingHandlerWith500) {
  TestServer server;
  server.handler().on_request = [](const Request&) -> Response { throw std::runtime_error("no"); };
  Client client = server.Connect();
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 500 Internal Server Error"));
}

TEST(ProtocolTest, AnswersAHandlerWithoutMemoryWith503) {
  TestServer server;
  server.handler().on_request = [](const Request&) -> Response { throw std::bad_alloc(); };
  const std::string answer = server.Exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nout of memory\n"));
}

// ---- Expect: 100-continue ----

TEST(ExpectContinueTest, SendsTheInterimAnswerWhenTheBodyIsWanted) {
  TestServer server;
  Client client = server.Connect();
  client.Send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hello");
  EXPECT_THAT(client.ReadResponse(), HasSubstr("\r\n\r\nhello"));
}

TEST(ExpectContinueTest, SendsTheFinalAnswerAloneWhenTheBodyIsNotWanted) {
  TestServer server;
  server.handler().on_header = [](const Request&) {
    return Response::PlainError(404, "404 page not found");
  };
  const std::string answer = server.Exchange(
      "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 Not Found"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
}

TEST(ExpectContinueTest, SendsNoInterimAnswerWithoutBodyOrToHttp10) {
  TestServer server;
  EXPECT_THAT(
      server.Exchange("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: "
                      "0\r\nConnection: close\r\n\r\n"),
      StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(
      server.Exchange("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"),
      StartsWith("HTTP/1.0 200 OK"));
}

// ---- Answers before the body ----

TEST(EarlyAnswerTest, SkipsAShortBodyAndKeepsTheConnection) {
  TestServer server;
  server.handler().on_header = [](const Request& request) -> std::optional<Response> {
    if (request.target == "/end") return std::nullopt;
    EXPECT_TRUE(request.body.empty() || request.target == "/1");
    return Response::PlainError(404, "404 page not found");
  };
  Client client = server.Connect();
  // Whole in one piece, in two pieces, chunked.
  client.Send("PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 404"));
  client.Send("PUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\nGET / HTTP/1.1\r\n");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 404"));
  client.Send(std::string(200'000 - 16, 'x'));
  client.Send("PUT /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 404"));
  client.Send("llo\r\n0\r\n\r\nGET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 200 OK"));
  ASSERT_EQ(server.handler().seen().size(), 1u);
}

TEST(EarlyAnswerTest, ClosesInsteadOfReadingALongBody) {
  TestServer server;
  server.handler().on_header = [](const Request&) {
    return Response::PlainError(404, "404 page not found");
  };
  Client client = server.Connect();
  client.Send("PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n");
  // Sends on, as clients do that read afterwards; the answer survives that.
  client.Send(std::string(300'000, 'x'));
  const std::string answer = client.ReadToEnd();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(Count(answer, "HTTP/1.1"), 1u);
}

TEST(EarlyAnswerTest, ClosesWhenAChunkedBodyTurnsOutLong) {
  TestServer server;
  server.handler().on_header = [](const Request&) {
    return Response::PlainError(404, "404 page not found");
  };
  Client client = server.Connect();
  client.Send("PUT /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 404"));
  const std::string chunk = "8000\r\n" + std::string(0x8000, 'x') + "\r\n";
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(client.Send(chunk)) << i;
  client.Send(chunk);
  EXPECT_EQ(client.ReadToEnd(), "");
}

TEST(ConnectionTest, TellsTheHandlerWhoAsks) {
  TestServer server;
  Client client = server.Connect();
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  client.ReadResponse();
  EXPECT_THAT(server.handler().seen().at(0).remote_address, StartsWith("127.0.0.1:"));
}

// ---- Bodies that break off ----

TEST(BrokenBodyTest, IsNoRequestAndIsAnswered) {
  TestServer server;
  for (const char* rest :
       {"Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    Client client = server.Connect();
    client.Send("PUT / HTTP/1.1\r\nHost: h\r\n" + std::string(rest));
    client.CloseWrite();
    const std::string answer = client.ReadToEnd();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nunexpected EOF\n"));
  }
  EXPECT_THAT(server.handler().seen(), IsEmpty());
}

// What the handler is told, whether or not anybody can read the answer.
std::pair<std::string, std::string> BodyAndReason(bool reset, std::size_t offload_body_bytes) {
  std::promise<std::pair<std::string, std::string>> told;
  ServerOptions options;
  options.offload_body_bytes = offload_body_bytes;
  TestServer server(options);
  server.handler().on_broken_body = [&](const Request& request, std::string_view reason) {
    told.set_value({std::string(request.body), std::string(reason)});
    return Response::PlainError(400, reason);
  };
  Client client = server.Connect();
  client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n");
  client.ReadUntil("100 Continue\r\n\r\n");
  client.Send("hello");
  if (reset) {
    Client witness = server.Connect();  // until the body has been read: a reset takes it away
    for (int i = 0; i < 20; ++i) {
      witness.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      witness.ReadResponse();
    }
    const linger now{1, 0};
    setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  client.Close();
  return told.get_future().get();
}

TEST(BrokenBodyTest, IsToldToTheHandlerWithItsReason) {
  for (const std::size_t offload_body_bytes : {std::size_t{1}, std::size_t{1000}}) {
    EXPECT_THAT(BodyAndReason(false, offload_body_bytes),
                ::testing::Pair("hello", "unexpected EOF"));
    const auto [body, reason] = BodyAndReason(true, offload_body_bytes);
    EXPECT_EQ(body, "hello");
    EXPECT_THAT(reason,
                ::testing::MatchesRegex("read tcp 127\\.0\\.0\\.1:[0-9]+->127\\.0\\.0\\.1:[0-9]+: "
                                        "read: connection reset by peer"));
  }
}

TEST(BrokenHeadTest, IsRefused) {
  TestServer server;
  Client client = server.Connect();
  client.Send("PUT / HTTP/1.1\r\nHost");
  client.CloseWrite();
  EXPECT_EQ(client.ReadToEnd(),
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Connection: close\r\n\r\n400 Bad Request");
}

TEST(ConnectionTest, AnswersAClientThatClosedItsSide) {
  TestServer server;
  Client client = server.Connect();
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  client.CloseWrite();
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 200 OK"));
}

}  // namespace
}  // namespace pgw::http::testing
