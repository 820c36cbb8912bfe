#include "docker/pack/json_fields.h"

#include <array>
#include <charconv>
#include <limits>

namespace pgw::image {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
// Longer names first: "ms" begins as "m" does.
constexpr std::array kUnits{Unit{"ms", 1'000'000}, Unit{"h", 3'600'000'000'000},
                            Unit{"m", 60'000'000'000}, Unit{"s", 1'000'000'000}};

std::optional<std::int64_t> ParseDuration(std::string_view text) {
  constexpr std::int64_t kUnitsMax = 1'000'000;
  std::int64_t total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || number > kUnitsMax) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const Unit* unit = nullptr;
    for (const Unit& known : kUnits) {
      if (unit == nullptr && text.starts_with(known.name)) unit = &known;
    }
    if (unit == nullptr) return std::nullopt;
    total += number * unit->nanoseconds;
    if (total > std::numeric_limits<std::int64_t>::max() / 2) return std::nullopt;
    text.remove_prefix(unit->name.size());
  }
  return total;
}

}  // namespace

std::string Field::Text() const {
  const boost::json::string* const text = value_.if_string();
  if (text == nullptr) {
    Fail("expected a string");
    return {};
  }
  Result<std::string> replaced = Substitute({text->data(), text->size()}, variables_);
  if (!replaced) {
    Fail(replaced.error().message);
    return {};
  }
  if (replaced->find('\0') != std::string::npos) Fail("a byte 0 in a string");
  return std::move(*replaced);
}

std::string Field::NonEmptyText() const {
  std::string text = Text();
  if (text.empty()) Fail("must not be empty");
  return text;
}

bool Field::Boolean() const {
  if (!value_.is_bool()) Fail("expected true or false");
  return value_.is_bool() && value_.get_bool();
}

std::int64_t Field::Integer(std::int64_t min, std::int64_t max) const {
  std::optional<std::int64_t> number;
  if (value_.is_int64()) number = value_.get_int64();
  if (!number || *number < min || *number > max) {
    Fail("expected a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return min;
  }
  return *number;
}

std::int64_t Field::DurationNanoseconds() const {
  const std::optional<std::int64_t> duration = ParseDuration(Text());
  if (!duration) Fail("expected a duration such as \"30s\", \"1m30s\" or \"500ms\"");
  return duration.value_or(0);
}

std::uint32_t Field::Mode() const {
  const std::string text = Text();
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 07777 || text.size() < 3) {
    Fail("expected a mode in octal digits such as \"0755\"");
    return 0;
  }
  return mode;
}

ObjectField Field::Object() const {
  if (!value_.is_object()) Fail("expected an object");
  return ObjectField(*this);
}

std::vector<Field> Field::Array() const {
  std::vector<Field> fields;
  const JsonArray* const array = value_.if_array();
  if (array == nullptr) {
    Fail("expected an array");
    return fields;
  }
  for (const Json& value : *array) {
    fields.emplace_back(value, path_ + "[" + std::to_string(fields.size()) + "]", variables_,
                        faults_);
  }
  return fields;
}

std::vector<std::string> Field::Texts() const {
  std::vector<std::string> texts;
  for (const Field& field : Array()) texts.push_back(field.NonEmptyText());
  return texts;
}

std::map<std::string, std::string> Field::TextMap() const {
  std::map<std::string, std::string> texts;
  const JsonObject* const object = value_.if_object();
  if (object == nullptr) {
    Fail("expected an object of strings");
    return texts;
  }
  for (const auto& [key, value] : *object) {
    const std::string name(key.data(), key.size());
    if (name.empty()) Fail("a member without a name");
    texts.emplace(name, Field(value, path_ + "." + name, variables_, faults_).Text());
  }
  return texts;
}

ObjectField::ObjectField(const Field& field) : field_(field), object_(field.value_.if_object()) {}

std::optional<Field> ObjectField::Find(std::string_view key) {
  known_.emplace(key);
  const Json* const value = object_ == nullptr ? nullptr : object_->if_contains(key);
  if (value == nullptr) return std::nullopt;
  const std::string path =
      field_.path_.empty() ? std::string(key) : field_.path_ + "." + std::string(key);
  return Field(*value, path, field_.variables_, field_.faults_);
}

std::optional<Field> ObjectField::Require(std::string_view key) {
  std::optional<Field> field = Find(key);
  if (!field && object_ != nullptr) Fail("\"" + std::string(key) + "\" is missing");
  return field;
}

void ObjectField::RejectUnknown() const {
  if (object_ == nullptr) return;
  for (const auto& [key, value] : *object_) {
    const std::string_view name(key.data(), key.size());
    if (known_.contains(name)) continue;
    std::string known;
    for (const std::string& each : known_) known += (known.empty() ? "" : ", ") + each;
    const std::string path =
        field_.path_.empty() ? std::string(name) : field_.path_ + "." + std::string(name);
    field_.faults_.Add(path, "unknown; known here: " + known);
  }
}

}  // namespace pgw::image
