#include "store/metric_store.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/mutex.h"
#include "exposition/names.h"
#include "exposition/number.h"
#include "exposition/protobuf_writer.h"
#include "store/cross_check.h"
#include "store/prepared_push.h"
#include "store/state.h"
#include "store/verifier.h"

namespace pgw {
namespace {

Deadline ToDeadline(BootTime time) { return time.time_since_epoch().count(); }
BootTime ToBootTime(Deadline deadline) { return BootTime(std::chrono::nanoseconds(deadline)); }
std::int64_t ToNanoseconds(WallTime time) { return time.time_since_epoch().count(); }
WallTime ToWallTime(std::int64_t nanoseconds) {
  return WallTime(std::chrono::nanoseconds(nanoseconds));
}

// As many families freed may leave pages worth giving back.
constexpr std::size_t kFreedWorthTelling = 10'000;

Error TimestampError() { return InvalidArgument("pushed metrics must not have timestamps"); }

// A bookkeeping family with its one sample, for messages and complaints.
void FillBookkeeping(const GroupingLabels& labels, Bookkeeping which, double value,
                     FamilySet& set) {
  Family& family = set.families.emplace_back();
  family.name = which == kSuccess ? kPushTimeName : kPushFailureTimeName;
  family.help = which == kSuccess ? kPushTimeHelp : kPushFailureTimeHelp;
  family.has_help = true;
  family.type = MetricType::kGauge;
  Metric& metric = set.metrics[set.AddMetric(0)];
  metric.first_label = static_cast<std::uint32_t>(set.labels.size());
  metric.label_count = static_cast<std::uint32_t>(labels.with_instance().size());
  metric.value = Number(value);
  metric.kinds = kHasGauge;
  set.labels.insert(set.labels.end(), labels.with_instance().begin(), labels.with_instance().end());
}

std::string BookkeepingLine(const GroupingLabels& labels, Bookkeeping which, double value) {
  std::vector<std::string> names;
  names.reserve(labels.with_instance().size());
  std::vector<Label> exposed;
  for (const Label& label : labels.with_instance()) {
    names.push_back(EscapeName(label.name, Escaping::kUnderscores));
    exposed.push_back({names.back(), label.value});
  }
  if (labels.needs_escaping()) std::ranges::sort(exposed);
  std::string line(which == kSuccess ? kPushTimeName : kPushFailureTimeName);
  AppendExposedLabels(exposed, line);
  AppendFloat(value, line);
  line.push_back('\n');
  return line;
}

double BookkeepingValue(std::int64_t last) { return last != 0 ? UnixSeconds(ToWallTime(last)) : 0; }

// The line with `last` for its value.
//
// A line that changes its length moves all lines behind it in the block. Today's times print with
// seven decimals; of the quarter that needs one or two fewer, `last` is moved to the next double,
// 0.26 us later, where that prints at the old length.
std::string Restamped(std::string_view old, std::int64_t& last) {
  constexpr std::int64_t kNextDouble = 256;  // between doubles of nanoseconds, from 2006 to 2043
  const std::size_t prefix = old.rfind(' ') + 1;
  std::string line(old.substr(0, prefix));
  const auto append = [&line, prefix](std::int64_t value) {
    line.resize(prefix);
    AppendFloat(BookkeepingValue(value), line);
    line.push_back('\n');
  };
  append(last);
  const bool shorter = line.size() < old.size() && line.size() + 2 >= old.size();
  if (!shorter || last == 0) return line;
  std::string exact = line;
  append(last + kNextDouble);
  if (line.size() != old.size()) return exact;
  last += kNextDouble;
  return line;
}

}  // namespace

class MetricStore::Impl {
 public:
  explicit Impl(StoreOptions options)
      : check_(options.check_consistency),
        own_(std::move(options.own_families)),
        state_(std::make_unique<State>()) {}

  Status Push(const PushCommand& command);
  Result<RecordedPush> Record(const PushCommand& command);
  Status Apply(const CommandRecord& record, BootTime deadline);
  BootTime LatestTime();
  void Delete(const GroupKey& key, Instant now) {
    Delete(key.bytes(), ToDeadline(now.boot), TimeRule::kNotBeforeLatest);
  }
  void Wipe(Instant now);
  std::shared_ptr<Snapshot> Collect(Instant now, std::uint64_t* suspicion) PGW_EXCLUDES(mutex_);
  void ClearSuspicion(std::uint64_t suspicion) PGW_EXCLUDES(mutex_);
  std::size_t ListGroups(Instant now, std::size_t cursor, std::size_t groups_max,
                         std::vector<GroupView>& out);
  ExpiryProgress EraseExpired(BootTime now, std::size_t families_max);
  BootTime NextExpiry();
  StoreStats Stats();
  void SetExpiryWaker(std::function<void()> waker) { waker_ = std::move(waker); }

 private:
  // A push on its way into the store, ready to be applied.
  struct Entering {
    const HashedView& key;
    const GroupingLabels& labels;
    const PreparedPush& prepared;
    PushMode mode;
    bool checked;
    WallTime received;
    Deadline time;  // when it takes effect
    Deadline deadline;
  };
  enum class TimeRule : unsigned char { kNotBeforeLatest, kAsItSays };
  // What the store thinks of it.
  struct Verdict {
    Group* group = nullptr;  // if it exists
    ErrorList errors;
    bool twin = false;  // creating the group would break every scrape
  };
  // Where a pushed family stands in the store.
  struct Target {
    StoredFamily* family = nullptr;
    std::uint32_t member = kNoIndex;  // in the group
  };

  ExpiryProgress EraseLocked(BootTime now, std::size_t families_max,
                             std::vector<std::unique_ptr<State>>& retired) PGW_EXCLUDES(mutex_);
  void Anticipate(const HashedView& key) PGW_EXCLUDES(mutex_);
  // True if enough has been freed to tell the waker.
  bool DeleteLocked(std::string_view key, Deadline time, TimeRule rule) PGW_EXCLUDES(mutex_);
  void Delete(std::string_view key, Deadline time, TimeRule rule) PGW_EXCLUDES(mutex_);
  Status Enter(Entering push, TimeRule rule) PGW_EXCLUDES(mutex_);
  Deadline Advance(Deadline time) PGW_REQUIRES(mutex_) {
    now_ = std::max(now_, time);
    return now_;
  }
  Status PushLocked(const Entering& push) PGW_REQUIRES(mutex_);
  Verdict Judge(const Entering& push) PGW_REQUIRES(mutex_);
  static Error TwinError(const Entering& push);
  void Resolve(Group* group, const PreparedPush& prepared) PGW_REQUIRES(mutex_);
  template <typename Ask>
  void PrefetchSlots(const Group& group, const Ask& ask) PGW_REQUIRES(mutex_);
  void Check(const Entering& push, Verdict& verdict) PGW_REQUIRES(mutex_);
  void Suspect(const PreparedFamily& prepared) PGW_REQUIRES(mutex_);
  void SuspectBookkeeping() PGW_REQUIRES(mutex_);
  void Apply(Group& group, const Entering& push) PGW_REQUIRES(mutex_);
  void ApplyFamily(Group& group, Member& member, const Entering& push, const PreparedFamily& family)
      PGW_REQUIRES(mutex_);
  void DropUntouched(Group& group, Deadline time) PGW_REQUIRES(mutex_);
  void LinkFollowers(Group& group) PGW_REQUIRES(mutex_);
  Group& FindOrAddGroup(Group* group, const Entering& push) PGW_REQUIRES(mutex_);
  // Writes one bookkeeping family's sample, or only renews it where `stamp` is false.
  void Stamp(Group& group, const Entering& push, Bookkeeping which, bool stamp)
      PGW_REQUIRES(mutex_);
  void StampPush(Group& group, const Entering& push, Bookkeeping outcome) PGW_REQUIRES(mutex_);
  GroupView View(Group& group) PGW_REQUIRES(mutex_);

  const bool check_;
  const OwnFamilyTable own_;
  std::function<void()> waker_;
  Mutex mutex_;
  std::unique_ptr<State> state_ PGW_GUARDED_BY(mutex_);
  Deadline now_ PGW_GUARDED_BY(mutex_) = 0;  // the latest instant the store was told
  // What wipes removed, for EraseExpired to free.
  std::vector<std::unique_ptr<State>> retired_ PGW_GUARDED_BY(mutex_);
  std::size_t freed_ PGW_GUARDED_BY(mutex_) = 0;  // families, since the last EraseExpired
  // Counts the pushes that put families under suspicion; 0: nothing is suspect.
  std::uint64_t suspicion_ PGW_GUARDED_BY(mutex_) = 0;
  std::uint64_t suspicions_ever_ PGW_GUARDED_BY(mutex_) = 0;
  // Of the push being applied; here to keep their memory.
  std::vector<Target> targets_ PGW_GUARDED_BY(mutex_);
  std::vector<std::uint8_t> touched_ PGW_GUARDED_BY(mutex_);
  std::vector<Member> added_ PGW_GUARDED_BY(mutex_);
};

Status MetricStore::Impl::Push(const PushCommand& command) {
  thread_local PreparedPush prepared;
  const HashedView key(command.group->bytes());
  Anticipate(key);
  const GroupingLabels labels(command.group->bytes());
  Status status = prepared.Prepare(labels, *command.families, own_);
  if (status.ok()) {
    status = Enter({key, labels, prepared, command.mode, check_, command.received.wall,
                    ToDeadline(command.received.boot), ToDeadline(command.deadline)},
                   TimeRule::kNotBeforeLatest);
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
    status = PushLocked(push);
    earlier = state_->calendar().Next() < next || freed_ >= kFreedWorthTelling;
  }
  if (earlier && waker_) waker_();
  return status;
}

Result<RecordedPush> MetricStore::Impl::Record(const PushCommand& command) {
  thread_local PreparedPush prepared;
  const HashedView key(command.group->bytes());
  const GroupingLabels labels(command.group->bytes());
  if (Status status = prepared.Prepare(labels, *command.families, own_); !status) {
    prepared.Trim();
    return status.error();
  }
  RecordedPush recorded;
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
    recorded.refusal = verdict.twin ? TwinError(push) : verdict.errors.ToError();
  }
  if (recorded.refusal) {
    AppendRefusedPushRecord(command.received, key.text, check_, recorded.record);
  } else {
    AppendPushRecord(command.received, key.text, command.mode, check_, prepared, recorded.record);
  }
  prepared.Trim();
  return recorded;
}

Status MetricStore::Impl::Apply(const CommandRecord& record, BootTime deadline) {
  if (record.kind == CommandKind::kWipe) {
    Wipe(record.time);
    return {};
  }
  if (record.kind == CommandKind::kDelete) {
    Delete(record.group, ToDeadline(record.time.boot), TimeRule::kAsItSays);
    return {};
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
    status = Enter({key, labels, prepared, record.mode, record.checked, record.time.wall,
                    ToDeadline(record.time.boot), ToDeadline(deadline)},
                   TimeRule::kAsItSays);
  }
  prepared.Trim();
  return refused ? Status() : status;
}

BootTime MetricStore::Impl::LatestTime() {
  MutexLock lock(mutex_);
  return ToBootTime(now_);
}

// With many groups all that a push touches is cold. What can be known of it is asked for before the
// push is prepared, so that it has come when the store is locked to write.
void MetricStore::Impl::Anticipate(const HashedView& key) {
  MutexLock lock(mutex_);
  const Group* const group = state_->FindAlive(key, now_);
  if (group == nullptr) return;
  group->Prefetch();
  const Member& member = group->bookkeeping[kSuccess];
  member.chunk->block->PrefetchSlot(member.slot);
}

// Creating the group would break every scrape: its bookkeeping samples exist already.
Error MetricStore::Impl::TwinError(const Entering& push) {
  ErrorList errors;
  for (const Bookkeeping which : {kSuccess, kFailure}) {
    FamilySet set;
    FillBookkeeping(push.labels, which, which == kSuccess ? UnixSeconds(push.received) : 0, set);
    errors.Add([&] { return AboutMetric(set, set.families[0], set.metrics[0], kCollectedBefore); });
  }
  return errors.ToError();
}

MetricStore::Impl::Verdict MetricStore::Impl::Judge(const Entering& push) {
  Verdict verdict;
  verdict.group = state_->FindAlive(push.key, push.time);
  verdict.twin = verdict.group == nullptr &&
                 state_->FindTwin(push.key.text, push.labels, push.time) != nullptr;
  if ((verdict.twin && push.checked) || push.prepared.refused()) return verdict;
  Resolve(verdict.group, push.prepared);
  // Together rather than in turn.
  if (verdict.group != nullptr) {
    PrefetchSlots(*verdict.group, [](const Member& m) { m.chunk->block->PrefetchSlot(m.slot); });
  }
  Check(push, verdict);
  return verdict;
}

Status MetricStore::Impl::PushLocked(const Entering& push) {
  Verdict verdict = Judge(push);
  const bool refused = push.prepared.refused();
  if (verdict.twin) {
    if (push.checked) return refused ? TimestampError() : TwinError(push);
    SuspectBookkeeping();
  }
  if (verdict.group != nullptr && !refused) {
    PrefetchSlots(*verdict.group, [](const Member& m) { m.chunk->block->PrefetchText(m.slot); });
  }
  Group& group = FindOrAddGroup(verdict.group, push);
  if (refused || (push.checked && !verdict.errors.empty())) {
    StampPush(group, push, kFailure);
    return refused ? TimestampError() : verdict.errors.ToError();
  }
  StampPush(group, push, kSuccess);
  Apply(group, push);
  return {};
}

Group& MetricStore::Impl::FindOrAddGroup(Group* group, const Entering& push) {
  return group != nullptr ? *group : state_->AddGroup(push.key, push.labels);
}

void MetricStore::Impl::Resolve(Group* group, const PreparedPush& prepared) {
  targets_.assign(prepared.families().size(), Target());
  if (group == nullptr) {
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      targets_[i].family = state_->FindFamily(prepared.families()[i].name);
    }
    return;
  }
  std::vector<Member>& members = group->members;
  std::uint32_t guess = group->first;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    Target& target = targets_[i];
    const std::string_view name = prepared.families()[i].name;
    if (guess < members.size() && members[guess].family->name == name) {
      target = {members[guess].family, guess};
    } else {
      target.family = state_->FindFamily(name);
      const Member* const member = target.family != nullptr ? group->Find(target.family) : nullptr;
      if (member != nullptr) target.member = static_cast<std::uint32_t>(member - members.data());
    }
    if (target.member != kNoIndex) guess = members[target.member].follower;
  }
}

// Calls `ask` for where the push will write, the first few places of it.
template <typename Ask>
void MetricStore::Impl::PrefetchSlots(const Group& group, const Ask& ask) {
  constexpr std::size_t kTargetsMax = 4;
  ask(group.bookkeeping[kSuccess]);
  for (std::size_t i = 0; i < std::min(targets_.size(), kTargetsMax); ++i) {
    if (targets_[i].member != kNoIndex) ask(group.members[targets_[i].member]);
  }
}

void MetricStore::Impl::Check(const Entering& push, Verdict& verdict) {
  const PreparedPush& prepared = push.prepared;
  CrossCheck check(*state_, prepared, verdict.group, push.mode == PushMode::kReplace, push.time);
  ErrorList& errors = verdict.errors;
  for (const std::string& text : prepared.errors().texts()) errors.Add([&text] { return text; });
  errors.Count(prepared.errors().count() - prepared.errors().texts().size());
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const PreparedFamily& family = prepared.families()[i];
    const Member* const own =
        targets_[i].member != kNoIndex ? &verdict.group->members[targets_[i].member] : nullptr;
    const bool bad = check.CheckFamily(family, targets_[i].family, own, errors) > 0;
    if (!push.checked && (bad || family.refused || family.error)) Suspect(family);
  }
}

// Unchecked mode: what is stored all the same is looked at by scrapes until it is gone.
void MetricStore::Impl::Suspect(const PreparedFamily& prepared) {
  state_->FindOrAddFamily(prepared.name).suspect = true;
  suspicion_ = ++suspicions_ever_;
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
    family.chunks.Renew(member.slot_ref(), group.deadline);
    member.deadline = group.deadline;
    return;
  }
  member.pushed = ToNanoseconds(push.received);
  std::int64_t& last = group.last_push[which];
  std::string line;
  SlotContent content;
  if (member.family != nullptr && group.escaped_key.empty()) {
    line = Restamped(ChunkList::Text(member.slot_ref()), last);
  } else {
    const double value = BookkeepingValue(last);
    line = BookkeepingLine(labels, which, value);
    if (labels.needs_escaping()) {
      FamilySet set;
      FillBookkeeping(labels, which, value, set);
      content.message = SharedText(SerializeFamily(set, set.families[0], Escaping::kAllowUtf8));
    }
  }
  content.text = line;
  content.type = MetricType::kGauge;
  content.deadline = group.deadline;
  if (member.family != nullptr) {
    state_->ReplaceMember(group, member, std::move(content), false);
  } else {
    member.family = &family;
    state_->FillMember(group, member, std::move(content), false);
  }
}

void MetricStore::Impl::Apply(Group& group, const Entering& push) {
  const PreparedPush& prepared = push.prepared;
  touched_.assign(group.members.size(), 0);
  added_.clear();
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    Target& target = targets_[i];
    const PreparedFamily& family = prepared.families()[i];
    if (target.member != kNoIndex) {
      touched_[target.member] = 1;
      ApplyFamily(group, group.members[target.member], push, family);
    } else {
      if (target.family == nullptr) target.family = &state_->FindOrAddFamily(family.name);
      Member& member = added_.emplace_back();
      member.family = target.family;
      ApplyFamily(group, member, push, family);
    }
  }
  const std::size_t capacity = group.members.capacity();
  const bool drops =
      push.mode == PushMode::kReplace && std::ranges::find(touched_, 0) != touched_.end();
  if (drops) DropUntouched(group, push.time);
  if (!added_.empty()) {
    group.members.insert(group.members.end(), std::make_move_iterator(added_.begin()),
                         std::make_move_iterator(added_.end()));
    std::ranges::sort(group.members, std::less<>(), &Member::family);
    added_.clear();
    if (group.members.capacity() > 2 * group.members.size()) group.members.shrink_to_fit();
  }
  state_->AccountMembers(group, capacity);
  LinkFollowers(group);
  if (push.deadline != ToDeadline(kNever)) {
    state_->calendar().File(group, push.deadline);  // if that is nearer
  }
  constexpr std::size_t kUsual = 1u << 14;
  if (added_.capacity() > kUsual) decltype(added_)().swap(added_);
  if (targets_.capacity() > kUsual) decltype(targets_)().swap(targets_);
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
  // Neither may what a snapshot has seen expired be renewed where it stands: a reader may be ahead.
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

void MetricStore::Impl::DropUntouched(Group& group, Deadline time) {
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    if (touched_[i] != 0) continue;
    state_->EmptyMember(group, group.members[i], time);
    group.members[i].family = nullptr;
    ++freed_;
  }
  std::erase_if(group.members, [](const Member& member) { return member.family == nullptr; });
}

// Remembers the order of this push, so that the next one finds its families without look-ups.
void MetricStore::Impl::LinkFollowers(Group& group) {
  std::uint32_t* link = &group.first;
  std::uint32_t guess = group.first;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const StoredFamily* const family = targets_[i].family;
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

void MetricStore::Impl::Delete(std::string_view key, Deadline time, TimeRule rule) {
  if (DeleteLocked(key, time, rule) && waker_) waker_();
}

bool MetricStore::Impl::DeleteLocked(std::string_view key, Deadline time, TimeRule rule) {
  MutexLock lock(mutex_);
  const Deadline latest = Advance(time);
  if (rule == TimeRule::kNotBeforeLatest) time = latest;
  Group* const group = state_->FindAlive(HashedView(key), time);
  if (group == nullptr) return false;
  freed_ += group->members.size();
  state_->RemoveGroup(*group);
  return freed_ >= kFreedWorthTelling;
}

void MetricStore::Impl::Wipe(Instant now) {
  auto fresh = std::make_unique<State>();
  {
    MutexLock lock(mutex_);
    Advance(ToDeadline(now.boot));
    state_.swap(fresh);
    retired_.push_back(std::move(fresh));
    suspicion_ = 0;
  }
  if (waker_) waker_();
}

std::shared_ptr<Snapshot> MetricStore::Impl::Collect(Instant now, std::uint64_t* suspicion) {
  std::shared_ptr<Snapshot> snapshot(new Snapshot());
  MutexLock lock(mutex_);
  snapshot->now_ = Advance(ToDeadline(now.boot));
  *suspicion = suspicion_;
  snapshot->families_.reserve(state_->ordered().size());
  for (const auto& [names, family] : state_->ordered()) {
    Snapshot::FamilyPart part;
    part.first_block = static_cast<std::uint32_t>(snapshot->blocks_.size());
    for (const auto& chunk : family->chunks.chunks()) {
      if (chunk->block->max_deadline() > snapshot->now_) {
        snapshot->blocks_.emplace_back(chunk->block);
      }
    }
    part.block_count = static_cast<std::uint32_t>(snapshot->blocks_.size()) - part.first_block;
    if (part.block_count == 0) continue;
    part.name = family->name_text;
    part.help = family->shown_help;
    part.header = family->header;
    part.type = family->shown_type;
    part.suspect = family->suspect;
    snapshot->families_.push_back(std::move(part));
  }
  return snapshot;
}

void MetricStore::Impl::ClearSuspicion(std::uint64_t suspicion) {
  MutexLock lock(mutex_);
  if (suspicion_ != suspicion) return;  // there is a newer one
  for (const auto& [names, family] : state_->ordered()) family->suspect = false;
  suspicion_ = 0;
}

GroupView MetricStore::Impl::View(Group& group) {
  GroupView view;
  view.key = group.key;
  const auto time = [&group](Bookkeeping which) -> std::optional<WallTime> {
    if (group.last_push[which] == 0) return std::nullopt;
    return ToWallTime(group.last_push[which]);
  };
  view.last_success = time(kSuccess);
  view.last_failure = time(kFailure);
  view.success_entry_time = ToWallTime(group.bookkeeping[kSuccess].pushed);
  view.failure_entry_time = ToWallTime(group.bookkeeping[kFailure].pushed);
  view.deadline = ToBootTime(group.deadline);
  view.families.reserve(group.members.size());
  for (const Member& member : group.members) {
    if (!member.alive(now_)) continue;
    const Block& block = *member.chunk->block;
    const SlotExtra* const extra = block.extras().empty() ? nullptr : block.extra(member.slot);
    GroupView::FamilyEntry& entry = view.families.emplace_back();
    entry.name = member.family->name;
    entry.type = member.type;
    entry.help = member.help.view();
    entry.has_help = static_cast<bool>(member.help);
    entry.pushed = ToWallTime(member.pushed);
    entry.deadline = ToBootTime(member.deadline);
    entry.samples.lines = ChunkList::Text(member.slot_ref());
    if (extra != nullptr) entry.samples.message = extra->message.view();
    view.blocks.emplace_back(member.chunk->block);
    view.texts.push_back(member.family->name_text);
    if (member.help) view.texts.push_back(member.help);
  }
  return view;
}

std::size_t MetricStore::Impl::ListGroups(Instant now, std::size_t cursor, std::size_t groups_max,
                                          std::vector<GroupView>& out) {
  const std::size_t first = out.size();
  std::size_t next = cursor;
  {
    MutexLock lock(mutex_);
    const Deadline time = Advance(ToDeadline(now.boot));
    const std::vector<Group*>& places = state_->places();
    std::size_t families = 0;
    for (; next < places.size() && out.size() - first < groups_max; ++next) {
      Group* const group = places[next];
      if (group == nullptr || !group->alive(time)) continue;
      if (families > 0 && families + group->members.size() > 16 * groups_max) break;
      families += group->members.size();
      out.push_back(View(*group));
    }
    if (next >= places.size()) next = 0;
  }
  for (std::size_t i = first; i < out.size(); ++i) {
    std::ranges::sort(out[i].families, {}, &GroupView::FamilyEntry::name);
  }
  return next;
}

ExpiryProgress MetricStore::Impl::EraseExpired(BootTime now, std::size_t families_max) {
  std::vector<std::unique_ptr<State>> retired;
  ExpiryProgress progress = EraseLocked(now, families_max, retired);
  for (const auto& state : retired) progress.freed += state->member_count();
  return progress;  // and free them, with no lock held
}

ExpiryProgress MetricStore::Impl::EraseLocked(BootTime now, std::size_t families_max,
                                              std::vector<std::unique_ptr<State>>& retired) {
  ExpiryProgress progress;
  MutexLock lock(mutex_);
  retired.swap(retired_);
  progress.freed = std::exchange(freed_, 0);
  now_ = std::max(now_, ToDeadline(now));
  const Deadline time = now_;
  const auto lag = [&progress, time](Deadline deadline) {
    progress.lags.emplace_back(time - deadline);
  };
  std::size_t groups_seen = 0;
  while (progress.families < families_max && groups_seen < families_max) {
    CalendarEntry* const entry = state_->calendar().TakeDue(time);
    if (entry == nullptr) break;
    ++groups_seen;
    bool erased = false;
    progress.families += state_->EraseExpired(*static_cast<Group*>(entry), time,
                                              families_max - progress.families, lag, &erased);
    if (erased) ++progress.groups;
  }
  progress.more = state_->calendar().Next() <= time;
  return progress;
}

BootTime MetricStore::Impl::NextExpiry() {
  MutexLock lock(mutex_);
  if (!retired_.empty()) return ToBootTime(now_);
  return ToBootTime(state_->calendar().Next());
}

StoreStats MetricStore::Impl::Stats() {
  MutexLock lock(mutex_);
  return {state_->group_count(), state_->footprint()};
}

MetricStore::MetricStore(StoreOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
MetricStore::~MetricStore() = default;

Status MetricStore::Push(const PushCommand& command) { return impl_->Push(command); }
Result<RecordedPush> MetricStore::Record(const PushCommand& command) {
  return impl_->Record(command);
}
Status MetricStore::Apply(const CommandRecord& record, BootTime deadline) {
  return impl_->Apply(record, deadline);
}
BootTime MetricStore::LatestTime() const { return impl_->LatestTime(); }
void MetricStore::Delete(const GroupKey& group, Instant now) { impl_->Delete(group, now); }
void MetricStore::Wipe(Instant now) { impl_->Wipe(now); }

std::shared_ptr<const Snapshot> MetricStore::SnapshotAt(Instant now) {
  std::uint64_t suspicion = 0;
  const std::shared_ptr<Snapshot> snapshot = impl_->Collect(now, &suspicion);
  snapshot->Finish();
  if (suspicion != 0) {
    const std::size_t corrected = snapshot->CorrectTypes();
    snapshot->inconsistency_ = Verifier(*snapshot).Run();
    if (!snapshot->inconsistency_ && corrected == 0) impl_->ClearSuspicion(suspicion);
  }
  return snapshot;
}

std::size_t MetricStore::ListGroups(Instant now, std::size_t cursor, std::size_t groups_max,
                                    std::vector<GroupView>& out) {
  return impl_->ListGroups(now, cursor, groups_max, out);
}

ExpiryProgress MetricStore::EraseExpired(BootTime now, std::size_t families_max) {
  return impl_->EraseExpired(now, families_max);
}

BootTime MetricStore::NextExpiry() const { return impl_->NextExpiry(); }
void MetricStore::SetExpiryWaker(std::function<void()> waker) {
  impl_->SetExpiryWaker(std::move(waker));
}
StoreStats MetricStore::Stats() const { return impl_->Stats(); }

}  // namespace pgw
