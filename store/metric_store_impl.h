// What is behind MetricStore: the lock and what it guards. Knows the other parts of store.
//
// metric_store_push.cc has the way in, metric_store_dump.cc the way to a file and back,
// metric_store_memory.cc how much memory a change may need; metric_store.cc all others.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "store/error_list.h"
#include "store/group_record.h"
#include "store/memory_account.h"
#include "store/memory_reserve.h"
#include "store/metric_store.h"
#include "store/own_families.h"
#include "store/prepared_push.h"
#include "store/state.h"

namespace pgw {

// A store below that fits into the caches of address translation as it is.
inline constexpr std::size_t kSizeWorthTelling = 32u << 20;
inline constexpr std::size_t kGrowthWorthTelling = 16u << 20;

class MetricStore::Impl {
 public:
  explicit Impl(StoreOptions options);
  ~Impl();

  // What a push does to the times of its group.
  enum class Stamping : unsigned char { kStamps, kLeavesTimes };
  Status Push(const PushCommand& command, Stamping stamping);
  bool Repeat(const RepeatedPush& push);
  bool TakesRepeats() const { return check_; }
  void Expect(const GroupKey& group);
  Status Record(const PushCommand& command, RecordedPush& recorded);
  Status Apply(const CommandRecord& record, BootTime deadline);
  Status ApplyAndUnpin(const RecordedPush& recorded, BootTime time, BootTime deadline);
  Status Delete(const GroupKey& key, Instant now) {
    return Delete(key.bytes(), ToDeadline(now.boot), TimeRule::kNotBeforeLatest);
  }
  void Wipe(Instant now);
  std::shared_ptr<Snapshot> Collect(Instant now, std::uint64_t* suspicion) PGW_EXCLUDES(mutex_);
  void ClearSuspicion(std::uint64_t suspicion) PGW_EXCLUDES(mutex_);
  std::size_t ListGroups(Instant now, std::size_t cursor, std::size_t groups_max,
                         std::vector<GroupView>& out);
  ExpiryProgress EraseExpired(BootTime now, std::size_t families_max);
  BootTime NextExpiry();
  StoreStats Stats();
  Status CheckInvariants() PGW_EXCLUDES(mutex_);
  void SetExpiryWaker(std::function<void()> waker) {
    account_->SetFreedHook(waker);
    waker_ = std::move(waker);
  }
  const std::shared_ptr<MemoryAccount>& memory() const { return account_; }

  // In metric_store_dump.cc.
  BootTime PinTime() PGW_EXCLUDES(mutex_);
  void UnpinTime() PGW_EXCLUDES(mutex_);
  void StartWith(const Session& session, bool suspicious) PGW_EXCLUDES(mutex_);
  Status Load(std::string_view block) PGW_EXCLUDES(mutex_);
  Status ImportGroup(const GroupKey& group, const GroupTimes& times) PGW_EXCLUDES(mutex_);
  std::unique_ptr<StoreDump> BeginDump() PGW_EXCLUDES(mutex_);
  void BeginSession(const Session& fresh) PGW_EXCLUDES(mutex_);

 private:
  class Dump;
  // What a dump has done so far. Guarded by the store's lock.
  struct DumpState {
    DumpState(std::uint64_t& blocks_ever, std::size_t places, Deadline the_time)
        : walked(blocks_ever), early(blocks_ever), written(places), time(the_time) {}

    GroupWriter walked;
    GroupWriter early;  // groups that commands were about to change
    std::vector<bool> written;
    std::size_t cursor = 0;
    const Deadline time;
    bool is_void = false;
  };

  // Where a pushed family stands in the store.
  struct Target {
    StoredFamily* family = nullptr;
    std::uint32_t member = kNoIndex;  // in the group
  };
  // What a push works with while it is applied. Each thread keeps its own: under the lock it would
  // have to fetch it from whoever came before.
  struct Workspace {
    std::vector<Target> targets;
    std::vector<std::uint8_t> touched;  // by the group's members: whether they are pushed
    std::vector<Member> added;
    std::vector<std::uint32_t> suspects;  // families of the push, by their number
    std::string stamp_line;

    void Trim();
  };
  static Workspace& WorkspaceOfThisThread();

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
    Stamping stamping = Stamping::kStamps;
    std::optional<Fingerprint> fingerprint = {};
    bool* repeats = nullptr;  // set: enters only if it repeats the last push, and this says whether
    bool unpins = false;      // UnpinTime() once it has entered
    bool must_enter = false;  // cannot be refused for want of memory: a log has it
    Workspace& work = WorkspaceOfThisThread();
  };
  enum class TimeRule : unsigned char { kNotBeforeLatest, kAsItSays };
  // What the store thinks of it.
  struct Verdict {
    Group* group = nullptr;  // if it exists
    ErrorList errors;
    bool twin = false;  // creating the group would break every scrape
  };

  // Asks for the memory that Collect will touch, a few blocks at a time, so that it does not wait
  // for all of them while it holds the lock: of a million series that would be half a millisecond.
  void FetchForCollect() PGW_EXCLUDES(mutex_);
  ExpiryProgress EraseLocked(BootTime now, std::size_t families_max,
                             std::vector<std::unique_ptr<State>>& retired) PGW_EXCLUDES(mutex_);
  void FetchGroup(std::uint64_t hash) PGW_EXCLUDES(mutex_);
  void FetchTraces(std::uint64_t hash, std::size_t families) PGW_EXCLUDES(mutex_);
  // `much`: there is something to tell the waker.
  Status DeleteLocked(std::string_view key, Deadline time, TimeRule rule, bool& much)
      PGW_EXCLUDES(mutex_);
  Status Delete(std::string_view key, Deadline time, TimeRule rule) PGW_EXCLUDES(mutex_);
  Status Enter(Entering push, TimeRule rule) PGW_EXCLUDES(mutex_);
  // Whether somebody has to be told that there may be something to erase.
  bool UnpinLocked() PGW_REQUIRES(mutex_);
  Deadline Advance(Deadline time) PGW_REQUIRES(mutex_) {
    now_ = std::max(now_, time);
    return now_;
  }
  Status PushLocked(const Entering& push) PGW_REQUIRES(mutex_);
  bool RepeatLocked(const Entering& push) PGW_REQUIRES(mutex_);
  // Does again what the last push of so many families did. REQUIRES: memory_ is in use.
  void Renew(Group& group, const Entering& push, std::uint32_t families) PGW_REQUIRES(mutex_);
  void File(Group& group, Deadline deadline) PGW_REQUIRES(mutex_);
  // At the end of a command. Whether there is something to tell the waker beside a nearer expiry.
  bool MuchHasChanged() PGW_REQUIRES(mutex_) {
    account_->NoteStored(state_->footprint());
    return account_->HasFreedMuch() || state_->footprint() >= size_to_tell_;
  }
  Verdict Judge(const Entering& push) PGW_REQUIRES(mutex_);
  static Error TwinError(const GroupingLabels& labels, WallTime last_success);
  void Resolve(Group* group, const Entering& push) PGW_REQUIRES(mutex_);
  template <void (Block::*kAsk)(std::uint32_t) const>
  void PrefetchTargets(const Group& group, const Entering& push, std::size_t from, std::size_t end)
      PGW_REQUIRES(mutex_);
  void Check(const Entering& push, Verdict& verdict) PGW_REQUIRES(mutex_);
  void Suspect(const Entering& push, const Verdict& verdict) PGW_REQUIRES(mutex_);
  void SuspectBookkeeping() PGW_REQUIRES(mutex_);
  // Does what the verdict allows. REQUIRES: memory_ is in use.
  void Change(const Entering& push, const Verdict& verdict, bool refused) PGW_REQUIRES(mutex_);
  void Apply(Group& group, const Entering& push) PGW_REQUIRES(mutex_);
  void ApplyFamily(Group& group, Member& member, const Entering& push, const PreparedFamily& family)
      PGW_REQUIRES(mutex_);
  void DropUntouched(Group& group, const Entering& push) PGW_REQUIRES(mutex_);
  void LinkFollowers(Group& group, const std::vector<Target>& targets) PGW_REQUIRES(mutex_);
  Group& FindOrAddGroup(Group* group, const Entering& push) PGW_REQUIRES(mutex_);
  // Writes one bookkeeping family's sample, or only renews it where `stamp` is false.
  void Stamp(Group& group, const Entering& push, Bookkeeping which, bool stamp)
      PGW_REQUIRES(mutex_);
  void StampPush(Group& group, const Entering& push, Bookkeeping outcome) PGW_REQUIRES(mutex_);
  // Writes the sample that `line` is, into a new place or that of the one before.
  void WriteBookkeeping(Group& group, const GroupingLabels& labels, Bookkeeping which,
                        std::string_view line) PGW_REQUIRES(mutex_);
  GroupView View(Group& group) PGW_REQUIRES(mutex_);

  // In metric_store_memory.cc. False: a change that needs so many bytes cannot begin. One that must
  // be made, because a log has it already, ends the process instead.
  bool SetMemoryAside(std::size_t bytes, bool must) PGW_REQUIRES(mutex_);
  // How much memory these changes need at most.
  std::size_t BytesToEnter(const Entering& push, const Verdict& verdict, bool refused)
      PGW_REQUIRES(mutex_);
  std::size_t BytesToApply(Group* group, const Entering& push) PGW_REQUIRES(mutex_);
  std::size_t BytesToStamp(const Group* group, std::size_t key) PGW_REQUIRES(mutex_);
  std::size_t BytesToRemove(const Group& group, Deadline now) PGW_REQUIRES(mutex_);
  std::size_t BytesToWriteBeforeChange(const Group& group) PGW_REQUIRES(mutex_);

  // A dump that goes on gets the group as it is.
  bool WritesBeforeChange(const Group& group) PGW_REQUIRES(mutex_);
  void WriteBeforeChange(const Group& group) PGW_REQUIRES(mutex_);
  void VoidDump() PGW_REQUIRES(mutex_);
  void PassOn(const Session& fresh) PGW_REQUIRES(mutex_);
  void Retime(Group& group, const Session& fresh) PGW_REQUIRES(mutex_);
  void RetimeMember(Group& group, Member& member, Deadline deadline) PGW_REQUIRES(mutex_);
  void RewriteMember(Group& group, Member& member, Deadline deadline) PGW_REQUIRES(mutex_);

  const bool check_;
  // The table of keys, for Expect(): read without the lock, written under it. As they are but
  // hints, they may be of different moments.
  std::atomic<std::uintptr_t> keys_begin_ = 0;
  std::atomic<unsigned> keys_shift_ = 0;
  const OwnFamilyTable own_;
  std::function<void()> waker_;
  const std::shared_ptr<MemoryAccount> account_ = std::make_shared<MemoryAccount>();
  const DeflatedBytes deflated_bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::atomic<std::size_t> blocks_collected_ = 0;  // by the last snapshot
  Mutex mutex_;
  std::unique_ptr<State> state_ PGW_GUARDED_BY(mutex_);
  MemoryReserve memory_ PGW_GUARDED_BY(mutex_);
  Deadline now_ PGW_GUARDED_BY(mutex_) = 0;  // the latest instant the store was told
  // What wipes removed, for EraseExpired to free.
  std::vector<std::unique_ptr<State>> retired_ PGW_GUARDED_BY(mutex_);
  std::size_t size_to_tell_ PGW_GUARDED_BY(mutex_) = kSizeWorthTelling;  // bytes
  // Counts the pushes that put families under suspicion; 0: nothing is suspect.
  std::uint64_t suspicion_ PGW_GUARDED_BY(mutex_) = 0;
  std::uint64_t suspicions_ever_ PGW_GUARDED_BY(mutex_) = 0;
  bool all_suspect_ PGW_GUARDED_BY(mutex_) = false;  // what was loaded
  Session session_ PGW_GUARDED_BY(mutex_);
  std::optional<Deadline> pinned_ PGW_GUARDED_BY(mutex_);
  bool expiry_put_off_ PGW_GUARDED_BY(mutex_) = false;      // somebody was told so while pinned
  std::unique_ptr<DumpState> dump_ PGW_GUARDED_BY(mutex_);  // null: none goes on
  std::uint64_t blocks_ever_ PGW_GUARDED_BY(mutex_) = 0;    // of all dumps
};

}  // namespace pgw
