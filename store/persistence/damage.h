// How damage is worded. Knows base/result.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::persistence {

// "<path>: damaged at offset <offset>: <what>". Unlike a failing disk (kUnavailable) it does not go
// away by trying again, hence kInvalidArgument.
inline Error DamageAt(std::string_view path, std::uint64_t offset, std::string_view what) {
  std::string message(path);
  message.append(": damaged at offset ").append(std::to_string(offset)).append(": ").append(what);
  return {Code::kInvalidArgument, std::move(message)};
}

// "record 5", "records 5 to 7".
inline std::string RecordRange(std::uint64_t first, std::uint64_t last) {
  return first == last ? "record " + std::to_string(first)
                       : "records " + std::to_string(first) + " to " + std::to_string(last);
}

}  // namespace pgw::persistence
