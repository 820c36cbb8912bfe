// Metric groups by grouping key, each family with an optional deadline. Knows exposition and base.
//
// The rendered exposition text is the storage: each family's lines lie in copy-on-write chunks, a
// scrape takes references to them under a short lock. docs/store.md explains it.
//
// Time arrives as an argument. Commands (Push, Delete, Wipe) enter one after the other, each with
// its time inside; the store's own time never runs backwards (it is the latest it was told), and a
// command that was overtaken on its way takes effect at that time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "exposition/family_set.h"
#include "exposition/metric_type.h"
#include "exposition/names.h"
#include "store/command_record.h"
#include "store/dump.h"
#include "store/fingerprint.h"
#include "store/group_key.h"
#include "store/grouping_labels.h"
#include "store/memory_account.h"
#include "store/own_families.h"
#include "store/prepared_push.h"
#include "store/session.h"
#include "store/snapshot.h"

namespace pgw {

struct StoreOptions {
  // False: --push.disable-consistency-check. Inconsistent pushes are stored and break scrapes.
  bool check_consistency = true;
  std::vector<OwnFamily> own_families;
};

struct PushCommand {
  const GroupKey* group = nullptr;
  PushMode mode = PushMode::kMerge;
  // Consumed: labels are sanitised in place. Must be alive during the call only.
  FamilySet* families = nullptr;
  // When the request's body was completely received.
  Instant received{};
  // When what is pushed ceases to exist; kNever for never. ttl/policy.h chooses it.
  BootTime deadline = kNever;
  // Of the body and all that decides about what it means, the mode too; if it may be worth asking
  // for by Repeat().
  std::optional<Fingerprint> fingerprint = {};
};

// A push whose body has not been looked into.
struct RepeatedPush {
  const GroupKey* group = nullptr;
  Fingerprint fingerprint;
  Instant received{};
  BootTime deadline = kNever;
};

// A push as a record for a log, and what was made ready to write it. Reused from push to push: it
// keeps its memory.
struct RecordedPush {
  std::string record;
  // Set if the push is refused whatever is stored: the answer. The record only stamps the failure.
  std::optional<Error> refusal;
  // For ApplyAndUnpin, as long as the command's group and families are there.
  const GroupKey* group = nullptr;
  std::optional<GroupingLabels> labels;
  PreparedPush prepared;
  PushMode mode = PushMode::kMerge;
  WallTime received{};

  // Gives back memory beyond what usual pushes need, and forgets what it had views of.
  void Trim();
};

// When a group was pushed to, and what the entries of its two bookkeeping families say of that.
struct GroupTimes {
  std::optional<WallTime> last_success;
  std::optional<WallTime> last_failure;
  WallTime success_entry{};
  WallTime failure_entry{};
};

struct ExpiryProgress {
  std::size_t families = 0;
  std::size_t groups = 0;
  // Now minus deadline of each expired family, nanoseconds; as many as `families`.
  std::vector<std::chrono::nanoseconds> lags;
  // Bytes that are free since this was last said, whoever freed them: commands, expiry, or readers
  // that let go of what was replaced since; zero until giving pages back to the system is worth it.
  std::size_t freed = 0;
  // What is stored has become larger by a good part since this was last said: by tens of megabytes.
  bool grown = false;
  bool more = false;           // there is more to erase now
  bool out_of_memory = false;  // and for now there is not the memory that this may need
};

struct StoreStats {
  std::size_t groups = 0;  // including expired ones not yet erased
  std::size_t bytes = 0;   // held in text, its compressed forms, indexes and groups
};

// Thread-safe. No call waits for disk or network.
//
// Where memory runs out a call may throw std::bad_alloc before it has changed anything; what has
// begun to change is finished with memory that was set aside (store/memory_reserve.h).
class MetricStore {
 public:
  explicit MetricStore(StoreOptions options);
  ~MetricStore();
  MetricStore(const MetricStore&) = delete;
  MetricStore& operator=(const MetricStore&) = delete;

  // Sanitises, checks against what is stored, applies. Costs O(what is pushed): only families of
  // the same names elsewhere are looked at. Families named like the two bookkeeping ones are
  // ignored.
  // kInvalidArgument: a sample has a timestamp, or the push contradicts itself, another group or
  // an own metric; the text is upstream's. Data then stays as it was, and only
  // push_failure_time_seconds moves (creating the group, unless the group's bookkeeping samples
  // would themselves collide with another group's).
  // In unchecked mode only timestamps are refused.
  // kOverloaded: there is not the memory that this may need; nothing has changed.
  Status Push(const PushCommand& command);
  // Does what the push of that fingerprint would do, if the last thing that has happened to its
  // group was that same push: then nothing can be but that it is accepted and leaves everything as
  // it is, but for times. Costs O(families). False: nothing has changed, so it is to be pushed.
  // Always in unchecked mode, and where pushes come by Apply.
  bool Repeat(const RepeatedPush& push);
  // Whether fingerprints are of any use.
  bool TakesRepeats() const;
  // Says that a push to that group is about to be read. Takes no lock, and changes nothing but when
  // memory is fetched.
  void Expect(const GroupKey& group);

  // The same in two steps, for a log that puts commands in order before they are applied: makes
  // the push ready and writes it down...
  // kTooLarge: as for Push.
  Status Record(const PushCommand& command, RecordedPush& recorded);
  // ... and applies a record at the record's time, which must not be earlier than that of the one
  // before. `deadline` is when what is pushed ceases to exist. The result is Push's; there
  // is no error for other commands, nor for a push whose refusal is known already. A session's
  // record makes what is stored part of that session: deadlines come from when things were pushed
  // and from its TTL, after what had expired by the old ones has gone. From the same
  // records in the same order the same comes out, however often readers look and EraseExpired runs
  // in between, as long as that is given no later time than that of the next record. REQUIRES:
  // ReadCommandRecord gave `record`. kInternal: its families are no record.
  Status Apply(const CommandRecord& record, BootTime deadline);
  // The same for a push that Record() has just made ready, as if its record had been read back with
  // this time in it; and UnpinTime() in the same step.
  Status ApplyAndUnpin(const RecordedPush& recorded, BootTime time, BootTime deadline);
  // For who puts commands in order: none may take effect before the returned instant, the latest
  // the store was told by commands and readers. Until UnpinTime, EraseExpired goes no further than
  // that, so that commands at that instant and later find what they would have found then.
  BootTime PinTime();
  void UnpinTime();

  // What a log begins with that holds nothing yet, or what was known when a dump was begun.
  // REQUIRES: nothing is stored.
  void StartWith(const Session& session, bool suspicious);
  // Puts back the groups of a dump's block. REQUIRES: StartWith; nobody reads yet.
  // kInvalidArgument: these bytes are no block.
  Status Load(std::string_view block);

  // Puts in a group that another server had, without families: it was pushed to at these times.
  // REQUIRES: StartWith or nothing before, with a session that has no TTL; nobody reads yet; the
  // group is not there.
  // kInvalidArgument: as for Push, where its bookkeeping samples collide with another group's.
  Status ImportGroup(const GroupKey& group, const GroupTimes& times);
  // Puts families into it. As a merging Push that was received at their push time, but the group's
  // times stay, even if the push is refused.
  Status ImportFamilies(const PushCommand& command);

  // Everything alive now, in small pieces while commands go on; see dump.h. One at a time.
  std::unique_ptr<StoreDump> BeginDump();

  // Removing an absent group is not an error. kOverloaded: as for Push.
  Status Delete(const GroupKey& group, Instant now);

  // Removes every group that exists at this instant. Costs nothing: what was stored is freed by
  // the next EraseExpired.
  void Wipe(Instant now);

  // What a scrape shows that starts at `now`. Immutable; may outlive the store.
  // Families with deadline <= now are absent from it.
  std::shared_ptr<const Snapshot> SnapshotAt(Instant now);

  // Walks the groups alive at `now` for the JSON API and the status page, a batch per call, so
  // that no lock is held for long: each group is seen whole, as it was at its batch's time.
  // Start with cursor 0; returns the next cursor, 0 at the end.
  std::size_t ListGroups(Instant now, std::size_t cursor, std::size_t groups_max,
                         std::vector<GroupView>& out);

  // Frees up to about `families_max` families with deadline <= now, and all that a wipe has
  // removed (with no lock held). Affects memory only: expired data is invisible without it.
  ExpiryProgress EraseExpired(BootTime now, std::size_t families_max);

  // The earliest time at which EraseExpired may find work; kNever if nothing expires.
  BootTime NextExpiry() const;

  // Called, with no lock held, whenever NextExpiry() has become earlier, so much was freed that
  // memory should be given back to the system, or EraseExpired() has to say that the store has
  // grown. Set before first use.
  void SetExpiryWaker(std::function<void()> waker);

  StoreStats Stats() const;

  // What is stored and what readers hold, in bytes. The limit of the latter is the caller's to set,
  // before first use: while it is exceeded, the hook is called after each command that may have
  // added to it, and whenever a reader needs more.
  const std::shared_ptr<MemoryAccount>& memory() const;

  // Looks at everything, for tests. kInternal: what is wrong, which can only be a defect of ours.
  Status CheckInvariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgw
