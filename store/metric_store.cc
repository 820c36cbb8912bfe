#include "store/metric_store.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "store/metric_store_impl.h"
#include "store/verifier.h"

namespace pgw {
namespace {

// Twenty microseconds where memory is cold.
constexpr std::size_t kBlocksFetchedAtOnce = 256;
// With fewer the lock is held for a tenth of a millisecond without that.
constexpr std::size_t kBlocksWorthFetching = 1024;

}  // namespace

Status MetricStore::Impl::Delete(std::string_view key, Deadline time, TimeRule rule) {
  bool much = false;
  Status status = DeleteLocked(key, time, rule, much);
  if (much && waker_) waker_();
  account_->CheckLimit();
  return status;
}

Status MetricStore::Impl::DeleteLocked(std::string_view key, Deadline time, TimeRule rule,
                                       bool& much) {
  MutexLock lock(mutex_);
  const Deadline latest = Advance(time);
  if (rule == TimeRule::kNotBeforeLatest) time = latest;
  Group* const group = state_->FindAlive(HashedView(key), time);
  if (group == nullptr) return {};
  const bool must = rule == TimeRule::kAsItSays;  // a log has it
  if (!SetMemoryAside(BytesToRemove(*group, kBeforeAll), must)) return OutOfMemory();
  memory_.Run([&] {
    mutex_.AssumeHeld();
    WriteBeforeChange(*group);
    state_->RemoveGroup(*group);
  });
  much = MuchHasChanged();
  return {};
}

void MetricStore::Impl::Wipe(Instant now) {
  auto fresh = std::make_unique<State>(*account_);
  {
    MutexLock lock(mutex_);
    Advance(ToDeadline(now.boot));
    retired_.reserve(retired_.size() + 1);  // from here on nothing can fail
    state_.swap(fresh);
    retired_.push_back(std::move(fresh));
    account_->NoteStored(state_->footprint());
    suspicion_ = 0;
    all_suspect_ = false;
    VoidDump();
  }
  if (waker_) waker_();
}

void MetricStore::Impl::FetchForCollect() {
  std::pair<std::string, std::string> family;  // where the next step begins
  std::size_t block = 0;                       // in it
  for (bool more = true; more;) {
    MutexLock lock(mutex_);
    const auto& families = state_->ordered();
    std::size_t left = kBlocksFetchedAtOnce;
    auto at = families.lower_bound({family.first, family.second});
    for (; at != families.end() && left > 0; ++at, block = 0) {
      const StoredFamily& next = *at->second;
      const std::size_t fetched = next.chunks.PrefetchBlocks(block, left);
      block += fetched;
      left -= fetched;
      if (left == 0) break;
      next.name_text.Prefetch();
      next.shown_help.Prefetch();
      next.header.Prefetch();
      --left;
    }
    more = at != families.end();
    if (more) family = at->first;
  }
}

std::shared_ptr<Snapshot> MetricStore::Impl::Collect(Instant now, std::uint64_t* suspicion) {
  std::shared_ptr<Snapshot> snapshot(new Snapshot(deflated_bytes_, account_));
  // Not under the lock: what the last one needed, and some more.
  const std::size_t expected = blocks_collected_.load(std::memory_order_relaxed);
  snapshot->blocks_.reserve(expected + expected / 8);
  if (expected > kBlocksWorthFetching) FetchForCollect();
  MutexLock lock(mutex_);
  snapshot->now_ = Advance(ToDeadline(now.boot));
  *suspicion = suspicion_;
  snapshot->families_.reserve(state_->ordered().size());
  for (const auto& [names, family] : state_->ordered()) {
    Snapshot::FamilyPart part;
    part.first_block = static_cast<std::uint32_t>(snapshot->blocks_.size());
    family->chunks.ForEachBlock([&snapshot](Block* block) {
      if (block->max_deadline() > snapshot->now_) snapshot->blocks_.Add(block);
    });
    part.block_count = static_cast<std::uint32_t>(snapshot->blocks_.size()) - part.first_block;
    if (part.block_count == 0) continue;
    part.name = family->name_text;
    part.help = family->shown_help;
    part.header = family->header;
    part.type = family->shown_type;
    part.suspect = family->suspect || all_suspect_;
    snapshot->families_.push_back(std::move(part));
  }
  blocks_collected_.store(snapshot->blocks_.size(), std::memory_order_relaxed);
  return snapshot;
}

void MetricStore::Impl::ClearSuspicion(std::uint64_t suspicion) {
  MutexLock lock(mutex_);
  if (suspicion_ != suspicion) return;  // there is a newer one
  for (const auto& [names, family] : state_->ordered()) family->suspect = false;
  all_suspect_ = false;
  suspicion_ = 0;
}

GroupView MetricStore::Impl::View(Group& group) {
  GroupView view;
  view.key = group.key();
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
  view.blocks = BlockRefs(account_);
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
    view.blocks.Add(member.chunk->block);
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
    const GroupPool& groups = state_->groups();
    std::size_t families = 0;
    for (; next < groups.end() && out.size() - first < groups_max; ++next) {
      Group* const group = groups.Find(next);
      if (group == nullptr || !group->alive(time)) continue;
      if (families > 0 && families + group->members.size() > 16 * groups_max) break;
      families += group->members.size();
      out.push_back(View(*group));
    }
    if (next >= groups.end()) next = 0;
  }
  for (std::size_t i = first; i < out.size(); ++i) {
    std::ranges::sort(out[i].families, {}, &GroupView::FamilyEntry::name);
  }
  return next;
}

ExpiryProgress MetricStore::Impl::EraseExpired(BootTime now, std::size_t families_max) {
  std::vector<std::unique_ptr<State>> retired;
  ExpiryProgress progress = EraseLocked(now, families_max, retired);
  retired.clear();  // with no lock held
  account_->CheckLimit();
  return progress;
}

ExpiryProgress MetricStore::Impl::EraseLocked(BootTime now, std::size_t families_max,
                                              std::vector<std::unique_ptr<State>>& retired) {
  ExpiryProgress progress;
  MutexLock lock(mutex_);
  retired.swap(retired_);
  now_ = std::max(now_, ToDeadline(now));
  const Deadline time = std::min(now_, pinned_.value_or(now_));
  const auto lag = [&progress, time](Deadline deadline) {
    // A file may say of something that it expired before any boot.
    progress.lags.push_back(SaturatingDifference(ToBootTime(time), ToBootTime(deadline)));
  };
  std::size_t groups_seen = 0;
  while (progress.families < families_max && groups_seen < families_max) {
    CalendarEntry* const entry = state_->calendar().FindDue(time);
    if (entry == nullptr) break;
    Group& group = *static_cast<Group*>(entry);
    // Its lags as well.
    const std::size_t bytes =
        BytesToRemove(group, time) + 4 * group.members.size() * sizeof(progress.lags[0]);
    progress.out_of_memory = !memory_.Ensure(bytes);
    if (progress.out_of_memory) break;
    ++groups_seen;
    bool erased = false;
    memory_.Run([&] {
      mutex_.AssumeHeld();
      state_->calendar().Remove(group);
      WriteBeforeChange(group);
      progress.families +=
          state_->EraseExpired(group, time, families_max - progress.families, lag, &erased);
    });
    if (erased) ++progress.groups;
  }
  const Deadline next = state_->calendar().Next();
  progress.more = next <= time && next != std::numeric_limits<Deadline>::max();
  const std::size_t size = state_->footprint();
  account_->NoteStored(size);
  progress.freed = account_->TakeFreed();
  progress.grown = size >= size_to_tell_;
  const std::size_t next_size =
      std::max(kSizeWorthTelling, size + std::max(kGrowthWorthTelling, size / 16));
  size_to_tell_ = progress.grown ? next_size : std::min(size_to_tell_, next_size);
  return progress;
}

BootTime MetricStore::Impl::NextExpiry() {
  MutexLock lock(mutex_);
  if (!retired_.empty()) return ToBootTime(now_);
  if (pinned_ && state_->calendar().Next() > *pinned_) {
    expiry_put_off_ = true;
    return kNever;
  }
  return ToBootTime(state_->calendar().Next());
}

StoreStats MetricStore::Impl::Stats() {
  MutexLock lock(mutex_);
  return {state_->group_count(),
          state_->footprint() + deflated_bytes_->load(std::memory_order_relaxed)};
}

MetricStore::MetricStore(StoreOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
MetricStore::~MetricStore() = default;

void MetricStore::Expect(const GroupKey& group) { impl_->Expect(group); }

Status MetricStore::Push(const PushCommand& command) {
  return impl_->Push(command, Impl::Stamping::kStamps);
}
bool MetricStore::Repeat(const RepeatedPush& push) { return impl_->Repeat(push); }
bool MetricStore::TakesRepeats() const { return impl_->TakesRepeats(); }
Status MetricStore::Record(const PushCommand& command, RecordedPush& recorded) {
  return impl_->Record(command, recorded);
}
Status MetricStore::Apply(const CommandRecord& record, BootTime deadline) {
  return impl_->Apply(record, deadline);
}
Status MetricStore::ApplyAndUnpin(const RecordedPush& recorded, BootTime time, BootTime deadline) {
  return impl_->ApplyAndUnpin(recorded, time, deadline);
}
Status MetricStore::Delete(const GroupKey& group, Instant now) { return impl_->Delete(group, now); }
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

const std::shared_ptr<MemoryAccount>& MetricStore::memory() const { return impl_->memory(); }
BootTime MetricStore::NextExpiry() const { return impl_->NextExpiry(); }
void MetricStore::SetExpiryWaker(std::function<void()> waker) {
  impl_->SetExpiryWaker(std::move(waker));
}
StoreStats MetricStore::Stats() const { return impl_->Stats(); }

}  // namespace pgw
