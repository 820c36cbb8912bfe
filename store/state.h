// Everything that is stored, and the primitive changes to it that keep its indexes true.
// Knows the other parts of store. Guarded by the store's lock.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "exposition/hash_index.h"
#include "store/expiry_calendar.h"
#include "store/fingerprint.h"
#include "store/group_pool.h"
#include "store/hashed_view.h"
#include "store/prepared_push.h"
#include "store/stored_family.h"
#include "store/suffix_rules.h"

namespace pgw {

class State {
 public:
  // `account` must outlive it.
  explicit State(MemoryAccount& account);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // ---- Groups.

  // The group that a key of that hash has in all likelihood, if there is one; looks at nothing of
  // it.
  Group* Guess(std::uint64_t hash) const;

  // Where Guess() will look.
  HashIndex::Outline key_table() const { return groups_.outline(); }

  // The group of that key if it is alive.
  Group* FindAlive(const HashedView& key, Deadline now);

  // A living group other than `key`'s own whose bookkeeping samples would equal those of `key`:
  // the same labels but for an empty instance, or names that are escaped alike. Null if none.
  Group* FindTwin(std::string_view key, const GroupingLabels& labels, Deadline now);

  // The living group whose labels in the default escaping are these (sorted by name), or null.
  Group* FindByExposedLabels(const std::vector<Label>& labels, Deadline now);

  // The shape of groups with these label names; null if no group has it.
  const Shape* FindShape(const GroupingLabels& labels) const;

  // A new group in the place of none or of an expired one. Its bookkeeping is yet to be written.
  Group& AddGroup(const HashedView& key, const GroupingLabels& labels);

  // Takes the group and all it has away at once.
  void RemoveGroup(Group& group);

  // Takes up to `families_max` expired families of the group away, and the group itself once it
  // has expired and has none left. Returns how many; calls `lag(deadline)` for each.
  template <typename Lag>
  std::size_t EraseExpired(Group& group, Deadline now, std::size_t families_max, const Lag& lag,
                           bool* group_erased);

  // What the last push of a group was, for as long as nothing else has changed in the group: then
  // the same push once more has nothing to do but to renew.
  struct LastPush {
    Fingerprint fingerprint;
    std::uint32_t families = 0;  // in the order of Group::first and Member::follower
  };
  void Remember(Group& group, const LastPush& push);
  // Before anything changes in the group.
  void Forget(Group& group) {
    if (group.remembered != 0) Erase(group);
  }
  // Null if it is not known.
  const LastPush* Recall(const Group& group) const;

  // Files the group for its next expiry.
  void Schedule(Group& group);

  const GroupPool& groups() const { return pool_; }
  std::size_t group_count() const { return group_count_; }

  // ---- Families.

  // Before the clock changes: takes away for good what has expired and was forgotten.
  void DropForgotten();

  StoredFamily* FindFamily(const HashedView& name);
  StoredFamily* FindFamily(std::string_view name) { return FindFamily(HashedView(name)); }
  StoredFamily& FindOrAddFamily(std::string_view name);

  // Calls `visit(StoredFamily&)` for each family exposed under that name.
  template <typename Visit>
  void VisitExposed(std::string_view exposed, const Visit& visit);

  const std::map<std::pair<std::string_view, std::string_view>, StoredFamily*>& ordered() const {
    return ordered_;
  }
  StoredFamily& bookkeeping(Bookkeeping which) { return *bookkeeping_[which]; }

  // ---- Members. `group.members` itself is the caller's to arrange.

  void FillMember(Group& group, Member& member, SlotContent content, bool has_samples);
  void ReplaceMember(Group& group, Member& member, SlotContent content, bool has_samples);
  // Removes what the member has, visibly (alive) or lazily (expired); may delete the family.
  void EmptyMember(Group& group, Member& member, Deadline now);

  // ---- For MemoryReserve: no call of these asks for more memory, in bytes.

  std::size_t AddGroupBytesMax(std::string_view key) const;
  // `count` calls of FindOrAddFamily(), without what grows with the names and without Show().
  std::size_t AddFamiliesBytesMax(std::size_t count) const;
  std::size_t RememberBytesMax() const;
  static std::size_t EmptyMemberBytesMax(const Member& member, Deadline now) {
    const ChunkList& chunks = member.family->chunks;
    return member.alive(now) ? chunks.RemoveBytesMax(member.slot_ref())
                             : chunks.ForgetBytesMax(member.slot_ref());
  }

  // ----

  // Accounts for the room of a group's member list.
  void AccountMembers(const Group& group, std::size_t capacity_before);

  std::size_t footprint() const { return footprint_; }
  ExpiryCalendar& calendar() { return calendar_; }

  // In invariants.cc.
  Status CheckInvariants() const;

 private:
  // A last push with its share of the table, which is at least half full once it has grown.
  static constexpr std::size_t kLastPushBytes =
      2 * sizeof(std::pair<const std::uint32_t, LastPush>);

  static std::size_t GroupFootprint(const Group& group);
  static std::size_t FamilyFootprint(const StoredFamily& family);
  Shape* InternShape(const GroupingLabels& labels);
  void ReleaseShape(Shape* shape);
  Group* Find(const HashedView& key) const;
  void Unindex(Group& group);
  void FreeGroup(Group& group);
  void Erase(Group& group);
  void EraseFamilyIfUnused(StoredFamily& family);
  Group* FindByExposedKey(std::string_view key, Deadline now, std::string_view except);

  MemoryAccount& account_;
  std::size_t footprint_ = 0;  // bytes; first member: families refer to it until they are gone
  GroupPool pool_;
  HashIndex groups_;  // in pool_, by key
  // Only groups with names that need escaping, by their key in the default escaping.
  std::unordered_multimap<std::string, Group*> groups_by_exposed_;
  std::size_t group_count_ = 0;
  boost::unordered_flat_map<std::uint32_t, LastPush> last_pushes_;  // by place: few groups have one
  std::map<std::string, Shape, std::less<>> shapes_;  // by their names, joined with FF
  ExpiryCalendar calendar_;

  boost::unordered_flat_map<HashedView, StoredFamily*, HashedViewHash> families_;
  std::unordered_multimap<std::string_view, StoredFamily*> families_by_exposed_;  // escaped ones
  // For scrapes: by exposed name, then name.
  std::map<std::pair<std::string_view, std::string_view>, StoredFamily*> ordered_;
  std::array<std::unique_ptr<StoredFamily>, 2> bookkeeping_;
};

template <typename Visit>
void State::VisitExposed(std::string_view exposed, const Visit& visit) {
  if (StoredFamily* const family = FindFamily(exposed);
      family != nullptr && !family->needs_escaping()) {
    visit(*family);
  }
  if (families_by_exposed_.empty()) return;
  const auto [first, last] = families_by_exposed_.equal_range(exposed);
  for (auto it = first; it != last; ++it) visit(*it->second);
}

template <typename Lag>
std::size_t State::EraseExpired(Group& group, Deadline now, std::size_t families_max,
                                const Lag& lag, bool* group_erased) {
  std::size_t erased = 0;
  const bool whole = !group.alive(now);
  for (std::size_t i = group.members.size(); i-- > 0 && erased < families_max;) {
    Member& member = group.members[i];
    if (member.alive(now)) continue;
    lag(member.deadline);
    EmptyMember(group, member, now);
    member.family = nullptr;
    ++erased;
    if (whole) group.members.pop_back();
  }
  if (!whole) {
    if (erased > 0) {
      Forget(group);
      std::erase_if(group.members, [](const Member& m) { return m.family == nullptr; });
    }
  } else if (group.members.empty()) {
    for (Member& member : group.bookkeeping) EmptyMember(group, member, now);
    FreeGroup(group);
    *group_erased = true;
    return erased;
  }
  Schedule(group);
  return erased;
}

}  // namespace pgw
