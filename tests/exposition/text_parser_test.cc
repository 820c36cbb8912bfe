#include "exposition/text_parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

#include "tests/exposition/dump.h"

namespace pgw {
namespace {

constexpr NameValidation kLegacy = NameValidation::kLegacy;
constexpr NameValidation kUtf8 = NameValidation::kUtf8;

std::string Parsed(const std::string& body, NameValidation validation = kLegacy) {
  FamilySet set;
  const Status status = ParseText(body, validation, set);
  return status ? Dump(set) : status.error().message;
}

TEST(TextParserTest, AcceptsBodiesWithoutSamples) {
  for (const char* body : {"",
                           "\n",
                           "\n\n \n\t\n",
                           "   ",
                           " \t",
                           "#\n",
                           "# \n",
                           "#\t\t\n",
                           "# HELP\n",
                           "# TYPE\n",
                           "# HELP \n",
                           "# TYPE\t\n",
                           "# HELP n\n# HELP n\n",
                           "# TYPE n\n# TYPE n\n",
                           "# EOF\n",
                           "# UNIT n seconds\n",
                           "# help n\n# type n foo\n",
                           "# Even that:\n",
                           "#HELP9 x y\n",
                           "##\n",
                           "# HELP n \n# HELP n \n",
                           "# HELP n text\n# TYPE n counter\n",
                           "# EOF\r\n",
                           "#!\\x\"\n"}) {
    EXPECT_EQ(Parsed(body), "") << body;
  }
}

TEST(TextParserTest, ReadsPlainSamples) {
  EXPECT_EQ(Parsed("minimal 1.234\n"), "minimal UNTYPED\n  {} value=1.234\n");
  EXPECT_EQ(Parsed("no_labels{} 3\n"), "no_labels UNTYPED\n  {} value=3\n");
  EXPECT_EQ(Parsed("name {l=\"v\"} 0.23\n"), "name UNTYPED\n  {l=\"v\"} value=0.23\n");
  EXPECT_EQ(Parsed("name{ l = \"v\" , }-Inf\n"), "name UNTYPED\n  {l=\"v\"} value=-Inf\n");
  EXPECT_EQ(Parsed("  \tname\t{\tl\t=\t\"v\"\t}\tNaN\n"), "name UNTYPED\n  {l=\"v\"} value=NaN\n");
  EXPECT_EQ(Parsed("_:a9{_a9=\"\",B=\"}\"}+5.\n"), "_:a9 UNTYPED\n  {_a9=\"\",B=\"}\"} value=5\n");
  EXPECT_EQ(Parsed("a 1e400x\n"),
            "text format parsing error in line 1: expected float as value, got \"1e400x\"");
}

TEST(TextParserTest, ReadsEveryFormOfNumber) {
  EXPECT_EQ(
      Parsed("n .5\nn 08\nn 1E+05\nn 1e-400\nn 1000000\nn 123456789012345678\nn inf\nn -INFinity\n"
             "n nAn\n"),
      "n UNTYPED\n  {} value=0.5\n  {} value=8\n  {} value=100000\n  {} value=0\n"
      "  {} value=1e+06\n  {} value=1.2345678901234568e+17\n  {} value=+Inf\n"
      "  {} value=-Inf\n  {} value=NaN\n");
}

TEST(TextParserTest, MarksNegativeZeroBeyondLines) {
  EXPECT_EQ(Parsed("n -0\nn -1e-400\nn 0\n"),
            "n UNTYPED\n  {} value=-0 [beyond lines]\n  {} value=-0 [beyond lines]\n"
            "  {} value=0\n");
  EXPECT_EQ(Parsed("# TYPE s summary\ns_sum -0\ns_count -0\n"),
            "s SUMMARY\n  {} sum=-0 count=0 [beyond lines]\n");
  EXPECT_EQ(Parsed("# TYPE s summary\ns{quantile=\"-0\"} 1\ns_count -0\n"),
            "s SUMMARY\n  {} (-0:1) sum=0 count=0 [beyond lines]\n");
  EXPECT_EQ(Parsed("# TYPE s summary\ns{quantile=\"1\"} -0\n"),
            "s SUMMARY\n  {} (1:-0) sum=0 count=0 [beyond lines]\n");
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_bucket{le=\"-0\"} 1\nh_bucket{le=\"+Inf\"} -0\n"),
            "h HISTOGRAM\n  {} (-0:1) (+Inf:0) sum=0 count=0 [beyond lines]\n");
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_bucket{le=\"+Inf\"} -0\nh_count -0\n"),
            "h HISTOGRAM\n  {} (+Inf:0) sum=0 count=0\n");
}

TEST(TextParserTest, KeepsTimestampsAsAFlag) {
  EXPECT_EQ(Parsed("a -3e3 103948\n"), "a UNTYPED\n  {} value=-3000 [timestamp] [beyond lines]\n");
  for (const char* time : {"0", "+5", "-5", "007", "9223372036854775807", "-9223372036854775808"}) {
    EXPECT_EQ(Parsed(std::string("a 1 \t ") + time + "\n"),
              "a UNTYPED\n  {} value=1 [timestamp] [beyond lines]\n")
        << time;
  }
  EXPECT_EQ(Parsed("# TYPE s summary\ns_sum 1 5\ns_count 1\n"),
            "s SUMMARY\n  {} sum=1 count=1 [timestamp] [beyond lines]\n");
}

TEST(TextParserTest, ReadsHelpWithItsEscapes) {
  EXPECT_EQ(Parsed(" # HELP  n  \tdoc str\"ing 2\nn 1\n"),
            "n UNTYPED \"doc str\"ing 2\"\n  {} value=1\n");
  EXPECT_EQ(Parsed("# HELP n two-line\\n doc  str\\\\ing\\\" \nn 1\n"),
            "n UNTYPED \"two-line\n doc  str\\ing\" \"\n  {} value=1\n");
  EXPECT_EQ(Parsed("n 1\n# HELP n late, with CR\r\n"),
            "n UNTYPED \"late, with CR\r\"\n  {} value=1\n");
  EXPECT_EQ(Parsed("#HELP n \xff\xfe\nn 1\n"), "n UNTYPED \"\xff\xfe\"\n  {} value=1\n");
  EXPECT_EQ(Parsed("# HELP n \\n\nn 1\n"), "n UNTYPED \"\n\"\n  {} value=1\n");
}

TEST(TextParserTest, ReadsTypesInAnyCase) {
  const struct {
    const char* text;
    const char* name;
  } cases[] = {{"counter", "COUNTER"},
               {"GAUGE", "GAUGE"},
               {"Summary", "SUMMARY"},
               {"unTyped", "UNTYPED"},
               {"histogram", "HISTOGRAM"},
               {"gauge_histogram", "GAUGE_HISTOGRAM"},
               {"GaugeHistogram", "GAUGE_HISTOGRAM"},
               {"cou\\nter", "COUNTER"},
               {"\\\\gauge\\", "GAUGE"}};
  for (const auto& c : cases) {
    const std::string parsed = Parsed(std::string("  #    TYPE    n ") + c.text + "\nn 3\n");
    EXPECT_EQ(parsed.substr(0, parsed.find('\n')), std::string("n ") + c.name) << c.text;
  }
}

TEST(TextParserTest, ReadsEscapesAndRawBytesInLabelValues) {
  EXPECT_EQ(
      Parsed("m{a=\"\\\\\\\"\\n\",b=\"Bj\xc3\xb6rn \xf0\x9f\x98\xb1\",c=\"\t\r#{},=\"} 1\n"),
      "m UNTYPED\n  {a=\"\\\"\n\",b=\"Bj\xc3\xb6rn \xf0\x9f\x98\xb1\",c=\"\t\r#{},=\"} value=1\n");
  EXPECT_EQ(Parsed(std::string("m{a=\"\0\"} 1\n", 11)),
            std::string("m UNTYPED\n  {a=\"\0\"} value=1\n", 28));
}

TEST(TextParserTest, KeepsFamiliesInOrderOfAppearanceAndDropsEmptyOnes) {
  EXPECT_EQ(
      Parsed("z 1\n# HELP gone text\n# TYPE y gauge\na 2\ny 3\nz 4\n# TYPE never counter\n"),
      "z UNTYPED\n  {} value=1\n  {} value=4\ny GAUGE\n  {} value=3\na UNTYPED\n  {} value=2\n");
}

TEST(TextParserTest, CollectsASummaryFromScatteredLines) {
  EXPECT_EQ(Parsed("# TYPE s summary\n"
                   "s{n1=\"v\",quantile=\"-12.34\",} NaN\n"
                   "other 1\n"
                   "s_sum{n2=\"w\",n1=\"v\"} 08\n"
                   "fake_sum 7\n"
                   "s_count{n1=\"v\",n2=\"w\"} 5.9\n"
                   "s{quantile=\".3\",n2=\"w\",n1=\"v\"} 2\n"
                   "s_count{n1=\"v\"} 3\n"
                   "s{n1=\"v\",quantile=\"-12.34\"} 4\n"),
            "s SUMMARY\n"
            "  {n1=\"v\"} (-12.34:NaN) (-12.34:4) sum=0 count=3\n"
            "  {n2=\"w\",n1=\"v\"} (0.3:2) sum=8 count=5\n"
            "other UNTYPED\n  {} value=1\n"
            "fake_sum UNTYPED\n  {} value=7\n");
}

TEST(TextParserTest, IgnoresUselessLinesOfSummariesButForTheirLabels) {
  EXPECT_EQ(Parsed("# TYPE s summary\ns{a=\"b\"} 5\ns{quantile=\"NaN\"} 7\n"),
            "s SUMMARY\n  {a=\"b\"} sum=0 count=0\n  {} sum=0 count=0\n");
  EXPECT_EQ(Parsed("# TYPE s summary\ns_bucket 5\n"), "s_bucket UNTYPED\n  {} value=5\n");
  EXPECT_EQ(Parsed("# TYPE s summary\ns_count{quantile=\"0.5\"} 5\n"),
            "s SUMMARY\n  {} sum=0 count=5\n");
  EXPECT_EQ(Parsed("# TYPE s summary\ns{quantile=\"0.5\",quantile=\"NaN\"} 5\n"),
            "s SUMMARY\n  {} sum=0 count=0\n");
}

TEST(TextParserTest, CutsTheFractionOfSummaryCounts) {
  const struct {
    const char* text;
    const char* count;
  } cases[] = {{"0.9", "0"},
               {"-0.9", "0"},
               {"1234567.9", "1.234567e+06"},
               {"1e3", "1000"},
               {"18446744073709549568", "1.844674407370955e+19"}};
  for (const auto& c : cases) {
    EXPECT_EQ(Parsed(std::string("# TYPE s summary\ns_count ") + c.text + "\n"),
              std::string("s SUMMARY\n  {} sum=0 count=") + c.count + "\n");
  }
}

TEST(TextParserTest, CollectsAHistogramFromScatteredLines) {
  EXPECT_EQ(Parsed("# TYPE h histogram\n"
                   "h_bucket{a=\"x\",b=\"y\",le=\"10\"} 2\n"
                   "h_bucket{a=\"x\",b=\"y\",le=\"1\"} 1\n"
                   "h_bucket{b=\"y\",le=\"+Inf\",a=\"x\"} 3\n"
                   "h_count{b=\"y\",a=\"x\"} 3\n"
                   "h_bucket{le=\"+Inf\"} 9\n"
                   "h_sum{a=\"x\",b=\"y\"} 4.5\n"
                   "h_bucket{a=\"x\",b=\"z\",le=\"+Inf\"} 8\n"
                   "h_sum 1\n"
                   "h{le=\"5\"} 7\n"
                   "h_bucket{le=\"5\",a=\"x\",b=\"y\"} 7\n"),
            "h HISTOGRAM\n"
            "  {a=\"x\",b=\"y\"} (10:2) (1:1) (+Inf:3) (5:7) sum=4.5 count=3\n"
            "  {} (+Inf:9) (5:7) sum=1 count=0\n"
            "  {a=\"x\",b=\"z\"} (+Inf:8) sum=0 count=0\n");
}

TEST(TextParserTest, ReadsGaugeHistograms) {
  EXPECT_EQ(Parsed("# TYPE g gaugehistogram\ng_bucket{le=\"inf\"} 2\ng_sum -1\ng_count 2\n"),
            "g GAUGE_HISTOGRAM\n  {} (+Inf:2) sum=-1 count=2\n");
}

TEST(TextParserTest, MarksHistogramsWithoutInfinityBeyondLines) {
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_count 2\nh{a=\"b\"} 5\n"),
            "h HISTOGRAM\n  {} (1:2) sum=0 count=2 [beyond lines]\n"
            "  {a=\"b\"} sum=0 count=0 [beyond lines]\n");
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"1\"} 1\n"),
            "h HISTOGRAM\n  {} (+Inf:2) (1:1) sum=0 count=0\n");
}

TEST(TextParserTest, IgnoresBucketsWithoutABound) {
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_bucket 7\nh_bucket{le=\"NaN\"} 7\nh -5\n"
                   "h_bucket{le=\"+Inf\"} 1\n"),
            "h HISTOGRAM\n  {} (+Inf:1) sum=0 count=0\n");
}

TEST(TextParserTest, PrefersFloatCountsOfHistograms) {
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_count 1.5\nh_count 7\nh_bucket{le=\"+Inf\"} 0.25\n"),
            "h HISTOGRAM\n  {} (+Inf:0.25) sum=0 count=1.5\n");
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_count 7\nh_count 8\nh_bucket{le=\"+Inf\"} 1\n"),
            "h HISTOGRAM\n  {} (+Inf:1) sum=0 count=8\n");
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_count NaN\nh_bucket{le=\"+Inf\"} +Inf\n"),
            "h HISTOGRAM\n  {} (+Inf:+Inf) sum=0 count=NaN\n");
}

TEST(TextParserTest, TakesTheLastOfSeveralBounds) {
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_bucket{le=\"1\",le=\"+Inf\"} 2\n"),
            "h HISTOGRAM\n  {} (+Inf:2) sum=0 count=0\n");
}

TEST(TextParserTest, TreatsBoundLabelsOfOtherTypesAsLabels) {
  EXPECT_EQ(Parsed("# TYPE h histogram\nh_bucket{quantile=\"x\",le=\"+Inf\"} "
                   "2\nc{le=\"x\",quantile=\"y\"} 1\n"),
            "h HISTOGRAM\n  {quantile=\"x\"} (+Inf:2) sum=0 count=0\n"
            "c UNTYPED\n  {le=\"x\",quantile=\"y\"} value=1\n");
}

TEST(TextParserTest, BindsSuffixesOnlyToFamiliesTypedBefore) {
  EXPECT_EQ(Parsed("h_bucket{le=\"1\"} 5\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 6\nh_sum 7\n"),
            "h_bucket UNTYPED\n  {le=\"1\"} value=5\n  {le=\"+Inf\"} value=6\n"
            "h HISTOGRAM\n  {} sum=7 count=0 [beyond lines]\n");
  EXPECT_EQ(Parsed("# TYPE c counter\nc_sum 1\n_sum 2\n"),
            "c_sum UNTYPED\n  {} value=1\n_sum UNTYPED\n  {} value=2\n");
  EXPECT_EQ(
      Parsed("# TYPE h histogram\n# TYPE h_sum_sum gauge\nh_sum 1\nh_sum_sum 2\nh_sum_count 3\n"),
      "h HISTOGRAM\n  {} sum=1 count=0 [beyond lines]\n"
      "h_sum_sum GAUGE\n  {} value=2\nh_sum_count UNTYPED\n  {} value=3\n");
}

TEST(TextParserTest, GivesHelpOfASuffixedNameToItsFamily) {
  EXPECT_EQ(Parsed("# TYPE s summary\n# HELP s_count the help\ns_count 1\n"),
            "s SUMMARY \"the help\"\n  {} sum=0 count=1\n");
}

TEST(TextParserTest, ReadsQuotedNames) {
  EXPECT_EQ(Parsed("{\"a.b\",\"c.d\"=\"e\"} 1\n", kUtf8), "a.b UNTYPED\n  {c.d=\"e\"} value=1\n");
  EXPECT_EQ(Parsed("{l=\"v\", \"a.b\"} 1\n", kUtf8), "a.b UNTYPED\n  {l=\"v\"} value=1\n");
  EXPECT_EQ(Parsed("{l=\"v\", \"a.b\" , } 1\n", kUtf8), "a.b UNTYPED\n  {l=\"v\"} value=1\n");
  EXPECT_EQ(Parsed("# HELP \"a\\\"b\\nc\\\\\" t\n{\"a\\\"b\\nc\\\\\"} 1\n", kUtf8),
            "a\"b\nc\\ UNTYPED \"t\"\n  {} value=1\n");
  EXPECT_EQ(Parsed("{\"a.b\"} 1\n{\"a.b\"}2\n{\"a b\"} 3\n", kUtf8),
            "a.b UNTYPED\n  {} value=1\n  {} value=2\na b UNTYPED\n  {} value=3\n");
  EXPECT_EQ(Parsed("m{\"foo\"=\"x\",\"d.l\"=\"y\"} 1\n", kUtf8),
            "m UNTYPED\n  {foo=\"x\",d.l=\"y\"} value=1\n");
  EXPECT_EQ(Parsed("\"a.b\"{c=\"d\"} 1\n", kUtf8), "a.b UNTYPED\n  {c=\"d\"} value=1\n");
}

TEST(TextParserTest, TakesQuotesAroundLegacyNamesWithoutUtf8) {
  EXPECT_EQ(Parsed("{foo} 1\n{\"foo\"} 2\nfoo 3\n\"foo\" 4\n{\"foo\",} 5\n"),
            "foo UNTYPED\n  {} value=1\n  {} value=2\n  {} value=3\n  {} value=4\n  {} value=5\n");
  EXPECT_EQ(Parsed("foo\"bar\" 1\n"), "foobar UNTYPED\n  {} value=1\n");
  EXPECT_EQ(Parsed("m{\"l\"=\"v\"} 1\nm{l=\"v\"} 2\n"),
            "m UNTYPED\n  {l=\"v\"} value=1\n  {l=\"v\"} value=2\n");
}

TEST(TextParserTest, ReadsBracedHistogramsAmongOtherFamilies) {
  EXPECT_EQ(Parsed("# TYPE \"a.h\" histogram\n# TYPE b gauge\nb 1\n"
                   "{\"a.h_bucket\",x=\"y\",le=\"1\"} 1\n"
                   "{\"a.h_bucket\",x=\"y\",le=\"+Inf\"} 2\n"
                   "b 2\n"
                   "{x=\"y\",\"a.h_sum\"} 3\n"
                   "{le=\"7\",x=\"y\",\"a.h_bucket\"} 2\n"
                   "{\"a.h_count\",x=\"y\"} 2\n",
                   kUtf8),
            "a.h HISTOGRAM\n  {x=\"y\"} (1:1) (+Inf:2) (7:2) sum=3 count=2\n"
            "b GAUGE\n  {} value=1\n  {} value=2\n");
}

TEST(TextParserTest, SeesBoundsAndLabelsBeforeABracedName) {
  EXPECT_EQ(Parsed("# TYPE s summary\n{quantile=\"0.5\",le=\"x\",quantile=\"0.9\",s} 1\n"),
            "s SUMMARY\n  {le=\"x\"} (0.9:1) sum=0 count=0\n");
  EXPECT_EQ(Parsed("{le=\"x\",quantile=\"y\",c} 1\n"),
            "c UNTYPED\n  {le=\"x\",quantile=\"y\"} value=1\n");
}

// A quoted name is no licence to write it bare on the next line.
TEST(TextParserTest, DoesNotTakeDottedNamesBareAfterQuotedOnes) {
  EXPECT_EQ(Parsed("{\"a.b\"} 1\na.b 2\n", kUtf8),
            "text format parsing error in line 2: expected float as value, got \".b\"");
  EXPECT_EQ(Parsed("m{\"a.b\"=\"1\"} 1\nm{a.b=\"1\"} 2\n", kUtf8),
            "text format parsing error in line 2: expected '=' after label name, found '.'");
}

TEST(TextParserTest, ViewsTheBodyWhereItCan) {
  const std::string body = "# HELP m text\nm{label=\"value\"} 0.25\n";
  FamilySet set;
  ASSERT_TRUE(ParseText(body, kLegacy, set));
  const auto in_body = [&](std::string_view view) {
    return view.data() >= body.data() && view.data() + view.size() <= body.data() + body.size();
  };
  EXPECT_TRUE(in_body(set.families[0].name));
  EXPECT_TRUE(in_body(set.families[0].help));
  EXPECT_TRUE(in_body(set.labels[0].name));
  EXPECT_TRUE(in_body(set.labels[0].value));
  EXPECT_TRUE(in_body(set.metrics[0].value.token()));
}

TEST(TextParserTest, ReusesAClearedSet) {
  FamilySet set;
  const std::string first = "a{b=\"\\n\"} 1\n";
  const std::string second = "c 2\n";
  ASSERT_TRUE(ParseText(first, kLegacy, set));
  set.Clear();
  ASSERT_TRUE(ParseText(second, kLegacy, set));
  EXPECT_EQ(Dump(set), "c UNTYPED\n  {} value=2\n");
}

// Quadratic handling of any of these would take minutes.

TEST(TextParserTest, StaysLinearInTheLabelsOfALine) {
  constexpr int kLabels = 200'000;
  std::string body = "m{";
  for (int i = 0; i < kLabels; ++i) body += "l" + std::to_string(i) + "=\"\",";
  const std::string good = body + "} 1\n";
  FamilySet set;
  ASSERT_TRUE(ParseText(good, kLegacy, set));
  EXPECT_EQ(set.metrics[0].label_count, static_cast<std::uint32_t>(kLabels));
  EXPECT_EQ(Parsed(good + "m{a=\"\",a=\"\"} 1\n"),
            "text format parsing error in line 2: duplicate label names for metric \"m\"");
  EXPECT_EQ(Parsed(body + "l77777=\"\"} 1\n"),
            "text format parsing error in line 1: duplicate label names for metric \"m\"");
}

TEST(TextParserTest, StaysLinearAfterALineOfManyLabels) {
  std::string body = "m{";
  for (int i = 0; i < 100'000; ++i) body += "l" + std::to_string(i) + "=\"\",";
  body += "} 1\n";
  std::string line = "m{";
  for (int i = 0; i < 17; ++i) line += "k" + std::to_string(i) + "=\"\",";
  for (int i = 0; i < 20'000; ++i) body += line + "x" + std::to_string(i) + "=\"\"} 1\n";
  FamilySet set;
  ASSERT_TRUE(ParseText(body, kLegacy, set));
  EXPECT_EQ(set.metrics.size(), 20'001U);
}

TEST(TextParserTest, StaysLinearInPermutationsOfLabels) {
  std::mt19937_64 random(30);
  std::vector<std::string> labels;
  for (int i = 0; i < 12; ++i) labels.push_back("l" + std::to_string(i) + "=\"v\"");
  std::string body = "# TYPE h histogram\nh_count{other=\"\"} 1\n";
  for (int i = 0; i < 30'000; ++i) {
    std::shuffle(labels.begin(), labels.end(), random);
    body += "h_bucket{";
    for (const std::string& label : labels) body += label + ",";
    body += "le=\"+Inf\"} 1\n";
  }
  FamilySet set;
  ASSERT_TRUE(ParseText(body, kLegacy, set));
  EXPECT_EQ(set.metrics.size(), 2U);
  EXPECT_EQ(set.points.size(), 30'000U);
}

TEST(TextParserTest, StaysLinearInInterleavedSeries) {
  std::string body = "# TYPE h histogram\n";
  constexpr int kSeries = 50'000;
  for (const char* part : {"_bucket{le=\"+Inf\",a=\"", "_sum{a=\"", "_count{a=\""}) {
    for (int i = 0; i < kSeries; ++i) {
      body += std::string("h") + part + std::to_string(i) + "\"} " + std::to_string(i) + "\n";
    }
  }
  FamilySet set;
  ASSERT_TRUE(ParseText(body, kLegacy, set));
  ASSERT_EQ(set.metrics.size(), static_cast<std::size_t>(kSeries));
  for (int i = 0; i < kSeries; ++i) {
    ASSERT_EQ(set.metrics[static_cast<std::size_t>(i)].sum.value(), i);
    ASSERT_EQ(set.metrics[static_cast<std::size_t>(i)].count.value(), i);
  }
}

TEST(TextParserTest, StaysLinearInFamilies) {
  std::string body;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100'000; ++i) body += "f" + std::to_string(i) + "_sum 1\n";
  }
  FamilySet set;
  ASSERT_TRUE(ParseText(body, kLegacy, set));
  EXPECT_EQ(set.families.size(), 100'000U);
  EXPECT_EQ(set.metrics.size(), 200'000U);
}

}  // namespace
}  // namespace pgw
