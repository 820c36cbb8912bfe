#include "exposition/debug_string.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>

#include "exposition/protobuf_reader.h"
#include "exposition/wire.h"

namespace pgw {
namespace {

using std::string_literals::operator""s;

constexpr double kInf = std::numeric_limits<double>::infinity();

// A family as the text parser would fill it.
struct BuiltFamily {
  FamilySet set;

  BuiltFamily(std::string_view name, MetricType type) {
    set.families.push_back({});
    set.families[0].name = name;
    set.families[0].type = type;
  }
  Metric& Add(std::uint8_t kinds) {
    const std::uint32_t index = set.AddMetric(0);
    set.metrics[index].kinds = kinds;
    set.metrics[index].first_label = static_cast<std::uint32_t>(set.labels.size());
    return set.metrics[index];
  }
  void AddLabel(std::string_view name, std::string_view value) {
    set.labels.push_back({name, value});
    ++set.metrics.back().label_count;
  }
  std::string First() const { return MetricDebugString(set, set.families[0], set.metrics[0]); }
  std::string Text(bool compact, Escaping escaping = Escaping::kUnderscores) const {
    std::string out;
    AppendFamilyDebugText(set, set.families[0], escaping, compact, out);
    return out;
  }
};

std::string WithValue(double value) {
  BuiltFamily family("g", MetricType::kGauge);
  family.Add(kHasGauge).value = Number(value);
  return family.First();
}

std::string WithLabelValue(std::string_view value) {
  BuiltFamily family("g", MetricType::kGauge);
  family.Add(kHasGauge);
  family.AddLabel("l", value);
  return family.First();
}

TEST(MetricDebugStringTest, ShowsLabelsAndValue) {
  BuiltFamily family("foo", MetricType::kUntyped);
  family.Add(kHasUntyped).value = Number(2);
  family.AddLabel("instance", "");
  family.AddLabel("job", "a");
  EXPECT_EQ(family.First(),
            R"(label:{name:"instance" value:""} label:{name:"job" value:"a"} untyped:{value:2})");
}

TEST(MetricDebugStringTest, PrintsNumbersAsProtobufDoes) {
  EXPECT_EQ(WithValue(0.1), "gauge:{value:0.1}");
  EXPECT_EQ(WithValue(1e6), "gauge:{value:1e+06}");
  EXPECT_EQ(WithValue(-0.0), "gauge:{value:-0}");
  EXPECT_EQ(WithValue(kInf), "gauge:{value:inf}");
  EXPECT_EQ(WithValue(-kInf), "gauge:{value:-inf}");
  EXPECT_EQ(WithValue(std::numeric_limits<double>::quiet_NaN()), "gauge:{value:nan}");
}

TEST(MetricDebugStringTest, EscapesStringsAsProtobufDoes) {
  EXPECT_EQ(WithLabelValue("a\"b\\c\n\r\t"),
            R"(label:{name:"l" value:"a\"b\\c\n\r\t"} gauge:{value:0})");
  EXPECT_EQ(WithLabelValue("\0\a\x1f\x7f"s),
            R"(label:{name:"l" value:"\x00\x07\x1f\x7f"} gauge:{value:0})");
  EXPECT_EQ(WithLabelValue("é\u0080\u009f\u00a0😱\xff"),
            "label:{name:\"l\" value:\"é\\u0080\\u009f\u00a0😱\\xff\"} gauge:{value:0}");
}

TEST(MetricDebugStringTest, LeavesNamesUnescaped) {
  BuiltFamily family("my.name", MetricType::kGauge);
  family.Add(kHasGauge);
  family.AddLabel("la.bel", "");
  EXPECT_EQ(family.First(), R"(label:{name:"la.bel" value:""} gauge:{value:0})");
}

TEST(MetricDebugStringTest, ShowsDistributions) {
  BuiltFamily family("h", MetricType::kHistogram);
  Metric& metric = family.Add(kHasHistogram);
  metric.count = Number(5);
  metric.sum = Number(2.25);
  family.set.AddPoint(0, Number(0.1), Number(3));
  family.set.AddPoint(0, Number(kInf), Number(5));
  EXPECT_EQ(family.First(),
            "histogram:{sample_count:5 sample_sum:2.25 bucket:{cumulative_count:3 upper_bound:0.1} "
            "bucket:{cumulative_count:5 upper_bound:inf}}");

  BuiltFamily summary("s", MetricType::kSummary);
  summary.Add(kHasSummary).count = Number(1e18);
  summary.set.AddPoint(0, Number(0.5), Number(7));
  EXPECT_EQ(summary.First(),
            "summary:{sample_count:1000000000000000000 sample_sum:0 "
            "quantile:{quantile:0.5 value:7}}");
}

// Appends one after the other what the wire functions write.
template <typename... Appenders>
std::string Wire(Appenders... appenders) {
  std::string out;
  (appenders(out), ...);
  return out;
}
auto Varint(std::uint32_t number, std::uint64_t value) {
  return [=](std::string& out) { AppendVarintField(number, value, out); };
}
auto Double(std::uint32_t number, double value) {
  return [=](std::string& out) { AppendDoubleField(number, value, out); };
}
auto Bytes(std::uint32_t number, const std::string& value) {
  return [=](std::string& out) { AppendBytesField(number, value, out); };
}

std::string DebugStringOf(MetricType type, const std::string& metric) {
  const std::string message =
      Wire(Bytes(1, "m"), Varint(3, static_cast<std::uint64_t>(type)), Bytes(4, metric));
  FamilySet set;
  EXPECT_TRUE(ParseFamilyMessage(message, set).ok());
  return MetricDebugString(set, set.families.at(0), set.metrics.at(0));
}

TEST(MetricDebugStringTest, ShowsEverythingThatCameByProtobufInSchemaOrder) {
  const std::string stamp = Wire(Varint(1, 1700000000), Varint(2, 5));
  const std::string exemplar =
      Wire(Bytes(1, Wire(Bytes(1, "trace"), Bytes(2, "x"))), Double(2, 0.25), Bytes(3, stamp));
  const std::string histogram =
      Wire(Varint(1, 5), Double(2, 99.5),
           Bytes(3, Wire(Varint(1, 1), Double(2, 0.1), Bytes(3, exemplar), Double(4, 0.5))),
           Double(4, 2.5), Varint(5, 1), Double(6, 1e-128), Varint(7, 2), Double(8, 1.5),
           Bytes(9, Wire(Varint(1, 5), Varint(2, 2))), Varint(10, 3), Double(11, 1),
           Bytes(12, Wire(Varint(1, 6), Varint(2, 3))), Varint(13, 4), Double(14, 2),
           Bytes(15, stamp), Bytes(16, ""));
  EXPECT_EQ(
      DebugStringOf(MetricType::kHistogram,
                    Wire(Varint(6, ~std::uint64_t{4}), Bytes(7, histogram))),
      "histogram:{sample_count:5 sample_count_float:2.5 sample_sum:99.5 "
      "bucket:{cumulative_count:1 cumulative_count_float:0.5 upper_bound:0.1 "
      "exemplar:{label:{name:\"trace\" value:\"x\"} value:0.25 "
      "timestamp:{seconds:1700000000 nanos:5}}} "
      "created_timestamp:{seconds:1700000000 nanos:5} schema:-1 zero_threshold:1e-128 "
      "zero_count:2 zero_count_float:1.5 negative_span:{offset:-3 length:2} negative_delta:-2 "
      "negative_count:1 positive_span:{offset:3 length:3} positive_delta:2 positive_count:2 "
      "exemplars:{}} timestamp_ms:-5");
}

TEST(MetricDebugStringTest, ShowsEmptyAndSeveralValueMessages) {
  EXPECT_EQ(DebugStringOf(MetricType::kGauge, ""), "");
  EXPECT_EQ(DebugStringOf(MetricType::kGauge, Wire(Bytes(3, ""), Bytes(2, Wire(Double(1, 1))))),
            "gauge:{value:1} counter:{}");
}

TEST(MetricDebugStringTest, ShowsUnknownFieldsByNumber) {
  const std::string unknown =
      Wire(Varint(100, 150), Double(101, 1), Bytes(102, "h\xff"), [](std::string& out) {
        out += "\xbd\x06\x04\x03\x02\x01";  // 103, fixed32
        out += "\xc3\x06\x08\x07\xc4\x06";  // 104, a group
        out += "\xcb\x06\xcc\x06";          // 105, an empty one
      });
  EXPECT_EQ(DebugStringOf(MetricType::kGauge, Wire(Bytes(2, "")) + unknown),
            "gauge:{} 100:150 101:0x3ff0000000000000 102:\"h\\xff\" 103:0x1020304 104:{1:7} "
            "105:{}");
}

TEST(FamilyDebugTextTest, WritesOneLineAFamily) {
  BuiltFamily family("my.name", MetricType::kGauge);
  family.Add(kHasGauge).value = Number(1);
  family.AddLabel("a.b", "c");
  family.Add(kHasGauge).value = Number(2);
  EXPECT_EQ(family.Text(/*compact=*/true),
            "name:\"my_name\" type:GAUGE metric:{label:{name:\"a_b\" value:\"c\"} gauge:{value:1}} "
            "metric:{gauge:{value:2}}\n");
}

TEST(FamilyDebugTextTest, WritesIndentedLinesAndAnEmptyOne) {
  BuiltFamily family("c", MetricType::kCounter);
  family.set.families[0].help = "He\"lp";
  family.set.families[0].has_help = true;
  family.Add(kHasCounter).value = Number(1);
  family.AddLabel("a", "b");
  EXPECT_EQ(family.Text(/*compact=*/false), R"(name: "c"
help: "He\"lp"
type: COUNTER
metric: {
  label: {
    name: "a"
    value: "b"
  }
  counter: {
    value: 1
  }
}

)");
}

TEST(FamilyDebugTextTest, KeepsEmptyMessagesOnTheirLine) {
  const std::string message = Wire(Bytes(1, "c"), Bytes(4, Wire(Bytes(2, ""))), Bytes(4, ""));
  FamilySet set;
  ASSERT_TRUE(ParseFamilyMessage(message, set).ok());
  std::string out;
  AppendFamilyDebugText(set, set.families[0], Escaping::kUnderscores, /*compact=*/false, out);
  EXPECT_EQ(out, "name: \"c\"\ntype: COUNTER\nmetric: {\n  gauge: {}\n}\nmetric: {}\n\n");
}

}  // namespace
}  // namespace pgw
