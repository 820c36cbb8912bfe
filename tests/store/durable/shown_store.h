// All that a store shows at one time, as text that a test can compare.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "store/metric_store.h"
#include "store/snapshot.h"

namespace pgw::testing {

inline void SplitLines(std::string_view text, std::multiset<std::string>& lines) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    lines.emplace(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
}

// A scrape's lines and the groups with their times. Deadlines are shown less `offset`.
inline std::string Show(MetricStore& store, Instant now, std::chrono::nanoseconds offset = {}) {
  const std::shared_ptr<const Snapshot> snapshot = store.SnapshotAt(now);
  std::multiset<std::string> lines;
  for (std::size_t i = 0; i < snapshot->family_count(); ++i) {
    SplitLines(snapshot->family(i).header, lines);
    std::vector<std::string_view> pieces;
    std::vector<std::unique_ptr<std::string>> scratch;
    snapshot->AppendText(i, pieces, scratch);
    for (const std::string_view piece : pieces) SplitLines(piece, lines);
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";

  std::vector<GroupView> views;
  for (std::size_t cursor = 0;;) {
    cursor = store.ListGroups(now, cursor, 16, views);
    if (cursor == 0) break;
  }
  std::ranges::sort(views, {}, &GroupView::key);
  const auto wall = [](const std::optional<WallTime>& time) {
    return time ? std::to_string(time->time_since_epoch().count()) : "never";
  };
  const auto until = [offset](BootTime deadline) {
    if (deadline == kNever) return std::string(" for ever");
    return " until " + std::to_string((deadline - offset).time_since_epoch().count());
  };
  for (const GroupView& view : views) {
    text += "group";
    for (const auto& [name, value] : SplitGroupKey(view.key)) {
      text += " " + std::string(name) + "=" + std::string(value);
    }
    text += until(view.deadline) + ", success " + wall(view.last_success) + " at " +
            wall(view.success_entry_time) + ", failure " + wall(view.last_failure) + " at " +
            wall(view.failure_entry_time) + "\n";
    for (const GroupView::FamilyEntry& family : view.families) {
      text += " " + std::string(family.name) + " of type " +
              std::to_string(static_cast<int>(family.type)) + ", help " +
              (family.has_help ? std::string(family.help) : "none") + ", pushed " +
              wall(family.pushed) + until(family.deadline) + "\n" +
              std::string(family.samples.lines);
    }
  }
  return text;
}

}  // namespace pgw::testing
