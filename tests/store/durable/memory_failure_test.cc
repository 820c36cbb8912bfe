// What a log in files does when memory runs out: what was acknowledged is in the store and comes
// back from the files, what was refused does neither, and files and store never differ.

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "exposition/text_parser.h"
#include "store/durable/durable_log.h"
#include "store/memory_reserve.h"
#include "tests/store/durable/shown_store.h"
#include "tests/support/failing_allocation.h"
#include "tests/support/failure_sweep.h"
#include "tests/support/store_driver.h"

namespace pgw::testing {
namespace {

class StillClock final : public Clock {
 public:
  Instant Now() const override { return At(5'000); }
};

class NoObserver final : public DurabilityObserver {
 public:
  void OnSync(std::chrono::nanoseconds /*duration*/) override {}
  void OnSnapshot() override {}
  void OnPersistenceError() override {}
};

// What came of a command, whoever answers it. Shared with the sink, which may go later.
class Answer {
 public:
  class Sink final : public CommandSink {
   public:
    explicit Sink(std::shared_ptr<Answer> answer) : answer_(std::move(answer)) {}
    ~Sink() override { answer_->End(std::nullopt); }
    void Take(Status status) override { answer_->End(std::move(status)); }

   private:
    const std::shared_ptr<Answer> answer_;
  };

  // The status; none if the command was dropped.
  std::optional<Status> Await() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(30), [this] { return done_; })) {
      ADD_FAILURE() << "a command was not answered";
    }
    return std::move(status_);
  }

 private:
  void End(std::optional<Status> status) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(done_, true)) return;
    status_ = std::move(status);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::optional<Status> status_;
};

// Both ends of an answer, made before memory runs out.
struct Exchange {
  std::shared_ptr<Answer> answer = std::make_shared<Answer>();
  std::unique_ptr<CommandSink> sink = std::make_unique<Answer::Sink>(answer);

  std::optional<Status> Await(Outcome outcome) {
    if (outcome.pending == nullptr) return std::move(outcome.status);
    outcome.pending->Submit(std::move(sink));
    return answer->Await();
  }
};

// A folder of this process that goes with the object.
class Folder {
 public:
  Folder() {
    // In memory where that can be had: each step opens and syncs files.
    const bool shared = access("/dev/shm", W_OK | X_OK) == 0;
    const std::filesystem::path parent =
        shared ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string pattern = parent / "pgw-memory-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file() const { return path_ + "/store"; }
  void Clear() const {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }

 private:
  std::string path_;
};

// A store on its files.
class Server {
 public:
  Server(const Folder& folder, SyncMode sync)
      : log_(clock_, STDOUT_FILENO, LogLevel::kError, LogFormat::kLogfmt) {
    DurableStore::Options options;
    options.session = {"boot", std::chrono::nanoseconds(0), At(1'000)};
    auto opened = DurableStore::Open(files_, folder.file(), store_, std::move(options));
    if (!opened) {
      ADD_FAILURE() << opened.error().message;
      return;
    }
    DurableLog::Options log_options;
    log_options.sync = sync;
    durable_ = std::make_unique<DurableLog>(std::move(*opened), store_, clock_, log_, observer_,
                                            log_options);
    durable_->Start();
  }

  DurableLog& log() { return *durable_; }
  MetricStore& store() { return store_; }
  std::string Show() { return testing::Show(store_, At(5'000)); }

 private:
  StillClock clock_;
  Logger log_;
  NoObserver observer_;
  PosixFileSystem files_;
  MetricStore store_{{}};
  std::unique_ptr<DurableLog> durable_;
};

GroupKey Key(std::string_view job) { return *GroupKey::Make({{"job", job}}); }

Outcome Push(DurableLog& log, const GroupKey& key, const std::string& body, PushMode mode) {
  FamilySet set;
  EXPECT_TRUE(ParseText(body, NameValidation::kUtf8, set));
  PushCommand command;
  command.group = &key;
  command.mode = mode;
  command.families = &set;
  command.received = At(4'000);
  return log.Push(command);
}

struct Case {
  const char* name;
  std::function<Outcome(DurableLog&)> command;

  friend void PrintTo(const Case& shown, std::ostream* out) { *out << shown.name; }
};

const Case kCases[] = {
    {"Put",
     [](DurableLog& log) {
       return Push(log, Key("a"), "# TYPE x gauge\nx 12345\ny 2\nz{l=\"v\"} 3\n",
                   PushMode::kReplace);
     }},
    {"PostsNewGroup",
     [](DurableLog& log) {
       return Push(log, Key("c"), "# TYPE x gauge\nx 1\nnew 2\n", PushMode::kMerge);
     }},
    {"Refused",
     [](DurableLog& log) {
       return Push(log, Key("b"), "# TYPE x counter\nx 1\n", PushMode::kMerge);
     }},
    {"Deletes", [](DurableLog& log) { return log.Delete(Key("a"), At(4'000)); }},
    {"Wipes", [](DurableLog& log) { return log.Wipe(At(4'000)); }},
};

class DurableMemoryFailureTest : public ::testing::TestWithParam<std::tuple<Case, SyncMode>> {
 protected:
  SyncMode sync() const { return std::get<1>(GetParam()); }

  std::unique_ptr<Server> Begin() {
    folder_.Clear();
    auto server = std::make_unique<Server>(folder_, sync());
    for (const char* const job : {"a", "b"}) {
      const GroupKey key = Key(job);
      Outcome outcome = Push(server->log(), key, "# TYPE x gauge\nx 1\ny 1\n", PushMode::kReplace);
      const auto status = Exchange().Await(std::move(outcome));
      EXPECT_TRUE(status);
      EXPECT_TRUE(!status || status->ok()) << status->error().message;
    }
    return server;
  }

  std::optional<Status> Command(Server& server) {
    return Exchange().Await(std::get<0>(GetParam()).command(server.log()));
  }

  bool Play(std::uint64_t number, FaultLength length) {
    std::unique_ptr<Server> server = Begin();
    Exchange exchange;
    std::optional<Status> status;
    bool thrown = false;
    FailAllocation(number, FaultScope::kAllThreads, length);
    try {
      status = exchange.Await(std::get<0>(GetParam()).command(server->log()));
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    StopFailingAllocations();
    if (AllocationsFailed() == 0) return false;
    EXPECT_TRUE(server->store().CheckInvariants());
    const std::string shown = server->Show();
    if (status && status->ok() == status_->ok() &&
        (status->ok() || status->error().code == Code::kInvalidArgument)) {
      EXPECT_EQ(shown, after_);
    } else if (thrown || !status) {
      EXPECT_TRUE(shown == before_ || shown == after_) << shown;
    } else {
      EXPECT_EQ(shown, before_) << status->error().message;
    }
    // It works again, and the files say what the store says.
    const auto again = Command(*server);
    EXPECT_TRUE(again && again->ok() == status_->ok());
    EXPECT_EQ(server->Show(), after_);
    if (length == FaultLength::kFromThenOn) return true;
    EXPECT_TRUE(server->log().Stop());
    server.reset();
    server = std::make_unique<Server>(folder_, sync());
    EXPECT_EQ(server->Show(), after_);
    return true;
  }

  void FindOut() {
    std::unique_ptr<Server> server = Begin();
    before_ = server->Show();
    status_ = Command(*server);
    after_ = server->Show();
    ASSERT_TRUE(status_);
    ASSERT_NE(before_, after_);
  }

  Folder folder_;
  std::string before_;
  std::string after_;
  std::optional<Status> status_;
};

TEST_P(DurableMemoryFailureTest, OneFailureLeavesAllOrNothing) {
  FindOut();
  SweepSingleFailures(
      [this](std::uint64_t number, FaultLength length) { return Play(number, length); });
}

TEST_P(DurableMemoryFailureTest, FailuresWithoutEndLeaveAllOrNothingOrEndTheProcess) {
  FindOut();
  SweepEndlessFailures(
      [this](std::uint64_t number, FaultLength length) { return Play(number, length); },
      kExitOutOfMemory, "pushgateway: out of memory",
      [this] {
        Server server(folder_, sync());
        const std::string shown = server.Show();
        EXPECT_TRUE(shown == before_ || shown == after_) << shown;
      });
}

INSTANTIATE_TEST_SUITE_P(Log, DurableMemoryFailureTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(SyncMode::kAlways, SyncMode::kOff)),
                         [](const auto& variant) {
                           return std::string(std::get<0>(variant.param).name) +
                                  (std::get<1>(variant.param) == SyncMode::kAlways ? "Synced"
                                                                                   : "Unsynced");
                         });

}  // namespace
}  // namespace pgw::testing
