#include "store/durable/gob_export.h"

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "exposition/names.h"
#include "exposition/protobuf_writer.h"
#include "exposition/quote.h"
#include "store/bookkeeping.h"
#include "store/group_key.h"

namespace pgw {
namespace {

// One group as gob_writer.h wants it; its own texts are kept for the time of a visit.
class GroupExporter {
 public:
  Status Show(const GroupView& view, const GobVisitor& visit) {
    messages_.clear();
    group_.labels = SplitGroupKey(view.key);
    group_.families.clear();
    const GroupingLabels labels(view.key);
    AddBookkeeping(labels, kSuccess, view.last_success, view.success_entry_time);
    AddBookkeeping(labels, kFailure, view.last_failure, view.failure_entry_time);
    for (const GroupView::FamilyEntry& family : view.families) {
      if (const Status status = AddFamily(family); !status) {
        return Error{Code::kInternal, "family " + GoQuote(family.name) + " of group " +
                                          GoQuote(view.key) + ": " + status.error().message};
      }
    }
    return visit(group_);
  }

 private:
  void Add(std::string_view name, WallTime pushed, std::string message) {
    group_.families.push_back({name, pushed, messages_.emplace_back(std::move(message))});
  }

  void AddBookkeeping(const GroupingLabels& labels, Bookkeeping which,
                      const std::optional<WallTime>& last, WallTime entry_time) {
    set_.Clear();
    FillBookkeeping(labels, which, last ? UnixSeconds(*last) : 0, set_);
    const Family& family = set_.families.front();
    Add(family.name, entry_time, SerializeFamily(set_, family, Escaping::kAllowUtf8));
  }

  Status AddFamily(const GroupView::FamilyEntry& entry) {
    if (!entry.samples.message.empty()) {
      group_.families.push_back({entry.name, entry.pushed, entry.samples.message});
      return {};
    }
    set_.Clear();
    Status status = ReadStoredSamples(entry.name, entry.type, entry.samples, set_);
    if (!status) return status;
    Family& family = set_.families.front();
    family.has_help = entry.has_help;
    family.help = entry.help;
    Add(entry.name, entry.pushed, SerializeFamily(set_, family, Escaping::kAllowUtf8));
    return {};
  }

  GobGroup group_;
  std::deque<std::string> messages_;
  FamilySet set_;
};

Status Walk(MetricStore& store, Instant now, const GobVisitor& visit) {
  constexpr std::size_t kGroupsAtATime = 64;
  GroupExporter exporter;
  std::vector<GroupView> views;
  std::size_t cursor = 0;
  do {
    views.clear();
    cursor = store.ListGroups(now, cursor, kGroupsAtATime, views);
    for (const GroupView& view : views) {
      if (Status status = exporter.Show(view, visit); !status) return status;
    }
  } while (cursor != 0);
  return {};
}

}  // namespace

Status ExportGob(MetricStore& store, Instant now, const GobSink& sink, ExportReport& report) {
  return WriteGob(
      [&](const GobVisitor& visit) {
        report = {};
        return Walk(store, now, [&](const GobGroup& group) {
          ++report.groups;
          report.families += group.families.size() - 2;
          return visit(group);
        });
      },
      sink);
}

}  // namespace pgw
