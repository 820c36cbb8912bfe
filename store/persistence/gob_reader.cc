#include "store/persistence/gob_reader.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "store/persistence/gob_cursor.h"
#include "store/persistence/gob_types.h"

namespace pgw {
namespace {

// Go counts from 0001-01-01T00:00:00Z.
constexpr std::int64_t kUnixEpoch = 62'135'596'800;
constexpr std::uint32_t kNanosPerSecond = 1'000'000'000;

// The lists of a group may take this many times the bytes they are read from, and a little more:
// only a forger sends families without content by the million.
constexpr std::size_t kGrowthMax = 16;
constexpr std::size_t kGrowthFree = std::size_t{64} * 1024;

std::uint64_t BigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

// A version byte, seconds (8), nanoseconds (4), minutes off UTC (2), and in version 2 seconds off
// UTC (1): these change how a time is printed, not when it was.
std::optional<WallTime> ReadTime(GobCursor& cursor) {
  const std::size_t offset = cursor.offset();
  const std::string_view bytes = cursor.Bytes();
  if (!cursor.ok()) return std::nullopt;
  const bool known = (bytes.size() == 15 && bytes[0] == 1) || (bytes.size() == 16 && bytes[0] == 2);
  const std::uint64_t nanos = known ? BigEndian(bytes.substr(9, 4)) : kNanosPerSecond;
  if (nanos >= kNanosPerSecond) {
    cursor.Fail(offset, "not a time");
    return std::nullopt;
  }
  const auto since_year_one = static_cast<std::int64_t>(BigEndian(bytes.substr(1, 8)));
  constexpr std::int64_t kSecondsMax = std::numeric_limits<std::int64_t>::max() / kNanosPerSecond;
  if (since_year_one < kUnixEpoch - kSecondsMax || since_year_one >= kUnixEpoch + kSecondsMax) {
    return std::nullopt;
  }
  return WallTime(std::chrono::seconds(since_year_one - kUnixEpoch) +
                  std::chrono::nanoseconds(nanos));
}

class Reader {
 public:
  Reader(std::string_view file, const GobVisitor& visit) : cursor_(file), visit_(visit) {}

  Status Read();

 private:
  // Where the file keeps what we look for.
  struct Layout {
    const GobType* group = nullptr;
    std::size_t labels = 0;
    std::size_t metrics = 0;
    const GobType* family = nullptr;
    std::size_t timestamp = 0;
    std::size_t message = 0;
  };

  std::int64_t ReadDefinitions();
  void FindLayout(std::int64_t root);
  void FindFamilyLayout(std::int64_t metrics);
  // The struct that a map with string keys has as elements.
  const GobType* MappedStruct(std::int64_t map);
  std::size_t FieldOf(const GobType* type, std::string_view name);
  void ExpectLabels(std::int64_t type);
  void ExpectOpaque(std::int64_t type);

  Status ReadGroups();
  void ReadGroup();
  void ReadLabels();
  void ReadFamilies();
  void ReadFamily(GobFamily& family);
  // Fails if the lists of the current group have become too large for what they were read from.
  void CheckGrowth();

  GobCursor cursor_;
  const GobVisitor& visit_;
  GobTypes types_;
  std::size_t value_offset_ = 0;
  Layout layout_;
  std::size_t group_offset_ = 0;
  GobGroup group_;
};

Status Reader::Read() {
  const std::int64_t root = ReadDefinitions();
  if (cursor_.ok()) FindLayout(root);
  if (cursor_.ok()) {
    if (Status status = ReadGroups(); !status) return status;
  }
  cursor_.CloseMessage();
  if (!cursor_.at_file_end()) cursor_.Fail(cursor_.offset(), "the file goes on after its value");
  return cursor_.ok() ? Status() : Status(cursor_.error());
}

// Returns the type of the value that follows them, its message open.
std::int64_t Reader::ReadDefinitions() {
  while (cursor_.ok()) {
    if (cursor_.at_file_end()) {
      cursor_.Fail(cursor_.offset(),
                   cursor_.offset() == 0 ? "the file is empty" : "the file ends before its value");
      break;
    }
    cursor_.OpenMessage();
    const std::size_t offset = cursor_.offset();
    const std::int64_t id = cursor_.Signed();
    if (!cursor_.ok()) break;
    if (id >= 0) {
      value_offset_ = offset;
      return id;
    }
    types_.ReadDefinition(cursor_, id, offset);
    cursor_.CloseMessage();
  }
  return 0;
}

// map[string]struct{Labels map[string]string; Metrics map[string]struct{…}}
void Reader::FindLayout(std::int64_t root) {
  layout_.group = MappedStruct(root);
  layout_.labels = FieldOf(layout_.group, "Labels");
  layout_.metrics = FieldOf(layout_.group, "Metrics");
  if (!cursor_.ok()) return;
  ExpectLabels(layout_.group->fields[layout_.labels].type);
  FindFamilyLayout(layout_.group->fields[layout_.metrics].type);
}

void Reader::FindFamilyLayout(std::int64_t metrics) {
  layout_.family = MappedStruct(metrics);
  layout_.timestamp = FieldOf(layout_.family, "Timestamp");
  layout_.message = FieldOf(layout_.family, "GobbableMetricFamily");
  if (!cursor_.ok()) return;
  ExpectOpaque(layout_.family->fields[layout_.timestamp].type);
  ExpectOpaque(layout_.family->fields[layout_.message].type);
}

const GobType* Reader::MappedStruct(std::int64_t map) {
  const GobType* type = types_.Find(map);
  if (type != nullptr && type->kind == GobKind::kMap) {
    const GobType* key = types_.Find(type->key);
    const GobType* element = types_.Find(type->element);
    if (key != nullptr && key->kind == GobKind::kString && element != nullptr &&
        element->kind == GobKind::kStruct) {
      return element;
    }
  }
  cursor_.Fail(value_offset_, "not a Pushgateway's: type " + std::to_string(map) +
                                  " is not a map from strings to structs");
  return nullptr;
}

std::size_t Reader::FieldOf(const GobType* type, std::string_view name) {
  if (type == nullptr) return 0;
  const std::optional<std::size_t> field = type->FieldNamed(name);
  if (!field) {
    cursor_.Fail(value_offset_,
                 "not a Pushgateway's: a struct lacks the field " + std::string(name));
  }
  return field.value_or(0);
}

void Reader::ExpectLabels(std::int64_t type) {
  const GobType* map = types_.Find(type);
  if (map != nullptr && map->kind == GobKind::kMap) {
    const GobType* key = types_.Find(map->key);
    const GobType* element = types_.Find(map->element);
    if (key != nullptr && key->kind == GobKind::kString && element != nullptr &&
        element->kind == GobKind::kString) {
      return;
    }
  }
  cursor_.Fail(value_offset_, "not a Pushgateway's: Labels is not a map from strings to strings");
}

void Reader::ExpectOpaque(std::int64_t type) {
  const GobType* found = types_.Find(type);
  if (found != nullptr && found->kind == GobKind::kOpaque) return;
  cursor_.Fail(value_offset_, "not a Pushgateway's: times and metric families must be opaque");
}

Status Reader::ReadGroups() {
  const std::size_t offset = cursor_.offset();
  // What stands before every value that is not a struct.
  if (cursor_.Unsigned() != 0) cursor_.Fail(offset, "a value of a map starts with a zero");
  const std::uint64_t count = cursor_.Count();
  for (std::uint64_t i = 0; i < count && cursor_.ok(); ++i) {
    group_offset_ = cursor_.offset();
    // The key only repeats the labels.
    cursor_.Bytes();
    ReadGroup();
    if (!cursor_.ok()) break;
    if (Status status = visit_(group_); !status) return status;
  }
  return {};
}

void Reader::ReadGroup() {
  group_.labels.clear();
  group_.families.clear();
  for (GobFieldWalk walk(cursor_, layout_.group->fields.size()); walk.Next();) {
    if (walk.field() == layout_.labels) {
      ReadLabels();
    } else if (walk.field() == layout_.metrics) {
      ReadFamilies();
    } else {
      types_.Skip(cursor_, layout_.group->fields[walk.field()].type);
    }
  }
}

void Reader::ReadLabels() {
  const std::uint64_t count = cursor_.Count();
  for (std::uint64_t i = 0; i < count && cursor_.ok(); ++i) {
    auto& [name, value] = group_.labels.emplace_back();
    name = cursor_.Bytes();
    value = cursor_.Bytes();
    CheckGrowth();
  }
}

void Reader::ReadFamilies() {
  const std::uint64_t count = cursor_.Count();
  for (std::uint64_t i = 0; i < count && cursor_.ok(); ++i) {
    ReadFamily(group_.families.emplace_back());
    CheckGrowth();
  }
}

void Reader::ReadFamily(GobFamily& family) {
  family.name = cursor_.Bytes();
  for (GobFieldWalk walk(cursor_, layout_.family->fields.size()); walk.Next();) {
    if (walk.field() == layout_.timestamp) {
      family.pushed = ReadTime(cursor_);
    } else if (walk.field() == layout_.message) {
      family.message = cursor_.Bytes();
    } else {
      types_.Skip(cursor_, layout_.family->fields[walk.field()].type);
    }
  }
}

void Reader::CheckGrowth() {
  const std::size_t held = group_.labels.size() * sizeof(group_.labels[0]) +
                           group_.families.size() * sizeof(group_.families[0]);
  if (held <= kGrowthFree) return;
  if (held - kGrowthFree > kGrowthMax * (cursor_.offset() - group_offset_)) {
    cursor_.Fail(group_offset_, "a group of next to nothing but empty labels and families");
  }
}

}  // namespace

Status ReadGob(std::string_view file, const GobVisitor& visit) {
  return Reader(file, visit).Read();
}

// The first message of every such file defines the map of groups: its length, a negative type id,
// wireType's field MapT, and therein the field CommonType.
bool LooksLikeGob(std::string_view head) {
  GobCursor cursor(head);
  cursor.OpenRest();
  constexpr std::uint64_t kDeltaToMap = 4;
  constexpr std::uint64_t kDeltaToCommon = 1;
  return cursor.Unsigned() > 4 && cursor.Signed() <= -GobTypes::kFirstUserId &&
         cursor.Unsigned() == kDeltaToMap && cursor.Unsigned() == kDeltaToCommon;
}

}  // namespace pgw
