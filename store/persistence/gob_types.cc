#include "store/persistence/gob_types.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pgw {
namespace {

constexpr std::int64_t kIdMax = 0x7fffffff;

// The fields of wireType, of which a definition has exactly one, and how many fields each has.
struct WireKind {
  GobKind kind;
  std::size_t field_count;
};
constexpr std::array<WireKind, 7> kWireKinds = {{{GobKind::kArray, 3},
                                                 {GobKind::kSlice, 2},
                                                 {GobKind::kStruct, 2},
                                                 {GobKind::kMap, 3},
                                                 {GobKind::kOpaque, 1},
                                                 {GobKind::kOpaque, 1},
                                                 {GobKind::kText, 1}}};

// A name, which is informative and may be empty, and an id, which may differ from that of the
// message: the message's counts.
void SkipCommonType(GobCursor& cursor) {
  for (GobFieldWalk walk(cursor, 2); walk.Next();) {
    if (walk.field() == 0) {
      cursor.Bytes();
    } else {
      cursor.Signed();
    }
  }
}

// A name, a type id and the value with its length. Empty name: a nil value, and nothing follows.
void SkipInterface(GobCursor& cursor) {
  if (cursor.Bytes().empty()) return;
  const std::size_t offset = cursor.offset();
  if (cursor.Signed() < 0) {
    cursor.Fail(offset, "a type definition inside a value");
    return;
  }
  cursor.Bytes();
}

}  // namespace

std::optional<std::size_t> GobType::FieldNamed(std::string_view wanted) const {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const GobField& field) { return field.name == wanted; });
  if (found == fields.end()) return std::nullopt;
  return static_cast<std::size_t>(found - fields.begin());
}

GobTypes::GobTypes() {
  constexpr std::array<GobKind, 8> kBuiltIn = {
      GobKind::kNumber, GobKind::kNumber, GobKind::kNumber,  GobKind::kNumber,
      GobKind::kBytes,  GobKind::kString, GobKind::kComplex, GobKind::kInterface};
  std::int64_t id = 0;
  for (const GobKind kind : kBuiltIn) types_[++id].kind = kind;
}

const GobType* GobTypes::Find(std::int64_t id) const {
  const auto found = types_.find(id);
  return found == types_.end() ? nullptr : &found->second;
}

void GobTypes::ReadDefinition(GobCursor& cursor, std::int64_t negative_id, std::size_t offset) {
  if (negative_id > -kFirstUserId || negative_id < -kIdMax) {
    cursor.Fail(offset, "a definition of a type that cannot be defined");
    return;
  }
  const std::int64_t id = -negative_id;
  if (types_.size() >= kTypesMax) {
    cursor.Fail(offset, "more than " + std::to_string(kTypesMax) + " types");
    return;
  }
  const auto [entry, is_new] = types_.try_emplace(id);
  if (!is_new) {
    cursor.Fail(offset, "a second definition of type " + std::to_string(id));
    return;
  }
  int bodies = 0;
  for (GobFieldWalk walk(cursor, kWireKinds.size()); walk.Next();) {
    if (++bodies > 1) break;
    ReadBody(cursor, walk.field(), entry->second);
  }
  if (bodies != 1) cursor.Fail(offset, "a definition that does not say one thing");
}

void GobTypes::ReadBody(GobCursor& cursor, std::size_t wire_field, GobType& type) {
  const WireKind& wire = kWireKinds.at(wire_field);
  type.kind = wire.kind;
  for (GobFieldWalk walk(cursor, wire.field_count); walk.Next();) {
    if (walk.field() == 0) {
      SkipCommonType(cursor);
    } else if (type.kind == GobKind::kStruct) {
      ReadFields(cursor, type);
    } else if (type.kind == GobKind::kMap) {
      (walk.field() == 1 ? type.key : type.element) = cursor.Signed();
    } else {
      (walk.field() == 1 ? type.element : type.length) = cursor.Signed();
    }
  }
}

void GobTypes::ReadFields(GobCursor& cursor, GobType& type) {
  const std::size_t offset = cursor.offset();
  const std::uint64_t count = cursor.Count();
  if (count > kFieldsMax - fields_) {
    cursor.Fail(offset, "more than " + std::to_string(kFieldsMax) + " fields");
    return;
  }
  fields_ += static_cast<std::size_t>(count);
  for (std::uint64_t i = 0; i < count && cursor.ok(); ++i) {
    GobField& field = type.fields.emplace_back();
    for (GobFieldWalk walk(cursor, 2); walk.Next();) {
      if (walk.field() == 0) {
        field.name = cursor.Bytes();
      } else {
        field.type = cursor.Signed();
      }
    }
  }
}

// Ends on any bytes in time linear in them: every value, of whatever type, takes a byte at least.
void GobTypes::Skip(GobCursor& cursor, std::int64_t id, int depth) const {
  const GobType* type = Find(id);
  if (type == nullptr) {
    cursor.Fail(cursor.offset(),
                "a value of type " + std::to_string(id) + ", which is not defined");
    return;
  }
  if (depth == kDepthMax) {
    cursor.Fail(cursor.offset(), "values nested more than " + std::to_string(kDepthMax) + " deep");
    return;
  }
  switch (type->kind) {
    case GobKind::kNumber:
      cursor.Unsigned();
      return;
    case GobKind::kComplex:
      cursor.Unsigned();
      cursor.Unsigned();
      return;
    case GobKind::kBytes:
    case GobKind::kString:
    case GobKind::kOpaque:
    case GobKind::kText:
      cursor.Bytes();
      return;
    case GobKind::kInterface:
      SkipInterface(cursor);
      return;
    case GobKind::kArray:
    case GobKind::kSlice:
    case GobKind::kMap:
      SkipMany(cursor, *type, depth);
      return;
    case GobKind::kStruct:
      for (GobFieldWalk walk(cursor, type->fields.size()); walk.Next();) {
        Skip(cursor, type->fields[walk.field()].type, depth + 1);
      }
      return;
  }
}

void GobTypes::SkipMany(GobCursor& cursor, const GobType& type, int depth) const {
  const std::size_t offset = cursor.offset();
  const std::uint64_t count = cursor.Count();
  if (type.kind == GobKind::kArray && std::cmp_not_equal(count, type.length)) {
    cursor.Fail(offset,
                std::to_string(count) + " elements in an array of " + std::to_string(type.length));
    return;
  }
  for (std::uint64_t i = 0; i < count && cursor.ok(); ++i) {
    if (type.kind == GobKind::kMap) Skip(cursor, type.key, depth + 1);
    Skip(cursor, type.element, depth + 1);
  }
}

}  // namespace pgw
