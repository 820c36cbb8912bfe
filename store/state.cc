#include "store/state.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "exposition/names.h"
#include "store/group_key.h"

namespace pgw {
namespace {

constexpr Deadline kNeverExpires = std::numeric_limits<Deadline>::max();

// The labels in the default escaping, sorted by exposed name.
std::vector<std::pair<std::string, std::string_view>> Exposed(std::span<const Label> labels) {
  std::vector<std::pair<std::string, std::string_view>> exposed;
  exposed.reserve(labels.size());
  for (const Label& label : labels) {
    exposed.emplace_back(EscapeName(label.name, Escaping::kUnderscores), label.value);
  }
  std::ranges::sort(exposed);
  return exposed;
}

std::vector<std::string> ExposedNames(const GroupingLabels& labels) {
  std::vector<std::string> names;
  for (auto& [name, value] : Exposed(labels.labels())) names.push_back(std::move(name));
  return names;
}

std::string ShapeKey(const std::vector<std::string>& names) {
  std::string key;
  for (const std::string& name : names) key.append(name).push_back('\xff');
  return key;
}

template <typename Pairs>
std::string JoinKey(const Pairs& pairs) {
  std::string key;
  for (const auto& [name, value] : pairs) {
    if (!key.empty()) key.push_back('\xff');
    key.append(name).push_back('\xff');
    key.append(value);
  }
  return key;
}

}  // namespace

std::size_t State::GroupFootprint(const Group& group) {
  return sizeof(Group) + group.key().size() + 2 * sizeof(Group*) +
         (group.escaped_key ? group.escaped_key->capacity() : 0);
}

std::size_t State::FamilyFootprint(const StoredFamily& family) {
  return sizeof(StoredFamily) + family.name.size() + family.escaped.capacity();
}

State::State(MemoryAccount& account) : account_(account) {
  constexpr std::pair<std::string_view, std::string_view> kTexts[] = {
      {kPushTimeName, kPushTimeHelp}, {kPushFailureTimeName, kPushFailureTimeHelp}};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& [name, help] = kTexts[i];
    bookkeeping_[i] = std::make_unique<StoredFamily>(name, footprint_, account_);
    bookkeeping_[i]->Show(MetricType::kGauge, SharedText(std::string(help)));
    ordered_.emplace(std::pair(bookkeeping_[i]->name, bookkeeping_[i]->name),
                     bookkeeping_[i].get());
  }
}

State::~State() {
  for (const auto& [name, family] : families_) delete family;
}

Group* State::FindAlive(const HashedView& key, Deadline now) {
  Group* const group = Find(key);
  return group != nullptr && group->alive(now) ? group : nullptr;
}

Group* State::Find(const HashedView& key) const {
  const std::uint32_t place = groups_.Find(
      key.hash, [this, &key](std::uint32_t at) { return pool_.At(at)->key() == key.text; });
  return place != HashIndex::kNone ? pool_.At(place) : nullptr;
}

Group* State::Guess(std::uint64_t hash) const {
  const std::uint32_t place = groups_.Find(hash, [](std::uint32_t) { return true; });
  return place != HashIndex::kNone ? pool_.At(place) : nullptr;
}

Group* State::FindByExposedKey(std::string_view key, Deadline now, std::string_view except) {
  if (key != except) {
    Group* const group = FindAlive(HashedView(key), now);
    if (group != nullptr && group->escaped_key == nullptr) return group;
  }
  if (groups_by_exposed_.empty()) return nullptr;
  const auto [first, last] = groups_by_exposed_.equal_range(std::string(key));
  for (auto it = first; it != last; ++it) {
    if (it->second->alive(now) && it->second->key() != except) return it->second;
  }
  return nullptr;
}

Group* State::FindByExposedLabels(const std::vector<Label>& labels, Deadline now) {
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  pairs.reserve(labels.size());
  for (const Label& label : labels) pairs.emplace_back(label.name, label.value);
  return FindByExposedKey(JoinKey(pairs), now, {});
}

Group* State::FindTwin(std::string_view key, const GroupingLabels& labels, Deadline now) {
  const auto has_value = [](const auto& pair) {
    return pair.first == "instance" && !pair.second.empty();
  };
  auto exposed = Exposed(labels.with_instance());
  Group* twin = FindByExposedKey(JoinKey(exposed), now, key);
  if (twin != nullptr || std::ranges::any_of(exposed, has_value)) return twin;
  std::erase_if(exposed, [](const auto& pair) { return pair.first == "instance"; });
  return FindByExposedKey(JoinKey(exposed), now, key);
}

const Shape* State::FindShape(const GroupingLabels& labels) const {
  const auto found = shapes_.find(ShapeKey(ExposedNames(labels)));
  return found != shapes_.end() ? &found->second : nullptr;
}

Shape* State::InternShape(const GroupingLabels& labels) {
  std::vector<std::string> names = ExposedNames(labels);
  Shape& shape = shapes_[ShapeKey(names)];
  if (shape.groups++ == 0) shape.names = std::move(names);
  return &shape;
}

void State::ReleaseShape(Shape* shape) {
  if (--shape->groups == 0) shapes_.erase(ShapeKey(shape->names));
}

Group& State::AddGroup(const HashedView& key, const GroupingLabels& labels) {
  if (Group* const old = Find(key)) Unindex(*old);
  Group& group = pool_.Add(key.text);
  if (labels.needs_escaping()) {
    group.escaped_key = std::make_unique<const std::string>(JoinKey(Exposed(labels.labels())));
  }
  group.shape = InternShape(labels);
  groups_.Insert(key.hash, group.place);
  if (group.escaped_key) groups_by_exposed_.emplace(*group.escaped_key, &group);
  group.indexed = 1;
  ++group_count_;
  footprint_ += GroupFootprint(group);
  return group;
}

void State::Unindex(Group& group) {
  if (group.indexed == 0) return;
  group.indexed = 0;
  groups_.Erase(KeyedHash(group.key()), group.place);
  if (group.escaped_key == nullptr) return;
  const auto [first, last] = groups_by_exposed_.equal_range(*group.escaped_key);
  const auto found = std::find_if(first, last, [&](const auto& e) { return e.second == &group; });
  assert(found != last);
  groups_by_exposed_.erase(found);
}

void State::Remember(Group& group, const LastPush& push) {
  if (last_pushes_.insert_or_assign(group.place, push).second) footprint_ += kLastPushBytes;
  group.remembered = 1;
}

void State::Erase(Group& group) {
  footprint_ -= last_pushes_.erase(group.place) * kLastPushBytes;
  if (last_pushes_.empty()) last_pushes_ = {};  // gives its memory back
  group.remembered = 0;
}

const State::LastPush* State::Recall(const Group& group) const {
  if (group.remembered == 0) return nullptr;
  const auto found = last_pushes_.find(group.place);
  return found != last_pushes_.end() ? &found->second : nullptr;
}

void State::FreeGroup(Group& group) {
  Forget(group);
  Unindex(group);
  calendar_.Remove(group);
  ReleaseShape(group.shape);
  footprint_ -= GroupFootprint(group) + group.members.capacity() * sizeof(Member);
  pool_.Remove(group);
  --group_count_;
}

void State::RemoveGroup(Group& group) {
  for (Member& member : group.members) EmptyMember(group, member, kBeforeAll);
  for (Member& member : group.bookkeeping) EmptyMember(group, member, kBeforeAll);
  FreeGroup(group);
}

void State::Schedule(Group& group) {
  Deadline next = group.deadline;
  for (const Member& member : group.members) next = std::min(next, member.deadline);
  if (next != kNeverExpires) calendar_.File(group, next);
}

StoredFamily* State::FindFamily(const HashedView& name) {
  const auto found = families_.find(name);
  return found != families_.end() ? found->second : nullptr;
}

StoredFamily& State::FindOrAddFamily(std::string_view name) {
  const HashedView key(name);
  if (const auto found = families_.find(key); found != families_.end()) return *found->second;
  auto owned = std::make_unique<StoredFamily>(name, footprint_, account_);
  StoredFamily& family = *owned;
  families_.emplace(HashedView(key.hash, family.name), owned.release());
  ordered_.emplace(std::pair(std::string_view(family.escaped), family.name), &family);
  if (family.needs_escaping()) families_by_exposed_.emplace(family.escaped, &family);
  footprint_ += FamilyFootprint(family);
  return family;
}

void State::EraseFamilyIfUnused(StoredFamily& family) {
  if (family.members > 0 || &family == bookkeeping_[kSuccess].get() ||
      &family == bookkeeping_[kFailure].get()) {
    return;
  }
  families_.erase(HashedView(family.name));
  ordered_.erase(std::pair(std::string_view(family.escaped), family.name));
  if (family.needs_escaping()) {
    const auto [first, last] = families_by_exposed_.equal_range(family.escaped);
    families_by_exposed_.erase(
        std::find_if(first, last, [&family](const auto& e) { return e.second == &family; }));
  }
  footprint_ -= FamilyFootprint(family);
  delete &family;
}

void State::FillMember(Group& group, Member& member, SlotContent content, bool has_samples) {
  StoredFamily& family = *member.family;
  member.type = content.type;
  member.deadline = content.deadline;
  member.has_samples = has_samples;
  const SlotRef slot = family.chunks.Insert(std::move(content));
  member.chunk = slot.chunk;
  member.slot = slot.slot;
  ++family.members;
  if (has_samples) family.CountMember(*group.shape, member.type);
}

void State::ReplaceMember(Group& group, Member& member, SlotContent content, bool has_samples) {
  StoredFamily& family = *member.family;
  const bool counts_as_before =
      has_samples == member.has_samples && (!has_samples || content.type == member.type);
  if (!counts_as_before && member.has_samples) {
    family.UncountMember(*group.shape, member.type);
  }
  member.type = content.type;
  member.deadline = content.deadline;
  member.has_samples = has_samples;
  const SlotRef slot = family.chunks.Replace(member.slot_ref(), std::move(content));
  member.chunk = slot.chunk;
  member.slot = slot.slot;
  if (!counts_as_before && has_samples) family.CountMember(*group.shape, member.type);
}

void State::DropForgotten() {
  for (const auto& [name, family] : families_) family->chunks.DropForgotten();
  for (const auto& family : bookkeeping_) family->chunks.DropForgotten();
}

void State::EmptyMember(Group& group, Member& member, Deadline now) {
  StoredFamily& family = *member.family;
  if (member.has_samples) family.UncountMember(*group.shape, member.type);
  if (member.alive(now)) {
    family.chunks.Remove(member.slot_ref());
  } else {
    family.chunks.Forget(member.slot_ref());
  }
  --family.members;
  EraseFamilyIfUnused(family);
}

std::size_t State::AddGroupBytesMax(std::string_view key) const {
  // The key in another escaping, the names of its shape, and a page of the system for each of some
  // small allocations.
  std::size_t bytes =
      pool_.AddBytesMax(key.size()) + groups_.growth() + 32 * key.size() + 64 * 1024;
  const float full =
      groups_by_exposed_.max_load_factor() * static_cast<float>(groups_by_exposed_.bucket_count());
  if (static_cast<float>(groups_by_exposed_.size() + 1) > full) {
    bytes += 4 * (groups_by_exposed_.bucket_count() + 8) * sizeof(void*);
  }
  return bytes;
}

std::size_t State::AddFamiliesBytesMax(std::size_t count) const {
  if (count == 0) return 0;
  const std::size_t after = families_.size() + count;
  std::size_t bytes = count * 32 * 1024;
  if (after > families_.max_load())
    bytes += 5 * (after + 16) * sizeof(decltype(families_)::value_type);
  // The table of escaped names is small, so it is taken to grow each time.
  return bytes + 4 * (families_by_exposed_.size() + count) * sizeof(void*);
}

std::size_t State::RememberBytesMax() const {
  if (last_pushes_.size() < last_pushes_.max_load()) return 0;
  return 5 * (last_pushes_.size() + 16) * sizeof(decltype(last_pushes_)::value_type);
}

void State::AccountMembers(const Group& group, std::size_t capacity_before) {
  footprint_ += group.members.capacity() * sizeof(Member);
  footprint_ -= capacity_before * sizeof(Member);
}

}  // namespace pgw
