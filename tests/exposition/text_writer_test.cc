#include "exposition/text_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "exposition/text_parser.h"

namespace pgw {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A set of one family of one metric.
class OneMetric {
 public:
  OneMetric(std::string_view name, MetricType type, std::vector<Label> labels = {}) {
    set.families.emplace_back();
    set.families[0].name = name;
    set.families[0].type = type;
    set.labels = std::move(labels);
    set.AddMetric(0);
    metric().label_count = static_cast<std::uint32_t>(set.labels.size());
    metric().kinds = ValueKindOf(type);
  }

  Metric& metric() { return set.metrics[0]; }

  std::string Lines(Escaping escaping = Escaping::kUnderscores) {
    std::string out;
    lines = AppendMetricLines(set, set.families[0], metric(), escaping, out);
    EXPECT_EQ(lines, std::count(out.begin(), out.end(), '\n'));
    EXPECT_LE(out.size(), MetricLinesBytesMax(set, set.families[0], metric(), escaping));
    return out;
  }

  FamilySet set;
  std::uint32_t lines = 0;
};

TEST(TextWriterTest, WritesHeaderWithAndWithoutHelp) {
  std::string out;
  std::string_view help = "two-line\n doc  str\\ing \"quoted\"";
  AppendFamilyHeader("name", &help, MetricType::kCounter, Escaping::kUnderscores, out);
  EXPECT_EQ(out,
            "# HELP name two-line\\n doc  str\\\\ing \"quoted\"\n"
            "# TYPE name counter\n");
  out.clear();
  help = "";
  AppendFamilyHeader("name", &help, MetricType::kGauge, Escaping::kUnderscores, out);
  EXPECT_EQ(out, "# HELP name \n# TYPE name gauge\n");
  out.clear();
  AppendFamilyHeader("name", nullptr, MetricType::kUntyped, Escaping::kUnderscores, out);
  EXPECT_EQ(out, "# TYPE name untyped\n");
}

TEST(TextWriterTest, WritesGaugeHistogramsAsHistograms) {
  std::string out;
  AppendFamilyHeader("h", nullptr, MetricType::kHistogram, Escaping::kUnderscores, out);
  AppendFamilyHeader("g", nullptr, MetricType::kGaugeHistogram, Escaping::kUnderscores, out);
  AppendFamilyHeader("s", nullptr, MetricType::kSummary, Escaping::kUnderscores, out);
  EXPECT_EQ(out, "# TYPE h histogram\n# TYPE g histogram\n# TYPE s summary\n");
}

TEST(TextWriterTest, EscapesNamesInHeaders) {
  const std::string_view help = "x";
  const struct {
    Escaping escaping;
    const char* text;
  } cases[] = {
      {Escaping::kUnderscores, "# HELP my___1 x\n# TYPE my___1 gauge\n"},
      {Escaping::kDots, "# HELP my_dot_____1 x\n# TYPE my_dot_____1 gauge\n"},
      {Escaping::kValues, "# HELP U__my_2e__e9___1 x\n# TYPE U__my_2e__e9___1 gauge\n"},
      {Escaping::kAllowUtf8, "# HELP \"my.\xc3\xa9_1\" x\n# TYPE \"my.\xc3\xa9_1\" gauge\n"},
  };
  for (const auto& c : cases) {
    std::string out;
    AppendFamilyHeader("my.\xc3\xa9_1", &help, MetricType::kGauge, c.escaping, out);
    EXPECT_EQ(out, c.text);
  }
  std::string out;
  AppendFamilyHeader("a\"b\\c\n", nullptr, MetricType::kGauge, Escaping::kAllowUtf8, out);
  EXPECT_EQ(out, "# TYPE \"a\\\"b\\\\c\\n\" gauge\n");
}

TEST(TextWriterTest, WritesPlainSamples) {
  for (const MetricType type : {MetricType::kCounter, MetricType::kGauge, MetricType::kUntyped}) {
    OneMetric one("name", type);
    one.metric().value = Number(-1.23e-45);
    EXPECT_EQ(one.Lines(), "name -1.23e-45\n");
    EXPECT_EQ(one.lines, 1U);
  }
  OneMetric labelled("name", MetricType::kCounter, {{"b", "1"}, {"a", ""}});
  labelled.metric().value = Number::FromCanonical("NaN");
  EXPECT_EQ(labelled.Lines(), "name{b=\"1\",a=\"\"} NaN\n");
}

TEST(TextWriterTest, EscapesOnlyWhatMustBeInLabelValues) {
  OneMetric one("name", MetricType::kGauge,
                {{"a", "\\\n\""},
                 {"b", "Bj\xc3\xb6rn \xe2\x82\xac"},
                 {"c", std::string_view("\0\t\r", 3)},
                 {"d", "a long text without anything special, then a \" and the rest"},
                 {"e", "ends with \\"}});
  one.metric().value = Number(kInfinity);
  EXPECT_EQ(one.Lines(), "name{a=\"\\\\\\n\\\"\",b=\"Bj\xc3\xb6rn \xe2\x82\xac\",c=\"" +
                             std::string("\0\t\r", 3) +
                             "\",d=\"a long text without anything special, then a \\\" and the "
                             "rest\",e=\"ends with \\\\\"} +Inf\n");
}

TEST(TextWriterTest, WritesSummaries) {
  OneMetric one("s", MetricType::kSummary, {{"l", "v"}});
  one.metric().sum = Number(-3.4567);
  one.metric().count = Number(1000000);
  one.set.AddPoint(0, Number(0.5), Number(-1.23));
  one.set.AddPoint(0, Number(0.9), Number(kInfinity));
  EXPECT_EQ(one.Lines(),
            "s{l=\"v\",quantile=\"0.5\"} -1.23\n"
            "s{l=\"v\",quantile=\"0.9\"} +Inf\n"
            "s_sum{l=\"v\"} -3.4567\n"
            "s_count{l=\"v\"} 1e+06\n");
  EXPECT_EQ(one.lines, 4U);
  OneMetric bare("s", MetricType::kSummary);
  EXPECT_EQ(bare.Lines(), "s_sum 0\ns_count 0\n");
  bare.set.AddPoint(0, Number(1), Number(2));
  EXPECT_EQ(bare.Lines(), "s{quantile=\"1\"} 2\ns_sum 0\ns_count 0\n");
}

TEST(TextWriterTest, WritesHistogramsAndMakesUpInfinity) {
  for (const MetricType type : {MetricType::kHistogram, MetricType::kGaugeHistogram}) {
    OneMetric one("h", type, {{"l", "v"}});
    one.metric().sum = Number::FromCanonical("1.5");
    one.metric().count = Number(2693);
    one.set.AddPoint(0, Number(250000), Number(3));
    one.set.AddPoint(0, Number::FromCanonical("1e+06"), Number::FromCanonical("17.5"));
    EXPECT_EQ(one.Lines(),
              "h_bucket{l=\"v\",le=\"250000\"} 3\n"
              "h_bucket{l=\"v\",le=\"1e+06\"} 17.5\n"
              "h_bucket{l=\"v\",le=\"+Inf\"} 2693\n"
              "h_sum{l=\"v\"} 1.5\n"
              "h_count{l=\"v\"} 2693\n");
    EXPECT_EQ(one.lines, 5U);
  }
  OneMetric bare("h", MetricType::kHistogram);
  EXPECT_EQ(bare.Lines(), "h_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0\n");
}

TEST(TextWriterTest, KeepsBucketsInOrderAndInfinityAsItIs) {
  OneMetric one("h", MetricType::kHistogram);
  one.metric().count = Number(9);
  one.set.AddPoint(0, Number(kInfinity), Number(8));
  one.set.AddPoint(0, Number(1), Number(7));
  one.set.AddPoint(0, Number(1), Number(6));
  EXPECT_EQ(one.Lines(),
            "h_bucket{le=\"+Inf\"} 8\nh_bucket{le=\"1\"} 7\nh_bucket{le=\"1\"} 6\n"
            "h_sum 0\nh_count 9\n");
}

TEST(TextWriterTest, EscapesNamesInSamples) {
  OneMetric one("my.hist", MetricType::kHistogram, {{"a.b", "x"}, {"c:d", "y"}, {"e", "z"}});
  one.metric().count = Number(1);
  EXPECT_EQ(one.Lines(Escaping::kUnderscores),
            "my_hist_bucket{a_b=\"x\",c:d=\"y\",e=\"z\",le=\"+Inf\"} 1\n"
            "my_hist_sum{a_b=\"x\",c:d=\"y\",e=\"z\"} 0\n"
            "my_hist_count{a_b=\"x\",c:d=\"y\",e=\"z\"} 1\n");
  EXPECT_EQ(one.Lines(Escaping::kDots),
            "my_dot_hist_bucket{a_dot_b=\"x\",c:d=\"y\",e=\"z\",le=\"+Inf\"} 1\n"
            "my_dot_hist_sum{a_dot_b=\"x\",c:d=\"y\",e=\"z\"} 0\n"
            "my_dot_hist_count{a_dot_b=\"x\",c:d=\"y\",e=\"z\"} 1\n");
  EXPECT_EQ(one.Lines(Escaping::kValues),
            "U__my_2e_hist_bucket{U__a_2e_b=\"x\",c:d=\"y\",e=\"z\",le=\"+Inf\"} 1\n"
            "U__my_2e_hist_sum{U__a_2e_b=\"x\",c:d=\"y\",e=\"z\"} 0\n"
            "U__my_2e_hist_count{U__a_2e_b=\"x\",c:d=\"y\",e=\"z\"} 1\n");
  EXPECT_EQ(one.Lines(Escaping::kAllowUtf8),
            "{\"my.hist_bucket\",\"a.b\"=\"x\",c:d=\"y\",e=\"z\",le=\"+Inf\"} 1\n"
            "{\"my.hist_sum\",\"a.b\"=\"x\",c:d=\"y\",e=\"z\"} 0\n"
            "{\"my.hist_count\",\"a.b\"=\"x\",c:d=\"y\",e=\"z\"} 1\n");
}

TEST(TextWriterTest, QuotesNamesWithoutLabels) {
  OneMetric gauge("a.\"b", MetricType::kGauge);
  EXPECT_EQ(gauge.Lines(Escaping::kAllowUtf8), "{\"a.\\\"b\"} 0\n");
  OneMetric summary("a.b", MetricType::kSummary);
  summary.set.AddPoint(0, Number(1), Number(2));
  EXPECT_EQ(summary.Lines(Escaping::kAllowUtf8),
            "{\"a.b\",quantile=\"1\"} 2\n{\"a.b_sum\"} 0\n{\"a.b_count\"} 0\n");
  OneMetric label("ab", MetricType::kGauge, {{"c\"d", "x"}});
  EXPECT_EQ(label.Lines(Escaping::kAllowUtf8), "ab{\"c\\\"d\"=\"x\"} 0\n");
}

TEST(TextWriterTest, ShowsMetricsOfAnotherKindAsEmpty) {
  OneMetric one("m", MetricType::kCounter, {{"a", "b"}});
  one.metric().kinds = kHasGauge;
  one.metric().value = Number(5);
  EXPECT_EQ(one.Lines(), "m{a=\"b\"} 0\n");
  one.set.families[0].type = MetricType::kHistogram;
  EXPECT_EQ(one.Lines(), "m_bucket{a=\"b\",le=\"+Inf\"} 0\nm_sum{a=\"b\"} 0\nm_count{a=\"b\"} 0\n");
}

TEST(TextWriterTest, AppendsBehindWhatIsThere) {
  OneMetric one("m", MetricType::kGauge);
  std::string out = "before\n";
  AppendMetricLines(one.set, one.set.families[0], one.metric(), Escaping::kUnderscores, out);
  EXPECT_EQ(out, "before\nm 0\n");
}

TEST(TextWriterTest, RendersTheIdentityOfASeries) {
  OneMetric one("m", MetricType::kGauge, {{"a.b", "x\"y"}, {"c", ""}});
  std::string out = "m";
  AppendLabels(one.set, one.metric(), Escaping::kUnderscores, out);
  EXPECT_EQ(out, "m{a_b=\"x\\\"y\",c=\"\"");
  out.clear();
  AppendLabels(one.set, one.metric(), Escaping::kAllowUtf8, out);
  EXPECT_EQ(out, "{\"a.b\"=\"x\\\"y\",c=\"\"");
  out.clear();
  OneMetric bare("m", MetricType::kGauge);
  AppendLabels(bare.set, bare.metric(), Escaping::kUnderscores, out);
  EXPECT_EQ(out, "");
}

TEST(TextWriterTest, BoundsTheSizeOfManyLinesWithLongLabels) {
  const std::string value(1000, '"');
  OneMetric one("s", MetricType::kSummary, {{"l", value}});
  for (int i = 0; i < 100; ++i) one.set.AddPoint(0, Number(i), Number(-1.7976931348623157e308));
  const std::string lines = one.Lines();
  EXPECT_GT(lines.size(), 200'000U);
  EXPECT_LT(MetricLinesBytesMax(one.set, one.set.families[0], one.metric(), Escaping::kUnderscores),
            2 * lines.size());
}

}  // namespace
}  // namespace pgw
