// One metric family over all groups. Knows store/chunk_list. Guarded by the store's lock.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/metric_type.h"
#include "store/chunk_list.h"
#include "store/shared_text.h"

namespace pgw {

// A set of grouping label names. Two groups of one shape differ in a grouping value, so no series
// of one can equal a series of the other: only families in groups of different shapes can collide.
struct Shape {
  std::vector<std::string> names;  // in the default escaping, sorted
  std::uint32_t groups = 0;        // that have this shape
};

struct StoredFamily {
  // A header takes no more than this beside its name and help, small allocations included.
  static constexpr std::size_t kHeaderBytesMax = 8 * 1024;

  StoredFamily(std::string_view family_name, std::size_t& footprint, MemoryAccount& account);

  // Another group has this family now, or has it no longer. Only members with samples count.
  void CountMember(const Shape& shape, MetricType type);
  void UncountMember(const Shape& shape, MetricType type);

  // What scrapes show above the samples: the help and type of the most recent push.
  void Show(MetricType type, const SharedText& help);
  // Whether Show() of such a help would change nothing; null: of none.
  bool Shows(MetricType type, const std::string_view* help) const {
    return header && type == shown_type &&
           (help == nullptr || (shown_help && shown_help.view() == *help));
  }
  void ForgetShown();

  // How much memory CountMember() asks for at most, in bytes.
  std::size_t CountBytesMax() const { return 4 * (shapes.size() + 4) * sizeof(shapes[0]); }
  // The same of Show(), which makes two texts that grow by doubling, with all of the help escaped.
  std::size_t ShowBytesMax(MetricType type, const std::string_view* help) const {
    if (Shows(type, help)) return 0;
    const std::size_t longest =
        std::max(help != nullptr ? help->size() : 0, shown_help.view().size());
    return kHeaderBytesMax + 8 * (2 * longest + 2 * name.size());
  }

  bool needs_escaping() const { return escaped != name; }

  const SharedText name_text;
  const std::string_view name;  // of name_text
  const std::string escaped;    // in the default escaping
  std::uint32_t members = 0;    // groups that have it, expired ones included
  std::array<std::uint32_t, kMetricTypeCount> type_counts{};   // members with samples, by type
  std::vector<std::pair<const Shape*, std::uint32_t>> shapes;  // members with samples, by shape
  MetricType shown_type = MetricType::kUntyped;
  SharedText shown_help;
  SharedText header;  // HELP and TYPE lines in the default escaping
  ChunkList chunks;
  bool suspect = false;  // unchecked mode: may be inconsistent, scrapes look
  // In which block of GroupWriter's the above stands, and as what number.
  std::uint64_t written_in = 0;
  std::uint32_t written_as = 0;
};

}  // namespace pgw
