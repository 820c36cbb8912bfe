// A pushed body: first byte odd for UTF-8 names, the rest is text.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/fuzz/text_round_trip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto validation =
      data[0] % 2 == 1 ? pgw::NameValidation::kUtf8 : pgw::NameValidation::kLegacy;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (const std::string problem = pgw::TextProblem(body, validation); !problem.empty()) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    std::abort();
  }
  return 0;
}
