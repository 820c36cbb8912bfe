// Threads, a disk that fails, and every command answered exactly once.
#include "store/durable/durable_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "exposition/text_parser.h"
#include "tests/store/durable/shown_store.h"
#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/store_driver.h"

namespace pgw::testing {
namespace {

// Waited for with a limit, so that what never comes fails a test instead of hanging it.
class Signal {
 public:
  void Notify(const std::function<void()>& change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  [[nodiscard]] bool Await(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), condition);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

// The fault file system for several threads, with a gate that syncs can be held at, and a hook in
// writes to the journal.
class SharedFiles final : public FileSystem {
 public:
  // Called by whoever writes to the journal, with the number of that write and its bytes. Set while
  // nobody writes.
  void set_in_write(std::function<void(int number, std::size_t bytes)> hook) {
    in_write_ = std::move(hook);
    writes_ = 0;
  }
  void With(const std::function<void(FaultFileSystem&)>& action) {
    const std::lock_guard lock(mutex_);
    action(files_);
  }
  void FailFromNowOn(int error) {
    With([error](FaultFileSystem& files) { files.FailCall(files.calls() + 1, error, true); });
  }
  void CloseGate() {
    gate_.Notify([this] { open_ = false; });
  }
  void OpenGate() {
    gate_.Notify([this] { open_ = true; });
  }
  [[nodiscard]] bool AwaitSomebodyAtGate() {
    return gate_.Await([this] { return at_gate_ > 0; });
  }

  Result<std::unique_ptr<File>> Open(const std::string& path, FileAccess access) override {
    const std::lock_guard lock(mutex_);
    return Wrap(files_.Open(path, access));
  }
  Result<std::unique_ptr<File>> Create(const std::string& path, unsigned mode) override {
    const std::lock_guard lock(mutex_);
    return Wrap(files_.Create(path, mode));
  }
  Result<std::optional<FileInfo>> Inspect(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    return files_.Inspect(path);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(mutex_);
    return files_.Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(mutex_);
    return files_.Link(from, to);
  }
  Status Remove(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    return files_.Remove(path);
  }
  Result<std::vector<std::string>> List(const std::string& folder) override {
    const std::lock_guard lock(mutex_);
    return files_.List(folder);
  }
  Status SyncFolder(const std::string& folder) override {
    const std::lock_guard lock(mutex_);
    return files_.SyncFolder(folder);
  }
  Result<std::uint64_t> FreeBytes(const std::string& folder) override {
    const std::lock_guard lock(mutex_);
    return files_.FreeBytes(folder);
  }
  Status CheckWritable(const std::string& folder) override {
    const std::lock_guard lock(mutex_);
    return files_.CheckWritable(folder);
  }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    auto held = files_.Lock(path);
    if (!held) return held;
    return std::unique_ptr<FileLock>(std::make_unique<SharedLock>(*this, std::move(*held)));
  }

 private:
  class SharedLock final : public FileLock {
   public:
    SharedLock(SharedFiles& files, std::unique_ptr<FileLock> lock)
        : files_(files), lock_(std::move(lock)) {}
    ~SharedLock() override {
      const std::lock_guard lock(files_.mutex_);
      lock_.reset();
    }
    bool InPlace() const override {
      const std::lock_guard lock(files_.mutex_);
      return lock_->InPlace();
    }
    void Withdraw() override {
      const std::lock_guard lock(files_.mutex_);
      lock_->Withdraw();
    }

   private:
    SharedFiles& files_;
    std::unique_ptr<FileLock> lock_;
  };

  class SharedFile final : public File {
   public:
    SharedFile(SharedFiles& files, std::unique_ptr<File> file)
        : files_(files), file_(std::move(file)) {}
    ~SharedFile() override {
      const std::lock_guard lock(files_.mutex_);
      file_.reset();
    }
    const std::string& path() const override { return file_->path(); }
    void NoteRenamed(std::string path) override {
      const std::lock_guard lock(files_.mutex_);
      file_->NoteRenamed(std::move(path));
    }
    Result<std::uint64_t> Size() const override {
      const std::lock_guard lock(files_.mutex_);
      return file_->Size();
    }
    Result<std::size_t> ReadAt(std::uint64_t offset, std::span<char> buffer) const override {
      const std::lock_guard lock(files_.mutex_);
      return file_->ReadAt(offset, buffer);
    }
    Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
      if (files_.in_write_ && path() == kPath + ".journal") {
        files_.in_write_(++files_.writes_, bytes.size());
      }
      const std::lock_guard lock(files_.mutex_);
      return file_->WriteAt(offset, bytes);
    }
    Status Truncate(std::uint64_t size) override {
      const std::lock_guard lock(files_.mutex_);
      return file_->Truncate(size);
    }
    Status SyncData() override {
      files_.PassGate();
      const std::lock_guard lock(files_.mutex_);
      return file_->SyncData();
    }
    Status WriteBack() override {
      const std::lock_guard lock(files_.mutex_);
      return file_->WriteBack();
    }
    Status Sync() override {
      files_.PassGate();
      const std::lock_guard lock(files_.mutex_);
      return file_->Sync();
    }
    bool IsAt(const std::string& path) const override {
      const std::lock_guard lock(files_.mutex_);
      return file_->IsAt(path);
    }
    Result<bool> TryLock() override {
      const std::lock_guard lock(files_.mutex_);
      return file_->TryLock();
    }

   private:
    SharedFiles& files_;
    std::unique_ptr<File> file_;
  };

  Result<std::unique_ptr<File>> Wrap(Result<std::unique_ptr<File>> file) {
    if (!file) return file;
    return std::unique_ptr<File>(std::make_unique<SharedFile>(*this, std::move(*file)));
  }
  void PassGate() {
    gate_.Notify([this] { ++at_gate_; });
    EXPECT_TRUE(gate_.Await([this] { return open_; }));
    gate_.Notify([this] { --at_gate_; });
  }

  std::mutex mutex_;
  FaultFileSystem files_{kFolder};
  Signal gate_;
  bool open_ = true;
  int at_gate_ = 0;
  std::function<void(int, std::size_t)> in_write_;
  std::atomic<int> writes_ = 0;
};

// Goes on by a millisecond whenever it is read.
class TestClock final : public Clock {
 public:
  Instant Now() const override { return At(++now_ms_); }
  void Advance(std::chrono::milliseconds time) { now_ms_ += time.count(); }

 private:
  mutable std::atomic<std::int64_t> now_ms_ = 1000;
};

class Observer final : public DurabilityObserver {
 public:
  void OnSync(std::chrono::nanoseconds) override {
    signal_.Notify([this] { ++syncs_; });
  }
  void OnPersistenceError() override {
    signal_.Notify([this] { ++errors_; });
  }
  void OnSnapshot() override {
    signal_.Notify([this] { ++snapshots_; });
  }
  [[nodiscard]] bool AwaitSyncs(int count) {
    return signal_.Await([this, count] { return syncs_ >= count; });
  }
  [[nodiscard]] bool AwaitErrors(int count) {
    return signal_.Await([this, count] { return errors_ >= count; });
  }
  [[nodiscard]] bool AwaitSnapshots(int count) {
    return signal_.Await([this, count] { return snapshots_ >= count; });
  }

 private:
  Signal signal_;
  int syncs_ = 0;
  int errors_ = 0;
  int snapshots_ = 0;
};

// What came of commands, and how often each was told.
class Answers {
 public:
  // The sink of one more command.
  std::unique_ptr<CommandSink> Expect() {
    signal_.Notify([this] { ++expected_; });
    return std::make_unique<Sink>(*this);
  }
  [[nodiscard]] bool AwaitAll() {
    return signal_.Await([this] { return all_.size() + dropped_ >= expected_; });
  }
  bool Has(Code code) {
    bool has = false;
    signal_.Notify([&] { has = Count(code) > 0; });
    return has;
  }
  // REQUIRES: AwaitAll. Exactly once each.
  std::size_t Count(Code code) const {
    std::size_t count = 0;
    for (const Status& status : all_) count += !status && status.error().code == code ? 1 : 0;
    return count;
  }
  std::size_t Good() const {
    std::size_t count = 0;
    for (const Status& status : all_) count += status.ok() ? 1 : 0;
    return count;
  }
  std::size_t expected() const { return expected_; }
  std::size_t dropped() const { return dropped_; }

 private:
  class Sink final : public CommandSink {
   public:
    explicit Sink(Answers& answers) : answers_(answers) {}
    ~Sink() override {
      if (!taken_) answers_.signal_.Notify([this] { ++answers_.dropped_; });
    }
    void Take(Status status) override {
      EXPECT_FALSE(std::exchange(taken_, true)) << "answered twice";
      answers_.signal_.Notify([&] { answers_.all_.push_back(std::move(status)); });
    }

   private:
    Answers& answers_;
    bool taken_ = false;
  };

  Signal signal_;
  std::vector<Status> all_;
  std::size_t expected_ = 0;
  std::size_t dropped_ = 0;  // never answered
};

class DurableLogTest : public ::testing::Test {
 protected:
  ~DurableLogTest() override { files_.OpenGate(); }

  void Start(DurableLog::Options options = {}) {
    log_.reset();
    store_ = std::make_unique<MetricStore>(StoreOptions());
    DurableStore::Options durable_options;
    durable_options.session = {"boot", std::chrono::nanoseconds(0), clock_.Now()};
    durable_options.storage = RepeatableOptions(++openings_);
    auto durable = DurableStore::Open(files_, kPath, *store_, std::move(durable_options));
    ASSERT_TRUE(durable) << durable.error().message;
    log_ = std::make_unique<DurableLog>(std::move(*durable), *store_, clock_, logger_, observer_,
                                        options);
    log_->Start();
  }

  void Push(Answers& answers, const std::string& job, std::string_view body) {
    FamilySet set;
    EXPECT_TRUE(ParseText(body, NameValidation::kUtf8, set));
    const Result<GroupKey> key = GroupKey::Make({{"job", job}});
    PushCommand push;
    push.group = &*key;
    push.families = &set;
    push.received = clock_.Now();
    Outcome outcome = log_->Push(push);
    if (outcome.pending != nullptr) {
      outcome.pending->Submit(answers.Expect());
    } else {
      answers.Expect()->Take(outcome.status);
    }
  }
  Status PushAndWait(const std::string& job, std::string_view body) {
    Answers answers;
    Push(answers, job, body);
    EXPECT_TRUE(answers.AwaitAll());
    if (answers.Good() == 1) return {};
    if (answers.Count(Code::kInvalidArgument) == 1) return InvalidArgument("");
    return Error{Code::kUnavailable, ""};
  }

  std::string Shown() { return Show(*store_, {}); }

  // What a start after a crash finds is what the store showed.
  void ExpectSameAfterCrash() {
    const std::string before = Shown();
    log_.reset();
    files_.With([](FaultFileSystem& files) { files.Kill(); });
    Start();
    EXPECT_EQ(Shown(), before);
  }

  TestClock clock_;
  Logger logger_{clock_, -1, LogLevel::kError, LogFormat::kLogfmt};
  SharedFiles files_;
  Observer observer_;
  std::unique_ptr<MetricStore> store_;
  std::unique_ptr<DurableLog> log_;
  std::uint64_t openings_ = 0;
};

class DurableLogSyncTest : public DurableLogTest, public ::testing::WithParamInterface<SyncMode> {};

INSTANTIATE_TEST_SUITE_P(EveryMode, DurableLogSyncTest,
                         ::testing::Values(SyncMode::kAlways, SyncMode::kInterval, SyncMode::kOff));

TEST_P(DurableLogSyncTest, AnswersEveryCommandOnceWhileTheDiskFailsAndWorksAgainByItself) {
  DurableLog::Options options;
  options.sync = GetParam();
  Start(options);
  constexpr int kThreads = 6;
  constexpr int kPushes = 60;
  Answers answers;
  std::atomic<int> submitted = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPushes; ++i) {
        Push(answers, std::to_string(t), "m " + std::to_string(i) + "\n");
        if (++submitted == kThreads * kPushes / 2) files_.FailFromNowOn(EIO);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(answers.AwaitAll());
  EXPECT_EQ(answers.dropped(), 0U);
  EXPECT_EQ(answers.Good() + answers.Count(Code::kUnavailable), answers.expected());

  Answers late;
  Push(late, "late", "m 1\n");
  ASSERT_TRUE(late.AwaitAll());
  EXPECT_EQ(late.Count(Code::kUnavailable), 1U);
  EXPECT_FALSE(log_->Ready().ok());
  EXPECT_TRUE(log_->Facts().failing);
  ASSERT_TRUE(observer_.AwaitErrors(1));
  EXPECT_EQ(Shown().find("late"), std::string::npos);

  files_.With([](FaultFileSystem& files) { files.Heal(); });
  // Nobody pushes: the committer finds out by itself.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!log_->Ready().ok() && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_TRUE(log_->Ready().ok());
  EXPECT_TRUE(PushAndWait("again", "m 1\n").ok());
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTest, StopAnswersWhatWaits) {
  Start();
  files_.CloseGate();
  Answers answers;
  for (int i = 0; i < 20; ++i) Push(answers, "a", "m " + std::to_string(i) + "\n");
  ASSERT_TRUE(files_.AwaitSomebodyAtGate());
  std::thread stopping([&] { EXPECT_TRUE(log_->Stop().ok()); });
  files_.OpenGate();
  stopping.join();
  ASSERT_TRUE(answers.AwaitAll());
  EXPECT_EQ(answers.Good(), 20U);
  EXPECT_TRUE(log_->Stop().ok());

  Answers late;
  Push(late, "a", "m 21\n");
  ASSERT_TRUE(late.AwaitAll());
  EXPECT_EQ(late.Count(Code::kUnavailable), 1U);
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTest, IsDestroyedWithoutStopLikeACrash) {
  Start();
  Answers answers;
  for (int i = 0; i < 20; ++i) Push(answers, "a", "m " + std::to_string(i) + "\n");
  log_.reset();
  ASSERT_TRUE(answers.AwaitAll());
  EXPECT_EQ(answers.dropped(), 0U);
  const std::string before = Shown();
  Start();
  EXPECT_EQ(Shown(), before);
  log_.reset();
}

TEST_F(DurableLogTest, WritesASnapshotWhenTheOneBeforeIsOld) {
  DurableLog::Options options;
  options.snapshot_age = std::chrono::seconds(1);
  Start(options);
  EXPECT_TRUE(PushAndWait("a", "m 1\n").ok());
  ASSERT_TRUE(observer_.AwaitSnapshots(1));
  EXPECT_GT(log_->Facts().snapshot_bytes, 0U);
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTest, WritesASnapshotWhenTheJournalIsLarge) {
  DurableLog::Options options;
  options.journal_bytes_min = 8 << 20;
  Start(options);
  const std::string body = "m{l=\"" + std::string(3 << 20, 'l') + "\"} 1\n";
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(PushAndWait("a", body).ok());
  ASSERT_TRUE(observer_.AwaitSnapshots(1));
  EXPECT_GT(log_->Facts().snapshot_bytes, 3U << 20);
  ExpectSameAfterCrash();
}

// Snapshots are begun between two commands, whoever writes these.
TEST_P(DurableLogSyncTest, WritesSnapshotsBesideManyThreads) {
  DurableLog::Options options;
  options.sync = GetParam();
  options.journal_bytes_min = 8 << 20;
  Start(options);
  const std::string large = ",l=\"" + std::string(200'000, 'l') + "\"} ";
  std::vector<std::thread> threads;
  Answers answers;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 30; ++i) {
        const std::string name = "m" + std::to_string(i % 3);
        Push(answers, std::to_string(t), name + "{i=\"" + std::to_string(i) + "\"" + large + "1\n");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(answers.AwaitAll());
  EXPECT_EQ(answers.Good(), 120U);
  ASSERT_TRUE(observer_.AwaitSnapshots(1));
  ExpectSameAfterCrash();
}

TEST_P(DurableLogSyncTest, SurvivesTheEndOfTheProcess) {
  DurableLog::Options options;
  options.sync = GetParam();
  Start(options);
  EXPECT_TRUE(PushAndWait("a", "m 1\n").ok());
  EXPECT_TRUE(PushAndWait("b", "m 2\n").ok());
  ExpectSameAfterCrash();
  EXPECT_NE(Shown().find("m{"), std::string::npos);
}

TEST_F(DurableLogTest, RefusesWhatWouldWaitBehindTooMuch) {
  DurableLog::Options options;
  options.queue_bytes_max = 1'000;
  Start(options);
  files_.CloseGate();
  Answers answers;
  Push(answers, "a", "m 1\n");
  ASSERT_TRUE(files_.AwaitSomebodyAtGate());
  for (int i = 0; i < 100; ++i) Push(answers, "a", "m " + std::to_string(i) + "\n");
  files_.OpenGate();
  ASSERT_TRUE(answers.AwaitAll());
  EXPECT_GT(answers.Count(Code::kOverloaded), 50U);
  EXPECT_GT(answers.Good(), 2U);
  EXPECT_EQ(answers.Good() + answers.Count(Code::kOverloaded), 101U);
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTest, RefusesARecordThatNoFrameWouldHold) {
  DurableLog::Options options;
  options.record_bytes_max = 300;
  Start(options);
  Answers answers;
  Push(answers, "a", "m{l=\"" + std::string(400, 'l') + "\"} 1\n");
  ASSERT_TRUE(answers.AwaitAll());
  EXPECT_EQ(answers.Count(Code::kTooLarge), 1U);
  EXPECT_TRUE(PushAndWait("a", "m 1\n").ok());
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTest, SaysWhyAPushIsRefused) {
  Start();
  EXPECT_TRUE(PushAndWait("a", "# TYPE m gauge\nm 1\n").ok());
  const Status timestamp = PushAndWait("a", "m 1 1000\n");
  ASSERT_FALSE(timestamp.ok());
  EXPECT_EQ(timestamp.error().code, Code::kInvalidArgument);
  const Status other_type = PushAndWait("b", "# TYPE m counter\nm 1\n");
  ASSERT_FALSE(other_type.ok());
  EXPECT_EQ(other_type.error().code, Code::kInvalidArgument);
  EXPECT_TRUE(log_->Ready().ok());
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTest, SyncsLaterWhereNobodyWaitsForIt) {
  DurableLog::Options options;
  options.sync = SyncMode::kInterval;
  Start(options);
  EXPECT_TRUE(PushAndWait("a", "m 1\n").ok());
  ASSERT_TRUE(observer_.AwaitSyncs(1));
  // Now it survives a power failure.
  const std::string before = Shown();
  log_.reset();
  files_.With([](FaultFileSystem& files) { files.Reboot(1); });
  Start();
  EXPECT_EQ(Shown(), before);
  EXPECT_NE(before.find("m{"), std::string::npos);
}

// ---- Whose turn it is to write. The hook runs inside a write, so whoever writes has the turn.

class DurableLogTurnTest : public DurableLogTest {
 protected:
  void StartWithoutSyncs() {
    DurableLog::Options options;
    options.sync = SyncMode::kOff;
    Start(options);
    EXPECT_TRUE(PushAndWait("first", "m 1\n").ok());
  }

  // A push of another thread, which finds the turn taken.
  void PushFromElsewhere(const std::string& body) {
    std::thread([&] { Push(answers_, "elsewhere", body); }).join();
  }

  // Notes who writes, besides what `hook` does.
  void InWrite(std::function<void(int number)> hook) {
    files_.set_in_write([this, hook = std::move(hook)](int number, std::size_t) {
      {
        const std::lock_guard lock(writers_mutex_);
        writers_.push_back(std::this_thread::get_id());
      }
      hook(number);
    });
  }
  // How many writes in a row, from the given one on, were done by this thread.
  std::size_t OwnWrites(std::size_t from = 0) {
    const std::lock_guard lock(writers_mutex_);
    std::size_t count = 0;
    while (from + count < writers_.size() && writers_[from + count] == std::this_thread::get_id()) {
      ++count;
    }
    return count;
  }
  std::size_t Writes() {
    const std::lock_guard lock(writers_mutex_);
    return writers_.size();
  }
  void ExpectAllGood() {
    ASSERT_TRUE(answers_.AwaitAll());
    EXPECT_EQ(answers_.dropped(), 0U);
    EXPECT_EQ(answers_.Good(), answers_.expected());
  }

  Answers answers_;
  std::mutex writers_mutex_;
  std::vector<std::thread::id> writers_;
};

TEST_F(DurableLogTurnTest, WriterWritesWhatCameMeanwhile) {
  StartWithoutSyncs();
  InWrite([this](int number) {
    if (number > 1) return;
    for (int i = 0; i < 5; ++i) PushFromElsewhere("m " + std::to_string(i) + "\n");
  });
  Push(answers_, "own", "m 1\n");
  ExpectAllGood();
  // All five at once.
  EXPECT_EQ(Writes(), 2U);
  EXPECT_EQ(OwnWrites(), 2U);
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTurnTest, WriterLeavesWhatNeverEndsToTheCommitter) {
  StartWithoutSyncs();
  constexpr int kWrites = 40;
  InWrite([this](int number) {
    if (number < kWrites) PushFromElsewhere("m " + std::to_string(number) + "\n");
  });
  Push(answers_, "own", "m 1\n");
  ExpectAllGood();
  EXPECT_EQ(Writes(), std::size_t{kWrites});
  EXPECT_GT(OwnWrites(), 1U);
  EXPECT_LT(OwnWrites(), kWrites / 2);
  EXPECT_EQ(OwnWrites(kWrites - 1), 0U);
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTurnTest, WriterLeavesWhatIsLargeToTheCommitter) {
  StartWithoutSyncs();
  InWrite([this](int number) {
    if (number == 1) PushFromElsewhere("m{l=\"" + std::string(3 << 20, 'l') + "\"} 1\n");
  });
  Push(answers_, "own", "m 1\n");
  ExpectAllGood();
  EXPECT_EQ(Writes(), 2U);
  EXPECT_EQ(OwnWrites(), 1U);
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTurnTest, CommitterAloneWritesForAWhileAfterASlowWrite) {
  StartWithoutSyncs();
  InWrite([this](int number) {
    if (number == 1) clock_.Advance(std::chrono::milliseconds(200));
    if (number == 1) PushFromElsewhere("m 2\n");
  });
  Push(answers_, "own", "m 1\n");
  // Neither what came meanwhile nor what comes now.
  Push(answers_, "own", "m 3\n");
  ExpectAllGood();
  EXPECT_EQ(OwnWrites(), 1U);
  EXPECT_EQ(OwnWrites(1), 0U);
  const std::size_t before = Writes();
  EXPECT_GE(before, 2U);
  clock_.Advance(std::chrono::seconds(2));
  Push(answers_, "own", "m 4\n");
  ExpectAllGood();
  EXPECT_EQ(Writes(), before + 1);
  EXPECT_EQ(OwnWrites(before), 1U);
  ExpectSameAfterCrash();
}

// Whoever writes, there is always something that waits; a snapshot can begin all the same.
TEST_F(DurableLogTurnTest, SnapshotsBeginBetweenBatchesThatNeverEnd) {
  DurableLog::Options options;
  options.sync = SyncMode::kOff;
  options.journal_bytes_min = 256 << 10;
  Start(options);
  std::atomic<bool> done = false;
  std::atomic<int> pushes = 0;
  InWrite([&](int) {
    if (done) return;
    const std::string body = "m{l=\"" + std::string(100'000, 'l') + "\"} ";
    PushFromElsewhere(body + std::to_string(++pushes) + "\n");
  });
  Push(answers_, "own", "m 1\n");
  EXPECT_TRUE(observer_.AwaitSnapshots(2));
  done = true;
  ExpectAllGood();
  ExpectSameAfterCrash();
}

TEST_F(DurableLogTurnTest, StopBesideAWriterAnswersEverythingOnce) {
  StartWithoutSyncs();
  std::thread stopping;
  InWrite([&](int number) {
    if (number > 1) return;
    stopping = std::thread([this] { EXPECT_TRUE(log_->Stop().ok()); });
    // Until it has begun: what comes then is refused, though the writer is still at it.
    for (int i = 0; !answers_.Has(Code::kUnavailable); ++i) {
      PushFromElsewhere("m " + std::to_string(i) + "\n");
    }
  });
  Push(answers_, "own", "m 1\n");
  stopping.join();
  ASSERT_TRUE(answers_.AwaitAll());
  EXPECT_EQ(answers_.dropped(), 0U);
  EXPECT_EQ(answers_.Count(Code::kUnavailable), 1U);
  EXPECT_EQ(answers_.Good() + 1, answers_.expected());
  ExpectSameAfterCrash();
}

// What waits when a write fails is refused, not applied.
TEST_F(DurableLogTurnTest, RefusesWhatCameWhileAWriteFailed) {
  StartWithoutSyncs();
  InWrite([this](int number) {
    if (number == 1) files_.FailFromNowOn(EIO);
    if (number == 1) PushFromElsewhere("m 2\n");
  });
  Push(answers_, "own", "m 1\n");
  ASSERT_TRUE(answers_.AwaitAll());
  EXPECT_EQ(answers_.Count(Code::kUnavailable), 2U);
  EXPECT_EQ(OwnWrites(), 1U);
  EXPECT_EQ(Shown().find("job=\"own\""), std::string::npos);
  files_.With([](FaultFileSystem& files) { files.Heal(); });
  ExpectSameAfterCrash();
}

}  // namespace
}  // namespace pgw::testing
