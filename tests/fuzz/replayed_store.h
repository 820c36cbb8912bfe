// What the fuzz targets of blocks and records share: whatever has been put into a store can be
// shown, aged and written again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "store/durable/replay.h"
#include "store/metric_store.h"

namespace pgw::testing {

inline void CheckFailed(const char* condition, int line) {
  std::fprintf(stderr, "line %d: %s\n", line, condition);
  std::abort();
}
#define CHECK(condition) ((condition) ? void() : pgw::testing::CheckFailed(#condition, __LINE__))

inline std::size_t GroupsAlive(MetricStore& store, Instant now) {
  std::vector<GroupView> views;
  std::size_t cursor = 0;
  do {
    cursor = store.ListGroups(now, cursor, 16, views);
  } while (cursor != 0);
  for (const GroupView& view : views) {
    for (const GroupView::FamilyEntry& family : view.families) {
      FamilySet set;
      (void)ReadStoredSamples(family.name, family.type, family.samples, set).ok();
    }
  }
  return views.size();
}

// `input_bytes` are what the store was made from.
inline void UseInEveryWay(MetricStore& store, std::size_t input_bytes) {
  CHECK(store.Stats().bytes <= 4096 * (input_bytes + 256));
  const Instant now{store.PinTime(), WallTime()};
  store.UnpinTime();
  const std::size_t groups = GroupsAlive(store, now);
  const auto snapshot = store.SnapshotAt(now);
  for (std::size_t i = 0; i < snapshot->family_count(); ++i) {
    std::vector<std::string_view> pieces;
    std::vector<std::unique_ptr<std::string>> scratch;
    snapshot->AppendText(i, pieces, scratch);
  }

  MetricStore copy{StoreOptions()};
  StoreReplayer replayer(copy);
  std::vector<std::string> blocks;
  {
    const auto dump = store.BeginDump();
    CHECK(replayer.OnSnapshotMeta(EncodeSnapshotMeta(dump->session(), dump->suspicious())));
    while (dump->Next(4096, blocks) == StoreDump::Progress::kMore) {
    }
  }
  for (const std::string& block : blocks) CHECK(replayer.OnSnapshotBlock(block));
  CHECK(GroupsAlive(copy, now) == groups);

  constexpr BootTime kLate = kNever - std::chrono::nanoseconds(1);
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  while (store.EraseExpired(kLate, kAll).more) {
  }
  (void)GroupsAlive(store, {kLate, WallTime()});
}

}  // namespace pgw::testing
