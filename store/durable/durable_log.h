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

  Outcome Take(Command command) PGW_EXCLUDES(mutex_);
  void Submit(Command command, std::unique_ptr<CommandSink> sink) PGW_EXCLUDES(mutex_);
  Status Enqueue(Command command, std::unique_ptr<CommandSink>& sink) PGW_EXCLUDES(mutex_);
  bool MayWrite() PGW_EXCLUDES(mutex_);
  bool LeavesToCommitter() const PGW_REQUIRES(mutex_);
  void WriteForOthers(std::unique_lock<std::mutex>& turn) PGW_EXCLUDES(mutex_);
  // By whoever has the turn.
  Status Write(std::span<Command> commands) PGW_EXCLUDES(mutex_);
  // Empty: tries whether the disk works. The answers are to be given without the turn.
  void WriteBatch(std::vector<Waiting>& batch, std::vector<Answer>& answers) PGW_EXCLUDES(mutex_);

  // The committer.
  void RunCommitter();
  // kProbe: try whether the disk works again. kEnd: after what is waiting.
  enum class Work : std::uint8_t { kCommands, kProbe, kEnd };
  Work AwaitWork() PGW_EXCLUDES(mutex_);
  void ServeKeeper() PGW_REQUIRES(mutex_);
  void NoteResult(const Status& status, std::chrono::steady_clock::time_point begin,
                  std::chrono::steady_clock::time_point end) PGW_EXCLUDES(mutex_);
  void NoteTrouble(const Error& error) PGW_EXCLUDES(mutex_);

  // The keeper.
  void RunKeeper();
  // What is to be done now; else when to look again.
  enum class Chore : std::uint8_t { kNone, kSync, kSnapshot };
  Chore NextChore(std::chrono::steady_clock::time_point now,
                  std::chrono::steady_clock::time_point& look) PGW_REQUIRES(mutex_);
  bool IsLarge() const;
  void SyncNow() PGW_EXCLUDES(mutex_);
  void WriteSnapshot() PGW_EXCLUDES(mutex_);
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
  std::mutex turn_;
  std::uint64_t bytes_since_look_ = 0;  // of whoever has the turn: since IsLarge() was asked
  std::chrono::steady_clock::time_point place_time_{};  // and when the place was checked

  mutable Mutex mutex_;
  std::condition_variable_any work_;   // for the committer
  std::condition_variable_any chore_;  // for the keeper
  std::vector<Waiting> queue_ PGW_GUARDED_BY(mutex_);
  std::size_t queue_bytes_ PGW_GUARDED_BY(mutex_) = 0;
  bool committer_waits_ PGW_GUARDED_BY(mutex_) = false;
  bool writer_looks_ PGW_GUARDED_BY(mutex_) = false;  // somebody writes, and will look at the queue
  std::chrono::steady_clock::time_point slow_until_ PGW_GUARDED_BY(mutex_){};
  bool stopping_ PGW_GUARDED_BY(mutex_) = false;  // nothing more is taken
  bool keeper_stopping_ PGW_GUARDED_BY(mutex_) = false;
  std::optional<Error> failure_ PGW_GUARDED_BY(mutex_);  // why commands are refused
  // Of a disk that works for some and not for others not every change is logged.
  bool failure_logged_ PGW_GUARDED_BY(mutex_) = false;
  std::optional<std::chrono::steady_clock::time_point> logged_time_ PGW_GUARDED_BY(mutex_);
  std::optional<std::chrono::steady_clock::time_point> last_success_ PGW_GUARDED_BY(mutex_);
  bool capture_wanted_ PGW_GUARDED_BY(mutex_) = false;
  std::optional<DurableStore::Capture> capture_ PGW_GUARDED_BY(mutex_);
  bool large_ PGW_GUARDED_BY(mutex_) = false;  // the journal is, beside the snapshot
  // The keeper knows that there is something to be done and will look by itself.
  bool keeper_knows_ PGW_GUARDED_BY(mutex_) = false;

  // Of the keeper.
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
