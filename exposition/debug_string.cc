#include "exposition/debug_string.h"

#include <cassert>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "exposition/metrics.pb.h"
#include "exposition/number.h"
#include "exposition/protobuf_writer.h"
#include "exposition/unicode.h"
#include "exposition/wire.h"

namespace pgw {
namespace {

namespace pb = ::io::prometheus::client;

constexpr char kHexDigits[] = "0123456789abcdef";

void AppendHex(std::uint64_t value, std::string& out) {
  int shift = 60;
  while (shift > 0 && (value >> shift & 0xf) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) out.push_back(kHexDigits[value >> shift & 0xf]);
}

void AppendEscapedChar(const DecodedChar& c, std::string_view bytes, std::string& out) {
  const auto byte = static_cast<unsigned char>(bytes.front());
  if (c.valid && (c.code_point > 0x9f || (c.code_point >= 0x20 && c.code_point < 0x7f))) {
    if (byte == '"' || byte == '\\') out.push_back('\\');
    out.append(bytes.substr(0, c.size));
  } else if (c.valid && c.code_point >= 0x80) {
    out += "\\u00";
    AppendHex(c.code_point, out);
  } else if (byte == '\n') {
    out += "\\n";
  } else if (byte == '\r') {
    out += "\\r";
  } else if (byte == '\t') {
    out += "\\t";
  } else {
    out += "\\x";
    out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 0xf]);
  }
}

// Go's quoting of strings in protobuf's text form, which differs from that of %q.
void AppendQuoted(std::string_view text, std::string& out) {
  out.push_back('"');
  while (!text.empty()) {
    const DecodedChar next = DecodeUtf8(text);
    AppendEscapedChar(next, text, out);
    text.remove_prefix(next.size);
  }
  out.push_back('"');
}

// Prints fields as `name:value` and `name:{…}`, on one line with a space between or on lines of
// their own. Field order is that of the schema's declarations in client_model, as Go prints it.
class Printer {
 public:
  Printer(bool compact, std::string& out) : compact_(compact), out_(out) {}

  void Field(std::string_view name, std::string_view text) {
    Begin(name);
    if (!compact_) out_.push_back(' ');
    AppendQuoted(text, out_);
    End();
  }
  void Field(std::string_view name, double value) {
    Begin(name);
    if (!compact_) out_.push_back(' ');
    if (std::isnan(value)) {
      out_ += "nan";
    } else if (std::isinf(value)) {
      out_ += value < 0 ? "-inf" : "inf";
    } else {
      AppendFloatKeepingZeroSign(value, out_);
    }
    End();
  }
  // Numbers and enumeration values.
  void Literal(std::string_view name, std::string_view value) {
    Begin(name);
    if (!compact_) out_.push_back(' ');
    out_ += value;
    End();
  }
  template <typename Fields>
  void Message(std::string_view name, Fields fields) {
    Begin(name);
    if (!compact_) out_.push_back(' ');
    out_.push_back('{');
    const std::size_t start = out_.size();
    ++depth_;
    at_start_ = true;
    if (!compact_) out_.push_back('\n');
    fields();
    --depth_;
    if (!compact_ && out_.size() == start + 1) {
      out_.pop_back();  // an empty message stays on its line
    } else if (!compact_) {
      Indent();
    }
    out_.push_back('}');
    End();
  }

 private:
  void Begin(std::string_view name) {
    if (!compact_) {
      Indent();
    } else if (!at_start_) {
      out_.push_back(' ');
    }
    out_ += name;
    out_.push_back(':');
  }
  void End() {
    at_start_ = false;
    if (!compact_) out_.push_back('\n');
  }
  void Indent() { out_.append(static_cast<std::size_t>(depth_) * 2, ' '); }

  const bool compact_;
  std::string& out_;
  int depth_ = 0;
  bool at_start_ = true;
};

// Fields that the schema does not know, by number. Groups nest as deep as the reader allows.
void PrintUnknown(std::string_view wire, Printer& printer) {
  WireReader reader(wire);
  while (reader.Next()) {
    const WireField& field = reader.field();
    const std::string name = std::to_string(field.number);
    switch (field.type) {
      case WireType::kVarint:
        printer.Literal(name, std::to_string(field.value));
        break;
      case WireType::kFixed32:
      case WireType::kFixed64: {
        std::string value = "0x";
        AppendHex(field.value, value);
        printer.Literal(name, value);
        break;
      }
      case WireType::kBytes:
        printer.Field(name, field.bytes);
        break;
      case WireType::kGroup:
        printer.Message(name, [&] { PrintUnknown(field.bytes, printer); });
        break;
    }
  }
}

void PrintLabel(const pb::LabelPair& label, Printer& printer) {
  printer.Message("label", [&] {
    if (label.has_name()) printer.Field("name", label.name());
    if (label.has_value()) printer.Field("value", label.value());
    PrintUnknown(label.unknown_fields(), printer);
  });
}

void PrintTimestamp(std::string_view name, const pb::Timestamp& timestamp, Printer& printer) {
  printer.Message(name, [&] {
    if (timestamp.has_seconds()) {
      printer.Literal("seconds", std::to_string(timestamp.seconds()));
    }
    if (timestamp.has_nanos()) printer.Literal("nanos", std::to_string(timestamp.nanos()));
    PrintUnknown(timestamp.unknown_fields(), printer);
  });
}

void PrintExemplar(std::string_view name, const pb::Exemplar& exemplar, Printer& printer) {
  printer.Message(name, [&] {
    for (const pb::LabelPair& label : exemplar.label()) PrintLabel(label, printer);
    if (exemplar.has_value()) printer.Field("value", exemplar.value());
    if (exemplar.has_timestamp()) PrintTimestamp("timestamp", exemplar.timestamp(), printer);
    PrintUnknown(exemplar.unknown_fields(), printer);
  });
}

void PrintCounter(const pb::Counter& counter, Printer& printer) {
  if (counter.has_value()) printer.Field("value", counter.value());
  if (counter.has_exemplar()) PrintExemplar("exemplar", counter.exemplar(), printer);
  if (counter.has_created_timestamp()) {
    PrintTimestamp("created_timestamp", counter.created_timestamp(), printer);
  }
  PrintUnknown(counter.unknown_fields(), printer);
}

void PrintSummary(const pb::Summary& summary, Printer& printer) {
  if (summary.has_sample_count()) {
    printer.Literal("sample_count", std::to_string(summary.sample_count()));
  }
  if (summary.has_sample_sum()) printer.Field("sample_sum", summary.sample_sum());
  for (const pb::Quantile& quantile : summary.quantile()) {
    printer.Message("quantile", [&] {
      if (quantile.has_quantile()) printer.Field("quantile", quantile.quantile());
      if (quantile.has_value()) printer.Field("value", quantile.value());
      PrintUnknown(quantile.unknown_fields(), printer);
    });
  }
  if (summary.has_created_timestamp()) {
    PrintTimestamp("created_timestamp", summary.created_timestamp(), printer);
  }
  PrintUnknown(summary.unknown_fields(), printer);
}

void PrintBucket(const pb::Bucket& bucket, Printer& printer) {
  printer.Message("bucket", [&] {
    if (bucket.has_cumulative_count()) {
      printer.Literal("cumulative_count", std::to_string(bucket.cumulative_count()));
    }
    if (bucket.has_cumulative_count_float()) {
      printer.Field("cumulative_count_float", bucket.cumulative_count_float());
    }
    if (bucket.has_upper_bound()) printer.Field("upper_bound", bucket.upper_bound());
    if (bucket.has_exemplar()) PrintExemplar("exemplar", bucket.exemplar(), printer);
    PrintUnknown(bucket.unknown_fields(), printer);
  });
}

void PrintSpan(std::string_view name, const pb::BucketSpan& span, Printer& printer) {
  printer.Message(name, [&] {
    if (span.has_offset()) printer.Literal("offset", std::to_string(span.offset()));
    if (span.has_length()) printer.Literal("length", std::to_string(span.length()));
    PrintUnknown(span.unknown_fields(), printer);
  });
}

void PrintNativeBuckets(const pb::Histogram& histogram, Printer& printer) {
  for (const pb::BucketSpan& span : histogram.negative_span()) {
    PrintSpan("negative_span", span, printer);
  }
  for (const std::int64_t delta : histogram.negative_delta()) {
    printer.Literal("negative_delta", std::to_string(delta));
  }
  for (const double count : histogram.negative_count()) printer.Field("negative_count", count);
  for (const pb::BucketSpan& span : histogram.positive_span()) {
    PrintSpan("positive_span", span, printer);
  }
  for (const std::int64_t delta : histogram.positive_delta()) {
    printer.Literal("positive_delta", std::to_string(delta));
  }
  for (const double count : histogram.positive_count()) printer.Field("positive_count", count);
}

void PrintHistogram(const pb::Histogram& histogram, Printer& printer) {
  if (histogram.has_sample_count()) {
    printer.Literal("sample_count", std::to_string(histogram.sample_count()));
  }
  if (histogram.has_sample_count_float()) {
    printer.Field("sample_count_float", histogram.sample_count_float());
  }
  if (histogram.has_sample_sum()) printer.Field("sample_sum", histogram.sample_sum());
  for (const pb::Bucket& bucket : histogram.bucket()) PrintBucket(bucket, printer);
  if (histogram.has_created_timestamp()) {
    PrintTimestamp("created_timestamp", histogram.created_timestamp(), printer);
  }
  if (histogram.has_schema()) printer.Literal("schema", std::to_string(histogram.schema()));
  if (histogram.has_zero_threshold()) {
    printer.Field("zero_threshold", histogram.zero_threshold());
  }
  if (histogram.has_zero_count()) {
    printer.Literal("zero_count", std::to_string(histogram.zero_count()));
  }
  if (histogram.has_zero_count_float()) {
    printer.Field("zero_count_float", histogram.zero_count_float());
  }
  PrintNativeBuckets(histogram, printer);
  for (const pb::Exemplar& exemplar : histogram.exemplars()) {
    PrintExemplar("exemplars", exemplar, printer);
  }
  PrintUnknown(histogram.unknown_fields(), printer);
}

// Gauge and Untyped.
template <typename Message>
void PrintValue(const Message& message, Printer& printer) {
  if (message.has_value()) printer.Field("value", message.value());
  PrintUnknown(message.unknown_fields(), printer);
}

void PrintMetric(const pb::Metric& metric, Printer& printer) {
  for (const pb::LabelPair& label : metric.label()) PrintLabel(label, printer);
  if (metric.has_gauge()) {
    printer.Message("gauge", [&] { PrintValue(metric.gauge(), printer); });
  }
  if (metric.has_counter()) {
    printer.Message("counter", [&] { PrintCounter(metric.counter(), printer); });
  }
  if (metric.has_summary()) {
    printer.Message("summary", [&] { PrintSummary(metric.summary(), printer); });
  }
  if (metric.has_untyped()) {
    printer.Message("untyped", [&] { PrintValue(metric.untyped(), printer); });
  }
  if (metric.has_histogram()) {
    printer.Message("histogram", [&] { PrintHistogram(metric.histogram(), printer); });
  }
  if (metric.has_timestamp_ms()) {
    printer.Literal("timestamp_ms", std::to_string(metric.timestamp_ms()));
  }
  PrintUnknown(metric.unknown_fields(), printer);
}

// Prints what a protobuf scrape would send of `metric`.
void PrintMetricOf(const FamilySet& set, const Metric& metric, Escaping escaping,
                   Printer& printer) {
  std::string wire;
  AppendMetricMessage(set, metric, escaping, wire);
  pb::Metric message;
  [[maybe_unused]] const bool parsed = message.ParseFromString(wire);
  assert(parsed);
  PrintMetric(message, printer);
}

}  // namespace

std::string MetricDebugString(const FamilySet& set, const Family&, const Metric& metric) {
  std::string out;
  Printer printer(/*compact=*/true, out);
  PrintMetricOf(set, metric, Escaping::kAllowUtf8, printer);
  return out;
}

void AppendFamilyDebugText(const FamilySet& set, const Family& family, Escaping escaping,
                           bool compact, std::string& out) {
  Printer printer(compact, out);
  printer.Field("name", EscapeName(family.name, escaping));
  if (family.has_help) printer.Field("help", family.help);
  printer.Literal("type", UpperName(family.type));
  for (std::uint32_t i = family.first_metric; i != kNoIndex; i = set.metrics[i].next) {
    printer.Message("metric", [&] { PrintMetricOf(set, set.metrics[i], escaping, printer); });
  }
  out.push_back('\n');
}

}  // namespace pgw
