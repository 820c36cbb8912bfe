#include "exposition/negotiation.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>

namespace pgw {

void PrintTo(const Negotiated& negotiated, std::ostream* out) { *out << ContentType(negotiated); }

namespace {

using enum ExpositionFormat;
using enum Escaping;

constexpr std::string_view kDelimited =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
constexpr std::string_view kDebug =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text";
constexpr std::string_view kCompact =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=compact-text";

std::string Join(std::string_view a, std::string_view b, std::string_view c = {}) {
  std::string out(a);
  out += b;
  out += c;
  return out;
}

struct AcceptCase {
  std::string name;
  std::string accept;
  Negotiated expected;
};

class NegotiateFormatTest : public testing::TestWithParam<AcceptCase> {};

TEST_P(NegotiateFormatTest, ChoosesFormatAndEscaping) {
  EXPECT_EQ(NegotiateFormat(GetParam().accept), GetParam().expected) << GetParam().accept;
}

std::string CaseName(const testing::TestParamInfo<AcceptCase>& info) { return info.param.name; }

// What scrapers send, as captured or as their sources build it.
INSTANTIATE_TEST_SUITE_P(
    Scrapers, NegotiateFormatTest,
    testing::Values(
        AcceptCase{"Prometheus2_30",
                   "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,"
                   "*/*;q=0.1",
                   {kText, kUnderscores}},
        AcceptCase{"Prometheus2_45",
                   "application/openmetrics-text;version=1.0.0,"
                   "application/openmetrics-text;version=0.0.1;q=0.75,"
                   "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                   {kText, kUnderscores}},
        AcceptCase{"Prometheus2_45NativeHistograms",
                   Join(kDelimited,
                        ",application/openmetrics-text;version=1.0.0;q=0.8,"
                        "application/openmetrics-text;version=0.0.1;q=0.75,"
                        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
                   {kProtobuf, kUnderscores}},
        AcceptCase{"Prometheus2_53",
                   "application/openmetrics-text;version=1.0.0;q=0.5,"
                   "application/openmetrics-text;version=0.0.1;q=0.4,"
                   "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                   {kText, kUnderscores}},
        AcceptCase{"Prometheus3_5",
                   "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                   "application/openmetrics-text;version=0.0.1;q=0.5,"
                   "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                   "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                   {kText, kAllowUtf8}},
        // The protobuf clause wins before any escaping was read.
        AcceptCase{"Prometheus3_5NativeHistograms",
                   Join(kDelimited,
                        ";q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;"
                        "q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
                        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
                        "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"),
                   {kProtobuf, kUnderscores}},
        AcceptCase{
            "VictoriaMetrics", "text/plain;version=0.0.4;q=1,*/*;q=0.1", {kText, kUnderscores}},
        AcceptCase{"Browser",
                   "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
                   {kText, kUnderscores}},
        AcceptCase{"Curl", "*/*", {kText, kUnderscores}},
        AcceptCase{"Nothing", "", {kText, kUnderscores}}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Formats, NegotiateFormatTest,
    testing::Values(
        AcceptCase{"Delimited", std::string(kDelimited), {kProtobuf, kUnderscores}},
        AcceptCase{"DebugText", std::string(kDebug), {kProtobufText, kUnderscores}},
        AcceptCase{"CompactText", std::string(kCompact), {kProtobufCompact, kUnderscores}},
        AcceptCase{
            "DelimitedUtf8", Join(kDelimited, ";escaping=allow-utf-8"), {kProtobuf, kAllowUtf8}},
        AcceptCase{"TextValues", "text/plain;version=0.0.4;escaping=values", {kText, kValues}},
        AcceptCase{"TextDots", "text/plain;escaping=dots", {kText, kDots}},
        AcceptCase{"UnknownTypeIsPassedOver",
                   Join("application/json, ", kDelimited),
                   {kProtobuf, kUnderscores}},
        AcceptCase{"UnknownEncodingEndsAsText",
                   "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                   "encoding=other",
                   {kText, kUnderscores}},
        AcceptCase{"ProtobufWithoutMessageEndsAsText",
                   "application/vnd.google.protobuf;encoding=delimited",
                   {kText, kUnderscores}},
        AcceptCase{"OtherTextVersionIsPassedOver",
                   Join("text/plain;version=0.0.2, ", kCompact),
                   {kProtobufCompact, kUnderscores}},
        AcceptCase{"EmptyVersionCountsAsNone",
                   Join("text/plain;version=, ", kDelimited),
                   {kText, kUnderscores}},
        AcceptCase{
            "NamesAreCaseSensitive", Join("TEXT/PLAIN, ", kDelimited), {kProtobuf, kUnderscores}}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Order, NegotiateFormatTest,
    testing::Values(AcceptCase{"HigherQualityFirst",
                               Join("text/plain;q=0.2, ", kDelimited, ";q=0.8"),
                               {kProtobuf, kUnderscores}},
                    AcceptCase{"DebugTextBeforeDelimited",
                               Join(kDebug, ";q=0.5, ", Join(kDelimited, ";q=0.4")),
                               {kProtobufText, kUnderscores}},
                    AcceptCase{"EqualQualityKeepsOrder",
                               Join(kDelimited, ";q=0.5,text/plain;q=0.5"),
                               {kProtobuf, kUnderscores}},
                    AcceptCase{"QualityIsSinglePrecision",
                               Join(kDelimited, ";q=0.5,text/plain;q=0.500000000001"),
                               {kProtobuf, kUnderscores}},
                    AcceptCase{"ZeroQualityDoesNotExclude",
                               Join(kDelimited, ";q=0"),
                               {kProtobuf, kUnderscores}},
                    AcceptCase{"BadQualityCountsAsZero",
                               Join(kDelimited, ";q=x,text/plain;q=0.1"),
                               {kText, kUnderscores}},
                    AcceptCase{"NanQualityCountsAsZero",
                               Join(kDelimited, ";q=nan,text/plain;q=0.1"),
                               {kText, kUnderscores}},
                    AcceptCase{"BlankBeforeQualityMakesItBad",
                               Join(kDelimited, ";q= 1,text/plain;q=0.1"),
                               {kText, kUnderscores}},
                    AcceptCase{"WildcardsLastAmongEquals",
                               Join("*/*;escaping=dots,", kDelimited),
                               {kProtobuf, kUnderscores}},
                    AcceptCase{"ClauseWithoutMatchSetsEscaping",
                               "application/json;escaping=dots,text/plain",
                               {kText, kDots}},
                    AcceptCase{"LaterEscapingWins",
                               "a/b;escaping=dots,text/plain;escaping=values",
                               {kText, kValues}},
                    AcceptCase{"EscapingBehindTheMatchIsNotRead",
                               "text/plain,a/b;q=0.5;escaping=values",
                               {kText, kUnderscores}},
                    AcceptCase{"UnknownEscapingIsIgnored",
                               "a/b;escaping=dots,text/plain;escaping=rot13",
                               {kText, kDots}}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Syntax, NegotiateFormatTest,
    testing::Values(
        AcceptCase{"SpacesAreTrimmed",
                   "  text / plain ; version = 0.0.4 ; escaping = dots ",
                   {kText, kDots}},
        AcceptCase{"TabsAreNot", Join("\ttext/plain,", kDelimited), {kProtobuf, kUnderscores}},
        AcceptCase{
            "NoSlashIsDropped", Join("text;escaping=dots,", kDelimited), {kProtobuf, kUnderscores}},
        AcceptCase{"TwoSlashesAreDropped",
                   Join("text/plain/x;escaping=dots,", kDelimited),
                   {kProtobuf, kUnderscores}},
        AcceptCase{"LoneStarIsAWildcard", "*;escaping=dots", {kText, kDots}},
        AcceptCase{
            "SecondEqualsSignVoidsAParameter", "text/plain;escaping=dots=x", {kText, kUnderscores}},
        AcceptCase{"OnlySeparators", ",,;;,=;/,", {kText, kUnderscores}}),
    CaseName);

TEST(ContentTypeTest, CarriesTheEscaping) {
  EXPECT_EQ(ContentType({kText, kUnderscores}),
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
  EXPECT_EQ(ContentType({kText, kAllowUtf8}),
            "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8");
  const std::string protobuf =
      "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=";
  EXPECT_EQ(ContentType({kProtobuf, kUnderscores}), protobuf + "delimited; escaping=underscores");
  EXPECT_EQ(ContentType({kProtobufText, kDots}), protobuf + "text; escaping=dots");
  EXPECT_EQ(ContentType({kProtobufCompact, kValues}), protobuf + "compact-text; escaping=values");
}

TEST(ContentTypeTest, DelimitedOneIsReadBackAsSuch) {
  EXPECT_TRUE(IsDelimitedProtobuf(ContentType({kProtobuf, kUnderscores})));
  EXPECT_FALSE(IsDelimitedProtobuf(ContentType({kProtobufText, kUnderscores})));
  EXPECT_FALSE(IsDelimitedProtobuf(ContentType({kText, kUnderscores})));
}

TEST(NegotiateGzipTest, TakesGzipWhereItIsWantedMoreThanNothing) {
  for (const std::string_view accepted :
       {"gzip", "gzip, deflate, br", "gzip,zstd", "zstd,gzip", "gzip;q=0.1", "gzip ; q=1.0",
        "*;q=0.5, gzip", "identity;q=0.5, gzip;q=0.6", "identity;q=0,gzip;q=1.",
        "identity;q=0.25,gzip;q=0.250001"}) {
    EXPECT_TRUE(NegotiateGzip(accepted)) << accepted;
  }
}

TEST(NegotiateGzipTest, PrefersIdentityOtherwise) {
  for (const std::string_view accepted :
       {"", "*", "deflate", "identity", "identity, gzip", "gzip, identity", "gzip, *", "gzip;q=0",
        "*;q=0", "gzip;q=0.000", "identity;q=0", "x-gzip", "GZIP", "gzip;q=0.5, identity;q=0.5",
        // The star speaks for identity, too, and the higher quality counts.
        "identity;q=0, *"}) {
    EXPECT_FALSE(NegotiateGzip(accepted)) << accepted;
  }
}

TEST(NegotiateGzipTest, StopsReadingAtTheFirstOddity) {
  EXPECT_FALSE(NegotiateGzip("gzip;q=2"));
  EXPECT_FALSE(NegotiateGzip("gzip;level=1"));
  EXPECT_FALSE(NegotiateGzip(",gzip"));
  EXPECT_TRUE(NegotiateGzip("gzip, identity;q=x"));
  EXPECT_TRUE(NegotiateGzip("gzip identity"));
  EXPECT_TRUE(NegotiateGzip("gzip;q=0." + std::string(10000, '9')));
}

constexpr std::string_view kPush =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

TEST(IsDelimitedProtobufTest, AcceptsEveryWayToSayIt) {
  for (const std::string_view type :
       {kPush,
        std::string_view("application/vnd.google.protobuf; encoding=delimited; "
                         "proto=io.prometheus.client.MetricFamily"),
        std::string_view("APPLICATION/Vnd.Google.Protobuf;ENCODING=delimited;"
                         "Proto=\"io.prometheus.client.MetricFamily\""),
        std::string_view("  application/vnd.google.protobuf ;\t"
                         "proto = io.prometheus.client.MetricFamily ; encoding = delimited ; "),
        std::string_view("application/vnd.google.protobuf;charset=\"a;b\\\"\";encoding=delimited;"
                         "proto=io.prometheus.client.MetricFamily;escaping=values"),
        // Said twice, but the same.
        std::string_view("application/vnd.google.protobuf;encoding=delimited;encoding=delimited;"
                         "proto=io.prometheus.client.MetricFamily")}) {
    EXPECT_TRUE(IsDelimitedProtobuf(type)) << type;
  }
}

TEST(IsDelimitedProtobufTest, TakesEverythingElseForText) {
  for (const std::string_view type :
       {std::string_view(""), std::string_view("text/plain; version=0.0.4"),
        std::string_view("application/json"), std::string_view("application/vnd.google.protobuf"),
        std::string_view("application/vnd.google.protobuf;encoding=delimited"),
        std::string_view("application/vnd.google.protobuf;"
                         "proto=io.prometheus.client.MetricFamily;encoding=text"),
        std::string_view("application/vnd.google.protobuf;"
                         "proto=io.prometheus.client.MetricFamily;encoding=Delimited"),
        std::string_view("application/vnd.google.protobuf;"
                         "proto=io.prometheus.client.metricfamily;encoding=delimited"),
        // Malformed: a parameter without value, contradicting values, an open quote, junk.
        std::string_view("application/vnd.google.protobuf;x;"
                         "proto=io.prometheus.client.MetricFamily;encoding=delimited"),
        std::string_view("application/vnd.google.protobuf;x=;"
                         "proto=io.prometheus.client.MetricFamily;encoding=delimited"),
        std::string_view("application/vnd.google.protobuf;encoding=text;"
                         "proto=io.prometheus.client.MetricFamily;encoding=delimited"),
        std::string_view("application/vnd.google.protobuf;"
                         "proto=io.prometheus.client.MetricFamily;encoding=\"delimited"),
        std::string_view("application/vnd.google.protobuf;"
                         "proto=io.prometheus.client.MetricFamily;encoding=delimited x"),
        std::string_view("application/vnd.google.protobuf, "
                         "proto=io.prometheus.client.MetricFamily;encoding=delimited"),
        std::string_view("application/vnd.google.protobuf;;"
                         "proto=io.prometheus.client.MetricFamily;encoding=delimited")}) {
    EXPECT_FALSE(IsDelimitedProtobuf(type)) << type;
  }
}

TEST(IsDelimitedProtobufTest, ReadsManyParametersInLittleTime) {
  std::string type(kPush);
  for (int i = 0; i < 20000; ++i) type += ";p" + std::to_string(i) + "=v";
  EXPECT_TRUE(IsDelimitedProtobuf(type));
}

}  // namespace
}  // namespace pgw
