#include "store/stored_family.h"

#include <algorithm>
#include <cassert>

#include "exposition/names.h"
#include "exposition/text_writer.h"

namespace pgw {

StoredFamily::StoredFamily(std::string_view family_name, std::size_t& footprint,
                           MemoryAccount& account)
    : name_text(std::string(family_name)),
      name(name_text.view()),
      escaped(EscapeName(family_name, Escaping::kUnderscores)),
      chunks(footprint, account) {}

void StoredFamily::CountMember(const Shape& shape, MetricType type) {
  ++type_counts[static_cast<std::size_t>(type)];
  const auto found =
      std::ranges::find(shapes, &shape, &std::pair<const Shape*, std::uint32_t>::first);
  if (found != shapes.end()) {
    ++found->second;
  } else {
    shapes.emplace_back(&shape, 1);
  }
}

void StoredFamily::UncountMember(const Shape& shape, MetricType type) {
  assert(type_counts[static_cast<std::size_t>(type)] > 0);
  --type_counts[static_cast<std::size_t>(type)];
  const auto found =
      std::ranges::find(shapes, &shape, &std::pair<const Shape*, std::uint32_t>::first);
  assert(found != shapes.end());
  if (--found->second == 0) {
    *found = shapes.back();
    shapes.pop_back();
  }
}

void StoredFamily::Show(MetricType type, const SharedText& help) {
  const std::string_view view = help.view();
  if (Shows(type, help ? &view : nullptr)) return;
  shown_type = type;
  if (help) shown_help = help;
  const std::string_view text = shown_help.view();
  std::string lines;
  AppendFamilyHeader(name, shown_help ? &text : nullptr, type, Escaping::kUnderscores, lines);
  header = SharedText(std::move(lines));
  written_in = 0;
}

void StoredFamily::ForgetShown() {
  shown_help = {};
  header = {};
  written_in = 0;
}

}  // namespace pgw
