// How what is stored leaves for a file and comes back, and how it passes from one session to the
// next.

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "store/bookkeeping.h"
#include "store/group_record.h"
#include "store/metric_store_impl.h"

namespace pgw {
namespace {

constexpr Deadline kNeverExpires = std::numeric_limits<Deadline>::max();

// The instant that follows `deadline` by `span`; never kFreeSlot, which is no deadline.
Deadline Shifted(Deadline deadline, std::chrono::nanoseconds span) {
  return std::max(ToDeadline(SaturatingAdd(ToBootTime(deadline), span)), kFreeSlot + 1);
}

// When something ceases to exist by the TTL of a new session.
Deadline DeadlineIn(const Session& fresh, const Session& old, Deadline deadline,
                    std::int64_t pushed) {
  constexpr std::chrono::nanoseconds kNone{0};
  if (fresh.ttl == kNone) return kNeverExpires;
  if (fresh.SameBoot(old) && old.ttl > kNone && deadline != kNeverExpires) {
    return Shifted(Shifted(deadline, -old.ttl), fresh.ttl);
  }
  // Only the wall clock knows its age. What seems to come from the future is new: never more than
  // the TTL is left.
  const std::chrono::nanoseconds age = SaturatingDifference(fresh.time.wall, ToWallTime(pushed));
  return Shifted(ToDeadline(fresh.time.boot), fresh.ttl - std::clamp(age, kNone, fresh.ttl));
}

}  // namespace

class MetricStore::Impl::Dump final : public StoreDump {
 public:
  explicit Dump(Impl& impl) : impl_(impl) {
    const MutexLock lock(impl_.mutex_);
    session_ = impl_.session_;
    session_.time.boot = ToBootTime(impl_.now_);
    suspicious_ = impl_.suspicion_ != 0;
    const GroupPool& groups = impl_.state_->groups();
    impl_.dump_ = std::make_unique<DumpState>(impl_.blocks_ever_, groups.end(), impl_.now_);
    // Who gets a free place, or one that becomes free, is no part of it.
    for (std::size_t i = 0; i < groups.end(); ++i) {
      impl_.dump_->written[i] = groups.Find(i) == nullptr;
    }
  }
  ~Dump() override {
    const MutexLock lock(impl_.mutex_);
    impl_.dump_.reset();
  }

  const Session& session() const override { return session_; }
  bool suspicious() const override { return suspicious_; }

  Progress Next(std::size_t bytes_max, std::vector<std::string>& blocks) override {
    const MutexLock lock(impl_.mutex_);
    DumpState& dump = *impl_.dump_;
    if (dump.is_void) return Progress::kVoid;
    try {
      return WriteMore(bytes_max, blocks);
    } catch (...) {  // no memory: a group may have been written in part
      dump.is_void = true;
      throw;
    }
  }

 private:
  Progress WriteMore(std::size_t bytes_max, std::vector<std::string>& blocks)
      PGW_REQUIRES(impl_.mutex_) {
    constexpr std::size_t kBytesPerPlace = 32;  // what an empty one costs
    DumpState& dump = *impl_.dump_;
    std::size_t seen = 0;
    for (; dump.cursor < dump.written.size(); ++dump.cursor, ++seen) {
      if (seen > 0 && dump.walked.bytes() + seen * kBytesPerPlace >= bytes_max) break;
      if (dump.written[dump.cursor]) continue;
      dump.written[dump.cursor] = true;
      dump.walked.Write(*impl_.state_->groups().Find(dump.cursor), dump.time);
    }
    std::ranges::move(dump.early.Take(), std::back_inserter(blocks));
    std::ranges::move(dump.walked.Take(), std::back_inserter(blocks));
    return dump.cursor == dump.written.size() ? Progress::kDone : Progress::kMore;
  }

  Impl& impl_;
  Session session_;
  bool suspicious_ = false;
};

MetricStore::Impl::Impl(StoreOptions options)
    : check_(options.check_consistency),
      own_(std::move(options.own_families)),
      state_(std::make_unique<State>(*account_)) {}

// Snapshots may outlive it.
MetricStore::Impl::~Impl() {
  account_->SetFreedHook(nullptr);
  account_->SetLimit(0, nullptr);
}

bool MetricStore::Impl::WritesBeforeChange(const Group& group) {
  return dump_ != nullptr && group.place < dump_->written.size() && !dump_->written[group.place];
}

void MetricStore::Impl::WriteBeforeChange(const Group& group) {
  if (!WritesBeforeChange(group)) return;
  dump_->written[group.place] = true;
  dump_->early.Write(group, dump_->time);
}

void MetricStore::Impl::VoidDump() {
  if (dump_ != nullptr) dump_->is_void = true;
}

std::unique_ptr<StoreDump> MetricStore::Impl::BeginDump() { return std::make_unique<Dump>(*this); }

void MetricStore::Impl::StartWith(const Session& session, bool suspicious) {
  const MutexLock lock(mutex_);
  session_ = session;
  now_ = ToDeadline(session.time.boot);
  all_suspect_ = suspicious;
  if (suspicious) suspicion_ = ++suspicions_ever_;
}

Status MetricStore::Impl::Load(std::string_view block) {
  const MutexLock lock(mutex_);
  const Status status = ReadGroups(block, *state_);
  account_->NoteStored(state_->footprint());
  return status;
}

Status MetricStore::Impl::ImportGroup(const GroupKey& group, const GroupTimes& times) {
  const HashedView key(group.bytes());
  const GroupingLabels labels(group.bytes());
  const MutexLock lock(mutex_);
  if (state_->FindTwin(group.bytes(), labels, now_) != nullptr) {
    if (check_) return TwinError(labels, times.last_success.value_or(WallTime()));
    SuspectBookkeeping();
  }
  Group& added = state_->AddGroup(key, labels);
  added.deadline = kNeverExpires;
  added.last_push[kSuccess] = ToNanoseconds(times.last_success.value_or(WallTime()));
  added.last_push[kFailure] = ToNanoseconds(times.last_failure.value_or(WallTime()));
  added.bookkeeping[kSuccess].pushed = ToNanoseconds(times.success_entry);
  added.bookkeeping[kFailure].pushed = ToNanoseconds(times.failure_entry);
  for (const Bookkeeping which : {kSuccess, kFailure}) {
    const double value = BookkeepingValue(added.last_push[which]);
    WriteBookkeeping(added, labels, which, BookkeepingLine(labels, which, value));
  }
  return {};
}

BootTime MetricStore::Impl::PinTime() {
  const MutexLock lock(mutex_);
  pinned_ = now_;
  return ToBootTime(now_);
}

void MetricStore::Impl::UnpinTime() {
  bool put_off = false;
  {
    const MutexLock lock(mutex_);
    put_off = UnpinLocked();
  }
  if (put_off && waker_) waker_();
}

bool MetricStore::Impl::UnpinLocked() {
  pinned_.reset();
  return std::exchange(expiry_put_off_, false);
}

void MetricStore::Impl::BeginSession(const Session& fresh) {
  {
    const MutexLock lock(mutex_);
    const bool same_boot = session_.SameBoot(fresh);
    if (!same_boot || session_.ttl != fresh.ttl) PassOn(fresh);
    const Deadline time = ToDeadline(fresh.time.boot);
    now_ = same_boot ? std::max(now_, time) : time;
    session_ = fresh;
  }
  if (waker_) waker_();
}

// What has expired by the old deadlines is dropped, all else gets new ones.
void MetricStore::Impl::PassOn(const Session& fresh) {
  VoidDump();
  const GroupPool& groups = state_->groups();
  for (std::size_t place = 0; place < groups.end(); ++place) {
    Group* const group = groups.Find(place);
    if (group == nullptr) continue;
    bool erased = false;
    state_->EraseExpired(
        *group, now_, std::numeric_limits<std::size_t>::max(), [](Deadline) {}, &erased);
    if (!erased) Retime(*group, fresh);
  }
  if (!fresh.SameBoot(session_)) state_->DropForgotten();
}

void MetricStore::Impl::Retime(Group& group, const Session& fresh) {
  state_->Forget(group);
  std::int64_t newest = std::numeric_limits<std::int64_t>::min();
  for (const Member& member : group.bookkeeping) newest = std::max(newest, member.pushed);
  for (const Member& member : group.members) newest = std::max(newest, member.pushed);
  group.deadline = DeadlineIn(fresh, session_, group.deadline, newest);
  for (Member& member : group.members) {
    RetimeMember(group, member, DeadlineIn(fresh, session_, member.deadline, member.pushed));
  }
  for (Member& member : group.bookkeeping) RetimeMember(group, member, group.deadline);
  state_->calendar().Remove(group);
  state_->Schedule(group);
}

void MetricStore::Impl::RetimeMember(Group& group, Member& member, Deadline deadline) {
  if (member.deadline == deadline) return;
  RewriteMember(group, member, deadline);
}

// The same content until another time. Where a reader may have seen the slot expire, it must not
// be renewed in place.
void MetricStore::Impl::RewriteMember(Group& group, Member& member, Deadline deadline) {
  const std::string text(ChunkList::Text(member.slot_ref()));
  const SlotExtra* const extra = member.chunk->block->extra(member.slot);
  SlotContent content;
  content.text = text;
  content.type = member.type;
  content.deadline = deadline;
  if (extra != nullptr) {
    content.message = extra->message;
    content.error = extra->error;
  }
  state_->ReplaceMember(group, member, std::move(content), member.has_samples);
}

BootTime MetricStore::PinTime() { return impl_->PinTime(); }
void MetricStore::UnpinTime() { impl_->UnpinTime(); }
void MetricStore::StartWith(const Session& session, bool suspicious) {
  impl_->StartWith(session, suspicious);
}
Status MetricStore::Load(std::string_view block) { return impl_->Load(block); }
Status MetricStore::ImportGroup(const GroupKey& group, const GroupTimes& times) {
  return impl_->ImportGroup(group, times);
}
Status MetricStore::ImportFamilies(const PushCommand& command) {
  return impl_->Push(command, Impl::Stamping::kLeavesTimes);
}
std::unique_ptr<StoreDump> MetricStore::BeginDump() { return impl_->BeginDump(); }

}  // namespace pgw
