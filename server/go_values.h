// Values of flags as Go's libraries read them. Pure functions; knows base.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw {

// 1h30m, 1.5d, 2w, 0: decimal numbers with units ns us µs ms s m h d w.
// `time: invalid duration "abc"`, `time: missing unit in duration "5"`,
// `time: unknown unit "x" in duration "5x"`.
Result<std::chrono::nanoseconds> ParseGoDuration(std::string_view text);

// The decoded path of a URL, as Go's url.Parse finds it: without a scheme all of it is path.
// `parse "%zz": invalid URL escape "%zz"`.
Result<std::string> ParseUrlPath(std::string_view url);

}  // namespace pgw
