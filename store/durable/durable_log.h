// The command log that keeps commands in files: what it has answered survives. Knows
// store/durable_store, store/command_log, base.
//
// Two threads. The committer takes whatever commands are waiting, in one batch: one write, one
// sync, then it applies and answers them. Where nobody waits for a sync, whoever brings a command
// writes it at once, if the disk has not been slow lately; what comes while somebody is writing is
// left to him. The keeper writes snapshots, and syncs where nobody waits for that. Neither wakes up
// while nothing happens.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/mutex.h"
#include "store/command_log.h"
#include "store/durable/durability.h"
#include "store/durable/durable_store.h"
#include "store/memory_reserve.h"

namespace pgw {

class DurableLog final : public CommandLog {
 public:
  struct Options {
    SyncMode sync = SyncMode::kAlways;
    // A snapshot is no older than that, if there is anything that it lacks. At least a second.
    std::chrono::nanoseconds snapshot_age = std::chrono::minutes(5);
    // Of commands that wait for the disk. What a client sends is bounded; how many clients, is not.
    std::size_t queue_bytes_max = 256u << 20;
    // Of one command. A frame of the journal holds 512 MiB.
    std::size_t record_bytes_max = 400u << 20;
    // A journal below that stays whatever the snapshot's size: it is read back in a fraction of a
    // second. A larger one is worth a snapshot once that would be the smaller of the two; and so
    // is a smaller one before it fills the disk.
    std::uint64_t journal_bytes_min = 32u << 20;
  };

  // All references must outlive the log.
  DurableLog(std::unique_ptr<DurableStore> durable, MetricStore& store, const Clock& clock,
             Logger& log, DurabilityObserver& observer, const Options& options);
  ~DurableLog() override;  // as a crash, without Stop()

  void Start();
  // Instead of Start, where the server does not come to serve: leaves no files behind that were not
  // there.
  void Withdraw() { durable_->Withdraw(); }
  // Answers what is waiting, refuses what still comes, closes the files. Idempotent.
  Status Stop();

  Outcome Push(const PushCommand& command) override;
  Outcome Delete(const GroupKey& group, Instant received) override;
  Outcome Wipe(Instant received) override;
  Status Ready() const override;

  DurabilityFacts Facts() const;

 private:
  struct Waiting {
    Command command;
    std::unique_ptr<CommandSink> sink;
  };
  struct Answer {
    std::unique_ptr<CommandSink> sink;
    Status result;
  };
  class Pending;

  // Nobody's at first.
  using Turn = std::unique_lock<Mutex>;

  Outcome Take(Command command) PGW_EXCLUDES(mutex_);
  Outcome TakePush(RecordedPush& push, BootTime received) PGW_EXCLUDES(mutex_);
  Outcome Later(Command command);
  void Submit(Command command, std::unique_ptr<CommandSink> sink) PGW_EXCLUDES(mutex_);
  Status Enqueue(Command command, std::unique_ptr<CommandSink>& sink) PGW_EXCLUDES(mutex_);
  // Whether somebody else than the committer has the turn now; who does must call WriteForOthers().
  bool TakeTurn(Turn& turn) PGW_EXCLUDES(mutex_);

  // By whoever has the turn, inside turn_memory_.Run(): what is in the journal must be applied, and
  // what waits must be answered.
  bool MayWrite() PGW_EXCLUDES(mutex_);
  bool DiskIsSlow() const;
  bool LeavesToCommitter() const PGW_REQUIRES(mutex_);
  void WriteForOthers(std::vector<Answer>& answers) PGW_EXCLUDES(mutex_);
  bool TakeForOthers(int round, std::size_t written, std::vector<Waiting>& batch)
      PGW_EXCLUDES(mutex_);
  void TakeQueue(std::vector<Waiting>& batch) PGW_REQUIRES(mutex_);
  // `commit()` brings that much to the journal and applies it. Not begun where there may be too
  // little memory for it.
  template <typename Commit>
  Status Write(std::size_t bytes, const Commit& commit) PGW_EXCLUDES(mutex_);
  // Uses the turn up: calls `write()`, then writes what others have left to whoever has the turn.
  template <typename Own>
  void UseTurn(Turn& turn, const Own& write) PGW_EXCLUDES(mutex_);
  // Empty: tries whether the disk works. The answers are to be given without the turn.
  void WriteBatch(std::vector<Waiting>& batch, std::vector<Answer>& answers) PGW_EXCLUDES(mutex_);
  static void Give(std::vector<Answer>& answers);
  void NoteResult(const Status& status, BootTime begin, BootTime end) PGW_EXCLUDES(mutex_);
  void NoteSize() PGW_EXCLUDES(mutex_);
  void ServeKeeper() PGW_EXCLUDES(mutex_);

  void NoteAttention() PGW_REQUIRES(mutex_);
  void WakeCommitter() PGW_REQUIRES(mutex_);
  void WakeKeeper() PGW_EXCLUDES(mutex_);
  void NoteRecovery() PGW_EXCLUDES(mutex_);
  void NoteTrouble(const Error& error) PGW_EXCLUDES(mutex_);

  // The committer.
  void RunCommitter();
  // kProbe: try whether the disk works again. kEnd: after what is waiting.
  enum class Work : std::uint8_t { kCommands, kProbe, kEnd };
  Work AwaitWork() PGW_EXCLUDES(mutex_);

  // The keeper.
  void RunKeeper();
  // What is to be done now; else when to look again.
  enum class Chore : std::uint8_t { kNone, kSync, kSnapshot };
  Chore NextChore(std::chrono::steady_clock::time_point now,
                  std::chrono::steady_clock::time_point& look) PGW_REQUIRES(mutex_);
  bool IsLarge(std::uint64_t free_bytes) const;
  void Do(Chore chore) PGW_EXCLUDES(mutex_);
  void SyncNow() PGW_EXCLUDES(mutex_);
  void WriteSnapshot() PGW_EXCLUDES(mutex_);
  void NoteNoSnapshot(const Error& error) PGW_EXCLUDES(mutex_);
  std::optional<DurableStore::Capture> AskForCapture() PGW_EXCLUDES(mutex_);
  bool PauseKeeper(std::chrono::nanoseconds pause) PGW_EXCLUDES(mutex_);

  const std::unique_ptr<DurableStore> durable_;
  MetricStore& store_;
  const Clock& clock_;
  Logger& log_;
  DurabilityObserver& observer_;
  const Options options_;

  // To write is one's turn: between two of them the store is where the journal is. Taken before
  // mutex_.
  Mutex turn_;
  // Of whoever has the turn.
  MemoryReserve turn_memory_;
  std::uint64_t bytes_since_look_ = 0;  // since the journal's size was looked at
  std::uint64_t free_bytes_ = 0;        // of the disk, by the last look and what was written since
  BootTime place_look_ = BootTime::min();  // when to look at the journal's place next
  BootTime slow_until_ = BootTime::min();

  // Whoever has the turn and finds nothing to attend to writes without mutex_. It is true whenever
  // something waits in the queue, a capture is wanted, commands are refused or the end has come.
  // Who leaves first says that he does not look any more, then looks here; who puts something into
  // the queue first says so here, then looks whether anybody will look. So one of them sees it.
  std::atomic<bool> attention_ = false;
  std::atomic<bool> writer_looks_ = false;  // somebody writes, and will look at the queue
  // The keeper knows that there is something to be done and will look by itself.
  std::atomic<bool> keeper_knows_ = false;
  std::atomic<BootTime> last_success_ = BootTime::min();

  mutable Mutex mutex_;
  std::condition_variable_any work_;   // for the committer
  std::condition_variable_any chore_;  // for the keeper
  std::vector<Waiting> queue_ PGW_GUARDED_BY(mutex_);
  std::size_t queue_bytes_ PGW_GUARDED_BY(mutex_) = 0;
  bool committer_waits_ PGW_GUARDED_BY(mutex_) = false;
  bool stopping_ PGW_GUARDED_BY(mutex_) = false;  // nothing more is taken
  bool keeper_stopping_ PGW_GUARDED_BY(mutex_) = false;
  std::optional<Error> failure_ PGW_GUARDED_BY(mutex_);  // why commands are refused
  // Of a disk that works for some and not for others not every change is logged.
  bool failure_logged_ PGW_GUARDED_BY(mutex_) = false;
  std::optional<std::chrono::steady_clock::time_point> logged_time_ PGW_GUARDED_BY(mutex_);
  bool capture_wanted_ PGW_GUARDED_BY(mutex_) = false;
  std::optional<DurableStore::Capture> capture_ PGW_GUARDED_BY(mutex_);
  bool large_ PGW_GUARDED_BY(mutex_) = false;  // the journal is, beside the snapshot

  // Of the keeper.
  MemoryReserve keeper_memory_;
  std::chrono::steady_clock::time_point snapshot_time_;
  std::chrono::steady_clock::time_point retry_time_{};
  std::chrono::nanoseconds retry_pause_{0};
  std::chrono::steady_clock::time_point sync_time_{};
  persistence::Lsn snapshot_lsn_ = 0;
  std::size_t snapshot_groups_ = 0;
  bool snapshot_trouble_ = false;  // was logged
  bool must_snapshot_ = false;     // what was read is not in a form of ours yet

  std::thread committer_;
  std::thread keeper_;
};

}  // namespace pgw
