// How commands enter the store.

#include <algorithm>
#include <cassert>
#include <utility>

#include "exposition/hash_index.h"
#include "store/bookkeeping.h"
#include "store/command_record.h"
#include "store/cross_check.h"
#include "store/metric_store_impl.h"
#include "store/prefetch.h"

namespace pgw {
namespace {

// How far ahead of where a push writes memory is asked for. The slots come first: they tell where
// the texts are.
constexpr std::size_t kSlotsAhead = 16;
constexpr std::size_t kTextsAhead = 12;

Error TimestampError() { return InvalidArgument("pushed metrics must not have timestamps"); }

}  // namespace

MetricStore::Impl::Workspace& MetricStore::Impl::WorkspaceOfThisThread() {
  thread_local Workspace work;
  return work;
}

void MetricStore::Impl::Workspace::Trim() {
  constexpr std::size_t kUsual = 1u << 14;
  if (added.capacity() > kUsual) decltype(added)().swap(added);
  if (targets.capacity() > kUsual) decltype(targets)().swap(targets);
  if (touched.capacity() > kUsual) decltype(touched)().swap(touched);
  if (suspects.capacity() > kUsual) decltype(suspects)().swap(suspects);
}

Status MetricStore::Impl::Push(const PushCommand& command, Stamping stamping) {
  thread_local PreparedPush prepared;
  const HashedView key(command.group->hash(), command.group->bytes());
  FetchGroup(key.hash);
  const GroupingLabels labels(key.text);
  Status status = prepared.Prepare(labels, *command.families, own_);
  if (status.ok()) {
    FetchTraces(key.hash, command.families->families.size());
    Entering push{key,
                  labels,
                  prepared,
                  command.mode,
                  check_,
                  command.received.wall,
                  ToDeadline(command.received.boot),
                  ToDeadline(command.deadline),
                  stamping,
                  command.fingerprint};
    push.must_enter = stamping == Stamping::kLeavesTimes;  // else it would be left out of the file
    status = Enter(push, TimeRule::kNotBeforeLatest);
  }
  prepared.Trim();
  return status;
}

// A push that a later one has overtaken on its way here takes effect at the store's time; with its
// own it could cut short the lives of what the other one renewed. A log has seen to that before.
Status MetricStore::Impl::Enter(Entering push, TimeRule rule) {
  Status status;
  bool earlier = false;
  {
    MutexLock lock(mutex_);
    const Deadline latest = Advance(push.time);
    if (rule == TimeRule::kNotBeforeLatest) {
      if (push.deadline != ToDeadline(kNever)) push.deadline += latest - push.time;
      push.time = latest;
    }
    const Deadline next = state_->calendar().Next();
    if (push.repeats == nullptr) {
      status = PushLocked(push);
    } else {
      *push.repeats = RepeatLocked(push);
    }
    earlier = MuchHasChanged() || state_->calendar().Next() < next;
    if (push.unpins && UnpinLocked()) earlier = true;
  }
  push.work.Trim();
  if (earlier && waker_) waker_();
  account_->CheckLimit();
  return status;
}

bool MetricStore::Impl::Repeat(const RepeatedPush& push) {
  if (!TakesRepeats()) return false;
  static const PreparedPush nothing;
  const HashedView key(push.group->hash(), push.group->bytes());
  FetchGroup(key.hash);
  const GroupingLabels labels(key.text);
  bool repeats = false;
  const Status status = Enter({key, labels, nothing, PushMode::kMerge, check_, push.received.wall,
                               ToDeadline(push.received.boot), ToDeadline(push.deadline),
                               Stamping::kStamps, push.fingerprint, &repeats},
                              TimeRule::kNotBeforeLatest);
  return status.ok() && repeats;
}

// What PushLocked() and Apply() would come to. Nothing has to be checked again: what the group has
// was checked when it came, and all that came since was checked against that.
bool MetricStore::Impl::RepeatLocked(const Entering& push) {
  Group* const group = state_->FindAlive(push.key, push.time);
  const State::LastPush* const last = group != nullptr ? state_->Recall(*group) : nullptr;
  if (last == nullptr || last->fingerprint != push.fingerprint) return false;
  std::size_t bytes = BytesToStamp(group, push.key.text.size()) + BytesToWriteBeforeChange(*group);
  std::uint32_t at = group->first;
  for (std::uint32_t i = 0; i < last->families; ++i) {
    // What a reader may have seen expire must not be renewed where it stands.
    const Member& member = group->members[at];
    if (!member.alive(now_) || push.deadline < member.deadline) return false;
    if (member.has_samples) {
      const std::string_view help = member.help.view();
      bytes += member.family->ShowBytesMax(member.type, member.help ? &help : nullptr);
    }
    at = member.follower;
  }
  if (!memory_.Ensure(bytes)) return false;  // and the push will be refused
  memory_.Run([&] {
    mutex_.AssumeHeld();
    Renew(*group, push, last->families);
  });
  return true;
}

void MetricStore::Impl::Renew(Group& group, const Entering& push, std::uint32_t families) {
  WriteBeforeChange(group);
  StampPush(group, push, kSuccess);
  std::uint32_t at = group.first;
  for (std::uint32_t i = 0; i < families; ++i) {
    Member& member = group.members[at];
    if (member.has_samples) member.family->Show(member.type, member.help);
    member.pushed = ToNanoseconds(push.received);
    if (push.deadline > member.deadline) {
      member.family->chunks.Renew(member.slot_ref(), push.deadline);
      member.deadline = push.deadline;
    }
    at = member.follower;
  }
  group.NoteTraces();
  File(group, push.deadline);
}

void MetricStore::Impl::File(Group& group, Deadline deadline) {
  if (deadline != ToDeadline(kNever))
    state_->calendar().File(group, deadline);  // if that is nearer
}

void RecordedPush::Trim() {
  constexpr std::size_t kUsual = 1u << 20;
  if (record.capacity() > kUsual) std::string().swap(record);
  prepared.Trim();
  labels.reset();
  group = nullptr;
}

Status MetricStore::Impl::Record(const PushCommand& command, RecordedPush& recorded) {
  const HashedView key(command.group->hash(), command.group->bytes());
  FetchGroup(key.hash);
  recorded.record.clear();
  recorded.refusal.reset();
  recorded.group = command.group;
  recorded.mode = command.mode;
  recorded.received = command.received.wall;
  const GroupingLabels& labels = recorded.labels.emplace(key.text);
  PreparedPush& prepared = recorded.prepared;
  if (Status status = prepared.Prepare(labels, *command.families, own_); !status) return status;
  FetchTraces(key.hash, command.families->families.size());
  if (prepared.refused()) {
    recorded.refusal = TimestampError();
  } else if (check_ && !prepared.errors().empty()) {
    MutexLock lock(mutex_);
    const Entering push{key,
                        labels,
                        prepared,
                        command.mode,
                        check_,
                        command.received.wall,
                        std::max(now_, ToDeadline(command.received.boot)),
                        0};
    const Verdict verdict = Judge(push);
    recorded.refusal = verdict.twin ? TwinError(labels, push.received) : verdict.errors.ToError();
    push.work.Trim();
  }
  if (recorded.refusal) {
    AppendRefusedPushRecord(command.received, key.text, check_, recorded.record);
    prepared.Refuse();
  } else {
    AppendPushRecord(command.received, key.text, command.mode, check_, prepared, recorded.record);
  }
  return {};
}

Status MetricStore::Impl::ApplyAndUnpin(const RecordedPush& recorded, BootTime time,
                                        BootTime deadline) {
  const HashedView key(recorded.group->hash(), recorded.group->bytes());
  Entering push{key,    *recorded.labels,  recorded.prepared, recorded.mode,
                check_, recorded.received, ToDeadline(time),  ToDeadline(deadline)};
  push.unpins = true;
  push.must_enter = true;
  const Status status = Enter(push, TimeRule::kAsItSays);
  return recorded.refusal ? Status() : status;
}

Status MetricStore::Impl::Apply(const CommandRecord& record, BootTime deadline) {
  if (record.kind == CommandKind::kWipe) {
    Wipe(record.time);
    return {};
  }
  if (record.kind == CommandKind::kSession) {
    BeginSession({std::string(record.boot_id), record.ttl, record.time});
    return {};
  }
  if (record.kind == CommandKind::kDelete) {
    return Delete(record.group, ToDeadline(record.time.boot), TimeRule::kAsItSays);
  }
  thread_local PreparedPush prepared;
  const bool refused = record.kind == CommandKind::kRefusedPush;
  Status status;
  if (refused) {
    prepared.Refuse();
  } else {
    status = prepared.ReadRecord(record.families);
  }
  if (status.ok()) {
    const HashedView key(record.group);
    const GroupingLabels labels(record.group);
    Entering push{key,
                  labels,
                  prepared,
                  record.mode,
                  record.checked,
                  record.time.wall,
                  ToDeadline(record.time.boot),
                  ToDeadline(deadline)};
    push.must_enter = true;
    status = Enter(push, TimeRule::kAsItSays);
  }
  prepared.Trim();
  return refused ? Status() : status;
}

// With many groups all that a push touches is cold: the table of keys, behind that the group, and
// behind that what the group had written. Each is asked for once the one before has come, with
// other work in between; the last, all of it together, right before the store is locked to write.
void MetricStore::Impl::Expect(const GroupKey& group) {
  const HashIndex::Outline keys{keys_begin_.load(std::memory_order_relaxed),
                                keys_shift_.load(std::memory_order_relaxed)};
  if (keys.begin != 0) PrefetchLine(keys.HomeOf(group.hash()));
}

void MetricStore::Impl::FetchGroup(std::uint64_t hash) {
  MutexLock lock(mutex_);
  const HashIndex::Outline keys = state_->key_table();
  if (keys.begin != keys_begin_.load(std::memory_order_relaxed) ||
      keys.shift != keys_shift_.load(std::memory_order_relaxed)) {
    keys_begin_.store(keys.begin, std::memory_order_relaxed);
    keys_shift_.store(keys.shift, std::memory_order_relaxed);
  }
  if (const Group* const likely = state_->Guess(hash)) likely->Prefetch();
}

void MetricStore::Impl::FetchTraces(std::uint64_t hash, std::size_t families) {
  MutexLock lock(mutex_);
  if (const Group* const likely = state_->Guess(hash)) likely->PrefetchTraces(families);
}

// Creating the group would break every scrape: its bookkeeping samples exist already.
Error MetricStore::Impl::TwinError(const GroupingLabels& labels, WallTime last_success) {
  ErrorList errors;
  for (const Bookkeeping which : {kSuccess, kFailure}) {
    FamilySet set;
    FillBookkeeping(labels, which, which == kSuccess ? UnixSeconds(last_success) : 0, set);
    errors.Add([&] { return AboutMetric(set, set.families[0], set.metrics[0], kCollectedBefore); });
  }
  return errors.ToError();
}

MetricStore::Impl::Verdict MetricStore::Impl::Judge(const Entering& push) {
  Verdict verdict;
  push.work.suspects.clear();
  verdict.group = state_->FindAlive(push.key, push.time);
  verdict.twin = verdict.group == nullptr &&
                 state_->FindTwin(push.key.text, push.labels, push.time) != nullptr;
  if ((verdict.twin && push.checked) || push.prepared.refused()) return verdict;
  Resolve(verdict.group, push);
  if (verdict.group != nullptr)
    PrefetchTargets<&Block::PrefetchSlot>(*verdict.group, push, 0, kSlotsAhead);
  Check(push, verdict);
  return verdict;
}

Status MetricStore::Impl::PushLocked(const Entering& push) {
  Verdict verdict = Judge(push);
  const bool unreadable = push.prepared.refused();
  if (verdict.twin && push.checked) {
    return unreadable ? TimestampError() : TwinError(push.labels, push.received);
  }
  if (verdict.group != nullptr && !unreadable)
    PrefetchTargets<&Block::PrefetchText>(*verdict.group, push, 0, kTextsAhead);
  // Worded now, since nothing may fail any more once something has changed.
  Status status;
  if (unreadable) {
    status = TimestampError();
  } else if (push.checked && !verdict.errors.empty()) {
    status = verdict.errors.ToError();
  }
  const bool refused = !status.ok();
  if (!SetMemoryAside(BytesToEnter(push, verdict, refused), push.must_enter)) return OutOfMemory();
  memory_.Run([&] {
    mutex_.AssumeHeld();
    Change(push, verdict, refused);
  });
  return status;
}

void MetricStore::Impl::Change(const Entering& push, const Verdict& verdict, bool refused) {
  Suspect(push, verdict);
  Group& group = FindOrAddGroup(verdict.group, push);
  if (push.stamping == Stamping::kStamps) StampPush(group, push, refused ? kFailure : kSuccess);
  if (refused) return;
  Apply(group, push);
  if (push.checked && push.fingerprint) {
    const std::size_t families = push.prepared.families().size();
    state_->Remember(group, {*push.fingerprint, static_cast<std::uint32_t>(families)});
  }
}

Group& MetricStore::Impl::FindOrAddGroup(Group* group, const Entering& push) {
  if (group != nullptr) {
    state_->Forget(*group);
    WriteBeforeChange(*group);
    return *group;
  }
  return state_->AddGroup(push.key, push.labels);
}

void MetricStore::Impl::Resolve(Group* group, const Entering& push) {
  const PreparedPush& prepared = push.prepared;
  std::vector<Target>& targets = push.work.targets;
  targets.assign(prepared.families().size(), Target());
  push.work.touched.assign(group != nullptr ? group->members.size() : 0, 0);
  if (group == nullptr) {
    for (std::size_t i = 0; i < targets.size(); ++i) {
      targets[i].family = state_->FindFamily(prepared.families()[i].HashedName());
    }
    return;
  }
  std::vector<Member>& members = group->members;
  std::uint32_t guess = group->first;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    Target& target = targets[i];
    const std::string_view name = prepared.families()[i].name;
    if (guess < members.size() && members[guess].family->name == name) {
      target = {members[guess].family, guess};
    } else {
      target.family = state_->FindFamily(prepared.families()[i].HashedName());
      const Member* const member = target.family != nullptr ? group->Find(target.family) : nullptr;
      if (member != nullptr) target.member = static_cast<std::uint32_t>(member - members.data());
    }
    if (target.member == kNoIndex) continue;
    guess = members[target.member].follower;
    push.work.touched[target.member] = 1;
  }
}

// Asks for where the push will write, the places `from` to `end` of it: together rather than in
// turn.
template <void (Block::*kAsk)(std::uint32_t) const>
void MetricStore::Impl::PrefetchTargets(const Group& group, const Entering& push, std::size_t from,
                                        std::size_t end) {
  const std::vector<Target>& targets = push.work.targets;
  for (std::size_t i = from; i < std::min(targets.size(), end); ++i) {
    if (targets[i].member == kNoIndex) continue;
    const Member& member = group.members[targets[i].member];
    (member.chunk->block->*kAsk)(member.slot);
  }
}

void MetricStore::Impl::Check(const Entering& push, Verdict& verdict) {
  const PreparedPush& prepared = push.prepared;
  // Of two twins, which unchecked mode allows, series may be the same.
  const Shape* shape = nullptr;
  if (verdict.group != nullptr) {
    shape = verdict.group->shape;
  } else if (!verdict.twin) {
    shape = state_->FindShape(push.labels);
  }
  CrossCheck check(*state_, prepared, verdict.group, shape, push.mode == PushMode::kReplace,
                   push.time);
  ErrorList& errors = verdict.errors;
  const std::vector<Target>& targets = push.work.targets;
  for (const std::string& text : prepared.errors().texts()) errors.Add([&text] { return text; });
  errors.Count(prepared.errors().count() - prepared.errors().texts().size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const PreparedFamily& family = prepared.families()[i];
    const Member* const own =
        targets[i].member != kNoIndex ? &verdict.group->members[targets[i].member] : nullptr;
    const bool bad = check.CheckFamily(family, targets[i].family, own, errors) > 0;
    if (!push.checked && (bad || family.refused || family.error)) {
      push.work.suspects.push_back(static_cast<std::uint32_t>(i));
    }
  }
}

// Unchecked mode: what is stored all the same is looked at by scrapes until it is gone.
void MetricStore::Impl::Suspect(const Entering& push, const Verdict& verdict) {
  if (verdict.twin) SuspectBookkeeping();
  for (const std::uint32_t index : push.work.suspects) {
    state_->FindOrAddFamily(push.prepared.families()[index].name).suspect = true;
    suspicion_ = ++suspicions_ever_;
  }
}

void MetricStore::Impl::SuspectBookkeeping() {
  state_->bookkeeping(kSuccess).suspect = true;
  state_->bookkeeping(kFailure).suspect = true;
  suspicion_ = ++suspicions_ever_;
}

void MetricStore::Impl::StampPush(Group& group, const Entering& push, Bookkeeping outcome) {
  const bool fresh = group.bookkeeping[kSuccess].family == nullptr;
  group.deadline = std::max(group.deadline, push.deadline);
  group.last_push[outcome] = ToNanoseconds(push.received);
  for (const Bookkeeping which : {kSuccess, kFailure}) {
    Stamp(group, push, which, fresh || which == outcome);
  }
  if (fresh) state_->Schedule(group);
}

void MetricStore::Impl::Stamp(Group& group, const Entering& push, Bookkeeping which, bool stamp) {
  const GroupingLabels& labels = push.labels;
  Member& member = group.bookkeeping[which];
  StoredFamily& family = state_->bookkeeping(which);
  if (!stamp) {
    if (member.deadline == group.deadline) return;  // without TTL: three cold cache lines saved
    if (!member.alive(now_)) {                      // a reader is ahead, and has seen it expire
      RewriteMember(group, member, group.deadline);
      return;
    }
    family.chunks.Renew(member.slot_ref(), group.deadline);
    member.deadline = group.deadline;
    return;
  }
  member.pushed = ToNanoseconds(push.received);
  std::int64_t& last = group.last_push[which];
  const bool restamped = member.family != nullptr && group.escaped_key == nullptr;
  if (restamped) {
    Restamp(ChunkList::Text(member.slot_ref()), last, push.work.stamp_line);
  } else {
    push.work.stamp_line = BookkeepingLine(labels, which, BookkeepingValue(last));
  }
  WriteBookkeeping(group, labels, which, push.work.stamp_line);
}

void MetricStore::Impl::WriteBookkeeping(Group& group, const GroupingLabels& labels,
                                         Bookkeeping which, std::string_view line) {
  Member& member = group.bookkeeping[which];
  SlotContent content;
  content.message = BookkeepingMessage(labels, which, BookkeepingValue(group.last_push[which]));
  content.text = line;
  content.type = MetricType::kGauge;
  content.deadline = group.deadline;
  if (member.family != nullptr) {
    state_->ReplaceMember(group, member, std::move(content), false);
  } else {
    member.family = &state_->bookkeeping(which);
    state_->FillMember(group, member, std::move(content), false);
  }
}

void MetricStore::Impl::Apply(Group& group, const Entering& push) {
  const PreparedPush& prepared = push.prepared;
  std::vector<Target>& targets = push.work.targets;
  const std::vector<std::uint8_t>& touched = push.work.touched;
  std::vector<Member>& added = push.work.added;
  added.clear();
  for (std::size_t i = 0; i < targets.size(); ++i) {
    Target& target = targets[i];
    const PreparedFamily& family = prepared.families()[i];
    PrefetchTargets<&Block::PrefetchSlot>(group, push, i + kSlotsAhead, i + kSlotsAhead + 1);
    PrefetchTargets<&Block::PrefetchText>(group, push, i + kTextsAhead, i + kTextsAhead + 1);
    if (target.member != kNoIndex) {
      ApplyFamily(group, group.members[target.member], push, family);
    } else {
      if (target.family == nullptr) target.family = &state_->FindOrAddFamily(family.name);
      Member& member = added.emplace_back();
      member.family = target.family;
      ApplyFamily(group, member, push, family);
    }
  }
  const std::size_t capacity = group.members.capacity();
  const bool drops =
      push.mode == PushMode::kReplace && std::ranges::find(touched, 0) != touched.end();
  if (drops) DropUntouched(group, push);
  if (!added.empty()) {
    group.members.insert(group.members.end(), std::make_move_iterator(added.begin()),
                         std::make_move_iterator(added.end()));
    std::ranges::sort(group.members, std::less<>(), &Member::family);
    added.clear();
    if (group.members.capacity() > 2 * group.members.size()) group.members.shrink_to_fit();
  }
  state_->AccountMembers(group, capacity);
  LinkFollowers(group, targets);
  group.NoteTraces();
  File(group, push.deadline);
}

void MetricStore::Impl::ApplyFamily(Group& group, Member& member, const Entering& push,
                                    const PreparedFamily& family) {
  StoredFamily& stored = *member.family;
  const bool exists = member.chunk != nullptr && member.alive(push.time);
  if (!exists) {
    if (member.chunk != nullptr) {
      // Expired, not yet erased. A renewed slot must not reappear in older snapshots.
      ++stored.members;  // so that it outlives its last member
      state_->EmptyMember(group, member, push.time);
      --stored.members;
      member.chunk = nullptr;
      member.help = {};
    }
    if (!stored.chunks.AnyAlive(push.time)) stored.ForgetShown();
  }
  if (!family.has_help) {
    member.help = {};
  } else if (!member.help || member.help.view() != family.help) {
    const bool shown = stored.shown_help && stored.shown_help.view() == family.help;
    member.help = shown ? stored.shown_help : SharedText(std::string(family.help));
  }
  if (family.has_samples) stored.Show(family.type, member.help);
  member.pushed = ToNanoseconds(push.received);

  SlotContent content;
  content.text = push.prepared.text(family);
  content.type = family.type;
  content.deadline = push.deadline;
  if (!exists) {
    content.message = family.message;
    content.error = family.error;
    state_->FillMember(group, member, std::move(content), family.has_samples);
    return;
  }
  const SlotRef slot = member.slot_ref();
  const SlotExtra* const extra = slot.chunk->block->extra(slot.slot);
  // Neither may what a snapshot has seen expire be renewed where it stands: a reader may be ahead.
  const bool same = member.alive(now_) && content.type == member.type &&
                    family.has_samples == member.has_samples &&
                    content.deadline >= member.deadline && extra == nullptr && !family.message &&
                    content.text == ChunkList::Text(slot);
  if (same) {
    if (content.deadline > member.deadline) stored.chunks.Renew(slot, content.deadline);
    member.deadline = content.deadline;
    return;
  }
  content.message = family.message;
  content.error = family.error;
  state_->ReplaceMember(group, member, std::move(content), family.has_samples);
}

void MetricStore::Impl::DropUntouched(Group& group, const Entering& push) {
  const std::vector<std::uint8_t>& touched = push.work.touched;
  for (std::size_t i = 0; i < touched.size(); ++i) {
    if (touched[i] != 0) continue;
    state_->EmptyMember(group, group.members[i], push.time);
    group.members[i].family = nullptr;
  }
  std::erase_if(group.members, [](const Member& member) { return member.family == nullptr; });
}

// Remembers the order of this push, so that the next one finds its families without look-ups.
void MetricStore::Impl::LinkFollowers(Group& group, const std::vector<Target>& targets) {
  std::uint32_t* link = &group.first;
  std::uint32_t guess = group.first;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const StoredFamily* const family = targets[i].family;
    std::vector<Member>& members = group.members;
    if (guess >= members.size() || members[guess].family != family) {
      const Member* const member = group.Find(family);
      assert(member != nullptr);
      guess = static_cast<std::uint32_t>(member - members.data());
    }
    *link = guess;
    link = &members[guess].follower;
    guess = *link;
  }
}

}  // namespace pgw
