// What tests of import and export share: a store filled from a Go file, files made to order, and
// all that a store shows, as text.
#pragma once

#include <cstdint>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "exposition/protobuf_writer.h"
#include "exposition/text_parser.h"
#include "store/durable/gob_export.h"
#include "store/durable/gob_import.h"
#include "store/group_key.h"
#include "store/metric_store.h"
#include "store/persistence/gob_writer.h"
#include "tests/exposition/dump.h"
#include "tests/support/fault_file_system.h"

namespace pgw::testing {

inline std::string GobSample(const std::string& name) {
  std::ifstream file(PGW_GOB_DATA "/" + name, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  if (bytes.empty()) throw std::runtime_error("cannot read " + name);
  return bytes;
}

inline WallTime Wall(std::int64_t nanoseconds) {
  return WallTime(std::chrono::nanoseconds(nanoseconds));
}
inline WallTime WallSeconds(std::int64_t seconds) {
  return WallTime(std::chrono::seconds(seconds));
}

// The one family of a text body as a message.
inline std::string FamilyMessage(std::string_view body) {
  FamilySet set;
  if (!ParseText(body, NameValidation::kUtf8, set) || set.families.size() != 1) {
    throw std::runtime_error("no family: " + std::string(body));
  }
  return SerializeFamily(set, set.families[0], Escaping::kAllowUtf8);
}

// A Go file put together group by group.
class GobBuilder {
 public:
  GobBuilder& Group(const std::vector<std::pair<std::string, std::string>>& labels) {
    groups_.emplace_back();
    for (const auto& [name, value] : labels) {
      groups_.back().labels.emplace_back(Keep(name), Keep(value));
    }
    return *this;
  }
  // The next ones belong to the group before.
  GobBuilder& Family(const std::string& name, std::optional<WallTime> pushed,
                     std::optional<std::string> message) {
    GobFamily& family = groups_.back().families.emplace_back();
    family.name = Keep(name);
    family.pushed = pushed;
    if (message) family.message = Keep(*message);
    return *this;
  }
  GobBuilder& Text(const std::string& name, WallTime pushed, std::string_view body) {
    return Family(name, pushed, FamilyMessage(body));
  }
  // A bookkeeping family with the value that the text is.
  GobBuilder& Time(const std::string& name, WallTime entry, const std::string& value) {
    return Text(name, entry, "# TYPE " + name + " gauge\n" + name + " " + value + "\n");
  }

  std::string File() const {
    std::string bytes;
    const Status status = WriteGob(
        [this](const GobVisitor& visit) {
          for (const GobGroup& group : groups_) {
            if (Status visited = visit(group); !visited) return visited;
          }
          return Status();
        },
        [&bytes](std::string_view piece) {
          bytes += piece;
          return Status();
        });
    if (!status) throw std::runtime_error(status.error().message);
    return bytes;
  }

 private:
  std::string_view Keep(std::string text) { return texts_.emplace_back(std::move(text)); }

  std::deque<std::string> texts_;
  std::vector<GobGroup> groups_;
};

// All of a store, group by group: times, and families with their content.
inline std::string Contents(MetricStore& store, Instant now) {
  std::vector<GroupView> views;
  for (std::size_t cursor = 0;;) {
    cursor = store.ListGroups(now, cursor, 16, views);
    if (cursor == 0) break;
  }
  std::ranges::sort(views, {}, &GroupView::key);
  const auto shown = [](const std::optional<WallTime>& time) {
    return time ? std::to_string(time->time_since_epoch().count()) : "never";
  };
  std::string text;
  for (const GroupView& view : views) {
    text += "group";
    for (const auto& [name, value] : SplitGroupKey(view.key)) {
      text += " " + std::string(name) + "=" + std::string(value);
    }
    text += "\n success " + shown(view.last_success) + " at " + shown(view.success_entry_time) +
            "\n failure " + shown(view.last_failure) + " at " + shown(view.failure_entry_time);
    for (const GroupView::FamilyEntry& family : view.families) {
      FamilySet set;
      if (!ReadStoredSamples(family.name, family.type, family.samples, set)) text += "UNREADABLE";
      set.families[0].help = family.help;
      set.families[0].has_help = family.has_help;
      text += "\n " + shown(family.pushed) + " " + Dump(set);
      text.pop_back();
    }
    text += "\n";
  }
  return text;
}

// A store as a starting server fills it.
struct Imported {
  explicit Imported(const std::string& bytes, StoreOptions options = {})
      : store(std::move(options)) {
    files.Put(kPath, bytes);
    const auto file = files.Open(kPath, FileAccess::kRead);
    store.StartWith(Session(), false);
    status = ImportGob(**file, store, report);
  }

  // Makes what is there part of a session that begins now.
  void Begin(const Session& session) {
    std::string record;
    AppendSessionRecord(session, record);
    (void)store.Apply(*ReadCommandRecord(record), kNever).ok();
  }
  std::string Shown() { return Contents(store, {}); }

  static inline const std::string kPath = "/data/F";
  FaultFileSystem files{"/data"};
  MetricStore store;
  ImportReport report;
  Status status;
};

inline std::string Exported(MetricStore& store, Instant now = {}) {
  std::string bytes;
  ExportReport report;
  const Status status = ExportGob(
      store, now,
      [&bytes](std::string_view piece) {
        bytes += piece;
        return Status();
      },
      report);
  if (!status) throw std::runtime_error(status.error().message);
  return bytes;
}

}  // namespace pgw::testing
