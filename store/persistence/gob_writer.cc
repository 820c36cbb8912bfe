#include "store/persistence/gob_writer.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgw {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} * 1024;
// encoding/gob on 64-bit machines refuses messages of this size.
constexpr std::uint64_t kMessageBytesMax = std::uint64_t{8} << 30;
constexpr std::int64_t kUnixEpoch = 62'135'596'800;  // seconds since 0001-01-01T00:00:00Z

// Type ids: ours to choose, from 65 on. Strings are built in.
constexpr std::int64_t kString = 6;
constexpr std::int64_t kGroups = 65;
constexpr std::int64_t kGroup = 66;
constexpr std::int64_t kLabels = 67;
constexpr std::int64_t kFamilies = 68;
constexpr std::int64_t kFamily = 69;
constexpr std::int64_t kTime = 70;
constexpr std::int64_t kMessage = 71;

// wireType's fields, as the distance from before the first one.
constexpr char kStructT = 3;
constexpr char kMapT = 4;
constexpr char kGobEncoderT = 5;

void AppendUnsigned(std::uint64_t value, std::string& out) {
  if (value < 0x80) {
    out += static_cast<char>(value);
    return;
  }
  int size = 1;
  while (size < 8 && value >> (8 * size) != 0) ++size;
  out += static_cast<char>(256 - size);
  while (size-- > 0) out += static_cast<char>(value >> (8 * size));
}

void AppendSigned(std::int64_t value, std::string& out) {
  const auto bits = static_cast<std::uint64_t>(value);
  AppendUnsigned(value < 0 ? ~bits << 1 | 1 : bits << 1, out);
}

void AppendBytes(std::string_view bytes, std::string& out) {
  AppendUnsigned(bytes.size(), out);
  out += bytes;
}

std::string Message(std::string_view content) {
  std::string message;
  AppendBytes(content, message);
  return message;
}

// A definition up to the fields after CommonType.
std::string DefinitionStart(std::int64_t id, char wire_kind, std::string_view name) {
  std::string out;
  AppendSigned(-id, out);
  out += wire_kind;
  out += '\1';  // CommonType
  if (!name.empty()) {
    out += '\1';
    AppendBytes(name, out);
  }
  out += name.empty() ? '\2' : '\1';
  AppendSigned(id, out);
  out += '\0';
  return out;
}

std::string MapDefinition(std::int64_t id, std::string_view name, std::int64_t element) {
  std::string out = DefinitionStart(id, kMapT, name);
  for (const std::int64_t type : {kString, element}) {
    out += '\1';
    AppendSigned(type, out);
  }
  out.append(2, '\0');
  return Message(out);
}

std::string StructDefinition(
    std::int64_t id, std::string_view name,
    std::initializer_list<std::pair<std::string_view, std::int64_t>> fields) {
  std::string out = DefinitionStart(id, kStructT, name);
  out += '\1';
  AppendUnsigned(fields.size(), out);
  for (const auto& [field, type] : fields) {
    out += '\1';
    AppendBytes(field, out);
    out += '\1';
    AppendSigned(type, out);
    out += '\0';
  }
  out.append(2, '\0');
  return Message(out);
}

std::string OpaqueDefinition(std::int64_t id, std::string_view name) {
  std::string out = DefinitionStart(id, kGobEncoderT, name);
  out.append(2, '\0');
  return Message(out);
}

// Go skips the definitions of what lies inside the opaque values, so they can be left out.
std::string Definitions() {
  return MapDefinition(kGroups, "GroupingKeyToMetricGroup", kGroup) +
         StructDefinition(kGroup, "MetricGroup", {{"Labels", kLabels}, {"Metrics", kFamilies}}) +
         MapDefinition(kLabels, "map[string]string", kString) +
         MapDefinition(kFamilies, "NameToTimestampedMetricFamilyMap", kFamily) +
         StructDefinition(kFamily, "TimestampedMetricFamily",
                          {{"Timestamp", kTime}, {"GobbableMetricFamily", kMessage}}) +
         OpaqueDefinition(kTime, "Time") + OpaqueDefinition(kMessage, "");
}

// Version 1 of Go's binary time: seconds, nanoseconds, and -1 minutes off UTC, which means UTC.
std::string TimeBytes(WallTime time) {
  const auto since_epoch = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const auto go_seconds = static_cast<std::uint64_t>(seconds.count() + kUnixEpoch);
  const auto nanos = static_cast<std::uint64_t>((since_epoch - seconds).count());
  std::string bytes = "\1";
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(go_seconds >> shift);
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(nanos >> shift);
  bytes += "\xff\xff";
  return bytes;
}

// Counts bytes and, if there is a sink, hands them on in large pieces.
class Output {
 public:
  explicit Output(const GobSink* sink) : sink_(sink) {}

  std::uint64_t size() const { return size_; }
  // The sink's first error.
  const Status& status() const { return status_; }

  void Append(std::string_view bytes) {
    size_ += bytes.size();
    if (sink_ == nullptr) return;
    if (buffer_.size() + bytes.size() > kBufferBytes) Flush();
    if (bytes.size() > kBufferBytes) {
      Hand(bytes);
    } else {
      buffer_ += bytes;
    }
  }

  void Flush() {
    Hand(buffer_);
    buffer_.clear();
  }

 private:
  void Hand(std::string_view bytes) {
    if (status_.ok() && !bytes.empty()) status_ = (*sink_)(bytes);
  }

  const GobSink* sink_;
  std::uint64_t size_ = 0;
  std::string buffer_;
  Status status_;
};

// Writes groups, one at a time. Not thread-safe.
class GroupEncoder {
 public:
  explicit GroupEncoder(Output& output) : output_(output) {}

  std::uint64_t groups() const { return groups_; }

  void Encode(const GobGroup& group) {
    ++groups_;
    labels_ = group.labels;
    std::sort(labels_.begin(), labels_.end());
    EncodeKey();
    char delta = 1;
    if (!labels_.empty()) {
      EncodeLabels();
    } else {
      delta = 2;
    }
    if (!group.families.empty()) {
      scratch_ += delta;
      AppendUnsigned(group.families.size(), scratch_);
      for (const GobFamily& family : group.families) EncodeFamily(family);
    }
    scratch_ += '\0';
    Pour();
  }

 private:
  // Names and values, sorted by name, with FF between any two.
  void EncodeKey() {
    std::string key;
    for (const auto& [name, value] : labels_) {
      if (!key.empty()) key += '\xff';
      key.append(name).append(1, '\xff').append(value);
    }
    AppendBytes(key, scratch_);
  }

  void EncodeLabels() {
    scratch_ += '\1';
    AppendUnsigned(labels_.size(), scratch_);
    for (const auto& [name, value] : labels_) {
      AppendBytes(name, scratch_);
      AppendBytes(value, scratch_);
    }
  }

  // What is zero is left out.
  void EncodeFamily(const GobFamily& family) {
    AppendBytes(family.name, scratch_);
    char delta = 2;
    if (family.pushed) {
      scratch_ += '\1';
      AppendBytes(TimeBytes(*family.pushed), scratch_);
      delta = 1;
    }
    if (family.message) {
      scratch_ += delta;
      AppendUnsigned(family.message->size(), scratch_);
      Pour();
      output_.Append(*family.message);
    }
    scratch_ += '\0';
  }

  void Pour() {
    output_.Append(scratch_);
    scratch_.clear();
  }

  Output& output_;
  std::uint64_t groups_ = 0;
  std::vector<std::pair<std::string_view, std::string_view>> labels_;
  std::string scratch_;
};

}  // namespace

Status WriteGob(const GobWalk& walk, const GobSink& sink) {
  Output measured(nullptr);
  GroupEncoder measure(measured);
  Status status = walk([&](const GobGroup& group) {
    measure.Encode(group);
    return Status();
  });
  if (!status) return status;

  std::string start;
  AppendSigned(kGroups, start);
  start += '\0';
  AppendUnsigned(measure.groups(), start);
  const std::uint64_t message_size = start.size() + measured.size();
  if (message_size >= kMessageBytesMax) {
    return Error{Code::kTooLarge, "the groups take " + std::to_string(message_size) +
                                      " bytes, but Go reads less than " +
                                      std::to_string(kMessageBytesMax)};
  }

  Output output(&sink);
  std::string head = Definitions();
  AppendUnsigned(message_size, head);
  head += start;
  output.Append(head);
  GroupEncoder encoder(output);
  status = walk([&](const GobGroup& group) {
    encoder.Encode(group);
    return output.status();
  });
  if (!status) return status;
  if (encoder.groups() != measure.groups() || output.size() != head.size() + measured.size()) {
    return Error{Code::kInternal, "the groups changed while they were written"};
  }
  output.Flush();
  return output.status();
}

}  // namespace pgw
