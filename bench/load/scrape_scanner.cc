#include "bench/load/scrape_scanner.h"

#include <charconv>
#include <cmath>

namespace pgw::load {
namespace {

constexpr std::string_view kBeforeGroup = "pgw_group=\"";
// Sequence numbers are counts of pushes: beyond this a value is somebody else's.
constexpr double kSequenceMax = 1e15;

// Plain digits nearly always; large ones come as 1e+06.
bool ParseSequence(std::string_view text, std::uint64_t& sequence) {
  const char* const end = text.data() + text.size();
  const auto whole = std::from_chars(text.data(), end, sequence);
  if (whole.ec == std::errc() && whole.ptr == end) return true;
  double value = 0;
  const auto real = std::from_chars(text.data(), end, value);
  if (real.ec != std::errc() || real.ptr != end) return false;
  if (!(value >= 0 && value <= kSequenceMax) || value != std::floor(value)) return false;
  sequence = static_cast<std::uint64_t>(value);
  return true;
}

}  // namespace

bool ParseSeries(std::string_view line, std::string_view tag, SeenSeries& seen) {
  if (!line.starts_with(kFamily)) return false;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  const std::size_t space = line.rfind(' ');
  if (space == std::string_view::npos) return false;
  std::string_view labels = line.substr(0, space);
  if (!labels.ends_with("\"}")) return false;
  labels.remove_suffix(2);
  const std::size_t wanted = kBeforeGroup.size() + tag.size() + kGroupDigits;
  if (labels.size() < wanted) return false;
  labels.remove_prefix(labels.size() - wanted);
  if (!labels.starts_with(kBeforeGroup)) return false;
  labels.remove_prefix(kBeforeGroup.size());
  if (!labels.starts_with(tag)) return false;
  labels.remove_prefix(tag.size());
  const char* const end = labels.data() + labels.size();
  const auto group = std::from_chars(labels.data(), end, seen.group);
  if (group.ec != std::errc() || group.ptr != end) return false;
  return ParseSequence(line.substr(space + 1), seen.sequence);
}

}  // namespace pgw::load
