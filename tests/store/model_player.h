// Plays a history of pushes, deletes, wipes and time to the store and to the naive model, and
// compares after each step. Where the choices come from is the caller's: random numbers, or a
// fuzzer's bytes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/text_parser.h"
#include "store/fingerprint.h"
#include "store/metric_store.h"
#include "tests/store/naive_model.h"
#include "tests/support/store_driver.h"

namespace pgw::testing {

struct History {
  bool check;
  bool utf8;
  std::int64_t ttl_ms;  // 0: off
  // Commands enter as records, as from a log. A second store gets the same records and nothing
  // else: no readers, no reaper. A third one gets pushes as they are, for their answers. Dumps are
  // taken meanwhile, and read back.
  bool recorded = false;
  // Called before each command to a store that is not recorded; what it returns ends with the
  // command. Then memory may run out in it: a push is refused or throws, and has changed nothing.
  std::function<std::shared_ptr<void>()> fault = {};
};

class ModelPlayer {
 public:
  // `choose` returns any number; each decision takes one.
  ModelPlayer(const History& history, std::function<std::uint64_t()> choose)
      : history_(history), choose_(std::move(choose)), model_(history.check, history.ttl_ms) {
    StoreOptions options;
    options.check_consistency = history.check;
    store_ = std::make_unique<MetricStore>(options);
    replica_ = std::make_unique<MetricStore>(options);
    plain_ = std::make_unique<MetricStore>(options);
  }

  void Play(int steps) {
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      now_ += Pick({1, 1, 10, 300, 1000});
      switch (Below(12)) {
        case 0:
          Delete();
          break;
        case 1:
          Erase();
          break;
        case 2:
          HoldSnapshot();
          break;
        case 3:
          if (Below(20) == 0) {
            Wipe();
          }
          break;
        case 4:
          if (history_.recorded && !dump_) {
            BeginDump();
            break;
          }
          [[fallthrough]];
        default:
          Push();
      }
      Compare();
      while (dump_ && Below(2) == 0) StepDump();
    }
  }

  // Pushes that were taken without a look into them.
  int repeats() const { return repeats_; }
  // Commands that memory ran out for.
  int faults() const { return faults_; }

 private:
  struct Past {
    Labels group;
    bool replace = false;
    std::vector<ModelFamily> families;
  };
  static constexpr std::size_t kPastMax = 3;

  std::uint64_t Below(std::uint64_t bound) { return choose_() % bound; }

  template <typename T>
  T Pick(std::initializer_list<T> choices) {
    return choices.begin()[Below(choices.size())];
  }

  Labels RandomGroup() {
    Labels labels{{"job", Pick({"a", "b"})}};
    if (Below(2) == 0) labels["instance"] = Pick({"", "i", "k"});
    if (Below(3) == 0) labels["x"] = Pick({"", "1"});
    if (Below(8) == 0) labels["le"] = "1";
    if (history_.utf8 && Below(3) == 0) labels[Pick({"a.b", "a_b"})] = Pick({"1", "2"});
    return labels;
  }

  ModelFamily RandomFamily() {
    ModelFamily family;
    family.name = Pick({"m", "m_count", "m_sum", "m_bucket", "n", "other", "push_time_seconds"});
    if (history_.utf8 && Below(2) == 0) family.name = Pick({"m.n", "m_n", "m.n_count", "m_n_sum"});
    family.type =
        Pick({MetricType::kUntyped, MetricType::kGauge, MetricType::kGauge, MetricType::kGauge,
              MetricType::kCounter, MetricType::kSummary, MetricType::kHistogram});
    if (Below(2) == 0) family.help = Pick({"one", "two words"});
    const std::uint64_t samples = 1 + Below(3);
    for (std::uint64_t i = 0; i < samples; ++i) {
      ModelSample sample;
      sample.value = Pick({"1", "2", "30", "4096", "77777"});
      if (Below(2) == 0) sample.labels["instance"] = Pick({"", "i", "k"});
      if (Below(3) == 0) sample.labels["x"] = Pick({"", "1"});
      if (Below(4) == 0) sample.labels["y"] = std::to_string(Below(3));
      if (Below(6) == 0) sample.labels["job"] = "ignored";
      if (history_.utf8 && Below(4) == 0) sample.labels[Pick({"a.b", "a_b"})] = Pick({"1", "2"});
      // The parser joins lines of one series into one histogram; the model keeps them apart.
      const auto same = [&](const ModelSample& other) { return other.labels == sample.labels; };
      if (std::ranges::none_of(family.samples, same)) family.samples.push_back(sample);
    }
    return family;
  }

  void Push() {
    std::vector<ModelFamily> families;
    const std::uint64_t count = Below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      ModelFamily family = RandomFamily();
      // Within one text body `m_count` after a summary `m` would be part of it.
      const auto related = [&](const ModelFamily& other) {
        return other.name.starts_with(family.name) || family.name.starts_with(other.name);
      };
      if (std::ranges::none_of(families, related)) families.push_back(std::move(family));
    }
    Past push{RandomGroup(), Below(2) == 0, std::move(families)};
    // As clients do, again and again: for the same to come out without a look into it.
    if (!past_.empty() && Below(3) == 0) push = past_[Below(past_.size())];
    if (past_.size() < kPastMax) {
      past_.push_back(push);
    } else {
      past_[Below(kPastMax)] = push;
    }
    Play(push);
  }

  void Play(const Past& push) {
    const auto& [group, replace, families] = push;
    const std::string body = ModelBody(families);
    const Result<GroupKey> key = GroupKey::Make({group.begin(), group.end()});
    ASSERT_TRUE(key);
    const Status status =
        history_.recorded ? PushRecorded(*key, replace, body) : PushOrRepeat(*key, replace, body);
    if (IsOutOfMemory(status)) return;
    const bool accepted = model_.Push(group, replace, families, now_);
    ASSERT_EQ(status.ok(), accepted) << (status.ok() ? "" : status.error().message) << "\n"
                                     << key->bytes() << "\n"
                                     << body;
  }

  BootTime DeadlineNow() const {
    return history_.ttl_ms > 0 ? At(now_ + history_.ttl_ms).boot : kNever;
  }

  PushCommand Command(const GroupKey& key, bool replace, FamilySet& set) const {
    PushCommand command;
    command.group = &key;
    command.mode = replace ? PushMode::kReplace : PushMode::kMerge;
    command.families = &set;
    command.received = At(now_);
    command.deadline = DeadlineNow();
    return command;
  }

  Status PushOrRepeat(const GroupKey& key, bool replace, const std::string& body) {
    const Fingerprint fingerprint = FingerprintOf(body, replace ? 1 : 0);
    FamilySet set;
    EXPECT_TRUE(ParseText(body, NameValidation::kUtf8, set)) << body;
    PushCommand command = Command(key, replace, set);
    command.fingerprint = fingerprint;
    return WithFault([&]() -> Status {
      if (store_->Repeat({&key, fingerprint, At(now_), DeadlineNow()})) {
        ++repeats_;
        return {};
      }
      return store_->Push(command);
    });
  }

  template <typename Play>
  Status WithFault(const Play& play) {
    const std::shared_ptr<void> fault = history_.fault ? history_.fault() : nullptr;
    try {
      return play();
    } catch (const std::bad_alloc&) {
      return Error{Code::kOverloaded, {}};
    }
  }

  bool IsOutOfMemory(const Status& status) {
    if (status.ok() || status.error().code != Code::kOverloaded) return false;
    EXPECT_TRUE(history_.fault);
    ++faults_;
    return true;
  }

  Status PushTo(MetricStore& store, const GroupKey& key, bool replace, const std::string& body) {
    FamilySet set;
    EXPECT_TRUE(ParseText(body, NameValidation::kUtf8, set)) << body;
    return store.Push(Command(key, replace, set));
  }

  Status PushRecorded(const GroupKey& key, bool replace, const std::string& body) {
    FamilySet set;
    EXPECT_TRUE(ParseText(body, NameValidation::kUtf8, set)) << body;
    Status status = store_->Record(Command(key, replace, set), recorded_);
    if (!status) return status;
    status = Below(2) == 0 ? Apply(recorded_.record) : ApplyAtOnce(recorded_);
    if (recorded_.refusal) status = *recorded_.refusal;
    recorded_.Trim();
    const Status plain = PushTo(*plain_, key, replace, body);
    EXPECT_EQ(plain.ok() ? "" : plain.error().message, status.ok() ? "" : status.error().message);
    return status;
  }

  Status Apply(const std::string& bytes) {
    const Result<CommandRecord> record = ReadCommandRecord(bytes);
    if (!record) {
      ADD_FAILURE() << record.error().message;
      return record.error();
    }
    const Status status = store_->Apply(*record, DeadlineNow());
    if (dump_) since_dump_.emplace_back(bytes, DeadlineNow());
    EXPECT_EQ(replica_->Apply(*record, DeadlineNow()).ok(), status.ok());
    return status;
  }

  // What was made ready does what its record does.
  Status ApplyAtOnce(const RecordedPush& recorded) {
    EXPECT_LE(store_->PinTime(), At(now_).boot);
    const Status status = store_->ApplyAndUnpin(recorded, At(now_).boot, DeadlineNow());
    if (dump_) since_dump_.emplace_back(recorded.record, DeadlineNow());
    const Result<CommandRecord> record = ReadCommandRecord(recorded.record);
    EXPECT_TRUE(record);
    const Status replayed = replica_->Apply(*record, DeadlineNow());
    EXPECT_EQ(replayed.ok() ? "" : replayed.error().message,
              status.ok() ? "" : status.error().message);
    return status;
  }

  void Delete() {
    const Labels group = RandomGroup();
    const Result<GroupKey> key = GroupKey::Make({group.begin(), group.end()});
    if (history_.recorded) {
      std::string record;
      AppendDeleteRecord(At(now_), key->bytes(), record);
      (void)Apply(record);
      ASSERT_TRUE(plain_->Delete(*key, At(now_)));
    } else {
      const Status status = WithFault([&] { return store_->Delete(*key, At(now_)); });
      if (IsOutOfMemory(status)) return;
      ASSERT_TRUE(status);
    }
    model_.Delete(group, now_);
  }

  void Wipe() {
    if (history_.recorded) {
      std::string record;
      AppendWipeRecord(At(now_), record);
      (void)Apply(record);
      plain_->Wipe(At(now_));
    } else {
      const Status status = WithFault([&]() -> Status {
        store_->Wipe(At(now_));
        return {};
      });
      if (IsOutOfMemory(status)) return;
    }
    model_.Wipe();
  }

  void Erase() {
    const std::size_t most = 1 + Below(5);
    const Status status = WithFault([&]() -> Status {
      const ExpiryProgress progress = store_->EraseExpired(At(now_).boot, most);
      EXPECT_EQ(progress.lags.size(), progress.families);
      return {};
    });
    (void)IsOutOfMemory(status);  // it is no matter when what has expired is erased
  }

  void BeginDump() {
    dump_ = store_->BeginDump();
    blocks_.clear();
    since_dump_.clear();
  }

  // A dump and the commands since its beginning make a store like the one dumped.
  void StepDump() {
    const StoreDump::Progress progress = dump_->Next(1, blocks_);
    if (progress == StoreDump::Progress::kVoid) dump_.reset();
    if (progress != StoreDump::Progress::kDone) return;
    StoreOptions options;
    options.check_consistency = history_.check;
    auto restored = std::make_unique<MetricStore>(options);
    restored->StartWith(dump_->session(), dump_->suspicious());
    for (const std::string& block : blocks_) {
      const Status status = restored->Load(block);
      ASSERT_TRUE(status.ok()) << status.error().message;
    }
    for (const auto& [bytes, deadline] : since_dump_) {
      const Result<CommandRecord> record = ReadCommandRecord(bytes);
      ASSERT_TRUE(record);
      (void)restored->Apply(*record, deadline);
    }
    dump_.reset();
    replica_ = std::move(restored);  // and goes on as that
    const std::shared_ptr<const Snapshot> snapshot = store_->SnapshotAt(At(now_));
    CompareReplica(*snapshot);
    const bool with_lines = !snapshot->inconsistency();
    ASSERT_EQ(Groups(*replica_, with_lines), Groups(*store_, with_lines));
  }

  // Makes the store copy on write, and proves that what a reader holds does not change.
  void HoldSnapshot() {
    if (held_) {
      EXPECT_EQ(Text(*held_), held_text_);
    }
    held_ = store_->SnapshotAt(At(now_));
    held_text_ = Text(*held_);
  }

  static std::multiset<std::string> Text(const Snapshot& snapshot) {
    std::multiset<std::string> lines;
    for (std::size_t i = 0; i < snapshot.family_count(); ++i) {
      const Snapshot::FamilyView family = snapshot.family(i);
      if (family.name.starts_with("push_")) continue;
      Split(family.header, lines);
      std::vector<std::string_view> pieces;
      std::vector<std::unique_ptr<std::string>> scratch;
      snapshot.AppendText(i, pieces, scratch);
      for (const std::string_view piece : pieces) Split(piece, lines);
    }
    return lines;
  }

  static void Split(std::string_view text, std::multiset<std::string>& lines) {
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      ASSERT_NE(end, text.npos);
      lines.emplace(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
  }

  void Compare() {
    const std::shared_ptr<const Snapshot> snapshot = store_->SnapshotAt(At(now_));
    const auto expected = model_.Scrape(now_);
    ASSERT_EQ(snapshot->inconsistency().has_value(), !expected.has_value());
    if (expected) {
      ASSERT_EQ(Text(*snapshot), *expected);
    }
    ASSERT_EQ(Groups(*store_, expected.has_value()), model_.Groups(now_, expected.has_value()));
    ASSERT_EQ(snapshot->groups(), model_.Groups(now_, false).size());
    const Status sound = store_->CheckInvariants();
    ASSERT_TRUE(sound.ok()) << sound.error().message;
    if (history_.recorded && Below(8) == 0) CompareReplica(*snapshot);
  }

  // Only now and then, since to look tells the time.
  void CompareReplica(const Snapshot& snapshot) {
    const std::shared_ptr<const Snapshot> copy = replica_->SnapshotAt(At(now_));
    ASSERT_EQ(copy->inconsistency().has_value(), snapshot.inconsistency().has_value());
    // What is inconsistent is answered with 500; which of its types it shows is open.
    if (!copy->inconsistency()) {
      ASSERT_EQ(Text(*copy), Text(snapshot));
    }
    ASSERT_EQ(copy->groups(), snapshot.groups());
    ASSERT_EQ(copy->series(), snapshot.series());
  }

  std::map<Labels, std::map<std::string, std::multiset<std::string>>> Groups(MetricStore& store,
                                                                             bool with_lines) {
    std::map<Labels, std::map<std::string, std::multiset<std::string>>> groups;
    std::size_t cursor = 0;
    std::vector<GroupView> views;
    do {
      cursor = store.ListGroups(At(now_), cursor, 2, views);
    } while (cursor != 0);
    const auto time = [](const std::optional<WallTime>& t) {
      if (!t) return std::string("0");
      return std::to_string((*t - At(0).wall) / std::chrono::milliseconds(1));
    };
    for (const GroupView& view : views) {
      Labels labels;
      for (const auto& [name, value] : SplitGroupKey(view.key)) labels.emplace(name, value);
      auto& shown = groups[labels];
      shown["push_time_seconds"] = {time(view.last_success)};
      shown["push_failure_time_seconds"] = {time(view.last_failure)};
      for (const GroupView::FamilyEntry& entry : view.families) {
        auto& lines = shown[std::string(entry.name)];
        if (with_lines) Split(entry.samples.lines, lines);
      }
    }
    return groups;
  }

  const History history_;
  const std::function<std::uint64_t()> choose_;
  NaiveModel model_;
  std::unique_ptr<MetricStore> store_;
  RecordedPush recorded_;  // used again and again, as by a thread of the server
  std::unique_ptr<MetricStore> replica_;
  std::unique_ptr<MetricStore> plain_;
  std::int64_t now_ = 1'000'000;  // milliseconds
  std::shared_ptr<const Snapshot> held_;
  std::multiset<std::string> held_text_;
  std::vector<Past> past_;
  int repeats_ = 0;
  int faults_ = 0;
  std::unique_ptr<StoreDump> dump_;
  std::vector<std::string> blocks_;
  std::vector<std::pair<std::string, BootTime>> since_dump_;
};

}  // namespace pgw::testing
