// A random history of a store's files: appends, syncs, compactions in steps, stops, crashes and
// disk trouble, with a model of what has to be there afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/persistence/storage.h"
#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/random.h"

namespace pgw::testing {

struct HistoryOptions {
  std::uint64_t seed = 0;
  int steps = 14;
  bool disk_trouble = false;
  // Looks at what a crash before each change would leave, not only at the crashes of the history.
  bool crash_everywhere = true;
};

class History {
 public:
  explicit History(HistoryOptions options);
  ~History();
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // Plays it. The complaint about what was found wrong; empty if nothing was.
  std::string Run();

  std::uint64_t crashes() const { return crashes_; }
  std::uint64_t torn() const { return torn_; }

 private:
  enum class Mode : unsigned char { kAlways, kInterval, kOff };
  // What a batch has to be found as after a crash.
  enum class Fate : unsigned char {
    kOpen,     // whole or absent
    kWritten,  // there, unless the power fails
    kLasting,  // there
    kGone,     // absent
  };
  struct Batch {
    std::vector<std::string> records;
    Fate fate = Fate::kOpen;
    bool in_memory = false;
    persistence::Lsn last_lsn = 0;
  };
  enum class Crash : unsigned char { kKill, kPowerFailure };

  void Step();
  void Append();
  void Sync(persistence::Lsn lsn);
  void Compact();
  void StartSnapshot();
  void Commit();
  void NoteLasting(persistence::Lsn lsn);
  void CloseAndOpen();
  void CrashAndOpen(Crash crash);
  void Trouble();
  bool Open();
  // After a reopening: what was found is what is.
  void Believe(const std::vector<std::string>& found);

  void BeforeChange(const FaultFileSystem::Call& call);
  void Examine(FaultFileSystem& files, Crash crash, std::string_view what);
  // Crashes while it is opened after a crash.
  void ExamineOpening(const FaultFileSystem& files, Crash crash, std::string_view what);
  // The records of snapshot and journal in order.
  std::vector<std::string> Flatten(const Collector& collector);
  std::string Judge(const std::vector<std::string>& found, Crash crash) const;
  void Complain(std::string_view what, std::string_view complaint);

  const HistoryOptions options_;
  Random random_;
  Random crash_random_;
  std::unique_ptr<FaultFileSystem> files_;
  std::unique_ptr<persistence::Storage> storage_;
  Mode mode_;
  std::vector<Batch> batches_;
  std::vector<std::size_t> failed_;  // appends that failed and may still be in the file
  std::unique_ptr<persistence::SnapshotWriter> writer_;
  std::vector<std::size_t> in_snapshot_;  // batches that the writer still has to write, in order
  std::vector<std::size_t> snapshot_batches_;
  std::size_t written_ = 0;
  int trouble_left_ = 0;
  std::string complaint_;
  std::string journal_of_steps_;
  std::uint64_t crashes_ = 0;
  std::uint64_t torn_ = 0;
};

}  // namespace pgw::testing
