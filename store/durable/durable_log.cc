#include "store/durable/durable_log.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "store/command_record.h"

namespace pgw {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// How often it is looked whether the disk works again, and the pause of `interval`.
constexpr seconds kProbePause{1};
constexpr seconds kSyncPause{1};
constexpr seconds kRetryPauseMax{10};
// Between two looks whether the journal is still there, and what room the disk has.
constexpr seconds kPlacePause{1};
constexpr seconds kLogPause{60};
constexpr int kKeeperNiceness = 10;
// A write into the cache that takes this long has waited for the disk, and not just for a
// processor. Then the committer alone writes for a while, so that no thread of the server stands
// still with it.
constexpr std::chrono::milliseconds kSlowWrite{20};
constexpr seconds kSlowPause{1};
// How often somebody who has written looks for what came meanwhile, and how much of it he writes,
// before the committer gets it: he has a request of his own to answer.
constexpr int kRoundsMax = 8;
constexpr std::size_t kOthersBytesMax = 1 << 20;
// How often the turn is looked for, some 3 us: a turn takes 1 to 2 of them.
constexpr int kTurnLooks = 180;
// What a disk that is nearly full still has to have room for.
constexpr std::uint64_t kTinyJournalBytes = 256 * 1024;
// After how much written it is looked whether the journal is large.
constexpr std::uint64_t kLookBytes = 64 * 1024;

// A turn needs so much memory beside the records, and a record may lie in memory so many times
// until it is applied: in the frames that are written, as it is read back, and in the store.
constexpr std::size_t kTurnMemoryBytes = 1u << 20;
constexpr std::size_t kCopiesMax = 5;
// A snapshot is written block by block.
constexpr std::size_t kKeeperMemoryBytes = 4u << 20;

Error Refusal(const Error& error) {
  return {Code::kUnavailable, "cannot be stored: " + error.message};
}

}  // namespace

class DurableLog::Pending final : public PendingCommand {
 public:
  Pending(DurableLog& log, Command command) : log_(log), command_(std::move(command)) {}
  void Submit(std::unique_ptr<CommandSink> sink) override {
    log_.Submit(std::move(command_), std::move(sink));
  }

 private:
  DurableLog& log_;
  Command command_;
};

DurableLog::DurableLog(std::unique_ptr<DurableStore> durable, MetricStore& store,
                       const Clock& clock, Logger& log, DurabilityObserver& observer,
                       const Options& options)
    : durable_(std::move(durable)),
      store_(store),
      clock_(clock),
      log_(log),
      observer_(observer),
      options_(options),
      large_(IsLarge(durable_->free_bytes())),
      snapshot_time_(SteadyClock::now()),
      snapshot_groups_(store.Stats().groups) {
  const persistence::Findings& found = durable_->recovered();
  if (found.snapshot) {
    snapshot_lsn_ = found.snapshot->header.lsn;
    must_snapshot_ = found.snapshot->foreign;
  }
}

DurableLog::~DurableLog() {
  {
    const MutexLock lock(mutex_);
    stopping_ = keeper_stopping_ = true;
    NoteAttention();
  }
  work_.notify_all();
  chore_.notify_all();
  if (committer_.joinable()) committer_.join();
  if (keeper_.joinable()) keeper_.join();
}

void DurableLog::Start() {
  committer_ = std::thread([this] { RunCommitter(); });
  keeper_ = std::thread([this] { RunKeeper(); });
}

// The keeper goes first: it may be waiting for the committer.
Status DurableLog::Stop() {
  {
    const MutexLock lock(mutex_);
    if (keeper_stopping_) return {};
    keeper_stopping_ = true;
  }
  chore_.notify_all();
  if (keeper_.joinable()) keeper_.join();
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    NoteAttention();
  }
  work_.notify_all();
  if (committer_.joinable()) committer_.join();
  const MutexLock turn(turn_);
  return durable_->Close(clock_.Now());
}

// ---- Commands.

Outcome DurableLog::Push(const PushCommand& command) {
  thread_local RecordedPush push;
  Outcome outcome;
  if (Status status = store_.Record(command, push); !status) {
    outcome.status = std::move(status);
  } else if (push.record.size() > options_.record_bytes_max) {
    outcome.status = Error{Code::kTooLarge, "the push is too large to be stored: " +
                                                std::to_string(push.record.size()) + " bytes"};
  } else {
    outcome = TakePush(push, command.received.boot);
  }
  push.Trim();
  return outcome;
}

Outcome DurableLog::Delete(const GroupKey& group, Instant received) {
  Command pending;
  AppendDeleteRecord(received, group.bytes(), pending.record);
  pending.received = received.boot;
  return Take(std::move(pending));
}

Outcome DurableLog::Wipe(Instant received) {
  Command pending;
  AppendWipeRecord(received, pending.record);
  pending.received = received.boot;
  return Take(std::move(pending));
}

Status DurableLog::Ready() const {
  const MutexLock lock(mutex_);
  return failure_ ? Status(*failure_) : Status();
}

DurabilityFacts DurableLog::Facts() const {
  const persistence::StorageSizes sizes = durable_->sizes();
  DurabilityFacts facts;
  facts.journal_bytes = sizes.journal_bytes;
  facts.snapshot_bytes = sizes.snapshot_bytes;
  facts.recovered_records = durable_->recovered().replayed;
  const Instant now = clock_.Now();
  const BootTime success = last_success_.load();
  if (success != BootTime::min()) {
    facts.last_success = SaturatingAdd(now.wall, SaturatingDifference(success, now.boot));
  }
  const MutexLock lock(mutex_);
  facts.failing = failure_.has_value();
  return facts;
}

// Who does not get the turn leaves the command to whoever has it, and goes on to other requests.
Outcome DurableLog::Take(Command command) {
  Turn turn;
  if (!TakeTurn(turn)) return Later(std::move(command));
  const std::span<Command> commands(&command, 1);
  Status status;
  UseTurn(turn, [&] {
    status = Write(command.record.size(), [&] { return durable_->Commit(commands, false); });
  });
  return {status ? std::move(command.result) : Status(Refusal(status.error())), nullptr};
}

// As Take; the record need not be read back.
Outcome DurableLog::TakePush(RecordedPush& push, BootTime received) {
  Turn turn;
  if (!TakeTurn(turn)) {
    Command pending;
    pending.record = std::move(push.record);
    pending.received = received;
    pending.refusal = std::move(push.refusal);
    return Later(std::move(pending));
  }
  Status result;
  Status status;
  UseTurn(turn, [&] {
    status =
        Write(push.record.size(), [&] { return durable_->Commit(push, received, false, result); });
  });
  return {status ? std::move(result) : Status(Refusal(status.error())), nullptr};
}

Outcome DurableLog::Later(Command command) {
  return {Status(), std::make_unique<Pending>(*this, std::move(command))};
}

void DurableLog::Submit(Command command, std::unique_ptr<CommandSink> sink) {
  if (Status refusal = Enqueue(std::move(command), sink); !refusal) {
    return sink->Take(std::move(refusal));
  }
  if (options_.sync == SyncMode::kAlways) return;
  // Whoever had the turn may have given it back meanwhile.
  Turn turn;
  if (TakeTurn(turn)) return UseTurn(turn, [] {});
  if (writer_looks_) return;
  const MutexLock lock(mutex_);
  WakeCommitter();
}

// Takes the sink unless it refuses.
Status DurableLog::Enqueue(Command command, std::unique_ptr<CommandSink>& sink) {
  const MutexLock lock(mutex_);
  const std::size_t bytes = command.record.size();
  if (stopping_) return Error{Code::kUnavailable, "cannot be stored: the server stops"};
  if (!queue_.empty() && queue_bytes_ + bytes > options_.queue_bytes_max) {
    return Error{Code::kOverloaded, "too much is waiting to be stored"};
  }
  queue_.push_back({std::move(command), std::move(sink)});
  queue_bytes_ += bytes;
  NoteAttention();
  if (options_.sync == SyncMode::kAlways) WakeCommitter();
  return {};
}

// ---- The turn.

bool DurableLog::TakeTurn(Turn& turn) {
  if (options_.sync == SyncMode::kAlways) return false;
  // A turn is shorter than what it costs to leave a command to somebody else. But where something
  // waits already, whoever has the turn is held up.
  if (!(attention_ ? turn_.TryLock() : turn_.LockSoon(kTurnLooks))) return false;
  turn = Turn(turn_, std::adopt_lock);
  if (MayWrite()) return true;
  turn.unlock();
  return false;
}

bool DurableLog::MayWrite() {
  if (DiskIsSlow()) return false;
  writer_looks_ = true;
  if (!attention_) return true;
  const MutexLock lock(mutex_);
  writer_looks_ = !stopping_ && !LeavesToCommitter();
  if (!writer_looks_) WakeCommitter();  // somebody may have relied on it for a moment
  return writer_looks_;
}

bool DurableLog::DiskIsSlow() const {
  return slow_until_ != BootTime::min() && clock_.BootNow() < slow_until_;
}

bool DurableLog::LeavesToCommitter() const { return failure_ || capture_wanted_ || DiskIsSlow(); }

template <typename Own>
void DurableLog::UseTurn(Turn& turn, const Own& write) {
  std::vector<Answer> answers;
  turn_memory_.Ensure(kTurnMemoryBytes);
  turn_memory_.Run([&] {
    write();
    WriteForOthers(answers);
  });
  turn.unlock();
  Give(answers);
}

// Writes the commands that came while somebody had the turn.
void DurableLog::WriteForOthers(std::vector<Answer>& answers) {
  if (!attention_) {
    writer_looks_ = false;
    if (attention_) {  // since then
      const MutexLock lock(mutex_);
      WakeCommitter();
    }
  } else {
    std::vector<Waiting> batch;
    std::size_t written = 0;
    for (int round = 0; TakeForOthers(round, written, batch); ++round) {
      for (const Waiting& waiting : batch) written += waiting.command.record.size();
      WriteBatch(batch, answers);
    }
  }
}

// False: what waits is left to the committer.
bool DurableLog::TakeForOthers(int round, std::size_t written, std::vector<Waiting>& batch) {
  const MutexLock lock(mutex_);
  if (queue_.empty() || round == kRoundsMax || written + queue_bytes_ > kOthersBytesMax ||
      LeavesToCommitter()) {
    writer_looks_ = false;
    WakeCommitter();
    return false;
  }
  TakeQueue(batch);
  return true;
}

void DurableLog::TakeQueue(std::vector<Waiting>& batch) {
  batch.clear();
  batch.swap(queue_);
  queue_bytes_ = 0;
  NoteAttention();
}

void DurableLog::WriteBatch(std::vector<Waiting>& batch, std::vector<Answer>& answers) {
  std::vector<Command> commands;
  commands.reserve(batch.size());
  std::size_t bytes = 0;
  for (Waiting& waiting : batch) {
    bytes += waiting.command.record.size();
    commands.push_back(std::move(waiting.command));
  }
  const bool sync = options_.sync == SyncMode::kAlways;
  const Status status = Write(bytes, [&] { return durable_->Commit(commands, sync); });
  for (std::size_t i = 0; i < batch.size(); ++i) {
    answers.push_back({std::move(batch[i].sink),
                       status.ok() ? std::move(commands[i].result) : Refusal(status.error())});
  }
}

void DurableLog::Give(std::vector<Answer>& answers) {
  for (Answer& answer : answers) {
    try {
      answer.sink->Take(std::move(answer.result));
    } catch (...) {
      answer.sink.reset();  // no memory for an answer: who waits is told by the sink that goes
    }
  }
  answers.clear();
}

template <typename Commit>
Status DurableLog::Write(std::size_t bytes, const Commit& commit) {
  if (!turn_memory_.Ensure(kTurnMemoryBytes + kCopiesMax * bytes)) return OutOfMemory();
  const BootTime begin = clock_.BootNow();
  Status status;
  if (begin >= place_look_) {
    place_look_ = begin + kPlacePause;
    free_bytes_ = durable_->free_bytes();
    status = durable_->CheckPlace();
  }
  if (status) status = commit();
  const BootTime end = clock_.BootNow();
  if (options_.sync == SyncMode::kAlways && status.ok()) observer_.OnSync(end - begin);
  bytes_since_look_ += bytes;
  free_bytes_ -= std::min<std::uint64_t>(free_bytes_, bytes);
  NoteResult(status, begin, end);
  return status;
}

void DurableLog::NoteResult(const Status& status, BootTime begin, BootTime end) {
  if (!status) return NoteTrouble(status.error());
  last_success_.store(end, std::memory_order_relaxed);  // nothing hangs on it
  if (end - begin >= kSlowWrite) slow_until_ = end + kSlowPause;
  if (attention_) NoteRecovery();
  if (bytes_since_look_ >= kLookBytes) NoteSize();
  if (!keeper_knows_) WakeKeeper();
}

void DurableLog::NoteSize() {
  bytes_since_look_ = 0;
  const bool large = IsLarge(free_bytes_);
  const MutexLock lock(mutex_);
  if (large && !large_) chore_.notify_one();
  large_ = large;
}

// Between two batches the store is where the journal is.
void DurableLog::ServeKeeper() {
  {
    const MutexLock lock(mutex_);
    if (!std::exchange(capture_wanted_, false)) return;
    NoteAttention();
  }
  DurableStore::Capture capture = durable_->BeginSnapshot();
  const MutexLock lock(mutex_);
  capture_ = std::move(capture);
  chore_.notify_one();
}

// ---- What threads tell each other.

void DurableLog::NoteAttention() {
  attention_ = !queue_.empty() || capture_wanted_ || failure_ || stopping_;
}

void DurableLog::WakeCommitter() {
  if (committer_waits_ && (!queue_.empty() || capture_wanted_)) work_.notify_one();
}

// Between its last look and its sleep the keeper has mutex_.
void DurableLog::WakeKeeper() {
  {
    const MutexLock lock(mutex_);
  }
  chore_.notify_one();
}

void DurableLog::NoteRecovery() {
  bool recovered = false;
  {
    const MutexLock lock(mutex_);
    recovered = std::exchange(failure_, std::nullopt) && std::exchange(failure_logged_, false);
    NoteAttention();
  }
  if (recovered) log_.Info("persistence works again");
}

// Commands are refused until one gets through again; the committer tries.
void DurableLog::NoteTrouble(const Error& error) {
  observer_.OnPersistenceError();
  bool tell = false;
  {
    const MutexLock lock(mutex_);
    failure_ = Refusal(error);
    NoteAttention();
    const SteadyClock::time_point now = SteadyClock::now();
    tell = !failure_logged_ && (!logged_time_ || now - *logged_time_ >= kLogPause);
    if (tell) {
      failure_logged_ = true;
      logged_time_ = now;
    }
  }
  if (tell) {
    log_.Error("persistence fails, pushes are refused", {{"err", std::string_view(error.message)}});
  }
  work_.notify_one();
  chore_.notify_one();
}

// ---- The committer.

void DurableLog::RunCommitter() {
  std::vector<Waiting> batch;
  std::vector<Answer> answers;
  for (;;) {
    const Work work = AwaitWork();
    bool ends = false;
    {
      const Turn turn(turn_);
      turn_memory_.Ensure(kTurnMemoryBytes);
      turn_memory_.Run([&] {
        ServeKeeper();
        {
          const MutexLock lock(mutex_);
          TakeQueue(batch);
        }
        ends = batch.empty() && work == Work::kEnd;
        // Without a batch and a probe the keeper was served.
        if (!batch.empty() || work == Work::kProbe) WriteBatch(batch, answers);
      });
    }
    Give(answers);
    if (ends) return;
  }
}

DurableLog::Work DurableLog::AwaitWork() {
  const MutexLock lock(mutex_);
  Work work = Work::kCommands;
  committer_waits_ = true;
  while (queue_.empty() && !capture_wanted_ && !stopping_ && work != Work::kProbe) {
    if (!failure_) {
      work_.wait(mutex_);
    } else if (work_.wait_for(mutex_, kProbePause) == std::cv_status::timeout) {
      work = Work::kProbe;
    }
  }
  committer_waits_ = false;
  return stopping_ ? Work::kEnd : work;
}

// ---- The keeper.

bool DurableLog::IsLarge(std::uint64_t free_bytes) const {
  const persistence::StorageSizes sizes = durable_->sizes();
  if (sizes.journal_bytes > std::max(options_.journal_bytes_min, sizes.snapshot_bytes)) return true;
  return sizes.journal_bytes > std::max(kTinyJournalBytes, free_bytes / 4);
}

void DurableLog::RunKeeper() {
  // Linux: of this thread alone. Whoever brings commands goes first where processors are few.
  ::setpriority(PRIO_PROCESS, 0, kKeeperNiceness);
  mutex_.Lock();
  while (!keeper_stopping_) {
    const SteadyClock::time_point now = SteadyClock::now();
    SteadyClock::time_point look = SteadyClock::time_point::max();
    const Chore chore = NextChore(now, look);
    if (chore != Chore::kNone) {
      mutex_.Unlock();
      Do(chore);
      mutex_.Lock();
    } else if (look == SteadyClock::time_point::max()) {
      chore_.wait(mutex_);
    } else {
      chore_.wait_until(mutex_, look);
    }
  }
  mutex_.Unlock();
}

DurableLog::Chore DurableLog::NextChore(SteadyClock::time_point now,
                                        SteadyClock::time_point& look) {
  const auto due = [&](SteadyClock::time_point time) {
    if (time <= now) return true;
    look = std::min(look, time);
    return false;
  };
  // Who appends after this look finds that the keeper does not know, and wakes it.
  keeper_knows_ = false;
  const persistence::Lsn lsn = durable_->lsn();
  const bool unsynced = options_.sync == SyncMode::kInterval && lsn > durable_->durable_lsn() &&
                        !durable_->needs_snapshot();
  const bool lacking = lsn > snapshot_lsn_;
  keeper_knows_ = lacking && (unsynced || options_.sync != SyncMode::kInterval);

  if (unsynced && due(sync_time_ + kSyncPause)) return Chore::kSync;
  const bool pressing = must_snapshot_ || large_ || durable_->needs_snapshot();
  if (pressing && due(retry_time_)) return Chore::kSnapshot;
  // Expiry leaves no record, but what has expired need not stay on the disk. A store in which
  // nothing can expire does not wake anybody up.
  const bool expiring = snapshot_groups_ > 0 && store_.NextExpiry() != kNever;
  const bool expired = snapshot_groups_ > 0 && store_.Stats().groups < snapshot_groups_;
  if (lacking || expired || expiring) {
    const nanoseconds age = std::max<nanoseconds>(options_.snapshot_age, seconds(1));
    const SteadyClock::time_point time = std::max(SaturatingAdd(snapshot_time_, age), retry_time_);
    if (due(time)) {
      if (lacking || expired) return Chore::kSnapshot;
      snapshot_time_ = now;  // still as it was written
      look = std::min(look, SaturatingAdd(now, age));
    }
  }
  return Chore::kNone;
}

void DurableLog::Do(Chore chore) {
  const bool remembers = keeper_memory_.Ensure(kKeeperMemoryBytes);
  keeper_memory_.Run([&] {
    if (chore == Chore::kSync) {
      SyncNow();
    } else if (remembers) {
      WriteSnapshot();
    } else {
      NoteNoSnapshot(OutOfMemory());
    }
  });
}

void DurableLog::SyncNow() {
  const SteadyClock::time_point begin = SteadyClock::now();
  const Status status = durable_->Sync();
  sync_time_ = SteadyClock::now();
  if (!status) return NoteTrouble(status.error());
  observer_.OnSync(sync_time_ - begin);
  last_success_ = clock_.BootNow();
}

void DurableLog::WriteSnapshot() {
  Result<DurableStore::Written> written = DurableStore::Written::kStopped;
  Status prepared = durable_->PrepareSnapshot();
  // A journal that failed cannot be put aside; the snapshot will replace it.
  const bool go_on = prepared.ok() || durable_->needs_snapshot();
  std::optional<DurableStore::Capture> capture;
  if (go_on) capture = AskForCapture();
  if (!go_on) {
    written = prepared.error();
  } else if (capture) {
    const persistence::Lsn lsn = capture->lsn;
    const std::size_t groups = store_.Stats().groups;
    SteadyClock::time_point begin = SteadyClock::now();
    written = durable_->WriteSnapshot(std::move(*capture), [&](std::size_t) {
      // As long as it worked, others may.
      const nanoseconds worked = SteadyClock::now() - begin;
      const bool more = PauseKeeper(worked);
      begin = SteadyClock::now();
      return more;
    });
    if (written && *written == DurableStore::Written::kDone) {
      snapshot_lsn_ = lsn;
      snapshot_groups_ = groups;
    }
  }
  if (!written) return NoteNoSnapshot(written.error());
  if (*written != DurableStore::Written::kDone) return;
  if (std::exchange(snapshot_trouble_, false)) log_.Info("snapshots are written again");
  snapshot_time_ = SteadyClock::now();
  retry_pause_ = nanoseconds(0);
  must_snapshot_ = false;
  observer_.OnSnapshot();
  last_success_ = clock_.BootNow();
  const bool large = IsLarge(durable_->free_bytes());
  const MutexLock lock(mutex_);
  large_ = large;
}

void DurableLog::NoteNoSnapshot(const Error& error) {
  retry_pause_ = std::clamp<nanoseconds>(2 * retry_pause_, seconds(1), kRetryPauseMax);
  if (durable_->needs_snapshot()) retry_pause_ = seconds(1);
  retry_time_ = SteadyClock::now() + retry_pause_;
  observer_.OnPersistenceError();
  if (!std::exchange(snapshot_trouble_, true)) {
    log_.Error("cannot write a snapshot", {{"err", std::string_view(error.message)}});
  }
}

// The committer gives it between two batches. None: the end has come.
std::optional<DurableStore::Capture> DurableLog::AskForCapture() {
  mutex_.Lock();
  capture_wanted_ = true;
  NoteAttention();
  work_.notify_one();
  while (!capture_ && !keeper_stopping_) chore_.wait(mutex_);
  capture_wanted_ = false;
  NoteAttention();
  std::optional<DurableStore::Capture> capture = std::exchange(capture_, std::nullopt);
  mutex_.Unlock();
  return capture;
}

bool DurableLog::PauseKeeper(nanoseconds pause) {
  mutex_.Lock();
  const SteadyClock::time_point end = SaturatingAdd(SteadyClock::now(), pause);
  while (!keeper_stopping_ && SteadyClock::now() < end) chore_.wait_until(mutex_, end);
  const bool more = !keeper_stopping_;
  mutex_.Unlock();
  return more;
}

}  // namespace pgw
