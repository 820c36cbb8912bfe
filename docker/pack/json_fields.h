// Reads a JSON document field by field and remembers the first fault with its path. Knows JSON
// and variables.
//
// Readers go on after a fault with empty values; whoever started looks at Fault() at the end. That
// keeps a description's reader as plain as the description.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "docker/json.h"
#include "docker/pack/variables.h"

namespace pgw::image {

// The first fault of a document.
class FieldFaults {
 public:
  void Add(const std::string& path, std::string_view what) {
    if (!first_)
      first_ = InvalidArgument((path.empty() ? "the document" : path) + ": " + std::string(what));
  }
  const std::optional<Error>& first() const { return first_; }

 private:
  std::optional<Error> first_;
};

class ObjectField;

// A value in a document, with the path that leads to it. The document, the variables and the
// faults must outlive it.
class Field {
 public:
  Field(const Json& value, std::string path, const Variables& variables, FieldFaults& faults)
      : value_(value), path_(std::move(path)), variables_(variables), faults_(faults) {}

  const std::string& path() const { return path_; }
  void Fail(std::string_view what) const { faults_.Add(path_, what); }

  // Of strings, with variables replaced. Not empty unless Text() is asked.
  std::string Text() const;
  std::string NonEmptyText() const;
  bool Boolean() const;
  std::int64_t Integer(std::int64_t min, std::int64_t max) const;
  // "30s", "1m30s", "500ms" in nanoseconds.
  std::int64_t DurationNanoseconds() const;
  // "0755".
  std::uint32_t Mode() const;
  ObjectField Object() const;
  std::vector<Field> Array() const;
  std::vector<std::string> Texts() const;
  // {"key": "text", …}; texts may be empty.
  std::map<std::string, std::string> TextMap() const;
  bool is_string() const { return value_.is_string(); }

 private:
  friend class ObjectField;
  const Json& value_;
  std::string path_;
  const Variables& variables_;
  FieldFaults& faults_;
};

class ObjectField {
 public:
  explicit ObjectField(const Field& field);

  std::optional<Field> Find(std::string_view key);
  // The same, and a fault where it is missing.
  std::optional<Field> Require(std::string_view key);
  // Faults at members that nobody has asked for. Call it last.
  void RejectUnknown() const;
  void Fail(std::string_view what) const { field_.Fail(what); }

 private:
  const Field field_;
  const JsonObject* object_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace pgw::image
