// A store whose commands are in a journal before they are applied, and what that takes: order,
// time, recovery, snapshots. No threads and no clock of its own; durable_log.h brings them. Knows
// store, store/persistence, base.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/result.h"
#include "store/dump.h"
#include "store/durable/replay.h"
#include "store/metric_store.h"
#include "store/persistence/storage.h"
#include "store/session.h"

namespace pgw {

// A command on its way through the journal.
struct Command {
  std::string record;
  BootTime received{};
  std::optional<Error> refusal;  // known before: RecordedPush
  Status result;                 // what came of it
};

// Commit and BeginSnapshot: one thread at a time. Sync, WriteSnapshot: another one. Questions: any.
class DurableStore {
 public:
  struct Options {
    // Of the server that starts now; its time is the present.
    Session session;
    ForeignReader foreign;
    persistence::StorageOptions storage;
  };

  // Fills the empty store from the files at `path` and makes what is there part of the session.
  // What it takes for damage or cannot do, it says; files are untouched then. `files` and `store`
  // must outlive it.
  static Result<std::unique_ptr<DurableStore>> Open(FileSystem& files, const std::string& path,
                                                    MetricStore& store, Options options);

  // Puts the commands into this order, appends them, syncs if `sync`, and then applies them. On
  // error nothing was applied and each result is that error. Without commands: tries whether that
  // would work.
  Status Commit(std::span<Command> commands, bool sync);
  // The same for one push that was just recorded, which is applied as it is rather than read back
  // from its record. What came of it is in `result`.
  Status Commit(RecordedPush& push, BootTime received, bool sync, Status& result);

  // What a snapshot is made from.
  struct Capture {
    std::unique_ptr<StoreDump> dump;
    persistence::Lsn lsn = 0;
  };
  // First, on the other thread: a fresh journal. Whether that is possible or not, go on.
  Status PrepareSnapshot() { return storage_->BeginCompaction(); }
  Capture BeginSnapshot();
  enum class Written : std::uint8_t { kDone, kVoid, kStopped };
  // `pause` is told how many bytes were just written; false: stop.
  Result<Written> WriteSnapshot(Capture capture, const std::function<bool(std::size_t)>& pause);

  // Whether the next start would find what is written. An error is as one of Commit.
  Status CheckPlace() { return storage_->CheckPlace(); }
  // Brings all that was appended to the disk.
  Status Sync();
  // Does what Storage::Withdraw() does.
  void Withdraw() { storage_->Withdraw(); }
  // The end: notes the time, for who reads the files next, and syncs. Nothing may be called then.
  Status Close(Instant now);

  const persistence::Findings& recovered() const { return storage_->recovered(); }
  persistence::StorageSizes sizes() const { return storage_->sizes(); }
  std::uint64_t free_bytes() const { return storage_->free_bytes(); }
  persistence::Lsn lsn() const { return storage_->lsn(); }
  persistence::Lsn durable_lsn() const { return storage_->durable_lsn(); }
  // Nothing is taken until a snapshot has been written.
  bool needs_snapshot() const { return storage_->needs_snapshot(); }

 private:
  DurableStore(MetricStore& store, Session session) : store_(store), session_(std::move(session)) {}

  using Records = boost::container::small_vector<std::string_view, 4>;

  // Between the two, EraseExpired goes no further than the commands' times: MetricStore::PinTime.
  void BeginCommands(bool session, Records& records);
  Status Append(const Records& records, bool sync);
  // Makes it not earlier than the command before it.
  void Order(BootTime received, std::string& record);
  void Apply(Command& command);

  MetricStore& store_;
  Session session_;
  std::unique_ptr<persistence::Storage> storage_;
  bool session_written_ = false;
  std::string session_record_;
  BootTime last_{};  // of the last command
};

}  // namespace pgw
