// The types that a Go gob stream describes itself with. Knows base.
//
// Ids differ from program to program, so nothing but the built-in ones is known beforehand.
// Not thread-safe; must not outlive the file, of which it holds views.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/persistence/gob_cursor.h"

namespace pgw {

enum class GobKind : std::uint8_t {
  kNumber,   // bool, int, uint, float: all are written as one number
  kComplex,  // two numbers
  kBytes,    // []byte
  kString,
  kInterface,
  kArray,
  kSlice,
  kStruct,
  kMap,
  kOpaque,  // GobEncoder or BinaryMarshaler: bytes that only their type understands
  kText,    // TextMarshaler
};

struct GobField {
  std::string_view name;
  std::int64_t type = 0;
};

struct GobType {
  GobKind kind = GobKind::kNumber;
  std::int64_t key = 0;          // type of a map's keys
  std::int64_t element = 0;      // type of the elements of an array, a slice or a map
  std::int64_t length = 0;       // of an array
  std::vector<GobField> fields;  // of a struct

  std::optional<std::size_t> FieldNamed(std::string_view wanted) const;
};

class GobTypes {
 public:
  // Below are the built-in types and those that definitions are written in.
  static constexpr std::int64_t kFirstUserId = 64;
  // Far beyond what any Pushgateway writes (about 30 and 150), and little memory.
  static constexpr std::size_t kTypesMax = 1024;
  static constexpr std::size_t kFieldsMax = 16 * 1024;  // of all structs together
  // How deep values may nest that nobody asked for.
  static constexpr int kDepthMax = 64;

  GobTypes();

  // Takes a definition off the cursor, after its id was taken at `offset`: negative, as it is
  // written.
  void ReadDefinition(GobCursor& cursor, std::int64_t negative_id, std::size_t offset);

  // Null if there is no such type.
  const GobType* Find(std::int64_t id) const;

  // Takes one value of type `id` and forgets it.
  void Skip(GobCursor& cursor, std::int64_t id, int depth = 0) const;

 private:
  void ReadBody(GobCursor& cursor, std::size_t wire_field, GobType& type);
  void ReadFields(GobCursor& cursor, GobType& type);
  void SkipMany(GobCursor& cursor, const GobType& type, int depth) const;

  std::unordered_map<std::int64_t, GobType> types_;
  std::size_t fields_ = 0;
};

}  // namespace pgw
