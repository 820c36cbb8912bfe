// Lines as a snapshot file might hold them: first byte the type, then the family's name up to a
// line feed, then the lines. Whatever is accepted must be written as it was read.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/fuzz/text_round_trip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto type = static_cast<pgw::MetricType>(data[0] % pgw::kMetricTypeCount);
  std::string_view lines(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t line_feed = lines.find('\n');
  if (line_feed == lines.npos) return 0;
  const std::string_view name = lines.substr(0, line_feed);
  lines.remove_prefix(line_feed + 1);

  pgw::FamilySet set;
  if (!pgw::ParseStoredLines(name, type, lines, set)) return 0;
  // Lines of another origin may hold what is printed differently, but only once.
  pgw::FamilySet again;
  const std::string written = LinesOf(set, set.families[0], pgw::Escaping::kUnderscores);
  if (!pgw::ParseStoredLines(name, type, written, again) ||
      LinesOf(again, again.families[0], pgw::Escaping::kUnderscores) != written) {
    std::fprintf(stderr, "written lines are not read back\n");
    std::abort();
  }
  return 0;
}
