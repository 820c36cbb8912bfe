#include "docker/json.h"

#include <algorithm>
// Boost.JSON itself, compiled here: no library to find for each architecture.
#include <boost/json/src.hpp>

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
