// The answer to a body that decodes to more than it may. Private to body decoding.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace pgw {

inline Error DecodedBodyTooLarge(std::uint64_t bytes_max) {
  return {Code::kTooLarge,
          "decompressed body is larger than " + std::to_string(bytes_max) + " bytes"};
}

}  // namespace pgw
