// Pieces of JSON as Go's encoding/json writes them. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"

namespace pgw {

// A quoted string. Besides what JSON demands, < > & and the line separators U+2028 and U+2029
// are escaped; each byte that is not UTF-8 becomes \ufffd.
void AppendJsonString(std::string_view text, std::string& out);

// A quoted RFC 3339 time in the local zone, nine fraction digits at most, without trailing zeros.
void AppendJsonTime(WallTime time, std::string& out);

}  // namespace pgw
