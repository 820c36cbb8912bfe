// Finds the series that this program has pushed in the text of a scrape. Knows only their form.
//
// A series reads pgw_load{instance="",job="pgw_load",n="3",pgw_group="<tag><7 digits>"} <number>:
// the label pgw_group is the last, so that a line is recognised by its last bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace pgw::load {

inline constexpr std::string_view kFamily = "pgw_load";
inline constexpr std::string_view kGroupLabel = "pgw_group";
inline constexpr std::size_t kGroupDigits = 7;

struct SeenSeries {
  std::uint32_t group = 0;
  std::uint64_t sequence = 0;
};

// A whole line without its end; false if it is no series of the run that `tag` names.
bool ParseSeries(std::string_view line, std::string_view tag, SeenSeries& seen);

// Cuts a body that arrives in pieces into lines. Not thread-safe.
class ScrapeScanner {
 public:
  // Longer lines are not ours.
  static constexpr std::size_t kLineBytesMax = 4096;

  explicit ScrapeScanner(std::string tag) : tag_(std::move(tag)) {}

  void Reset() {
    partial_.clear();
    too_long_ = false;
  }

  template <typename Visit>
  void Feed(std::string_view piece, Visit&& visit) {
    while (!piece.empty()) {
      const std::size_t end = piece.find('\n');
      if (end == std::string_view::npos) {
        Keep(piece);
        return;
      }
      std::string_view line = piece.substr(0, end);
      piece.remove_prefix(end + 1);
      if (too_long_) {
        too_long_ = false;
        continue;
      }
      const bool cut = !partial_.empty();
      if (cut) {
        partial_.append(line.substr(0, kLineBytesMax));
        line = partial_;
      }
      SeenSeries seen;
      if (ParseSeries(line, tag_, seen)) visit(seen);
      if (cut) partial_.clear();
    }
  }

 private:
  void Keep(std::string_view piece) {
    if (too_long_) return;
    too_long_ = partial_.size() + piece.size() > kLineBytesMax;
    too_long_ ? partial_.clear() : static_cast<void>(partial_.append(piece));
  }

  std::string tag_;
  std::string partial_;
  bool too_long_ = false;
};

}  // namespace pgw::load
