#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "exposition/protobuf_reader.h"
#include "exposition/protobuf_writer.h"
#include "exposition/wire.h"

namespace pgw {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;
using testing::StartsWith;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Builds a message field by field: Message().Bytes(1, "name").Double(2, 0.5).
class Message {
 public:
  Message& Varint(std::uint32_t number, std::uint64_t value) {
    AppendVarintField(number, value, bytes_);
    return *this;
  }
  Message& Double(std::uint32_t number, double value) {
    AppendDoubleField(number, value, bytes_);
    return *this;
  }
  Message& Bytes(std::uint32_t number, std::string_view value) {
    AppendBytesField(number, value, bytes_);
    return *this;
  }
  Message& Sub(std::uint32_t number, const Message& message) {
    return Bytes(number, message.bytes_);
  }
  Message& Raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

Message LabelPair(std::string_view name, std::string_view value) {
  return Message().Bytes(1, name).Bytes(2, value);
}
Message Value(double value) { return Message().Double(1, value); }
Message Bucket(std::uint64_t count, double bound) {
  return Message().Varint(1, count).Double(2, bound);
}
Message FloatBucket(double count, double bound) {
  return Message().Double(2, bound).Double(4, count);
}
Message FamilyOf(std::string_view name, MetricType type, const Message& metric) {
  return Message().Bytes(1, name).Varint(3, static_cast<std::uint64_t>(type)).Sub(4, metric);
}

std::string Delimited(const std::vector<Message>& messages) {
  std::string body;
  for (const Message& message : messages) {
    AppendVarint(message.bytes().size(), body);
    body += message.bytes();
  }
  return body;
}

// A body together with what was read from it.
class Parsed {
 public:
  explicit Parsed(std::string body) : body_(std::move(body)) {
    const Status status = ParseDelimited(body_, set);
    if (!status) error = status.error().message;
  }
  explicit Parsed(const Message& message) : Parsed(Delimited({message})) {}

  const Metric& metric(std::size_t index = 0) const { return set.metrics.at(index); }
  std::vector<Label> LabelsOf(const Metric& metric) const {
    const auto first = set.labels.begin() + metric.first_label;
    return {first, first + metric.label_count};
  }
  std::vector<std::pair<double, double>> PointsOf(const Metric& metric) const {
    std::vector<std::pair<double, double>> points;
    for (std::uint32_t i = metric.first_point; i != kNoIndex; i = set.points[i].next) {
      points.emplace_back(set.points[i].bound.value(), set.points[i].value.value());
    }
    EXPECT_EQ(points.size(), metric.point_count);
    return points;
  }

 private:
  std::string body_;

 public:
  FamilySet set;
  std::string error;
};

std::string ErrorOf(std::string body) { return Parsed(std::move(body)).error; }
std::string ErrorOf(const Message& message) { return Parsed(message).error; }

// ---- Reading.

TEST(ProtobufReaderTest, EmptyBodyHasNoFamilies) {
  const Parsed parsed("");
  EXPECT_EQ(parsed.error, "");
  EXPECT_TRUE(parsed.set.families.empty());
}

TEST(ProtobufReaderTest, ReadsAllFamiliesOfABody) {
  const Message counter =
      Message().Sub(1, LabelPair("b", "2")).Sub(1, LabelPair("a", "")).Sub(3, Value(7));
  const Parsed parsed(Delimited(
      {Message().Bytes(1, "c_total").Bytes(2, "Help.").Varint(3, 0).Sub(4, counter).Sub(4, counter),
       FamilyOf("g", MetricType::kGauge, Message().Sub(2, Value(kInf))),
       FamilyOf("u", MetricType::kUntyped, Message().Sub(5, Value(1e300)))}));
  ASSERT_EQ(parsed.error, "");
  ASSERT_EQ(parsed.set.families.size(), 3U);

  const Family& c = parsed.set.families[0];
  EXPECT_EQ(c.name, "c_total");
  EXPECT_EQ(c.help, "Help.");
  EXPECT_TRUE(c.has_help);
  EXPECT_EQ(c.type, MetricType::kCounter);
  ASSERT_EQ(c.metric_count, 2U);
  const Metric& metric = parsed.metric(c.first_metric);
  EXPECT_EQ(metric.value.value(), 7);
  EXPECT_EQ(metric.kinds, kHasCounter);
  EXPECT_FALSE(metric.has_timestamp);
  EXPECT_FALSE(metric.beyond_lines);
  EXPECT_EQ(metric.message, nullptr);
  EXPECT_THAT(parsed.LabelsOf(metric),
              testing::ElementsAre(Label{"b", "2"}, Label{"a", ""}));  // as sent
  EXPECT_EQ(metric.next, c.last_metric);

  EXPECT_FALSE(parsed.set.families[1].has_help);
  EXPECT_EQ(parsed.metric(parsed.set.families[1].first_metric).value.value(), kInf);
  EXPECT_EQ(parsed.set.families[2].type, MetricType::kUntyped);
  EXPECT_EQ(parsed.metric(parsed.set.families[2].first_metric).value.value(), 1e300);
}

TEST(ProtobufReaderTest, FamilyWithoutMetricsIsKept) {
  const Parsed parsed(Message().Bytes(1, "empty").Bytes(2, "").Varint(3, 1));
  ASSERT_EQ(parsed.set.families.size(), 1U);
  EXPECT_EQ(parsed.set.families[0].metric_count, 0U);
  EXPECT_TRUE(parsed.set.families[0].has_help);  // present, though empty
}

TEST(ProtobufReaderTest, MissingTypeIsCounter) {
  const Parsed parsed(Message().Bytes(1, "a").Sub(4, Message().Sub(3, Value(1))));
  EXPECT_EQ(parsed.set.families.at(0).type, MetricType::kCounter);
  EXPECT_FALSE(parsed.metric().beyond_lines);
}

TEST(ProtobufReaderTest, TypeMayFollowTheMetrics) {
  const Message both = Message().Sub(3, Value(1)).Sub(5, Value(2)).Sub(2, Value(3));
  const Parsed parsed(Message().Sub(4, both).Varint(3, 3).Bytes(1, "late"));
  EXPECT_EQ(parsed.metric().value.value(), 2);
  EXPECT_EQ(parsed.metric().kinds, kHasCounter | kHasUntyped | kHasGauge);
}

TEST(ProtobufReaderTest, ShowsOneOfSeveralValuesInTheOrderOfTheJsonApi) {
  const Message both = Message().Sub(5, Value(1)).Sub(3, Value(2)).Sub(2, Value(3));
  EXPECT_EQ(Parsed(FamilyOf("s", MetricType::kSummary, both)).metric().value.value(), 3);
  const Message pair = Message()
                           .Sub(4, Message().Varint(1, 4).Sub(3, Message().Double(1, 0.5)))
                           .Sub(7, Message().Varint(1, 5).Sub(3, Bucket(5, kInf)));
  const Parsed summary(FamilyOf("s", MetricType::kSummary, pair));
  EXPECT_EQ(summary.metric().count.value(), 4);
  EXPECT_THAT(summary.PointsOf(summary.metric()), testing::ElementsAre(testing::Pair(0.5, 0)));
  const Parsed histogram(FamilyOf("h", MetricType::kHistogram, pair));
  EXPECT_EQ(histogram.metric().count.value(), 5);
  EXPECT_THAT(histogram.PointsOf(histogram.metric()), testing::ElementsAre(testing::Pair(kInf, 5)));
}

TEST(ProtobufReaderTest, ReadsSummariesInTheOrderSent) {
  const Message summary = Message()
                              .Varint(1, 9)
                              .Double(2, 1.5)
                              .Sub(3, Message().Double(1, 0.9).Double(2, 3))
                              .Sub(3, Message().Double(1, 0.5).Double(2, kNaN));
  const Parsed parsed(FamilyOf("s", MetricType::kSummary, Message().Sub(4, summary)));
  EXPECT_EQ(parsed.metric().count.value(), 9);
  EXPECT_EQ(parsed.metric().sum.value(), 1.5);
  const auto points = parsed.PointsOf(parsed.metric());
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0], std::pair(0.9, 3.0));
  EXPECT_EQ(points[1].first, 0.5);
  EXPECT_TRUE(std::isnan(points[1].second));
  EXPECT_FALSE(parsed.metric().beyond_lines);
}

TEST(ProtobufReaderTest, FloatCountsWinOnlyWherePositive) {
  const Message histogram = Message()
                                .Varint(1, 4)
                                .Double(4, 2.5)
                                .Sub(3, Message().Varint(1, 7).Double(2, 1).Double(4, 0))
                                .Sub(3, Message().Varint(1, 8).Double(2, 2).Double(4, -3))
                                .Sub(3, Message().Varint(1, 9).Double(2, kInf).Double(4, 2.5));
  const Parsed parsed(FamilyOf("h", MetricType::kHistogram, Message().Sub(7, histogram)));
  EXPECT_EQ(parsed.metric().count.value(), 2.5);
  EXPECT_THAT(
      parsed.PointsOf(parsed.metric()),
      testing::ElementsAre(testing::Pair(1, 7), testing::Pair(2, 8), testing::Pair(kInf, 2.5)));
}

TEST(ProtobufReaderTest, PiecesOfOneMessageAddUp) {
  const Message metric = Message()
                             .Sub(7, Message().Varint(1, 1).Double(2, 8).Sub(3, Bucket(1, 1)))
                             .Sub(1, LabelPair("a", "1"))
                             .Sub(7, Message().Varint(1, 2).Sub(3, Bucket(2, kInf)));
  const Parsed parsed(FamilyOf("h", MetricType::kHistogram, metric));
  EXPECT_EQ(parsed.metric().count.value(), 2);
  EXPECT_EQ(parsed.metric().sum.value(), 8);
  EXPECT_THAT(parsed.PointsOf(parsed.metric()),
              testing::ElementsAre(testing::Pair(1, 1), testing::Pair(kInf, 2)));
  EXPECT_FALSE(parsed.metric().beyond_lines);
}

TEST(ProtobufReaderTest, LastOfRepeatedSingleFieldsCounts) {
  const Message label = Message().Bytes(1, "x").Bytes(2, "1").Bytes(1, "a").Bytes(2, "2");
  const Parsed parsed(FamilyOf("first", MetricType::kGauge,
                               Message().Sub(1, label).Sub(2, Message().Double(1, 1).Double(1, 2)))
                          .Bytes(1, "second"));
  EXPECT_EQ(parsed.set.families.at(0).name, "second");
  EXPECT_EQ(parsed.metric().value.value(), 2);
  EXPECT_THAT(parsed.LabelsOf(parsed.metric()), testing::ElementsAre(Label{"a", "2"}));
}

TEST(ProtobufReaderTest, TimestampCountsEvenIfZero) {
  const Parsed parsed(FamilyOf("g", MetricType::kGauge, Message().Sub(2, Value(1)).Varint(6, 0)));
  EXPECT_TRUE(parsed.metric().has_timestamp);
}

TEST(ProtobufReaderTest, LastFamilyOfANameWinsEntirely) {
  const Parsed parsed(
      Delimited({FamilyOf("a", MetricType::kGauge, Message().Sub(2, Value(1))).Bytes(2, "old help"),
                 FamilyOf("b", MetricType::kGauge, Message().Sub(2, Value(2))),
                 FamilyOf("a", MetricType::kGauge, Message().Sub(2, Value(3))),
                 FamilyOf("a", MetricType::kCounter, Message().Sub(3, Value(4)))}));
  ASSERT_EQ(parsed.set.families.size(), 2U);
  EXPECT_EQ(parsed.set.families[0].name, "b");
  const Family& a = parsed.set.families[1];
  EXPECT_EQ(a.type, MetricType::kCounter);
  EXPECT_FALSE(a.has_help);
  ASSERT_EQ(a.metric_count, 1U);
  EXPECT_EQ(parsed.metric(a.first_metric).value.value(), 4);
}

// ---- What is refused.

TEST(ProtobufReaderTest, RefusesUnusableNames) {
  EXPECT_EQ(ErrorOf(Message().Varint(3, 1)), "invalid metric name \"\" in the message at byte 1");
  EXPECT_EQ(ErrorOf(Message().Bytes(1, "a\xff")),
            R"(invalid metric name "a\xff" in the message at byte 1)");
  EXPECT_EQ(ErrorOf("\0"s), "invalid metric name \"\" in the message at byte 1");
  // Others are none of the reader's business.
  EXPECT_EQ(ErrorOf(Message().Bytes(1, "1 a.b")), "");
}

TEST(ProtobufReaderTest, RefusesUnknownTypesByFamilyAndNumber) {
  EXPECT_EQ(ErrorOf(Message().Bytes(1, "foo").Varint(3, 6)),
            R"(unknown metric type 6 of metric family "foo")");
  EXPECT_EQ(ErrorOf(Message().Varint(3, ~std::uint64_t{0}).Bytes(1, "foo")),
            R"(unknown metric type -1 of metric family "foo")");
  // The last one counts, and only its low 32 bits, as in protobuf.
  EXPECT_EQ(ErrorOf(Message().Bytes(1, "foo").Varint(3, 9).Varint(3, 1)), "");
  EXPECT_EQ(ErrorOf(Message().Bytes(1, "foo").Varint(3, (std::uint64_t{1} << 32) + 1)), "");
}

TEST(ProtobufReaderTest, SaysUnexpectedEofForWhatIsCutOff) {
  const std::string body =
      Delimited({FamilyOf("g", MetricType::kGauge, Message().Sub(2, Value(1)))});
  for (std::size_t size = 1; size < body.size(); ++size) {
    EXPECT_EQ(ErrorOf(body.substr(0, size)), "unexpected EOF") << size;
  }
  EXPECT_EQ(ErrorOf("\x80"), "unexpected EOF");
  EXPECT_EQ(ErrorOf(body + "\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + "x"), "unexpected EOF");
  EXPECT_EQ(ErrorOf(std::string(9, '\xff') + '\x01'), "unexpected EOF");
}

TEST(ProtobufReaderTest, RefusesLengthsBeyondSixtyFourBits) {
  EXPECT_EQ(ErrorOf(std::string(9, '\xff') + '\x02'), "binary: varint overflows a 64-bit integer");
}

TEST(ProtobufReaderTest, RefusesMalformedMessagesAnywhere) {
  const std::vector<std::string> malformed = {
      "\x00\x00"s,                                     // field number 0
      "\x0e",                                          // wire type 6
      "\x0f",                                          // wire type 7
      "\x08",                                          // a varint that is not there
      "\x08\x80",                                      // … that is cut off
      "\x08" + std::string(10, '\xff'),                // … that is too long
      "\x11\x01\x02",                                  // a double that is cut off
      "\x1d\x01",                                      // a fixed32 that is
      "\x3a\x02x",                                     // a string that is
      "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  // … by far
      "\x3a\x81\x80\x80\x80\x80\x00x"s,                // a string with six bytes of size
      "\x88\x80\x80\x80\x80\x00\x01"s,                 // a tag of six bytes
      "\x88\x80\x80\x80\x10\x01",                      // a tag of more than 32 bits
      "\x44",                                          // a group that ends without a start
      "\x43",                                          // one that starts without an end
      "\x43\x4c",                                      // one that ends as another
      "\x43\x08\x44",                                  // one with a malformed field
  };
  for (const std::string& bytes : malformed) {
    const Message raw = Message().Raw(bytes);
    const auto family = [](const Message& metric) {
      return FamilyOf("m", MetricType::kHistogram, metric);
    };
    EXPECT_EQ(ErrorOf(Message().Bytes(1, "m").Raw(bytes)),
              "proto: malformed MetricFamily in the message at byte 1");
    EXPECT_THAT(ErrorOf(family(raw)), StartsWith("proto: "));
    EXPECT_THAT(ErrorOf(family(Message().Sub(1, raw))), StartsWith("proto: "));
    for (const std::uint32_t value : {2U, 3U, 4U, 5U, 7U}) {
      EXPECT_THAT(ErrorOf(family(Message().Sub(value, raw))), StartsWith("proto: ")) << value;
    }
    EXPECT_THAT(ErrorOf(family(Message().Sub(4, Message().Sub(3, raw)))), StartsWith("proto: "));
    EXPECT_THAT(ErrorOf(family(Message().Sub(7, Message().Sub(3, raw)))), StartsWith("proto: "));
    EXPECT_THAT(ErrorOf(family(Message().Sub(7, Message().Sub(9, raw)))), StartsWith("proto: "));
    EXPECT_THAT(ErrorOf(family(Message().Sub(7, Message().Sub(16, raw)))), StartsWith("proto: "));
  }
}

TEST(ProtobufReaderTest, NamesTheByteOfTheOffendingMessage) {
  const Message good = FamilyOf("g", MetricType::kGauge, Message().Sub(2, Value(1)));
  const std::size_t size = good.bytes().size();
  EXPECT_EQ(ErrorOf(Delimited({good, Message().Raw("\x0f")})),
            "proto: malformed MetricFamily in the message at byte " + std::to_string(size + 2));
}

TEST(ProtobufReaderTest, BoundsTheDepthOfUnknownGroups) {
  const auto nested = [](std::size_t depth) {
    std::string groups;
    for (std::size_t i = 0; i < depth; ++i) groups += '\x43';
    for (std::size_t i = 0; i < depth; ++i) groups += '\x44';
    return FamilyOf("g", MetricType::kGauge, Message().Sub(2, Value(1)).Raw(groups));
  };
  EXPECT_EQ(ErrorOf(nested(WireReader::kGroupDepthMax)), "");
  EXPECT_THAT(ErrorOf(nested(WireReader::kGroupDepthMax + 1)), StartsWith("proto: "));
  EXPECT_THAT(ErrorOf(nested(1000000)), StartsWith("proto: "));
}

// A body of `repeated` again and again, in the place that `wrap` gives it.
std::string FloodError(std::string_view repeated, std::uint32_t field) {
  std::string flood;
  while (flood.size() < (std::size_t{2} << 20)) flood += repeated;
  switch (field) {
    case 0:
      return ErrorOf(Message().Bytes(1, "m").Raw(flood));
    case 1:
      return ErrorOf(FamilyOf("m", MetricType::kGauge, Message().Raw(flood)));
    default:
      return ErrorOf(
          FamilyOf("m", MetricType::kHistogram, Message().Sub(field, Message().Raw(flood))));
  }
}

TEST(ProtobufReaderTest, RefusesBodiesThatWouldGrowWithoutBoundInMemory) {
  const std::string over = "proto: too many empty or tiny elements in the message at byte 4";
  EXPECT_EQ(FloodError("\x22\x00"s, 0), over);                  // metrics
  EXPECT_EQ(FloodError("\x0a\x00"s, 1), over);                  // labels
  EXPECT_EQ(FloodError("\x1a\x00"s, 4), over);                  // quantiles
  EXPECT_EQ(FloodError("\x1a\x00"s, 7), over);                  // buckets
  EXPECT_EQ(FloodError("\x82\x01\x00"s, 7), over);              // exemplars
  EXPECT_EQ(FloodError("\x82\x01\x02\x0a\x00"s, 7), over);      // exemplars with labels
  EXPECT_EQ(FloodError("\x1a\x04\x1a\x02\x0a\x00"s, 7), over);  // … of buckets
  EXPECT_EQ(FloodError("\x40\x00"s, 1), over);                  // unknown fields
  // Spans. The bound is on memory: where pointers have four bytes, these need no more than a body
  // of this size may have.
  EXPECT_EQ(FloodError("\x4a\x00"s, 7), sizeof(void*) > 4 ? over : "");
}

TEST(ProtobufReaderTest, RepeatedFamiliesCollapseInLittleTime) {
  const std::string message = Message().Bytes(1, "repeated_family").bytes();
  std::string body;
  for (int i = 0; i < 100000; ++i) body += static_cast<char>(message.size()) + message;
  const Parsed parsed(body);
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.set.families.size(), 1U);
}

TEST(ProtobufReaderTest, TakesSmallOddBodies) {
  Message family = Message().Bytes(1, "m");
  for (int i = 0; i < 2000; ++i) family.Raw("\x22\x00"s);
  const Parsed parsed(family);
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.set.families.at(0).metric_count, 2000U);
}

TEST(ProtobufReaderTest, TakesTheLeanestHonestBodies) {
  Message gauges = Message().Bytes(1, "g").Varint(3, 1);
  Message native = Message().Varint(4, 2).Varint(5, 3);
  for (int i = 0; i < 60000; ++i) {
    gauges.Sub(4, Message().Sub(1, LabelPair("a", std::to_string(i))).Sub(2, Value(i)));
    native.Sub(12, Message().Varint(1, 2).Varint(2, 1)).Varint(13, 2);
  }
  EXPECT_EQ(ErrorOf(gauges), "");
  EXPECT_EQ(ErrorOf(FamilyOf("n", MetricType::kHistogram, Message().Sub(7, native))), "");
  // Native histograms nothing was observed with.
  const Message idle = Message()
                           .Varint(1, 0)
                           .Double(2, 0)
                           .Varint(5, 6)
                           .Double(6, 1e-128)
                           .Varint(7, 0)
                           .Sub(12, Message().Varint(1, 0).Varint(2, 0))
                           .Sub(15, Message().Varint(1, 1700000000).Varint(2, 123456789));
  Message histograms = Message().Bytes(1, "h").Varint(3, 4);
  for (int i = 0; i < 30000; ++i) {
    histograms.Sub(4, Message().Sub(1, LabelPair("a", std::to_string(i))).Sub(7, idle));
  }
  EXPECT_EQ(ErrorOf(histograms), "");
  // Created timestamps make a message of each.
  Message counters = Message().Bytes(1, "c");
  const Message counter =
      Message().Double(1, 5).Sub(3, Message().Varint(1, 1700000000).Varint(2, 123456789));
  for (int i = 0; i < 30000; ++i) {
    counters.Sub(4, Message().Sub(1, LabelPair("a", std::to_string(i))).Sub(3, counter));
  }
  EXPECT_EQ(ErrorOf(counters), "");
}

// ---- What lines can carry.

struct LinesCase {
  std::string name;
  MetricType type;
  Message metric;
  bool beyond_lines;
};

class BeyondLinesTest : public testing::TestWithParam<LinesCase> {};

TEST_P(BeyondLinesTest, IsSetWhereLinesWouldLoseSomething) {
  const Parsed parsed(FamilyOf("m", GetParam().type, GetParam().metric));
  ASSERT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.metric().beyond_lines, GetParam().beyond_lines);
  EXPECT_EQ(parsed.metric().message != nullptr, GetParam().beyond_lines);
  EXPECT_EQ(parsed.set.backing.empty(), !GetParam().beyond_lines);
}

Message Histogram(const Message& fields) { return Message().Sub(7, fields); }
Message Summary(const Message& fields) { return Message().Sub(4, fields); }

constexpr auto kHistogramType = MetricType::kHistogram;
constexpr std::uint64_t kTwoTo53 = std::uint64_t{1} << 53;

INSTANTIATE_TEST_SUITE_P(
    Scalars, BeyondLinesTest,
    testing::Values(
        LinesCase{"Counter", MetricType::kCounter, Message().Sub(3, Value(1)), false},
        LinesCase{"Absent", MetricType::kGauge, Message().Sub(2, Message()), false},
        LinesCase{"NaN", MetricType::kGauge, Message().Sub(2, Value(kNaN)), false},
        LinesCase{"StaleNaN", MetricType::kGauge,
                  Message().Sub(2, Message().Raw("\x09\x02\0\0\0\0\0\xf0\x7f"s)), true},
        LinesCase{"Infinite", MetricType::kGauge, Message().Sub(2, Value(-kInf)), false},
        LinesCase{"NegativeZero", MetricType::kGauge, Message().Sub(2, Value(-0.0)), true},
        LinesCase{"Timestamp", MetricType::kGauge, Message().Sub(2, Value(1)).Varint(6, 5), true},
        LinesCase{"OtherKind", MetricType::kGauge, Message().Sub(3, Value(1)), true},
        LinesCase{"NoKind", MetricType::kGauge, Message(), true},
        LinesCase{"TwoKinds", MetricType::kGauge, Message().Sub(2, Value(1)).Sub(3, Value(1)),
                  true},
        LinesCase{"Exemplar", MetricType::kCounter,
                  Message().Sub(3, Message().Double(1, 1).Sub(2, Message())), true},
        LinesCase{"Created", MetricType::kCounter,
                  Message().Sub(3, Message().Double(1, 1).Sub(3, Message())), true},
        LinesCase{"UnknownInMetric", MetricType::kGauge, Message().Sub(2, Value(1)).Varint(8, 1),
                  true},
        LinesCase{"UnknownInValue", MetricType::kGauge,
                  Message().Sub(2, Message().Double(1, 1).Varint(2, 1)), true},
        LinesCase{"WrongWireType", MetricType::kGauge, Message().Sub(2, Message().Varint(1, 1)),
                  true}),
    [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Summaries, BeyondLinesTest,
    testing::Values(
        LinesCase{"Plain", MetricType::kSummary,
                  Summary(Message().Varint(1, 5).Sub(3, Message().Double(1, 0.5).Double(2, kNaN))),
                  false},
        LinesCase{"Empty", MetricType::kSummary, Summary(Message()), false},
        LinesCase{"NaNQuantile", MetricType::kSummary,
                  Summary(Message().Sub(3, Message().Double(1, kNaN))), true},
        LinesCase{"NegativeZeroQuantile", MetricType::kSummary,
                  Summary(Message().Sub(3, Message().Double(1, -0.0))), true},
        LinesCase{"NegativeZeroValue", MetricType::kSummary,
                  Summary(Message().Sub(3, Message().Double(2, -0.0))), true},
        LinesCase{"NegativeZeroSum", MetricType::kSummary, Summary(Message().Double(2, -0.0)),
                  true},
        LinesCase{"LargestExactCount", MetricType::kSummary, Summary(Message().Varint(1, kTwoTo53)),
                  false},
        LinesCase{"InexactCount", MetricType::kSummary, Summary(Message().Varint(1, kTwoTo53 + 1)),
                  true},
        LinesCase{"LargeExactCount", MetricType::kSummary,
                  Summary(Message().Varint(1, std::uint64_t{3} << 62)), false},
        LinesCase{"LargestCount", MetricType::kSummary,
                  Summary(Message().Varint(1, ~std::uint64_t{0})), true},
        LinesCase{"Created", MetricType::kSummary, Summary(Message().Sub(4, Message())), true}),
    [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Histograms, BeyondLinesTest,
    testing::Values(
        LinesCase{"EmptyLists", kHistogramType,
                  Histogram(Message()
                                .Sub(3, Bucket(2, kInf))
                                .Bytes(10, "")
                                .Bytes(11, "")
                                .Bytes(13, "")
                                .Bytes(14, "")),
                  false},
        LinesCase{"Integers", kHistogramType,
                  Histogram(Message().Varint(1, 5).Sub(3, Bucket(2, 1)).Sub(3, Bucket(5, kInf))),
                  false},
        LinesCase{"GaugeHistogram", MetricType::kGaugeHistogram,
                  Histogram(Message().Varint(1, 5).Sub(3, Bucket(5, kInf))), false},
        LinesCase{"NoInfinity", kHistogramType,
                  Histogram(Message().Varint(1, 5).Sub(3, Bucket(2, 1))), true},
        LinesCase{"NaNBound", kHistogramType,
                  Histogram(Message().Sub(3, Bucket(2, kNaN)).Sub(3, Bucket(2, kInf))), true},
        LinesCase{
            "FractionalFloats", kHistogramType,
            Histogram(
                Message().Double(4, 2.5).Sub(3, FloatBucket(0, 1)).Sub(3, FloatBucket(2, kInf))),
            false},
        LinesCase{"IntegralFloats", kHistogramType,
                  Histogram(Message().Double(4, 2).Sub(3, FloatBucket(2, kInf))), true},
        LinesCase{"NegativeFloat", kHistogramType,
                  Histogram(Message().Double(4, 2.5).Sub(3, FloatBucket(-0.5, kInf))), true},
        LinesCase{"InfiniteFloat", kHistogramType,
                  Histogram(Message().Double(4, 2.5).Sub(3, FloatBucket(kInf, kInf))), true},
        LinesCase{"FloatAndInteger", kHistogramType,
                  Histogram(Message().Double(4, 2.5).Sub(3, Bucket(2, kInf))), true},
        LinesCase{"InexactBucket", kHistogramType,
                  Histogram(Message().Sub(3, Bucket(kTwoTo53 + 1, kInf))), true},
        LinesCase{"BucketExemplar", kHistogramType,
                  Histogram(Message().Sub(3, Message().Double(2, kInf).Sub(3, Message()))), true},
        LinesCase{"Schema", kHistogramType,
                  Histogram(Message().Varint(5, 0).Sub(3, Bucket(1, kInf))), true},
        LinesCase{"Span", kHistogramType,
                  Histogram(Message().Sub(12, Message()).Sub(3, Bucket(1, kInf))), true},
        LinesCase{"Created", kHistogramType,
                  Histogram(Message().Sub(15, Message()).Sub(3, Bucket(1, kInf))), true},
        LinesCase{"Exemplar", kHistogramType,
                  Histogram(Message().Sub(16, Message()).Sub(3, Bucket(1, kInf))), true}),
    [](const auto& param) { return param.param.name; });

// ---- Writing.

// A set of one family with one metric, as the text parser would fill it.
struct BuiltSet {
  FamilySet set;

  BuiltSet(std::string_view name, MetricType type, std::uint8_t kinds) {
    set.families.push_back({});
    set.families[0].name = name;
    set.families[0].type = type;
    set.AddMetric(0);
    set.metrics[0].kinds = kinds;
  }
  BuiltSet& AddLabel(std::string_view name, std::string_view value) {
    set.labels.push_back({name, value});
    ++set.metrics[0].label_count;
    return *this;
  }
  BuiltSet& Set(Number Metric::* field, double value) {
    set.metrics[0].*field = Number(value);
    return *this;
  }
  BuiltSet& Point(double bound, double value) {
    set.AddPoint(0, Number(bound), Number(value));
    return *this;
  }
  std::string Serialize(Escaping escaping = Escaping::kAllowUtf8) const {
    return SerializeFamily(set, set.families[0], escaping);
  }
};

TEST(ProtobufWriterTest, WritesValuesThatCameFromText) {
  BuiltSet built("u", MetricType::kUntyped, kHasUntyped);
  built.AddLabel("a", "x").AddLabel("b", "").Set(&Metric::value, -0.0);
  built.set.families[0].has_help = true;
  EXPECT_EQ(
      built.Serialize(),
      Message()
          .Bytes(1, "u")
          .Bytes(2, "")
          .Varint(3, 3)
          .Sub(4,
               Message().Sub(1, LabelPair("a", "x")).Sub(1, LabelPair("b", "")).Sub(5, Value(-0.0)))
          .bytes());
}

TEST(ProtobufWriterTest, WritesSummaries) {
  BuiltSet built("s", MetricType::kSummary, kHasSummary);
  built.Set(&Metric::count, 3).Set(&Metric::sum, 1.5).Point(0.5, 1).Point(0.9, kNaN);
  EXPECT_EQ(built.Serialize(),
            FamilyOf("s", MetricType::kSummary,
                     Summary(Message()
                                 .Varint(1, 3)
                                 .Double(2, 1.5)
                                 .Sub(3, Message().Double(1, 0.5).Double(2, 1))
                                 .Sub(3, Message().Double(1, 0.9).Double(2, kNaN))))
                .bytes());
}

TEST(ProtobufWriterTest, KeepsSummaryCountsInRange) {
  const auto written = [](double count) {
    BuiltSet built("s", MetricType::kSummary, kHasSummary);
    return built.Set(&Metric::count, count).Serialize();
  };
  const auto expected = [](std::uint64_t count) {
    return FamilyOf("s", MetricType::kSummary, Summary(Message().Varint(1, count).Double(2, 0)))
        .bytes();
  };
  EXPECT_EQ(written(2.9), expected(2));
  EXPECT_EQ(written(-1), expected(0));
  EXPECT_EQ(written(kNaN), expected(0));
  EXPECT_EQ(written(1e20), expected(~std::uint64_t{0}));
}

TEST(ProtobufWriterTest, WritesIntegralHistogramCountsAsIntegers) {
  BuiltSet built("h", kHistogramType, kHasHistogram);
  built.Set(&Metric::count, 1e18).Set(&Metric::sum, 2.5).Point(1, 0).Point(2, 7);
  EXPECT_EQ(built.Serialize(), FamilyOf("h", kHistogramType,
                                        Histogram(Message()
                                                      .Varint(1, 1000000000000000000)
                                                      .Double(2, 2.5)
                                                      .Sub(3, Bucket(0, 1))
                                                      .Sub(3, Bucket(7, 2))))
                                   .bytes());
}

TEST(ProtobufWriterTest, OneFractionalCountTurnsAllIntoFloats) {
  BuiltSet built("h", kHistogramType, kHasHistogram);
  built.Set(&Metric::count, 4).Point(1, 2.5).Point(kInf, 4);
  EXPECT_EQ(built.Serialize(), FamilyOf("h", kHistogramType,
                                        Histogram(Message()
                                                      .Double(2, 0)
                                                      .Sub(3, FloatBucket(2.5, 1))
                                                      .Sub(3, FloatBucket(4, kInf))
                                                      .Double(4, 4)))
                                   .bytes());
}

TEST(ProtobufWriterTest, CountsBeyondIntegersBecomeFloats) {
  BuiltSet built("h", kHistogramType, kHasHistogram);
  built.Set(&Metric::count, 1e300);
  EXPECT_EQ(
      built.Serialize(),
      FamilyOf("h", kHistogramType, Histogram(Message().Double(2, 0).Double(4, 1e300))).bytes());
}

TEST(ProtobufWriterTest, EscapesNamesOnDemand) {
  BuiltSet built("my.name", MetricType::kGauge, kHasGauge);
  built.AddLabel("la.bel", "va.lue").AddLabel("a:b", "");
  const auto expected = [](std::string_view name, std::string_view label) {
    return FamilyOf(name, MetricType::kGauge,
                    Message()
                        .Sub(1, LabelPair(label, "va.lue"))
                        .Sub(1, LabelPair("a:b", ""))
                        .Sub(2, Value(0)))
        .bytes();
  };
  EXPECT_EQ(built.Serialize(Escaping::kAllowUtf8), expected("my.name", "la.bel"));
  EXPECT_EQ(built.Serialize(Escaping::kUnderscores), expected("my_name", "la_bel"));
  EXPECT_EQ(built.Serialize(Escaping::kDots), expected("my_dot_name", "la_dot_bel"));
  EXPECT_EQ(built.Serialize(Escaping::kValues), expected("U__my_2e_name", "U__la_2e_bel"));
}

TEST(ProtobufWriterTest, TakesLabelsFromTheSetAndTheRestFromTheMessage) {
  const Message native = Message()
                             .Double(2, 99.23)
                             .Double(4, 20)
                             .Varint(5, 2)  // schema 1, zigzag
                             .Sub(9, Message().Varint(1, 0).Varint(2, 2))
                             .Double(11, 2)
                             .Double(11, -2)
                             .Sub(12, Message().Varint(2, 1))
                             .Varint(13, 3)
                             .Sub(15, Message().Varint(1, 1700000000).Varint(2, 5))
                             .Sub(16, Message().Sub(1, LabelPair("trace", "x")).Double(2, 1))
                             .Varint(1000, 12345);
  const auto family = [&native](const Message& label) {
    return FamilyOf("h", kHistogramType,
                    Message().Sub(1, label).Sub(7, native).Bytes(9, "unknown"));
  };
  Parsed parsed(family(LabelPair("a", "pushed")).Bytes(5, "seconds"));
  ASSERT_EQ(parsed.error, "");
  parsed.set.labels[parsed.metric().first_label].value = "forced";
  EXPECT_EQ(SerializeFamily(parsed.set, parsed.set.families[0], Escaping::kUnderscores),
            family(LabelPair("a", "forced")).bytes());
}

TEST(ProtobufWriterTest, KeepsUnknownGroups) {
  const std::string group = "\x43\x08\x01\x4b\x4c\x44";
  const Message family = FamilyOf("g", MetricType::kGauge, Message().Sub(2, Value(1)).Raw(group));
  const Parsed parsed(family);
  EXPECT_EQ(SerializeFamily(parsed.set, parsed.set.families[0], Escaping::kUnderscores),
            family.bytes());
}

TEST(ProtobufWriterTest, UnpacksPackedNumbers) {
  const auto family = [](const Message& deltas) {
    return FamilyOf("h", kHistogramType, Histogram(Message().Varint(5, 0).Raw(deltas.bytes())));
  };
  const Parsed parsed(family(Message().Bytes(10, "\x02\x03\x80\x01")));
  EXPECT_EQ(SerializeFamily(parsed.set, parsed.set.families[0], Escaping::kUnderscores),
            family(Message().Varint(10, 2).Varint(10, 3).Varint(10, 128)).bytes());
}

TEST(ProtobufWriterTest, DelimitsWithTheLength) {
  BuiltSet built("g", MetricType::kGauge, kHasGauge);
  const std::string help(300, 'h');
  built.set.families[0].help = help;
  built.set.families[0].has_help = true;
  const std::string message = built.Serialize();
  std::string out = "before";
  AppendDelimitedFamily(built.set, built.set.families[0], Escaping::kAllowUtf8, out);
  std::string expected = "before";
  AppendVarint(message.size(), expected);
  EXPECT_EQ(out, expected + message);
  EXPECT_GT(message.size(), 300U);
}

// ---- There and back.

std::uint64_t Bits(const Number& number) {
  std::uint64_t bits = 0;
  const double value = number.value();
  static_assert(sizeof bits == sizeof value);
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

void ExpectSameMetric(const FamilySet& a, const Metric& x, const FamilySet& b, const Metric& y) {
  EXPECT_EQ(std::vector(a.labels.begin() + x.first_label,
                        a.labels.begin() + x.first_label + x.label_count),
            std::vector(b.labels.begin() + y.first_label,
                        b.labels.begin() + y.first_label + y.label_count));
  EXPECT_EQ(Bits(x.value), Bits(y.value));
  EXPECT_EQ(Bits(x.sum), Bits(y.sum));
  EXPECT_EQ(Bits(x.count), Bits(y.count));
  EXPECT_EQ(x.kinds, y.kinds);
  EXPECT_EQ(x.has_timestamp, y.has_timestamp);
  EXPECT_EQ(x.beyond_lines, y.beyond_lines);
  ASSERT_EQ(x.point_count, y.point_count);
  for (std::uint32_t i = x.first_point, j = y.first_point; i != kNoIndex;
       i = a.points[i].next, j = b.points[j].next) {
    EXPECT_EQ(Bits(a.points[i].bound), Bits(b.points[j].bound));
    EXPECT_EQ(Bits(a.points[i].value), Bits(b.points[j].value));
  }
}

void ExpectSurvives(const FamilySet& set) {
  for (const Family& family : set.families) {
    SCOPED_TRACE(family.name);
    const std::string bytes = SerializeFamily(set, family, Escaping::kAllowUtf8);
    FamilySet again;
    ASSERT_TRUE(ParseFamilyMessage(bytes, again).ok());
    ASSERT_EQ(again.families.size(), 1U);
    const Family& copy = again.families[0];
    EXPECT_EQ(copy.name, family.name);
    EXPECT_EQ(copy.help, family.help);
    EXPECT_EQ(copy.has_help, family.has_help);
    EXPECT_EQ(copy.type, family.type);
    ASSERT_EQ(copy.metric_count, family.metric_count);
    for (std::uint32_t i = family.first_metric, j = copy.first_metric; i != kNoIndex;
         i = set.metrics[i].next, j = again.metrics[j].next) {
      ExpectSameMetric(set, set.metrics[i], again, again.metrics[j]);
    }
    EXPECT_EQ(SerializeFamily(again, copy, Escaping::kAllowUtf8), bytes);
  }
}

TEST_P(BeyondLinesTest, SurvivesSerialization) {
  const Parsed parsed(FamilyOf(
      "m.é", GetParam().type,
      Message(GetParam().metric).Sub(1, LabelPair("ä.b", "\xff")).Sub(1, LabelPair("", ""))));
  ASSERT_EQ(parsed.error, "");
  ExpectSurvives(parsed.set);
}

TEST(ProtobufRoundTripTest, KeepsWhatCameFromText) {
  BuiltSet zero("zero", MetricType::kGauge, kHasGauge);
  zero.AddLabel("l", "v").Set(&Metric::value, -0.0).set.metrics[0].beyond_lines = true;
  ExpectSurvives(zero.set);

  BuiltSet unbounded("unbounded", kHistogramType, kHasHistogram);
  unbounded.Set(&Metric::count, 5).Point(1, 2).Point(1, 3).set.metrics[0].beyond_lines = true;
  ExpectSurvives(unbounded.set);

  BuiltSet fractional("fractional", MetricType::kGaugeHistogram, kHasHistogram);
  fractional.Set(&Metric::count, 5).Set(&Metric::sum, -1).Point(1, 2.5).Point(kInf, 0);
  ExpectSurvives(fractional.set);

  BuiltSet summary("s", MetricType::kSummary, kHasSummary);
  summary.Set(&Metric::count, 5).Point(-12.34, kNaN).Point(-12.34, kInf);
  ExpectSurvives(summary.set);

  BuiltSet stamped("stamped", MetricType::kUntyped, kHasUntyped);
  stamped.set.metrics[0].has_timestamp = stamped.set.metrics[0].beyond_lines = true;
  ExpectSurvives(stamped.set);

  FamilySet empty;
  empty.families.push_back({});
  empty.families[0].name = "empty";
  ExpectSurvives(empty);
}

TEST(ParseFamilyMessageTest, CallsDamageAnInternalError) {
  FamilySet set;
  const Status status = ParseFamilyMessage("\x0f", set);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kInternal);
  EXPECT_THAT(status.error().message, HasSubstr("malformed MetricFamily"));
  EXPECT_FALSE(ParseFamilyMessage("", set).ok());
}

}  // namespace
}  // namespace pgw
