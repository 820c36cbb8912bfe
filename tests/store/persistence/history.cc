#include "tests/store/persistence/history.h"

#include <algorithm>
#include <cerrno>
#include <map>

namespace pgw::testing {
namespace {

using persistence::Lsn;
using persistence::Storage;

// "<batch>.<index>/<records of the batch> " and filling.
std::string MakeRecord(std::size_t batch, std::size_t index, std::size_t count, Random& random) {
  std::string record =
      std::to_string(batch) + "." + std::to_string(index) + "/" + std::to_string(count) + " ";
  const std::size_t filling = random.OneIn(4) ? random.Below(1500) : random.Below(40);
  for (std::size_t i = 0; i < filling; ++i) record.push_back(static_cast<char>('a' + i % 26));
  return record;
}

// Records with their lengths, as the history's snapshots have them.
std::string PackBlock(const std::vector<std::string>& records) {
  std::string block;
  for (const std::string& record : records) {
    persistence::AppendVarint(block, record.size());
    block += record;
  }
  return block;
}

void UnpackBlock(std::string_view block, std::vector<std::string>& records) {
  while (!block.empty()) {
    const auto size = persistence::TakeVarint(block);
    if (!size || *size > block.size()) {
      records.emplace_back("unreadable block");
      return;
    }
    records.emplace_back(block.substr(0, *size));
    block.remove_prefix(*size);
  }
}

}  // namespace

History::History(HistoryOptions options)
    : options_(options),
      random_(options.seed),
      crash_random_(options.seed + 1),
      files_(std::make_unique<FaultFileSystem>(kFolder, options.seed)),
      mode_(static_cast<Mode>(options.seed % 3)) {
  files_->set_before_change([this](const FaultFileSystem::Call& call) { BeforeChange(call); });
}

History::~History() = default;

std::string History::Run() {
  if (!Open()) Complain("first start", "did not open");
  for (int i = 0; i < options_.steps && complaint_.empty(); ++i) Step();
  if (complaint_.empty()) {
    files_->Heal();
    CloseAndOpen();
  }
  if (complaint_.empty()) CrashAndOpen(Crash::kPowerFailure);
  return complaint_;
}

void History::Step() {
  if (trouble_left_ > 0) {
    --trouble_left_;
    if (trouble_left_ == 0) {
      files_->Heal();
      journal_of_steps_ += " heal";
    }
  }
  switch (random_.Below(options_.disk_trouble ? 20 : 18)) {
    case 0:
      return CloseAndOpen();
    case 1:
      return CrashAndOpen(Crash::kKill);
    case 2:
      return CrashAndOpen(Crash::kPowerFailure);
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
      return Compact();
    case 8:
      if (mode_ == Mode::kInterval) return Sync(storage_->lsn());
      return Append();
    case 18:
    case 19:
      return Trouble();
    default:
      return Append();
  }
}

void History::Trouble() {
  if (trouble_left_ > 0) return;
  const bool lasting = random_.OneIn(2);
  const int error = random_.OneIn(2) ? EIO : ENOSPC;
  files_->FailCall(files_->calls() + 1 + random_.Below(12), error, lasting);
  trouble_left_ = 2 + static_cast<int>(random_.Below(5));
  journal_of_steps_ += lasting ? " trouble+" : " trouble";
}

void History::Append() {
  journal_of_steps_ += " append";
  const std::size_t number = batches_.size();
  Batch& batch = batches_.emplace_back();
  const std::size_t count = 1 + random_.Below(3);
  for (std::size_t i = 0; i < count; ++i) {
    batch.records.push_back(MakeRecord(number, i, count, random_));
  }
  const Result<Lsn> first = AppendTo(*storage_, batch.records);
  if (!first) {
    journal_of_steps_ += "!";
    failed_.push_back(number);
    return;
  }
  // What failed before is off the disk by now.
  for (const std::size_t failed : failed_) batches_[failed].fate = Fate::kGone;
  failed_.clear();
  batch.last_lsn = *first + count - 1;
  batch.fate = Fate::kWritten;
  if (mode_ == Mode::kAlways) return Sync(batch.last_lsn);
  batch.in_memory = true;
}

void History::Sync(Lsn lsn) {
  journal_of_steps_ += " sync";
  const Result<Lsn> durable = storage_->Sync(lsn);
  if (durable) {
    NoteLasting(*durable);
    return;
  }
  journal_of_steps_ += "!";
  // Who asked with `always` is told that it failed, and does not apply it.
  for (Batch& batch : batches_) {
    if (!batch.in_memory && batch.fate == Fate::kWritten) batch.fate = Fate::kOpen;
  }
}

void History::NoteLasting(Lsn lsn) {
  for (Batch& batch : batches_) {
    if (batch.last_lsn == 0 || batch.last_lsn > lsn || batch.fate == Fate::kGone) continue;
    // With `always` a batch that is not in memory by now was refused, except for the last.
    if (!batch.in_memory && &batch != &batches_.back()) continue;
    batch.fate = Fate::kLasting;
    batch.in_memory = true;
  }
}

void History::Compact() {
  if (writer_ == nullptr) return StartSnapshot();
  if (written_ == in_snapshot_.size()) return Commit();
  journal_of_steps_ += " block";
  std::vector<std::string> records;
  for (int i = 0; i < 3 && written_ < in_snapshot_.size(); ++i, ++written_) {
    const Batch& batch = batches_[in_snapshot_[written_]];
    records.insert(records.end(), batch.records.begin(), batch.records.end());
  }
  Status status = writer_->WriteBlock(PackBlock(records));
  if (status && random_.OneIn(3)) status = writer_->WriteBack();
  if (status) return;
  journal_of_steps_ += "!";
  storage_->AbandonSnapshot(std::move(writer_));
}

void History::StartSnapshot() {
  journal_of_steps_ += " compact";
  if (!storage_->BeginCompaction()) {
    journal_of_steps_ += "!";
    // A server would try again; to go on all the same must do no harm either.
    if (!random_.OneIn(3)) return;
  }
  auto writer = storage_->StartSnapshot(storage_->lsn(), "meta");
  if (!writer) {
    journal_of_steps_ += "!";
    return;
  }
  writer_ = std::move(*writer);
  in_snapshot_.clear();
  written_ = 0;
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    if (batches_[i].in_memory) in_snapshot_.push_back(i);
  }
}

void History::Commit() {
  journal_of_steps_ += " commit";
  const Lsn lsn = writer_->header().lsn;
  const Status status = storage_->CommitSnapshot(*writer_);
  if (!status) {
    journal_of_steps_ += "!";
    storage_->AbandonSnapshot(std::move(writer_));
    return;
  }
  writer_.reset();
  for (const std::size_t i : in_snapshot_) batches_[i].fate = Fate::kLasting;
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    Batch& batch = batches_[i];
    const bool held = std::binary_search(in_snapshot_.begin(), in_snapshot_.end(), i);
    if (!held && batch.last_lsn != 0 && batch.last_lsn <= lsn) batch.fate = Fate::kGone;
  }
}

void History::CloseAndOpen() {
  journal_of_steps_ += " close";
  if (writer_) storage_->AbandonSnapshot(std::move(writer_));
  // Healed first: what a stop with a broken disk leaves is a crash's.
  files_->Heal();
  trouble_left_ = 0;
  if (storage_->Close()) {
    NoteLasting(storage_->lsn());
  } else {
    journal_of_steps_ += "!";
  }
  storage_.reset();
  files_->Kill();
  if (!Open()) Complain("opening after close", "failed");
}

void History::CrashAndOpen(Crash crash) {
  journal_of_steps_ += crash == Crash::kKill ? " kill" : " powerfail";
  writer_.reset();
  storage_.reset();
  trouble_left_ = 0;
  if (crash == Crash::kKill) {
    files_->Kill();
  } else {
    files_->Reboot(random_.Next());
  }
  for (Batch& batch : batches_) {
    if (crash == Crash::kPowerFailure && batch.fate == Fate::kWritten) batch.fate = Fate::kOpen;
  }
  if (!Open()) Complain("opening after a crash", "failed");
}

bool History::Open() {
  Collector collector;
  auto storage = Storage::Open(
      *files_, kPath, RepeatableOptions(options_.seed * 1000 + batches_.size()), collector);
  if (!storage) {
    Complain("opening", storage.error().message);
    return false;
  }
  storage_ = std::move(*storage);
  const std::vector<std::string> found = Flatten(collector);
  if (const std::string complaint = Judge(found, Crash::kKill); !complaint.empty()) {
    Complain("reopening", complaint);
  }
  Believe(found);
  return true;
}

void History::Believe(const std::vector<std::string>& found) {
  std::vector<bool> there(batches_.size(), false);
  for (const std::string& record : found) there[std::stoul(record)] = true;
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    batches_[i].fate = there[i] ? Fate::kLasting : Fate::kGone;
    batches_[i].in_memory = there[i];
  }
  failed_.clear();
}

void History::BeforeChange(const FaultFileSystem::Call& call) {
  if (!options_.crash_everywhere || !complaint_.empty()) return;
  const std::uint64_t seed = crash_random_.Next();
  for (const Crash crash : {Crash::kKill, Crash::kPowerFailure, Crash::kPowerFailure}) {
    const std::unique_ptr<FaultFileSystem> clone = files_->Clone();
    clone->StopWithin(call, seed);
    if (crash == Crash::kKill) {
      clone->Kill();
    } else {
      clone->Reboot(crash_random_.Next());
    }
    Examine(*clone, crash, call.path);
  }
}

void History::ExamineOpening(const FaultFileSystem& files, Crash crash, std::string_view what) {
  const std::unique_ptr<FaultFileSystem> opened = files.Clone();
  opened->set_before_change([&](const FaultFileSystem::Call& call) {
    const std::unique_ptr<FaultFileSystem> clone = opened->Clone();
    clone->StopWithin(call, crash_random_.Next());
    const bool killed = crash_random_.OneIn(3);
    if (killed) {
      clone->Kill();
    } else {
      clone->Reboot(crash_random_.Next());
    }
    Collector collector;
    const auto storage = Storage::Open(*clone, kPath, RepeatableOptions(77), collector);
    if (!storage)
      return Complain(what, "opening after a stopped opening: " + storage.error().message);
    const std::string complaint = Judge(Flatten(collector), killed ? crash : Crash::kPowerFailure);
    if (!complaint.empty()) Complain(what, "after a stopped opening: " + complaint);
  });
  Collector ignored;
  const auto storage = Storage::Open(*opened, kPath, RepeatableOptions(66), ignored);
}

void History::Examine(FaultFileSystem& files, Crash crash, std::string_view what) {
  ++crashes_;
  // Sometimes the opening does not get to its end.
  if (crash_random_.OneIn(4)) ExamineOpening(files, crash, what);
  std::vector<std::string> found;
  {
    Collector collector;
    const auto storage = Storage::Open(files, kPath, RepeatableOptions(88), collector);
    if (!storage) return Complain(what, storage.error().message);
    found = Flatten(collector);
    torn_ += (*storage)->recovered().torn_bytes() > 0 ? 1 : 0;
    if (const std::string complaint = Judge(found, crash); !complaint.empty()) {
      return Complain(what, complaint);
    }
    if (crash_random_.OneIn(2)) {
      // It has to be usable.
      const Result<Lsn> lsn = AppendTo(**storage, {"new"});
      if (!lsn) return Complain(what, lsn.error().message);
      if (const auto synced = (*storage)->Sync(*lsn); !synced) {
        return Complain(what, synced.error().message);
      }
      found.emplace_back("new");
    }
  }
  // What was once read back stays, with nothing done to it.
  files.Reboot(crash_random_.Next());
  Collector collector;
  const auto storage = Storage::Open(files, kPath, RepeatableOptions(99), collector);
  if (!storage) return Complain(what, "the second time: " + storage.error().message);
  const std::vector<std::string> again = Flatten(collector);
  if (again == found) return;
  std::size_t same = 0;
  while (same < again.size() && same < found.size() && again[same] == found[same]) ++same;
  Complain(what, "read back first " + std::to_string(found.size()) + " records, then " +
                     std::to_string(again.size()) + ", of them as before " + std::to_string(same));
}

std::vector<std::string> History::Flatten(const Collector& collector) {
  std::vector<std::string> records;
  for (const std::string& block : collector.blocks) UnpackBlock(block, records);
  Lsn last = 0;
  for (const auto& [lsn, record] : collector.records) {
    if (last != 0 && lsn != last + 1) records.emplace_back("a gap in the LSNs");
    last = lsn;
    records.push_back(record);
  }
  return records;
}

std::string History::Judge(const std::vector<std::string>& found, Crash crash) const {
  std::size_t at = 0;
  for (std::size_t number = 0; number < batches_.size(); ++number) {
    const Batch& batch = batches_[number];
    const bool starts =
        at < found.size() && !batch.records.empty() && found[at] == batch.records.front();
    const std::string name = "batch " + std::to_string(number);
    if (starts) {
      if (batch.fate == Fate::kGone) return name + " is back";
      for (const std::string& record : batch.records) {
        if (at == found.size() || found[at] != record) return name + " is not whole";
        ++at;
      }
    } else if (batch.fate == Fate::kLasting ||
               (batch.fate == Fate::kWritten && crash == Crash::kKill)) {
      return name + " is missing";
    }
  }
  if (at < found.size()) {
    return "invented, repeated or out of order: " + found[at].substr(0, 40);
  }
  return {};
}

void History::Complain(std::string_view what, std::string_view complaint) {
  if (!complaint_.empty()) return;
  complaint_ = "seed " + std::to_string(options_.seed) + ", at " + std::string(what) + ": " +
               std::string(complaint) + "; steps:" + journal_of_steps_;
}

}  // namespace pgw::testing
