#include "store/durable/durable_store.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "store/command_record.h"

namespace pgw {
namespace {

// As much as the store's lock is held for at a time.
constexpr std::size_t kDumpStepBytes = 64 * 1024;
// So that the last sync of a snapshot, which the journal's syncs wait behind, finds little to do.
constexpr std::size_t kSyncBytes = 4 * 1024 * 1024;

}  // namespace

Result<std::unique_ptr<DurableStore>> DurableStore::Open(FileSystem& files, const std::string& path,
                                                         MetricStore& store, Options options) {
  std::unique_ptr<DurableStore> durable(new DurableStore(store, std::move(options.session)));
  store.StartWith(Session(), false);
  StoreReplayer replayer(store, std::move(options.foreign));
  auto storage = persistence::Storage::Open(files, path, std::move(options.storage), replayer);
  if (!storage) return storage.error();
  durable->storage_ = std::move(*storage);
  durable->session_ = replayer.Begin(std::move(durable->session_));
  return durable;
}

Status DurableStore::Commit(std::span<Command> commands, bool sync) {
  Records records;
  records.reserve(commands.size() + 1);
  BeginCommands(commands.empty(), records);
  for (Command& command : commands) {
    Order(command.received, command.record);
    records.push_back(command.record);
  }
  Status status = Append(records, sync);
  for (Command& command : commands) {
    if (status.ok()) {
      Apply(command);
    } else {
      command.result = status;
    }
  }
  store_.UnpinTime();
  return status;
}

Status DurableStore::Commit(RecordedPush& push, BootTime received, bool sync, Status& result) {
  Records records;
  BeginCommands(false, records);
  Order(received, push.record);
  records.push_back(push.record);
  Status status = Append(records, sync);
  if (!status) {
    store_.UnpinTime();
    result = status;
    return status;
  }
  result = store_.ApplyAndUnpin(push, last_, session_.DeadlineFor(last_));
  if (push.refusal) result = *push.refusal;
  return status;
}

void DurableStore::BeginCommands(bool session, Records& records) {
  last_ = std::max(last_, store_.PinTime());
  if (session_written_ && !session) return;
  // Both clocks go on together: then it comes to the same as what Open applied.
  Session now = session_;
  now.time.boot = std::max(now.time.boot, last_);
  now.time.wall =
      SaturatingAdd(now.time.wall, SaturatingDifference(now.time.boot, session_.time.boot));
  session_record_.clear();
  AppendSessionRecord(now, session_record_);
  records.push_back(session_record_);
}

void DurableStore::Order(BootTime received, std::string& record) {
  if (received < last_) {
    RestampCommandRecord(last_, record);
  } else {
    last_ = received;
  }
}

Status DurableStore::Append(const Records& records, bool sync) {
  const Result<persistence::Lsn> first = storage_->Append(records);
  if (!first) return first.error();
  session_written_ = true;
  if (!sync) return {};
  const Result<persistence::Lsn> synced = storage_->Sync(*first + records.size() - 1);
  return synced ? Status() : synced.error();
}

void DurableStore::Apply(Command& command) {
  const Result<CommandRecord> record = ReadCommandRecord(command.record);
  if (!record) {
    command.result = record.error();
    return;
  }
  command.result = store_.Apply(*record, session_.DeadlineFor(record->time.boot));
  if (command.refusal) command.result = *command.refusal;
}

DurableStore::Capture DurableStore::BeginSnapshot() {
  return {store_.BeginDump(), storage_->lsn()};
}

Result<DurableStore::Written> DurableStore::WriteSnapshot(
    Capture capture, const std::function<bool(std::size_t)>& pause) {
  StoreDump& dump = *capture.dump;
  auto writer =
      storage_->StartSnapshot(capture.lsn, EncodeSnapshotMeta(dump.session(), dump.suspicious()));
  if (!writer) return writer.error();
  const auto abandon = [&] { storage_->AbandonSnapshot(std::move(*writer)); };
  std::vector<std::string> blocks;
  std::size_t unsynced = 0;
  auto progress = StoreDump::Progress::kMore;
  while (progress == StoreDump::Progress::kMore) {
    blocks.clear();
    progress = dump.Next(kDumpStepBytes, blocks);
    std::size_t bytes = 0;
    Status status;
    for (const std::string& block : blocks) {
      if (status.ok()) status = (*writer)->WriteBlock(block);
      bytes += block.size();
    }
    unsynced += bytes;
    if (status.ok() && unsynced >= kSyncBytes) {
      status = (*writer)->WriteBack();
      unsynced = 0;
    }
    if (!status) return abandon(), status.error();
    if (progress == StoreDump::Progress::kVoid) return abandon(), Written::kVoid;
    if (!pause(bytes)) return abandon(), Written::kStopped;
  }
  capture.dump.reset();
  if (Status status = storage_->CommitSnapshot(**writer); !status) return status.error();
  return Written::kDone;
}

Status DurableStore::Sync() {
  const persistence::Lsn lsn = storage_->lsn();
  if (lsn == storage_->durable_lsn()) return {};
  const Result<persistence::Lsn> synced = storage_->Sync(lsn);
  return synced ? Status() : synced.error();
}

Status DurableStore::Close(Instant now) {
  if (session_written_) {
    Session end = session_;
    end.time = now;
    end.time.boot = std::max({end.time.boot, last_, store_.PinTime()});
    store_.UnpinTime();
    std::string record;
    AppendSessionRecord(end, record);
    const std::string_view records[] = {record};
    if (const auto appended = storage_->Append(records); !appended) return appended.error();
  }
  return storage_->Close();
}

}  // namespace pgw
