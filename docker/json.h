// JSON within bounds, and written with the same bytes everywhere. Knows base and Boost.JSON.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::image {

using Json = boost::json::value;
using JsonObject = boost::json::object;
using JsonArray = boost::json::array;

struct JsonLimits {
  std::size_t bytes_max = 4u << 20;
  std::size_t depth_max = 32;
};

// Strict JSON, and no object has a member twice: of two, each reader takes the one it likes.
// Numbers that no double can hold are refused. Errors name line and column.
Result<Json> ParseJson(std::string_view text, JsonLimits limits = {});

// Two blanks for each level, members in their order, no line end at the end. Numbers that are no
// integers of 64 bits may differ from what was read in their last digit.
std::string PrettyJson(const Json& value);

// The member, or null where `value` is no object or has none.
const Json* FindMember(const Json& value, std::string_view key);
// The member where it is a string, else "".
std::string_view StringMember(const Json& value, std::string_view key);

}  // namespace pgw::image
