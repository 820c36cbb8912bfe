// One group and what it has. Knows store/stored_family. Guarded by the store's lock.
#pragma once

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/chunk_list.h"
#include "store/expiry_calendar.h"
#include "store/prefetch.h"
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

// Where a slot and its text were when they were written last. Both may have moved or gone since: a
// hint to the cache and nothing else. Each piece tells where the next one is, so without it each
// would be waited for in turn.
class Trace {
 public:
  Trace() = default;
  explicit Trace(const Member& member) {
    if (member.chunk == nullptr) return;
    const Block& block = *member.chunk->block;
    chunk_ = reinterpret_cast<std::uintptr_t>(member.chunk);
    block_ = reinterpret_cast<std::uintptr_t>(&block);
    slot_ = static_cast<std::uint32_t>(sizeof(Block) + member.slot * sizeof(Slot));
    const std::string_view text = block.text(block.slot(member.slot));
    text_ = static_cast<std::uint32_t>(text.data() - reinterpret_cast<const char*>(&block));
  }

  void Prefetch() const {
    if (block_ == 0) return;
    pgw::Prefetch(chunk_, sizeof(Chunk));
    pgw::Prefetch(block_, sizeof(Block));
    pgw::Prefetch(block_ + slot_, sizeof(Slot));
    PrefetchToWrite(block_ + text_, 2 * kCacheLine);
  }

 private:
  std::uintptr_t chunk_ = 0;
  std::uintptr_t block_ = 0;
  std::uint32_t slot_ = 0;  // bytes behind the block's start
  std::uint32_t text_ = 0;
};

// Ordered by what a push needs first; line by line of the cache.
struct alignas(kCacheLine) Group : CalendarEntry {
  explicit Group(std::string_view key) : key_(key.begin(), key.end()) {}

  static constexpr std::uint32_t kPlaceBits = 30;

  bool alive(Deadline now) const { return deadline > now; }

  // The member of that family, by binary search; null if there is none.
  Member* Find(const StoredFamily* family) {
    const auto found = std::ranges::lower_bound(members, family, std::less<>(), &Member::family);
    return found != members.end() && found->family == family ? &*found : nullptr;
  }

  // Labels joined as in GroupKey.
  std::string_view key() const { return {key_.data(), key_.size()}; }

  // Notes where this push has written, which is where the next one is likely to.
  void NoteTraces() {
    traces_[0] = Trace(bookkeeping[kSuccess]);
    traces_[1] = first < members.size() ? Trace(members[first]) : Trace();
  }
  // Asks for the group itself, and, once that has come, for what a push of so many families is
  // likely to touch.
  void Prefetch() const { PrefetchToWrite(this, sizeof(Group)); }
  void PrefetchTraces(std::size_t families) const {
    if (key_.size() > kKeyInside) pgw::Prefetch(key_.data(), key_.size());
    if (families > 1 && members.size() <= kMembersExpected) {
      PrefetchToWrite(members.data(), members.size() * sizeof(Member));
    } else if (first < members.size()) {
      PrefetchToWrite(&members[first], sizeof(Member));
    }
    for (const Trace& trace : traces_) trace.Prefetch();
  }

  Deadline deadline = 0;        // the latest of all its deadlines and its last activity's
  std::vector<Member> members;  // sorted by family (the address), without bookkeeping
  std::array<std::int64_t, 2> last_push{};  // successful, failed: nanoseconds of WallTime; 0: never
  std::array<Member, 2> bookkeeping;
  std::uint32_t first = 0;               // where the first family of the last push stands: a guess
  std::uint32_t place : kPlaceBits = 0;  // in the store's list of groups
  std::uint32_t indexed : 1 = 0;     // in the table of keys; an expired one may have been replaced
  std::uint32_t remembered : 1 = 0;  // what it was last pushed: see State::Remember
  Shape* shape = nullptr;
  std::unique_ptr<const std::string> escaped_key;  // only if it differs from the key

 private:
  static constexpr std::size_t kKeyInside = 48;
  // Of more it is better to wait for which of them are pushed.
  static constexpr std::size_t kMembersExpected = 16;

  const boost::container::small_vector<char, kKeyInside> key_;
  std::array<Trace, 2> traces_;  // of the success time and of the first family
};
static_assert(sizeof(void*) < 8 || sizeof(Group) == 5 * kCacheLine);

}  // namespace pgw
