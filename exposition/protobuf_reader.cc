// Reads the wire in place and builds a protobuf message only for the metrics whose text lines would
// not say everything: for all others names and values are views into the body and nothing is
// allocated but the set's own arrays.
//
// Memory. An empty submessage takes two bytes on the wire and a hundred times that in memory, so
// everything a body makes us allocate is paid from a budget that grows with the body's size. What
// real clients send needs three to eleven times its size.
#include "exposition/protobuf_reader.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "exposition/metrics.pb.h"
#include "exposition/names.h"
#include "exposition/quote.h"
#include "exposition/wire.h"

namespace pgw {
namespace {

namespace pb = ::io::prometheus::client;

// What one element costs in memory: in the set, and in the message if its metric needs one.
constexpr std::size_t kPointer = sizeof(void*);
constexpr std::size_t kFamilyCost = sizeof(Family) + sizeof(std::uint32_t);
constexpr std::size_t kMetricMessageCost = sizeof(pb::Metric) + kPointer;
constexpr std::size_t kLabelMessageCost =
    sizeof(pb::LabelPair) + kPointer + 2 * sizeof(std::string);
constexpr std::size_t kPointMessageCost = sizeof(pb::Bucket) + kPointer;
constexpr std::size_t kSpanMessageCost = sizeof(pb::BucketSpan) + kPointer;
constexpr std::size_t kExemplarMessageCost = sizeof(pb::Exemplar) + kPointer;
constexpr std::size_t kTimestampMessageCost = sizeof(pb::Timestamp);
constexpr std::size_t kUnknownFieldMessageCost = 64;  // a string, and what points to it

// Bytes that may still be allocated.
class Budget {
 public:
  static constexpr std::size_t kBase = std::size_t{1} << 20;
  static constexpr std::size_t kPerBodyByte = 16;

  static Budget ForBody(std::size_t body_bytes) {
    return Budget(kBase + kPerBodyByte * body_bytes);
  }
  static Budget Unlimited() { return Budget(std::numeric_limits<std::size_t>::max()); }

  bool Spend(std::size_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  explicit Budget(std::size_t bytes) : left_(bytes) {}

  std::size_t left_;
};

double AsDouble(std::uint64_t bits) { return std::bit_cast<double>(bits); }

// True if text can carry the value: not for a negative zero, nor for a NaN with a message of its
// own (Prometheus marks stale series so).
bool SurvivesText(double value) {
  if (value == 0) return !std::signbit(value);
  if (!std::isnan(value)) return true;
  const auto bits = std::bit_cast<std::uint64_t>(value);
  return bits == 0x7ff8000000000000 || bits == 0x7ff8000000000001;
}

bool IsExactDouble(std::uint64_t count) {
  return count == 0 || (count >> std::countr_zero(count)) < std::uint64_t{1} << 53;
}

// The kind of value that field `number` of a Metric is, or 0.
std::uint8_t KindOfField(std::uint32_t number) {
  switch (number) {
    case pb::Metric::kGaugeFieldNumber:
      return kHasGauge;
    case pb::Metric::kCounterFieldNumber:
      return kHasCounter;
    case pb::Metric::kSummaryFieldNumber:
      return kHasSummary;
    case pb::Metric::kUntypedFieldNumber:
      return kHasUntyped;
    case pb::Metric::kHistogramFieldNumber:
      return kHasHistogram;
    default:
      return 0;
  }
}

std::size_t MessageCostOfKind(std::uint8_t kind) {
  switch (kind) {
    case kHasCounter:
      return sizeof(pb::Counter);
    case kHasSummary:
      return sizeof(pb::Summary);
    case kHasHistogram:
      return sizeof(pb::Histogram);
    default:
      return sizeof(pb::Gauge);
  }
}

// The kinds that the set's fields show: at most one of the single values and at most one of the
// distributions. The family's type decides, then the order of upstream's JSON API.
std::uint8_t ShownKinds(std::uint8_t kinds, MetricType type) {
  const std::uint8_t of_type = kinds & ValueKindOf(type);
  const auto first_of = [kinds, of_type](std::initializer_list<std::uint8_t> preference) {
    for (const std::uint8_t kind : preference) {
      if (of_type == kind) return kind;
    }
    for (const std::uint8_t kind : preference) {
      if (kinds & kind) return kind;
    }
    return std::uint8_t{0};
  };
  return first_of({kHasGauge, kHasCounter, kHasUntyped}) | first_of({kHasHistogram, kHasSummary});
}

// A histogram's packed numbers, none of them: as good as absent, and not written again.
bool IsEmptyList(const WireField& field) {
  if (field.type != WireType::kBytes || !field.bytes.empty()) return false;
  return field.number == pb::Histogram::kNegativeDeltaFieldNumber ||
         field.number == pb::Histogram::kNegativeCountFieldNumber ||
         field.number == pb::Histogram::kPositiveDeltaFieldNumber ||
         field.number == pb::Histogram::kPositiveCountFieldNumber;
}

// One of the counts of a histogram, which come in two fields.
struct Count {
  std::uint64_t integer = 0;
  double floating = 0;
  bool has_integer = false;
  bool has_floating = false;

  void SetInteger(std::uint64_t value) { integer = value, has_integer = true; }
  void SetFloating(double value) { floating = value, has_floating = true; }
  double Shown() const { return floating > 0 ? floating : static_cast<double>(integer); }
};

// Whether a histogram's counts come back from text in the fields they came from.
class CountFields {
 public:
  void Add(const Count& count) {
    integers_ |= count.has_integer;
    floats_ |= count.has_floating;
    if (!IsExactDouble(count.integer)) lost_ = true;
    if (count.has_floating) {
      lost_ |=
          !(count.floating >= 0) || std::isinf(count.floating) || !SurvivesText(count.floating);
      fraction_ |= count.floating != std::floor(count.floating);
    }
  }
  bool SurviveText() const { return !lost_ && (floats_ ? fraction_ && !integers_ : true); }

 private:
  bool integers_ = false;
  bool floats_ = false;
  bool fraction_ = false;
  bool lost_ = false;
};

// What is gathered about the metric at hand. Parts of one message may come in several pieces, which
// add up.
struct Values {
  double value = 0;
  double sum = 0;
  Count count;
  CountFields count_fields;
  bool infinite_bucket = false;
};

class Parser {
 public:
  Parser(FamilySet& out, Budget budget) : out_(out), budget_(budget) {}

  // `offset` is for error texts only.
  Status ParseFamily(std::string_view message, std::size_t offset);

 private:
  enum class Failure { kNone, kMalformed, kOverBudget };

  // All of these return false after a failure.
  bool Spend(std::size_t bytes) { return budget_.Spend(bytes) || Fail(Failure::kOverBudget); }
  bool Fail(Failure failure) {
    failure_ = failure;
    return false;
  }
  bool Finish(const WireReader& reader) { return reader.ok() || Fail(Failure::kMalformed); }

  bool ReadMetrics(std::string_view message, std::uint32_t family);
  bool ReadMetric(std::string_view message, std::uint32_t family);
  bool ReadLabel(std::string_view message);
  bool ReadValues(std::string_view message, std::uint8_t shown, Values& values);
  bool ReadScalar(std::string_view message, bool is_counter, Values& values);
  bool ReadSummary(std::string_view message, bool shown, Values& values);
  bool ReadQuantile(std::string_view message, bool shown);
  bool ReadHistogram(std::string_view message, bool shown, Values& values);
  bool ReadBucket(std::string_view message, bool shown, Values& values);
  bool ReadTimestamp(std::string_view message);
  bool ReadSpan(std::string_view message);
  bool ReadExemplar(std::string_view message);
  bool Skip(std::string_view message);
  bool KeepMessage(std::string_view message);

  // The lines of the metric at hand do not say everything.
  void SetBeyondLines() { out_.metrics[metric_].beyond_lines = true; }
  // Something only a message can keep; `cost` is what it takes there.
  void NeedMessage(std::size_t cost) {
    SetBeyondLines();
    message_cost_ += cost;
  }
  double Checked(double value) {
    if (!SurvivesText(value)) SetBeyondLines();
    return value;
  }
  double CheckedBound(double value) {
    if (std::isnan(value)) SetBeyondLines();
    return Checked(value);
  }

  FamilySet& out_;
  Budget budget_;
  std::shared_ptr<google::protobuf::Arena> arena_;
  std::uint32_t metric_ = kNoIndex;  // the metric at hand
  std::size_t message_cost_ = 0;     // of its message, if it comes to need one
  Failure failure_ = Failure::kNone;
};

Status Parser::ParseFamily(std::string_view message, std::size_t offset) {
  const auto at = [offset] { return " in the message at byte " + std::to_string(offset); };
  const auto failed = [&]() -> Status {
    if (failure_ == Failure::kOverBudget) {
      return InvalidArgument("proto: too many empty or tiny elements" + at());
    }
    return InvalidArgument("proto: malformed MetricFamily" + at());
  };

  Family family;
  // Absent means the first value of the enumeration.
  std::int32_t type = static_cast<std::int32_t>(MetricType::kCounter);
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(pb::MetricFamily::kNameFieldNumber, WireType::kBytes)) {
      family.name = field.bytes;
    } else if (field.Is(pb::MetricFamily::kHelpFieldNumber, WireType::kBytes)) {
      family.help = field.bytes;
      family.has_help = true;
    } else if (field.Is(pb::MetricFamily::kTypeFieldNumber, WireType::kVarint)) {
      // Enumerations are 32 bits wide; protobuf cuts the rest off.
      type = static_cast<std::int32_t>(static_cast<std::uint32_t>(field.value));
    }
  }
  if (!Finish(reader)) return failed();
  if (family.name.empty() || !IsValidUtf8(family.name)) {
    return InvalidArgument("invalid metric name " + GoQuote(family.name) + at());
  }
  if (type < 0 || type >= kMetricTypeCount) {
    return InvalidArgument("unknown metric type " + std::to_string(type) + " of metric family " +
                           GoQuote(family.name));
  }
  family.type = static_cast<MetricType>(type);
  if (!Spend(kFamilyCost)) return failed();
  out_.families.push_back(family);
  if (!ReadMetrics(message, static_cast<std::uint32_t>(out_.families.size() - 1))) return failed();
  return {};
}

// Apart from the above: a metric can only be read when the type, which may follow it, is known.
bool Parser::ReadMetrics(std::string_view message, std::uint32_t family) {
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(pb::MetricFamily::kMetricFieldNumber, WireType::kBytes) &&
        !ReadMetric(field.bytes, family)) {
      return false;
    }
  }
  return Finish(reader);
}

bool Parser::ReadMetric(std::string_view message, std::uint32_t family) {
  if (!Spend(sizeof(Metric))) return false;
  metric_ = out_.AddMetric(family);
  message_cost_ = kMetricMessageCost;
  const std::size_t first_label = out_.labels.size();
  std::size_t labels_end = message.size();  // where something else than labels begins
  std::uint8_t kinds = 0;
  bool has_timestamp = false;
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(pb::Metric::kLabelFieldNumber, WireType::kBytes)) {
      if (!ReadLabel(field.bytes)) return false;
      continue;
    }
    if (field.offset < labels_end) {
      // The labels so far will not be in the message.
      labels_end = field.offset;
      message_cost_ = kMetricMessageCost;
    }
    if (field.type == WireType::kBytes && KindOfField(field.number) != 0) {
      kinds |= KindOfField(field.number);
    } else if (field.Is(pb::Metric::kTimestampMsFieldNumber, WireType::kVarint)) {
      has_timestamp = true;
    } else {
      NeedMessage(kUnknownFieldMessageCost);
    }
  }
  if (!Finish(reader)) return false;

  const MetricType type = out_.families[family].type;
  Values values;
  if (!ReadValues(message.substr(labels_end), ShownKinds(kinds, type), values)) return false;

  Metric& metric = out_.metrics[metric_];
  metric.first_label = static_cast<std::uint32_t>(first_label);
  metric.label_count = static_cast<std::uint32_t>(out_.labels.size() - first_label);
  metric.value = Number(Checked(values.value));
  metric.sum = Number(Checked(values.sum));
  metric.count = Number(values.count.Shown());
  metric.kinds = kinds;
  metric.has_timestamp = has_timestamp;
  values.count_fields.Add(values.count);
  if (has_timestamp || kinds != ValueKindOf(type) || !values.count_fields.SurviveText() ||
      (kinds == kHasHistogram && !values.infinite_bucket)) {
    metric.beyond_lines = true;
  }
  return !metric.beyond_lines || KeepMessage(message.substr(labels_end));
}

bool Parser::ReadLabel(std::string_view message) {
  if (!Spend(sizeof(Label))) return false;
  message_cost_ += kLabelMessageCost;
  Label label;
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(pb::LabelPair::kNameFieldNumber, WireType::kBytes)) {
      label.name = field.bytes;
    } else if (field.Is(pb::LabelPair::kValueFieldNumber, WireType::kBytes)) {
      label.value = field.bytes;
    } else {
      message_cost_ += kUnknownFieldMessageCost;
    }
  }
  if (!Finish(reader)) return false;
  out_.labels.push_back(label);
  return true;
}

bool Parser::ReadValues(std::string_view message, std::uint8_t shown, Values& values) {
  // What is not shown is read all the same: it must be well-formed, and it costs memory.
  Values unshown;
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    const std::uint8_t kind = field.type == WireType::kBytes ? KindOfField(field.number) : 0;
    if (kind == 0) continue;
    message_cost_ += MessageCostOfKind(kind);
    const bool is_shown = (kind & shown) != 0;
    Values& target = is_shown ? values : unshown;
    const bool read = kind == kHasSummary ? ReadSummary(field.bytes, is_shown, target)
                      : kind == kHasHistogram
                          ? ReadHistogram(field.bytes, is_shown, target)
                          : ReadScalar(field.bytes, kind == kHasCounter, target);
    if (!read) return false;
  }
  return Finish(reader);
}

// Counter, Gauge and Untyped have their value in the same field.
bool Parser::ReadScalar(std::string_view message, bool is_counter, Values& values) {
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(pb::Counter::kValueFieldNumber, WireType::kFixed64)) {
      values.value = AsDouble(field.value);
    } else if (is_counter && field.Is(pb::Counter::kExemplarFieldNumber, WireType::kBytes)) {
      if (!ReadExemplar(field.bytes)) return false;
    } else if (is_counter &&
               field.Is(pb::Counter::kCreatedTimestampFieldNumber, WireType::kBytes)) {
      if (!ReadTimestamp(field.bytes)) return false;
    } else {
      NeedMessage(kUnknownFieldMessageCost);
    }
  }
  return Finish(reader);
}

bool Parser::ReadSummary(std::string_view message, bool shown, Values& values) {
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(pb::Summary::kSampleCountFieldNumber, WireType::kVarint)) {
      values.count.SetInteger(field.value);
    } else if (field.Is(pb::Summary::kSampleSumFieldNumber, WireType::kFixed64)) {
      values.sum = AsDouble(field.value);
    } else if (field.Is(pb::Summary::kQuantileFieldNumber, WireType::kBytes)) {
      if (!ReadQuantile(field.bytes, shown)) return false;
    } else if (field.Is(pb::Summary::kCreatedTimestampFieldNumber, WireType::kBytes)) {
      if (!ReadTimestamp(field.bytes)) return false;
    } else {
      NeedMessage(kUnknownFieldMessageCost);
    }
  }
  return Finish(reader);
}

bool Parser::ReadQuantile(std::string_view message, bool shown) {
  if (shown && !Spend(sizeof(Point))) return false;
  message_cost_ += kPointMessageCost;
  double quantile = 0;
  double value = 0;
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(pb::Quantile::kQuantileFieldNumber, WireType::kFixed64)) {
      quantile = AsDouble(field.value);
    } else if (field.Is(pb::Quantile::kValueFieldNumber, WireType::kFixed64)) {
      value = AsDouble(field.value);
    } else {
      NeedMessage(kUnknownFieldMessageCost);
    }
  }
  if (!Finish(reader)) return false;
  if (shown) out_.AddPoint(metric_, Number(CheckedBound(quantile)), Number(Checked(value)));
  return true;
}

bool Parser::ReadHistogram(std::string_view message, bool shown, Values& values) {
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    bool read = true;
    if (field.Is(pb::Histogram::kSampleCountFieldNumber, WireType::kVarint)) {
      values.count.SetInteger(field.value);
    } else if (field.Is(pb::Histogram::kSampleSumFieldNumber, WireType::kFixed64)) {
      values.sum = AsDouble(field.value);
    } else if (field.Is(pb::Histogram::kBucketFieldNumber, WireType::kBytes)) {
      read = ReadBucket(field.bytes, shown, values);
    } else if (field.Is(pb::Histogram::kSampleCountFloatFieldNumber, WireType::kFixed64)) {
      values.count.SetFloating(AsDouble(field.value));
    } else if (field.Is(pb::Histogram::kExemplarsFieldNumber, WireType::kBytes)) {
      read = ReadExemplar(field.bytes);
    } else if (field.Is(pb::Histogram::kNegativeSpanFieldNumber, WireType::kBytes) ||
               field.Is(pb::Histogram::kPositiveSpanFieldNumber, WireType::kBytes)) {
      read = ReadSpan(field.bytes);
    } else if (field.Is(pb::Histogram::kCreatedTimestampFieldNumber, WireType::kBytes)) {
      read = ReadTimestamp(field.bytes);
    } else if (!IsEmptyList(field)) {
      // A number, or packed numbers of at least one byte, or unknown.
      NeedMessage(sizeof(std::int64_t) * (1 + field.bytes.size()));
    }
    if (!read) return false;
  }
  return Finish(reader);
}

bool Parser::ReadBucket(std::string_view message, bool shown, Values& values) {
  if (shown && !Spend(sizeof(Point))) return false;
  message_cost_ += kPointMessageCost;
  Count count;
  double upper_bound = 0;
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(pb::Bucket::kCumulativeCountFieldNumber, WireType::kVarint)) {
      count.SetInteger(field.value);
    } else if (field.Is(pb::Bucket::kUpperBoundFieldNumber, WireType::kFixed64)) {
      upper_bound = AsDouble(field.value);
    } else if (field.Is(pb::Bucket::kExemplarFieldNumber, WireType::kBytes)) {
      if (!ReadExemplar(field.bytes)) return false;
    } else if (field.Is(pb::Bucket::kCumulativeCountFloatFieldNumber, WireType::kFixed64)) {
      count.SetFloating(AsDouble(field.value));
    } else {
      NeedMessage(kUnknownFieldMessageCost);
    }
  }
  if (!Finish(reader)) return false;
  values.count_fields.Add(count);
  values.infinite_bucket |= upper_bound == std::numeric_limits<double>::infinity();
  if (shown) out_.AddPoint(metric_, Number(CheckedBound(upper_bound)), Number(count.Shown()));
  return true;
}

// What only a message keeps is read for its cost and to see that it is well-formed.
bool Parser::ReadExemplar(std::string_view message) {
  NeedMessage(kExemplarMessageCost);
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(pb::Exemplar::kLabelFieldNumber, WireType::kBytes)) {
      NeedMessage(kLabelMessageCost);
      if (!Skip(field.bytes)) return false;
    } else if (field.Is(pb::Exemplar::kTimestampFieldNumber, WireType::kBytes)) {
      if (!ReadTimestamp(field.bytes)) return false;
    }
  }
  return Finish(reader);
}

bool Parser::ReadTimestamp(std::string_view message) {
  NeedMessage(kTimestampMessageCost);
  return Skip(message);
}

bool Parser::ReadSpan(std::string_view message) {
  NeedMessage(kSpanMessageCost);
  return Skip(message);
}

bool Parser::Skip(std::string_view message) {
  WireReader reader(message);
  while (reader.Next()) {
  }
  return Finish(reader);
}

// `message` begins behind the first labels: they live in the set, where they may be changed, and
// nowhere else.
bool Parser::KeepMessage(std::string_view message) {
  if (!Spend(message_cost_)) return false;
  if (message.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return Fail(Failure::kMalformed);
  }
  if (arena_ == nullptr) {
    arena_ = std::make_shared<google::protobuf::Arena>();
    out_.backing.push_back(arena_);
  }
  auto* metric = google::protobuf::Arena::CreateMessage<pb::Metric>(arena_.get());
  if (!metric->ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return Fail(Failure::kMalformed);
  }
  metric->clear_label();
  out_.metrics[metric_].message = metric;
  return true;
}

// Of several families of one name only the last is left. Their metrics stay in the set's arrays,
// where nothing leads to them.
void DropRepeatedFamilies(std::vector<Family>& families) {
  std::vector<std::uint32_t> order(families.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&families](std::uint32_t a, std::uint32_t b) {
    const int compared = families[a].name.compare(families[b].name);
    return compared != 0 ? compared < 0 : a < b;
  });
  bool repeated = false;
  for (std::size_t i = 1; i < order.size(); ++i) {
    Family& earlier = families[order[i - 1]];
    if (earlier.name != families[order[i]].name) continue;
    repeated = true;
    earlier.metric_count = kNoIndex;  // the mark
  }
  if (!repeated) return;
  std::erase_if(families, [](const Family& family) { return family.metric_count == kNoIndex; });
}

}  // namespace

Status ParseDelimited(std::string_view body, FamilySet& out) {
  Parser parser(out, Budget::ForBody(body.size()));
  std::string_view rest = body;
  while (!rest.empty()) {
    std::uint64_t size = 0;
    switch (ConsumeVarint(rest, size)) {
      case VarintStatus::kOk:
        break;
      case VarintStatus::kTruncated:
        return InvalidArgument("unexpected EOF");
      case VarintStatus::kOverflow:
        return InvalidArgument("binary: varint overflows a 64-bit integer");
    }
    if (size > rest.size()) return InvalidArgument("unexpected EOF");
    const std::string_view message = rest.substr(0, static_cast<std::size_t>(size));
    if (Status status = parser.ParseFamily(message, body.size() - rest.size()); !status) {
      return status;
    }
    rest.remove_prefix(message.size());
  }
  DropRepeatedFamilies(out.families);
  return {};
}

Status ParseFamilyMessage(std::string_view bytes, FamilySet& out) {
  // It was within the budget when it came, though not necessarily in so few bytes.
  Parser parser(out, Budget::Unlimited());
  if (Status status = parser.ParseFamily(bytes, 0); !status) {
    return Error{Code::kInternal, status.error().message};
  }
  return {};
}

}  // namespace pgw
