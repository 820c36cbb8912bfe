// Checks of the store that must hold between two commands, whatever has happened. They look at all
// that is stored, and are there for tests.

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "exposition/keyed_hash.h"
#include "store/metric_store_impl.h"

namespace pgw {
namespace {

Error Broken(std::string_view where, std::string_view what) {
  return {Code::kInternal, std::string(where).append(": ").append(what)};
}

// The figures of a family as they follow from the members of all groups.
struct Owned {
  std::uint32_t members = 0;
  std::array<std::uint32_t, kMetricTypeCount> type_counts{};
  std::map<const Shape*, std::uint32_t> shapes;
  // The slots of each chunk that members own.
  std::unordered_map<const Chunk*, std::unordered_set<std::uint32_t>> slots;
};

}  // namespace

Status ChunkList::CheckChunk(const Chunk& chunk,
                             const std::unordered_set<std::uint32_t>& owned) const {
  const Block& block = *chunk.block;
  if (chunk.position >= chunks_.size() || chunks_[chunk.position].get() != &chunk) {
    return Broken("chunk", "is not where it says");
  }
  if (chunk.live != owned.size()) return Broken("chunk", "another number of slots is owned");
  if (chunk.live == 0) return Broken("chunk", "is empty");
  std::unordered_set<std::uint32_t> seen(owned);
  std::size_t dead_bytes = 0;
  for (const std::uint16_t slot : chunk.free_slots) {
    if (!seen.insert(slot).second) return Broken("chunk", "a free slot is owned or free twice");
    if (block.slot(slot).size != 0) return Broken("chunk", "a free slot has text");
    if (block.slot(slot).deadline != kFreeSlot) return Broken("chunk", "a free slot is alive");
  }
  for (const std::uint16_t slot : chunk.dead_slots) {
    if (!seen.insert(slot).second)
      return Broken("chunk", "a dead slot is owned, free or dead twice");
    dead_bytes += block.slot(slot).size;
  }
  if (seen.size() != block.slot_count()) return Broken("chunk", "a slot is nobody's");
  if (dead_bytes != chunk.dead_bytes) return Broken("chunk", "dead bytes do not add up");
  std::vector<std::pair<std::uint32_t, std::uint32_t>> texts;
  for (std::uint32_t i = 0; i < block.slot_count(); ++i) {
    const Slot& slot = block.slot(i);
    if (slot.size > 0) texts.emplace_back(slot.offset, slot.size);
    if (slot.deadline == kFreeSlot) continue;
    if (slot.deadline < block.min_deadline() || slot.deadline > block.max_deadline()) {
      return Broken("block", "a deadline is out of bounds");
    }
  }
  std::ranges::sort(texts);
  std::size_t end = 0;
  for (const auto& [offset, size] : texts) {
    if (offset != end) return Broken("block", "slots do not tile it");
    end += size;
  }
  if (end != block.used() || end > block.byte_capacity()) return Broken("block", "bytes are lost");
  if (block.line_count() != CountLines(block.bytes()))
    return Broken("block", "lines are miscounted");
  return {};
}

Status State::CheckInvariants() const {
  std::unordered_map<const StoredFamily*, Owned> owned;
  std::unordered_map<const Shape*, std::uint32_t> shapes;
  std::size_t groups = 0;
  std::size_t remembered = 0;
  std::size_t bytes = 0;
  for (std::size_t place = 0; place < pool_.end(); ++place) {
    const Group* const group = pool_.Find(place);
    if (group == nullptr) continue;
    ++groups;
    ++shapes[group->shape];
    remembered += group->remembered;
    bytes += GroupFootprint(*group) + group->members.capacity() * sizeof(Member);
    if (group->place != place) return Broken("group", "does not know its place");
    const auto is_this = [&](std::uint32_t at) { return at == place; };
    const bool found = groups_.Find(KeyedHash(group->key()), is_this) != HashIndex::kNone;
    if (found != (group->indexed != 0))
      return Broken("group", "is indexed or not, against its word");
    if (!std::ranges::is_sorted(group->members, std::less<>(), &Member::family)) {
      return Broken("group", "members are not sorted");
    }
    std::vector<const Member*> members;
    members.reserve(group->members.size() + group->bookkeeping.size());
    for (const Member& member : group->members) members.push_back(&member);
    for (const Member& member : group->bookkeeping) members.push_back(&member);
    Deadline earliest = group->deadline;
    for (const Member* const member : members) {
      if (member->family == nullptr || member->chunk == nullptr) {
        return Broken("group", "has a member without a family or text");
      }
      earliest = std::min(earliest, member->deadline);
      Owned& family = owned[member->family];
      ++family.members;
      if (member->has_samples) {
        ++family.type_counts[static_cast<std::size_t>(member->type)];
        ++family.shapes[group->shape];
      }
      const Slot& slot = member->chunk->block->slot(member->slot);
      if (slot.deadline != member->deadline) return Broken("member", "has another deadline");
      if (member->deadline > group->deadline) return Broken("member", "outlives its group");
      if (!family.slots[member->chunk].insert(member->slot).second) {
        return Broken("member", "shares a slot");
      }
    }
    const bool expires = earliest != std::numeric_limits<Deadline>::max();
    if (expires && (!group->filed || !ExpiryCalendar::IsInTime(*group, earliest))) {
      return Broken("group", "will not be looked at when it expires");
    }
  }
  if (groups != group_count_) return Broken("store", "groups are miscounted");
  if (remembered != last_pushes_.size()) return Broken("store", "last pushes are miscounted");
  bytes += remembered * kLastPushBytes;
  for (const auto& [names, shape] : shapes_) {
    if (shapes[&shape] != shape.groups) return Broken("shape", "groups are miscounted");
  }
  std::size_t families = bookkeeping_.size();
  for (const auto& [names, family] : ordered_) {
    const bool pushed =
        family != bookkeeping_[kSuccess].get() && family != bookkeeping_[kFailure].get();
    if (pushed) {
      ++families;
      bytes += FamilyFootprint(*family);
      const auto found = families_.find(HashedView(family->name));
      if (found == families_.end() || found->second != family)
        return Broken("family", "is not found");
    }
    const Owned& own = owned[family];
    if (own.members != family->members) return Broken(family->name, "members are miscounted");
    if (pushed && own.members == 0 && !family->suspect)
      return Broken(family->name, "has no members");
    if (own.type_counts != family->type_counts) return Broken(family->name, "types are miscounted");
    std::map<const Shape*, std::uint32_t> counted(family->shapes.begin(), family->shapes.end());
    if (counted != own.shapes) return Broken(family->name, "shapes are miscounted");
    if (own.slots.size() != family->chunks.chunks().size()) {
      return Broken(family->name, "a chunk is nobody's");
    }
    for (const auto& [chunk, slots] : own.slots) {
      if (Status status = family->chunks.CheckChunk(*chunk, slots); !status) {
        return Broken(family->name, status.error().message);
      }
      bytes += chunk->block->footprint();
    }
  }
  if (families != families_.size() + bookkeeping_.size())
    return Broken("store", "a family is lost");
  if (owned.size() > ordered_.size()) return Broken("store", "members of a family that is gone");
  if (bytes != footprint_) {
    return Broken("store", std::to_string(footprint_) + " bytes accounted for, " +
                               std::to_string(bytes) + " held");
  }
  return {};
}

Status MetricStore::Impl::CheckInvariants() {
  const MutexLock lock(mutex_);
  return state_->CheckInvariants();
}

Status MetricStore::CheckInvariants() const { return impl_->CheckInvariants(); }

}  // namespace pgw
