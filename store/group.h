// One group and what it has. Knows store/stored_family. Guarded by the store's lock.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/chunk_list.h"
#include "store/expiry_calendar.h"
#include "store/stored_family.h"

namespace pgw {

// A family in a group.
struct Member {
  StoredFamily* family = nullptr;
  Chunk* chunk = nullptr;
  SharedText help;
  std::int64_t pushed = 0;  // WallTime in nanoseconds: when the push that last set it was received
  Deadline deadline = 0;
  std::uint16_t slot = 0;
  MetricType type = MetricType::kUntyped;
  bool has_samples = false;
  std::uint32_t follower = 0;  // where the family that came next in the last push stands: a guess

  SlotRef slot_ref() const { return {chunk, slot}; }
  bool alive(Deadline now) const { return deadline > now; }
};

enum Bookkeeping : std::uint8_t { kSuccess = 0, kFailure = 1 };

// Ordered by what a push needs first; line by line of the cache.
struct alignas(kCacheLine) Group : CalendarEntry {
  explicit Group(std::string_view group_key) : key(group_key) {}

  bool alive(Deadline now) const { return deadline > now; }

  // The member of that family, by binary search; null if there is none.
  Member* Find(const StoredFamily* family) {
    const auto found = std::ranges::lower_bound(members, family, std::less<>(), &Member::family);
    return found != members.end() && found->family == family ? &*found : nullptr;
  }

  // Asks for all of the group, and for its members if they are few.
  void Prefetch() const {
    const char* const self = reinterpret_cast<const char*>(this);
    for (std::size_t at = 0; at < sizeof(Group); at += kCacheLine) __builtin_prefetch(self + at);
    const char* const list = reinterpret_cast<const char*>(members.data());
    const std::size_t size = std::min<std::size_t>(members.size() * sizeof(Member), 1024);
    for (std::size_t at = 0; at < size; at += kCacheLine) __builtin_prefetch(list + at);
  }

  Deadline deadline = 0;        // the latest of all its deadlines and its last activity's
  std::vector<Member> members;  // sorted by family (the address), without bookkeeping
  std::array<std::int64_t, 2> last_push{};  // successful, failed: nanoseconds of WallTime; 0: never
  std::array<Member, 2> bookkeeping;
  std::uint32_t first = 0;        // where the first family of the last push stands: a guess
  std::uint32_t place : 31 = 0;   // in the store's list of groups
  std::uint32_t indexed : 1 = 0;  // in the table of keys; an expired one may have been replaced
  Shape* shape = nullptr;
  const std::string key;
  std::string escaped_key;  // only if it differs from `key`
};
static_assert(sizeof(void*) < 8 || sizeof(Group) == 4 * kCacheLine);

}  // namespace pgw
