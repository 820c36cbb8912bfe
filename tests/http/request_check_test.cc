#include "server/http/request_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pgw::http {
namespace {

// What CheckRequest makes of a request: a refusal as `400 detail`, or else the traits.
struct Checked {
  std::optional<Refusal> refusal;
  RequestTraits traits;
  std::string storage;

  Checked(std::string_view method, std::string_view target, std::vector<Header> headers,
          int version_minor = 1)
      : headers_(std::move(headers)) {
    refusal = CheckRequest({method, target, version_minor}, headers_, storage, traits);
  }

 private:
  std::vector<Header> headers_;
};

TEST(RequestLineTest, SplitsAtSingleSpaces) {
  RequestLine line;
  EXPECT_FALSE(ParseRequestLine("PUT /a?b HTTP/1.1", line));
  EXPECT_EQ(line.method, "PUT");
  EXPECT_EQ(line.target, "/a?b");
  EXPECT_EQ(line.version_minor, 1);
  EXPECT_FALSE(ParseRequestLine("get / HTTP/1.0", line));
  EXPECT_EQ(line.method, "get");
  EXPECT_EQ(line.version_minor, 0);
}

TEST(RequestLineTest, TellsVersionsFromNonsense) {
  RequestLine line;
  for (const char* text : {"GET / HTTP/2.0", "GET / HTTP/0.9", "PRI * HTTP/2.0"}) {
    EXPECT_EQ(ParseRequestLine(text, line)->status, 505) << text;
  }
  for (const char* text : {"", " ", "  ", "GET", "GET /", "GET / ", "GET  HTTP/1.1", " / HTTP/1.1",
                           "GET / HTTP/1", "GET / HTTP/1.1 ", "GET / HTTP/11.1", "GET / HTTP/1,1",
                           "GET / HTTP/x.1", "GET / HTTPS/1.1"}) {
    const auto refusal = ParseRequestLine(text, line);
    ASSERT_TRUE(refusal) << text;
    EXPECT_EQ(refusal->status, 400) << text;
  }
}

TEST(HeaderLineTest, CutsTheBlanksAroundTheValue) {
  Header header;
  for (const char* line : {"A:b c", "A: b c", "A: \t b c\t "}) {
    EXPECT_FALSE(ParseHeaderLine(line, header)) << line;
    EXPECT_EQ(header.name, "A");
    EXPECT_EQ(header.value, "b c");
  }
  EXPECT_FALSE(ParseHeaderLine("!#$%&'*+-.^_`|~09azAZ:", header));
  EXPECT_EQ(header.name, "!#$%&'*+-.^_`|~09azAZ");
  EXPECT_EQ(header.value, "");
  EXPECT_FALSE(ParseHeaderLine("A: b:\xff\tc", header));
  EXPECT_EQ(header.value, "b:\xff\tc");
}

TEST(HeaderLineTest, HasWordsForSpacesInANameAlone) {
  Header header;
  EXPECT_EQ(ParseHeaderLine("A : b", header)->detail, "invalid header name");
  EXPECT_EQ(ParseHeaderLine("A B: c", header)->detail, "invalid header name");
  for (const char* line : {" A: b", "\tA: b", "A B", "A", "A(: b", "A\t: b", ":", ": b", "A\x80: b",
                           "A: b\x7f", "A: \rb", "A:\vb", "A: b\nc", " "}) {
    const auto refusal = ParseHeaderLine(line, header);
    ASSERT_TRUE(refusal) << line;
    EXPECT_EQ(refusal->status, 400) << line;
    EXPECT_EQ(refusal->detail, "") << line;
  }
}

TEST(ContentLengthTest, IsDigitsAlone) {
  EXPECT_EQ(ParseContentLength("0"), 0u);
  EXPECT_EQ(ParseContentLength("0042"), 42u);
  EXPECT_EQ(ParseContentLength("9223372036854775807"), 9223372036854775807u);
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "1,1", "0x1", "1e3", "9223372036854775808",
                           "99999999999999999999999"}) {
    EXPECT_FALSE(ParseContentLength(text)) << text;
  }
}

TEST(CheckRequestTest, KeepsTargetsInOriginFormAsTheyAre) {
  for (const char* target : {"/", "/a%2Fb", "/a?%zz", "//a", "/a#b", "/\xff"}) {
    const Checked checked("GET", target, {{"Host", "h"}});
    ASSERT_FALSE(checked.refusal) << target;
    EXPECT_EQ(checked.traits.target, target);
    EXPECT_EQ(checked.traits.host, "h");
  }
}

TEST(CheckRequestTest, RefusesBadEscapesInThePathAlone) {
  for (const char* target : {"/%", "/%4", "/%4g", "/%%41", "/a%?41", "http://h/%zz"}) {
    EXPECT_TRUE(Checked("GET", target, {{"Host", "h"}}).refusal) << target;
  }
}

TEST(CheckRequestTest, CutsAbsoluteForms) {
  const Checked path("GET", "http://u:p@h:1/a?b", {{"Host", "other"}});
  EXPECT_EQ(path.traits.target, "/a?b");
  EXPECT_EQ(path.traits.host, "h:1");
  EXPECT_EQ(Checked("GET", "http://h", {{"Host", "x"}}).traits.target, "/");
  const Checked query("GET", "x-y.z+1://[::1]?q", {{"Host", "x"}});
  EXPECT_EQ(query.traits.target, "/?q");
  EXPECT_EQ(query.traits.host, "[::1]");
  for (const char* target : {"http:", "http:/a", "://h/", "1http://h/", "h", "?a"}) {
    EXPECT_TRUE(Checked("GET", target, {{"Host", "h"}}).refusal) << target;
  }
}

TEST(CheckRequestTest, ChecksTheAuthorityOfAnAbsoluteFormAsGoDoes) {
  for (const char* authority :
       {"", "h", "h:", "h:80", ":80", "u@h", "u@v@h", "u:p%40@h", "@h", "[::1]", "[::1]:80",
        "[::1]:", "[fe80::1%25eth0]:1", "h\x80", "h%c3%bc", "h%25", "a\"<>!$&'()*+,;=~_-.h"}) {
    const std::string target = "http://" + std::string(authority) + "/a";
    EXPECT_FALSE(Checked("GET", target, {{"Host", "h"}}).refusal) << target;
  }
  for (const char* authority :
       {"h:a",     "h:8 ", "u%zz@h", "u\x80@h",     "u[@h",       "[::1",     "::1]", "[::1]x",
        "[::1]:a", "[]",   "[x]",    "[127.0.0.1]", "[::1%eth0]", "[::1%25]", "a[b]", "h%20",
        "h%41",    "h%4",  "h%zz",   "h\\",         "h^",         "h{",       "h|",   "h`"}) {
    const std::string target = "http://" + std::string(authority) + "/a";
    EXPECT_TRUE(Checked("GET", target, {{"Host", "h"}}).refusal) << target;
  }
}

TEST(CheckRequestTest, ReadsConnectionAndExpectAsGoDoes) {
  const Header host{"Host", "h"};
  for (const char* list :
       {"close", "x, CLOSE", "close x", "\tclose,", "close, keep-alive", "@ close"}) {
    EXPECT_FALSE(Checked("GET", "/", {host, {"Connection", list}}).traits.keep_alive) << list;
  }
  for (const char* list : {"", "closex", "xclose", "\"close\"", "close;x", "(close)", "clos"}) {
    EXPECT_TRUE(Checked("GET", "/", {host, {"Connection", list}}).traits.keep_alive) << list;
  }
  EXPECT_EQ(Checked("GET", "/", {host, {"Expect", "x 100-continue"}}).traits.built_in,
            BuiltIn::kNone);
  EXPECT_EQ(Checked("GET", "/", {host, {"Expect", "100-continue;x"}}).traits.built_in,
            BuiltIn::kExpectationFailed);
}

TEST(CheckRequestTest, RefusesATrailerThatAnnouncesFraming) {
  const Header host{"Host", "h"};
  const Header chunked{"Transfer-Encoding", "chunked"};
  for (const char* list : {"Content-Length", "A, transfer-encoding", "trailer"}) {
    EXPECT_TRUE(Checked("PUT", "/", {host, chunked, {"Trailer", list}}).refusal) << list;
    EXPECT_FALSE(Checked("PUT", "/", {host, {"Trailer", list}}).refusal) << list;
  }
  EXPECT_FALSE(Checked("PUT", "/", {host, chunked, {"Trailer", "A, B"}}).refusal);
}

TEST(CheckRequestTest, DemandsOneGoodHostOf11) {
  EXPECT_EQ(Checked("GET", "/", {}).refusal->detail, "missing required Host header");
  EXPECT_FALSE(Checked("GET", "/", {}, 0).refusal);
  EXPECT_FALSE(Checked("CONNECT", "/", {}).refusal);
  EXPECT_FALSE(Checked("GET", "/", {{"hOST", ""}}).refusal);
  EXPECT_EQ(Checked("GET", "/", {{"Host", "a b"}}).refusal->detail, "malformed Host header");
  EXPECT_TRUE(Checked("GET", "/", {{"Host", "a"}, {"HOST", "a"}}).refusal);
  EXPECT_TRUE(Checked("GET", "/", {{"Host", "a"}, {"HOST", "a"}}, 0).refusal);
}

TEST(CheckRequestTest, DecidesAboutTheBody) {
  const Checked length("PUT", "/", {{"Host", "h"}, {"content-length", "7"}});
  EXPECT_EQ(length.traits.content_length, 7u);
  EXPECT_FALSE(length.traits.chunked);
  const Checked chunked("PUT", "/", {{"Host", "h"}, {"transfer-encoding", "CHUNKED"}});
  EXPECT_TRUE(chunked.traits.chunked);
  EXPECT_FALSE(chunked.traits.content_length);
  const Checked none("PUT", "/", {{"Host", "h"}});
  EXPECT_FALSE(none.traits.chunked || none.traits.content_length);
}

TEST(CheckRequestTest, RefusesAmbiguousFraming) {
  const Header host{"Host", "h"};
  const Header chunked{"Transfer-Encoding", "chunked"};
  const Header length{"Content-Length", "5"};
  EXPECT_EQ(Checked("PUT", "/", {host, length, chunked}).refusal->status, 400);
  EXPECT_EQ(Checked("PUT", "/", {host, chunked, length}).refusal->status, 400);
  EXPECT_EQ(Checked("PUT", "/", {host, chunked, chunked}).refusal->status, 501);
  EXPECT_EQ(Checked("PUT", "/", {host, chunked}, 0).refusal->status, 400);
  EXPECT_EQ(Checked("PUT", "/", {host, length, {"Content-Length", "6"}}).refusal->status, 400);
  EXPECT_FALSE(Checked("PUT", "/", {host, length, length}).refusal);
  const Checked gzip("PUT", "/", {host, {"Transfer-Encoding", "gzip"}});
  EXPECT_EQ(gzip.refusal->status, 501);
  EXPECT_EQ(gzip.refusal->body, "Unsupported transfer encoding");
}

TEST(CheckRequestTest, DecidesAboutTheConnection) {
  const Header host{"Host", "h"};
  EXPECT_TRUE(Checked("GET", "/", {host}).traits.keep_alive);
  EXPECT_FALSE(Checked("GET", "/", {host, {"Connection", "a ,CLOSE"}}).traits.keep_alive);
  EXPECT_TRUE(Checked("GET", "/", {host, {"Connection", "closed"}}).traits.keep_alive);
  EXPECT_FALSE(Checked("GET", "/", {host}, 0).traits.keep_alive);
  EXPECT_TRUE(Checked("GET", "/", {host, {"Connection", "Keep-Alive"}}, 0).traits.keep_alive);
  EXPECT_FALSE(Checked("GET", "/", {host, {"Connection", "keep-alive"}, {"Connection", "close"}}, 0)
                   .traits.keep_alive);
}

TEST(CheckRequestTest, KnowsItsBuiltInAnswers) {
  const Header host{"Host", "h"};
  EXPECT_EQ(Checked("OPTIONS", "*", {host}).traits.built_in, BuiltIn::kServerOptions);
  EXPECT_EQ(Checked("GET", "*", {host}).traits.built_in, BuiltIn::kAsterisk);
  EXPECT_EQ(Checked("CONNECT", "h:1", {}).traits.built_in, BuiltIn::kConnect);
  EXPECT_EQ(Checked("CONNECT", "/a", {host}).traits.built_in, BuiltIn::kNone);
  EXPECT_TRUE(Checked("CONNECT", "h:1/x", {}).refusal);
  EXPECT_EQ(Checked("GET", "/", {host, {"Expect", "x"}}).traits.built_in,
            BuiltIn::kExpectationFailed);
  const Checked waits("PUT", "/", {host, {"Expect", "100-Continue"}, {"Content-Length", "1"}});
  EXPECT_TRUE(waits.traits.expects_continue);
  EXPECT_EQ(waits.traits.built_in, BuiltIn::kNone);
  EXPECT_FALSE(Checked("PUT", "/", {host, {"Expect", "100-continue"}}).traits.expects_continue);
}

}  // namespace
}  // namespace pgw::http
