#include "docker/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <cmath>
#include <set>
#include <vector>
// Boost.JSON itself, compiled here: no library to find for each architecture.
#include <boost/json/src.hpp>

#include "docker/printable.h"

namespace pgw::image {
namespace {

namespace json = boost::json;

Error ErrorAt(std::string_view text, std::size_t offset, std::string_view what) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::ranges::count(before, '\n');
  const std::size_t start = before.rfind('\n');
  const std::size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return InvalidArgument("JSON, line " + std::to_string(line) + ", column " +
                         std::to_string(column) + ": " + std::string(what));
}

// Listens to a parser and stops it at a member that its object has already, and at a number that no
// double holds. The document itself is made by another run: Boost keeps the last of such members
// without a word, and makes 0E999 of the latter something that cannot be written.
class FaultWatch {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Code = boost::system::error_code;
  using View = json::string_view;

  // `layers[0].files[1].to: is there twice`; "" while all is well.
  const std::string& fault() const { return fault_; }

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) { return Enter(true); }
  bool on_object_end(std::size_t, Code&) { return Leave(); }
  bool on_array_begin(Code&) { return Enter(false); }
  bool on_array_end(std::size_t, Code&) { return Leave(); }
  bool on_key_part(View part, std::size_t, Code&) {
    key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(View part, std::size_t, Code& error) {
    Level& level = levels_.back();
    level.key = std::move(key_.append(part.data(), part.size()));
    key_.clear();
    if (level.keys.insert(level.key).second) return true;
    return Stop("is there twice", error);
  }
  bool on_string_part(View, std::size_t, Code&) { return true; }
  bool on_string(View, std::size_t, Code&) { return Next(); }
  bool on_number_part(View, Code&) { return true; }
  bool on_int64(std::int64_t, View, Code&) { return Next(); }
  bool on_uint64(std::uint64_t, View, Code&) { return Next(); }
  bool on_double(double value, View, Code& error) {
    return std::isfinite(value) ? Next() : Stop("is out of range", error);
  }
  bool on_bool(bool, Code&) { return Next(); }
  bool on_null(Code&) { return Next(); }
  bool on_comment_part(View, Code&) { return true; }
  bool on_comment(View, Code&) { return true; }

 private:
  struct Level {
    bool is_object;
    std::string key;        // of the member that is being read
    std::size_t index = 0;  // of the element that is being read
    std::set<std::string> keys = {};
  };

  bool Enter(bool is_object) {
    levels_.push_back({is_object, ""});
    return true;
  }
  bool Leave() {
    levels_.pop_back();
    return Next();
  }
  bool Stop(std::string_view what, Code& error) {
    const std::string path = Path();
    fault_ = (path.empty() ? "the number" : Printable(path)).append(": ").append(what);
    error = json::error::syntax;
    return false;
  }
  // A value has ended.
  bool Next() {
    if (!levels_.empty()) ++levels_.back().index;
    return true;
  }
  std::string Path() const {
    std::string path;
    for (const Level& level : levels_) {
      if (level.is_object) {
        path.append(path.empty() ? "" : ".").append(level.key);
      } else {
        path.append("[").append(std::to_string(level.index)).append("]");
      }
    }
    return path;
  }

  std::vector<Level> levels_;
  std::string key_;
  std::string fault_;
};

Status CheckFaults(std::string_view text, const json::parse_options& options) {
  json::basic_parser<FaultWatch> parser(options);
  boost::system::error_code error;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  const std::string& fault = parser.handler().fault();
  if (fault.empty()) return {};
  return ErrorAt(text, read, fault);
}

void Indent(std::string& out, std::size_t depth) {
  out.push_back('\n');
  out.append(2 * depth, ' ');
}

void Write(std::string& out, const Json& value, std::size_t depth);

void WriteObject(std::string& out, const JsonObject& object, std::size_t depth) {
  if (object.empty()) {
    out += "{}";
    return;
  }
  out.push_back('{');
  bool first = true;
  for (const auto& [key, value] : object) {
    if (!first) out.push_back(',');
    first = false;
    Indent(out, depth + 1);
    out += json::serialize(json::string_view(key));
    out += ": ";
    Write(out, value, depth + 1);
  }
  Indent(out, depth);
  out.push_back('}');
}

void WriteArray(std::string& out, const JsonArray& array, std::size_t depth) {
  if (array.empty()) {
    out += "[]";
    return;
  }
  out.push_back('[');
  bool first = true;
  for (const Json& value : array) {
    if (!first) out.push_back(',');
    first = false;
    Indent(out, depth + 1);
    Write(out, value, depth + 1);
  }
  Indent(out, depth);
  out.push_back(']');
}

// As deep as the value is, which the parser has bounded.
void Write(std::string& out, const Json& value, std::size_t depth) {
  if (const JsonObject* const object = value.if_object()) return WriteObject(out, *object, depth);
  if (const JsonArray* const array = value.if_array()) return WriteArray(out, *array, depth);
  out += json::serialize(value);
}

}  // namespace

Result<Json> ParseJson(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.bytes_max) {
    return Error{Code::kTooLarge,
                 "JSON of more than " + std::to_string(limits.bytes_max) + " bytes"};
  }
  json::parse_options options;
  options.max_depth = limits.depth_max;
  json::stream_parser parser({}, options);
  boost::system::error_code error;
  const std::size_t read = parser.write_some(text.data(), text.size(), error);
  if (!error && read < text.size()) return ErrorAt(text, read, "more than one value");
  if (!error) parser.finish(error);
  if (error) return ErrorAt(text, read, error.message());
  if (Status status = CheckFaults(text, options); !status) return status.error();
  return Result<Json>(parser.release());
}

std::string PrettyJson(const Json& value) {
  std::string out;
  Write(out, value, 0);
  return out;
}

const Json* FindMember(const Json& value, std::string_view key) {
  const JsonObject* const object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}

std::string_view StringMember(const Json& value, std::string_view key) {
  const Json* const member = FindMember(value, key);
  const json::string* const text = member == nullptr ? nullptr : member->if_string();
  return text == nullptr ? std::string_view() : std::string_view(text->data(), text->size());
}

}  // namespace pgw::image
