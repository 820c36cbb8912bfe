// A random history of a store in files: commands in batches, readers, expiry, snapshots beside
// commits, stops, crashes, disk trouble. What has to be there is told by a plain store that got the
// acknowledged commands and nothing else.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/text_parser.h"
#include "store/durable/durable_store.h"
#include "store/metric_store.h"
#include "tests/store/durable/shown_store.h"
#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/random.h"
#include "tests/support/store_driver.h"

namespace pgw::testing {

struct DurableHistoryOptions {
  std::uint64_t seed = 0;
  int steps = 12;
  bool disk_trouble = false;
  // Looks at what a crash before each change would leave, not only at the crashes of the history.
  bool crash_everywhere = true;
  // A power failure is followed by another boot, whose clock is behind. No commands come late then.
  bool other_boots = false;
  // Bodies so long that a snapshot takes several steps.
  bool large = false;
};

class DurableHistory {
 public:
  explicit DurableHistory(const DurableHistoryOptions& options)
      : options_(options),
        random_(options.seed),
        crash_random_(options.seed + 1),
        sync_(options.seed % 4 != 0),
        overtaking_(!options.other_boots && options.seed % 3 != 0),
        ttl_ms_(Pick({0, 2000, 2000, 60'000})),
        files_(kFolder, options.seed) {
    files_.set_before_change([this](const FaultFileSystem::Call& call) { BeforeChange(call); });
  }

  // Plays it. The complaint about what was found wrong; empty if nothing was.
  std::string Run() {
    Open();
    for (int i = 0; i < options_.steps && complaint_.empty(); ++i) Step();
    files_.Heal();
    if (complaint_.empty()) GetBackToService();
    if (complaint_.empty()) Restart(true);
    if (complaint_.empty()) Restart(false);
    return complaint_;
  }

  std::uint64_t crashes() const { return crashes_; }
  std::uint64_t failed_commits() const { return failed_commits_; }
  std::uint64_t unacknowledged_found() const { return unacknowledged_found_; }
  std::uint64_t snapshots() const { return snapshots_; }
  std::uint64_t void_snapshots() const { return void_snapshots_; }

 private:
  enum class Kind : std::uint8_t { kPost, kPut, kDelete, kWipe };
  // A command as it takes effect.
  struct Deed {
    Kind kind = Kind::kPost;
    StoreDriver::LabelList group;
    std::string body;
    Instant time{};
  };
  using Deeds = std::vector<Deed>;
  // One that is much later than now, so that the boot after it has an earlier clock.
  static constexpr std::int64_t kBeginMs = 1'000'000;
  static constexpr std::int64_t kOtherBootMs = -900'000;

  std::uint64_t Below(std::uint64_t bound) { return random_.Below(bound); }
  template <typename T>
  T Pick(std::initializer_list<T> choices) {
    return choices.begin()[Below(choices.size())];
  }

  // The time on the clocks, and on that of another boot.
  Instant Time(std::int64_t ms, std::int64_t boot_offset_ms = 0) const {
    return {At(ms + boot_offset_ms).boot, At(ms + wall_shift_ms_).wall};
  }
  BootTime DeadlineFor(BootTime time) const { return session_.DeadlineFor(time); }

  void Step() {
    now_ += Pick({0, 1, 10, 300, 1000});
    if (trouble_left_ > 0 && --trouble_left_ == 0) {
      files_.Heal();
      Note("heal");
      GetBackToService();
    }
    switch (Below(options_.disk_trouble ? 16 : 14)) {
      case 0:
        Restart(Below(2) == 0);
        break;
      case 1:
      case 2:
        MakeSnapshot();
        break;
      case 3:
        Erase();
        break;
      case 4:
        if (!sync_) Sync();
        break;
      case 14:
      case 15:
        Trouble();
        [[fallthrough]];
      default:
        Commit();
    }
    if (complaint_.empty() && Below(2) == 0) CompareLive("reading");
  }

  void Trouble() {
    if (trouble_left_ > 0) return;
    const bool lasting = Below(2) == 0;
    files_.FailCall(files_.calls() + 1 + Below(6), Pick({EIO, ENOSPC}), lasting);
    trouble_left_ = 2 + static_cast<int>(Below(4));
    Note(lasting ? "trouble+" : "trouble");
  }

  // ---- Commands.

  Deed MakeDeed() {
    Deed deed;
    deed.kind =
        Pick({Kind::kPost, Kind::kPost, Kind::kPost, Kind::kPut, Kind::kPut, Kind::kDelete});
    if (Below(25) == 0) deed.kind = Kind::kWipe;
    deed.group = {{"job", Pick({"a", "b", "c"})}};
    if (Below(2) == 0) deed.group.emplace_back("x", Pick({"", "1"}));
    deed.time = Time(now_ - (overtaking_ ? static_cast<std::int64_t>(Below(400)) : 0));
    if (IsPush(deed)) deed.body = MakeBody();
    return deed;
  }

  std::string MakeBody() {
    std::string body;
    for (const char* const name : {"m", "n", "o"}) {
      if (Below(2) == 0) continue;
      if (Below(3) == 0) body += std::string("# HELP ") + name + Pick({" one\n", " two\n"});
      if (Below(2) == 0) body += std::string("# TYPE ") + name + Pick({" gauge\n", " counter\n"});
      const std::uint64_t samples = 1 + Below(3);
      for (std::uint64_t i = 0; i < samples; ++i) {
        body += std::string(name) + "{i=\"" + std::to_string(i) + "\"";
        if (options_.large) body += ",l=\"" + std::string(30'000, 'l') + "\"";
        body += "} " + std::to_string(Below(1000));
        if (Below(40) == 0) body += " 1000";  // refused
        body += "\n";
      }
    }
    return body;
  }

  Command MakeCommand(MetricStore& store, const Deed& deed) {
    Command command;
    command.received = deed.time.boot;
    const Result<GroupKey> key = GroupKey::Make({deed.group.begin(), deed.group.end()});
    if (deed.kind == Kind::kWipe) {
      AppendWipeRecord(deed.time, command.record);
    } else if (deed.kind == Kind::kDelete) {
      AppendDeleteRecord(deed.time, key->bytes(), command.record);
    } else {
      FamilySet set;
      RecordedPush recorded;
      if (Status status = store.Record(MakePush(deed, *key, set), recorded); !status) {
        Complain("recording", status.error().message);
        return command;
      }
      command.record = std::move(recorded.record);
      command.refusal = std::move(recorded.refusal);
    }
    return command;
  }

  PushCommand MakePush(const Deed& deed, const GroupKey& key, FamilySet& set) {
    if (!ParseText(deed.body, NameValidation::kUtf8, set)) Complain("parsing", deed.body);
    PushCommand push;
    push.group = &key;
    push.mode = deed.kind == Kind::kPut ? PushMode::kReplace : PushMode::kMerge;
    push.families = &set;
    push.received = deed.time;
    push.deadline = DeadlineFor(deed.time.boot);
    return push;
  }

  Status Do(MetricStore& plain, const Deed& deed) {
    const Result<GroupKey> key = GroupKey::Make({deed.group.begin(), deed.group.end()});
    if (deed.kind == Kind::kWipe) {
      plain.Wipe(deed.time);
    } else if (deed.kind == Kind::kDelete) {
      EXPECT_TRUE(plain.Delete(*key, deed.time));
    } else {
      FamilySet set;
      return plain.Push(MakePush(deed, *key, set));
    }
    return {};
  }

  void Commit() {
    const std::size_t count = Below(12) == 0 ? 0 : 1 + Below(3);
    Deeds batch;
    for (std::size_t i = 0; i < count; ++i) batch.push_back(MakeDeed());
    std::vector<Command> commands;
    for (const Deed& deed : batch) commands.push_back(MakeCommand(*store_, deed));
    const Deed original = batch.empty() ? Deed() : batch[0];
    // None takes effect before what anybody was told.
    for (Deed& deed : batch) {
      told_ = std::max(told_, deed.time.boot);
      deed.time.boot = told_;
    }
    open_.push_back(batch);
    const bool at_once = batch.size() == 1 && IsPush(original) && Below(2) == 0;
    const Status status =
        at_once ? CommitAtOnce(original, commands[0]) : durable_->Commit(commands, sync_);
    Note(status.ok() ? "commit" : "commit!");
    if (status.ok()) {
      NoteAcknowledged(std::move(batch), commands);
      return;
    }
    ++failed_commits_;
    if (trouble_left_ == 0) Complain("commit without trouble", status.error().message);
    for (const Command& command : commands) {
      if (command.result.ok()) Complain("failed commit", "a command succeeded");
    }
    CompareLive("failed commit");
  }

  static bool IsPush(const Deed& deed) {
    return deed.kind == Kind::kPost || deed.kind == Kind::kPut;
  }

  // Without reading the record back.
  Status CommitAtOnce(const Deed& deed, Command& command) {
    const Result<GroupKey> key = GroupKey::Make({deed.group.begin(), deed.group.end()});
    FamilySet set;
    Status status = store_->Record(MakePush(deed, *key, set), recorded_);
    if (status) status = durable_->Commit(recorded_, deed.time.boot, sync_, command.result);
    recorded_.Trim();
    return status;
  }

  void NoteAcknowledged(Deeds batch, const std::vector<Command>& commands) {
    open_.clear();
    expected_.clear();
    const std::unique_ptr<MetricStore> plain = Plain(acknowledged_);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const std::string expected = Message(Do(*plain, batch[i]));
      const std::string result = Message(commands[i].result);
      if (result != expected) Complain("result", result + "\ninstead of\n" + expected);
      acknowledged_.push_back(std::move(batch[i]));
    }
  }

  static std::string Message(const Status& status) {
    return status.ok() ? "ok" : status.error().message;
  }

  // Nothing that failed lasts beyond the trouble: a snapshot, if need be, and it takes commands.
  void GetBackToService() {
    if (durable_->needs_snapshot()) {
      std::vector<Command> none;
      if (durable_->Commit(none, sync_).ok()) Complain("service", "takes what needs a snapshot");
      MakeSnapshot();
    }
    while (complaint_.empty() && durable_->needs_snapshot()) MakeSnapshot();
    Commit();
  }

  void Sync() {
    const Status status = durable_->Sync();
    Note(status.ok() ? "sync" : "sync!");
    if (!status && trouble_left_ == 0 && !durable_->needs_snapshot()) {
      Complain("sync", status.error().message);
    }
  }

  void Erase() {
    Note("erase");
    (void)store_->EraseExpired(Time(now_).boot, 1 + Below(5));
    told_ = std::max(told_, Time(now_).boot);
  }

  // ---- Snapshots.

  void CommitBeside() {
    while (complaint_.empty() && !durable_->needs_snapshot() && Below(2) == 0) {
      now_ += Pick({0, 1, 300});
      Commit();
    }
  }

  void MakeSnapshot() {
    Note("snapshot(");
    const bool prepared = durable_->PrepareSnapshot().ok();
    if (!prepared && !durable_->needs_snapshot() && Below(2) == 0) return Note("!)");
    CommitBeside();
    DurableStore::Capture capture = durable_->BeginSnapshot();
    CommitBeside();
    const auto written = durable_->WriteSnapshot(std::move(capture), [this](std::size_t) {
      CommitBeside();
      return Below(8) != 0;
    });
    Note(written ? ")" : "!)");
    if (!written) {
      if (trouble_left_ == 0) Complain("snapshot", written.error().message);
      return;
    }
    if (*written == DurableStore::Written::kDone) ++snapshots_;
    if (*written == DurableStore::Written::kVoid) ++void_snapshots_;
  }

  // ---- Ends and beginnings.

  void Restart(bool in_peace) {
    trouble_left_ = 0;
    files_.Heal();
    const bool close = in_peace && !durable_->needs_snapshot();
    const bool reboot = !close && sync_ && Below(2) == 0;
    Note(close ? "close" : reboot ? "powerfail" : "kill");
    if (close) {
      const Status closed = durable_->Close(Time(now_));
      if (!closed) Complain("close", closed.error().message);
    }
    durable_.reset();
    if (reboot) {
      files_.Reboot(random_.Next());
    } else {
      files_.Kill();
    }
    now_ += Pick({0, 1, 500, 1500});
    if (overtaking_) wall_shift_ms_ = Pick({-3'600'000, 0, 3'600'000});
    Open();
  }

  DurableStore::Options MakeOptions(const Session& session) {
    DurableStore::Options options;
    options.session = session;
    options.storage = RepeatableOptions(++openings_);
    return options;
  }

  void Open() {
    session_ = {"boot", std::chrono::milliseconds(ttl_ms_), Time(now_)};
    durable_.reset();
    store_ = std::make_unique<MetricStore>(StoreOptions());
    expected_.clear();
    auto durable = DurableStore::Open(files_, kPath, *store_, MakeOptions(session_));
    if (!durable) return Complain("opening", durable.error().message);
    durable_ = std::move(*durable);
    told_ = std::max(told_, Time(now_).boot);
    Believe(Show(*store_, Time(now_)));
  }

  // What was found is what is from now on.
  void Believe(const std::string& found) {
    Deeds all = acknowledged_;
    const std::string expected = Show(*Plain(acknowledged_), Time(now_));
    if (found != expected) {
      bool known = false;
      for (std::size_t i = 0; i < open_.size() && !known; ++i) {
        Deeds with = acknowledged_;
        with.insert(with.end(), open_[i].begin(), open_[i].end());
        known = found == Show(*Plain(with), Time(now_));
        if (known) all = std::move(with);
      }
      if (!known) Complain("reopening", FirstDifference(found, expected));
    }
    acknowledged_ = std::move(all);
    open_.clear();
    expected_.clear();
  }

  // ---- Crashes.

  void BeforeChange(const FaultFileSystem::Call& call) {
    if (!options_.crash_everywhere || !complaint_.empty()) return;
    const std::uint64_t seed = crash_random_.Next();
    const std::unique_ptr<FaultFileSystem> killed = files_.Clone();
    killed->StopWithin(call, seed);
    killed->Kill();
    Examine(*killed, false, call.path);
    if (!sync_) return;
    const std::unique_ptr<FaultFileSystem> rebooted = files_.Clone();
    rebooted->StopWithin(call, seed);
    rebooted->Reboot(crash_random_.Next());
    Examine(*rebooted, true, call.path);
  }

  void Examine(FaultFileSystem& files, bool rebooted, std::string_view what) {
    ++crashes_;
    // Wall clock and boot clock agree on deadlines as long as neither was behind.
    const bool other_boot = rebooted && options_.other_boots;
    const std::int64_t offset_ms = other_boot ? kOtherBootMs : 0;
    const std::int64_t start_ms = std::max(now_ + 1, ToMs(told_));
    Session session = session_;
    if (other_boot) session.boot_id = "another";
    session.time = Time(start_ms, offset_ms);
    std::string found;
    {
      MetricStore store{StoreOptions()};
      const auto durable = DurableStore::Open(files, kPath, store, MakeOptions(session));
      if (!durable) return Complain(what, durable.error().message);
      const std::string shown = ShowTwice(store, start_ms, offset_ms);
      if (!IsExpected(shown, start_ms)) {
        return Complain(what, FirstDifference(shown, expected_[0]));
      }
      // It has to be usable.
      Deed deed{Kind::kPut, {{"job", "new"}}, "new 1\n", {}};
      deed.time = Time(start_ms + ttl_ms_, offset_ms);
      std::vector<Command> commands;
      commands.push_back(MakeCommand(store, deed));
      if (Status status = (*durable)->Commit(commands, true); !status) {
        return Complain(what, status.error().message);
      }
      found = Show(store, deed.time);
      if (found.find("new{") == found.npos) return Complain(what, "lacks what was just pushed");
    }
    // What was read back and pushed stays.
    files.Reboot(crash_random_.Next());
    MetricStore store{StoreOptions()};
    const auto again = DurableStore::Open(files, kPath, store, MakeOptions(session));
    if (!again) return Complain(what, "the second time: " + again.error().message);
    const std::string found_again = Show(store, Time(start_ms + ttl_ms_, offset_ms));
    if (found_again != found) {
      Complain(what, "the second time " + FirstDifference(found_again, found));
    }
  }

  static std::int64_t ToMs(BootTime time) {
    return std::chrono::ceil<std::chrono::milliseconds>(time.time_since_epoch()).count();
  }

  // At once and when half of it has expired.
  std::string ShowTwice(MetricStore& store, std::int64_t ms, std::int64_t offset_ms) const {
    const std::chrono::nanoseconds offset = std::chrono::milliseconds(offset_ms);
    return Show(store, Time(ms, offset_ms), offset) +
           Show(store, Time(ms + ttl_ms_ / 2, offset_ms), offset);
  }

  bool IsExpected(const std::string& found, std::int64_t ms) {
    if (expected_ms_ != ms) expected_.clear();
    expected_ms_ = ms;
    // Number 0: without any of the open batches.
    for (std::size_t i = 0; i <= open_.size(); ++i) {
      if (i >= expected_.size()) {
        Deeds deeds = acknowledged_;
        if (i > 0) deeds.insert(deeds.end(), open_[i - 1].begin(), open_[i - 1].end());
        expected_.push_back(ShowTwice(*Plain(deeds), ms, 0));
      }
      if (expected_[i] == found) {
        if (i > 0) ++unacknowledged_found_;
        return true;
      }
    }
    return false;
  }

  // ---- What has to be.

  std::unique_ptr<MetricStore> Plain(const Deeds& deeds) {
    auto plain = std::make_unique<MetricStore>(StoreOptions());
    for (const Deed& deed : deeds) (void)Do(*plain, deed);
    return plain;
  }

  void CompareLive(std::string_view what) {
    const Instant time{std::max(told_, Time(now_).boot), Time(now_).wall};
    const std::string found = Show(*store_, time);
    told_ = time.boot;
    const std::string expected = Show(*Plain(acknowledged_), time);
    if (found != expected) Complain(what, FirstDifference(found, expected));
  }

  static std::string FirstDifference(std::string_view found, std::string_view expected) {
    const auto at = std::ranges::mismatch(found, expected);
    const auto begin = static_cast<std::size_t>(at.in1 - found.begin());
    const std::size_t line = begin == 0 ? 0 : found.rfind('\n', begin - 1) + 1;
    return "found\n" + std::string(found.substr(line, 400)) + "\ninstead of\n" +
           std::string(expected.substr(line, 400)) + "\n";
  }

  void Note(std::string_view step) { (steps_ += ' ') += step; }
  void Complain(std::string_view what, std::string_view complaint) {
    if (!complaint_.empty()) return;
    complaint_ = "seed " + std::to_string(options_.seed) + ", at " + std::string(what) + ": " +
                 std::string(complaint) + "; steps:" + steps_;
  }

  const DurableHistoryOptions options_;
  Random random_;
  Random crash_random_;
  const bool sync_;        // else what a power failure leaves is open
  const bool overtaking_;  // commands come late, the wall clock is set
  const std::int64_t ttl_ms_;
  FaultFileSystem files_;
  std::unique_ptr<MetricStore> store_;
  RecordedPush recorded_;  // used again and again, as by a thread of the server
  std::unique_ptr<DurableStore> durable_;
  Session session_;
  std::int64_t now_ = kBeginMs;
  std::int64_t wall_shift_ms_ = 0;
  BootTime told_{};     // the latest that the store knows of
  Deeds acknowledged_;  // of all sessions
  // Whose commit failed, or runs: one of them may be found.
  std::vector<Deeds> open_;
  std::vector<std::string> expected_;
  std::int64_t expected_ms_ = 0;
  int trouble_left_ = 0;
  std::uint64_t openings_ = 0;
  std::string complaint_;
  std::string steps_;
  std::uint64_t crashes_ = 0;
  std::uint64_t failed_commits_ = 0;
  std::uint64_t unacknowledged_found_ = 0;
  std::uint64_t snapshots_ = 0;
  std::uint64_t void_snapshots_ = 0;
};

}  // namespace pgw::testing
