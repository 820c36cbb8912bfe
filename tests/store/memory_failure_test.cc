// What the store does when memory runs out: for every allocation of a set of commands, what comes
// of its failure. Either nothing has changed and whoever sent the command is told, or the command
// takes effect as a whole; where neither can be had, the process ends with its own exit code.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "exposition/text_parser.h"
#include "store/command_record.h"
#include "store/memory_reserve.h"
#include "tests/store/model_player.h"
#include "tests/support/failing_allocation.h"
#include "tests/support/failure_sweep.h"
#include "tests/support/store_driver.h"

namespace pgw::testing {
namespace {

using std::chrono_literals::operator""s;

using LabelList = StoreDriver::LabelList;
const LabelList kA{{"job", "a"}};
const LabelList kB{{"job", "b"}};
const LabelList kTwo{{"job", "a"}, {"zone", "z"}};
const LabelList kEscaped{{"job", "a"}, {"the.zone", "z"}};

constexpr std::int64_t kNow = 5'000;  // ms: when the command comes
constexpr std::int64_t kLong = 1'000'000;

// Everything that a reader sees of the store, and what is broken in it.
std::string Show(StoreDriver& driver, std::int64_t now) {
  std::string shown = driver.Inconsistency(now);
  if (shown.empty()) shown = driver.Scrape(now, true);
  for (const GroupView& group : driver.Groups(now)) {
    shown += group.key + "\n";
    for (const GroupView::FamilyEntry& family : group.families) {
      shown.append(family.name).append(" ").append(family.help).append("\n");
      shown.append(family.samples.lines);
    }
  }
  const Status sound = driver.store().CheckInvariants();
  return sound.ok() ? shown : "broken: " + sound.error().message;
}

std::string Families(int count, int value, std::string_view prefix = "m") {
  std::string body;
  for (int i = 0; i < count; ++i) {
    const std::string name = std::string(prefix) + std::to_string(i);
    body += "# HELP " + name + " Some words about it.\n# TYPE " + name + " gauge\n";
    body += name + "{x=\"1\"} " + std::to_string(value) + "\n";
  }
  return body;
}

std::string Series(int count, int value) {
  std::string body = "# TYPE wide counter\n";
  for (int i = 0; i < count; ++i) {
    const std::string label = std::to_string(i) + std::string(150, 'x');
    body += "wide{n=\"" + label + "\"} " + std::to_string(value) + "\n";
  }
  return body;
}

constexpr char kHistogram[] =
    "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
// Lines cannot say that of a histogram without a bucket for everything; a message is kept.
constexpr char kBeyondLines[] =
    "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 3\nh_count 2\n\"a name\" 1\n";

// What a history may hold on to while the command comes.
struct Held {
  std::shared_ptr<const Snapshot> snapshot;
  std::unique_ptr<StoreDump> dump;
};

struct Case {
  const char* name;
  std::function<void(StoreDriver&, Held&)> before;
  std::function<Status(StoreDriver&)> command;
  std::optional<std::chrono::nanoseconds> ttl = {};
  bool check = true;

  friend void PrintTo(const Case& shown, std::ostream* out) { *out << shown.name; }
};

void Fill(StoreDriver& driver, Held& /*held*/) {
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(driver.Put({{"job", "fill" + std::to_string(i)}}, Families(6, i), 1'000));
  }
  ASSERT_TRUE(driver.Put(kA, Families(6, 1), 1'000));
  ASSERT_TRUE(driver.Put(kTwo, kHistogram, 1'000));
}

void FillAndRead(StoreDriver& driver, Held& held) {
  Fill(driver, held);
  held.snapshot = driver.store().SnapshotAt(At(2'000));
}

void FillAndDump(StoreDriver& driver, Held& held) {
  FillAndRead(driver, held);
  held.dump = driver.store().BeginDump();
}

Status ApplyRecord(StoreDriver& driver, const std::string& bytes, BootTime deadline) {
  const Result<CommandRecord> record = ReadCommandRecord(bytes);
  if (!record) return record.error();
  return driver.store().Apply(*record, deadline);
}

// As a log does it: written down first, applied then.
Status PushRecord(StoreDriver& driver, const LabelList& labels, const std::string& body) {
  const Result<GroupKey> key = GroupKey::Make({labels.begin(), labels.end()});
  FamilySet set;
  if (Status status = ParseText(body, NameValidation::kUtf8, set); !status) return status;
  PushCommand command;
  command.group = &*key;
  command.mode = PushMode::kReplace;
  command.families = &set;
  command.received = At(kNow);
  RecordedPush recorded;
  if (Status status = driver.store().Record(command, recorded); !status) return status;
  return ApplyRecord(driver, recorded.record, kNever);
}

const Case kCases[] = {
    {"FirstPush", [](auto&, auto&) {}, [](auto& d) { return d.Put(kA, Families(3, 1), kNow); }},
    {"NewGroup", Fill, [](auto& d) { return d.Put(kB, Families(12, 7), kNow); }},
    {"SameLength", Fill, [](auto& d) { return d.Put(kA, Families(6, 2), kNow); }},
    {"SameLengthWhileRead", FillAndRead, [](auto& d) { return d.Put(kA, Families(6, 2), kNow); }},
    {"LongerWhileRead", FillAndRead, [](auto& d) { return d.Post(kA, Families(6, 77777), kNow); }},
    {"ReplacesOthers", FillAndRead, [](auto& d) { return d.Put(kA, Families(9, 3, "n"), kNow); }},
    {"AddsToGroup", FillAndRead, [](auto& d) { return d.Post(kA, Families(30, 3, "n"), kNow); }},
    {"LargeText", FillAndRead, [](auto& d) { return d.Post(kA, Series(120, 5), kNow); }},
    {"LargeTextGrows",
     [](auto& d, auto& held) {
       Fill(d, held);
       ASSERT_TRUE(d.Post(kA, Series(120, 5), 2'000));
       held.snapshot = d.store().SnapshotAt(At(2'000));
     },
     [](auto& d) { return d.Post(kA, Series(120, 55555), kNow); }},
    {"OtherTypeAndHelp", FillAndRead,
     [](auto& d) { return d.Put(kTwo, "# HELP h Other words.\n# TYPE h counter\nh 1\n", kNow); }},
    {"Message", FillAndRead, [](auto& d) { return d.Put(kTwo, kBeyondLines, kNow); }},
    {"EscapedGroup", FillAndRead, [](auto& d) { return d.Put(kEscaped, kHistogram, kNow); }},
    {"Refused", FillAndRead,
     [](auto& d) { return d.Put(kB, "m0{x=\"1\",job=\"b\"} 1 5\n", kNow); }},
    {"RefusedByType", FillAndRead,
     [](auto& d) {
       return d.Post(kB, "# TYPE m0 counter\nm0 1\n# TYPE m1 counter\nm1 1\n", kNow);
     }},
    {"UncheckedContradiction",
     FillAndRead,
     [](auto& d) { return d.Post(kB, "# TYPE m0 counter\nm0 1\n# TYPE z gauge\nz 1\n", kNow); },
     {},
     false},
    {"EmptyBody", FillAndRead, [](auto& d) { return d.Put(kA, "", kNow); }},
    {"RenewsExpired",
     [](auto& d, auto& held) {
       Fill(d, held);
       held.snapshot = d.store().SnapshotAt(At(kNow));  // has seen it expire
     },
     [](auto& d) { return d.Put(kA, Families(6, 1), kNow); }, 3s},
    {"Deletes", Fill, [](auto& d) { return d.Delete(kA, kNow); }},
    {"DeletesWhileRead", FillAndRead, [](auto& d) { return d.Delete(kA, kNow); }},
    {"DeletesWhileDumped", FillAndDump, [](auto& d) { return d.Delete(kTwo, kNow); }},
    {"PushesWhileDumped", FillAndDump, [](auto& d) { return d.Put(kA, Families(8, 4), kNow); }},
    {"Wipes", FillAndRead,
     [](auto& d) {
       d.store().Wipe(At(kNow));
       return Status();
     }},
    {"Expires", FillAndRead,
     [](auto& d) {
       // Until there is nothing left, as the reaper does.
       while (d.store().EraseExpired(At(kLong).boot, 7).more) {
       }
       return Status();
     },
     3s},
    {"Scrapes", FillAndRead,
     [](auto& d) {
       (void)d.Scrape(kNow, true);
       return Status();
     }},
    {"Lists", FillAndRead,
     [](auto& d) {
       (void)d.Groups(kNow);
       return Status();
     }},
    {"PushesByRecord", FillAndRead,
     [](auto& d) { return PushRecord(d, kA, Families(9, 77777, "m")); }},
};

class MemoryFailureTest : public ::testing::TestWithParam<Case> {
 protected:
  StoreDriver& Begin() {
    held_ = {};
    StoreOptions options;
    options.check_consistency = GetParam().check;
    driver_ = std::make_unique<StoreDriver>(options, GetParam().ttl.value_or(0s));
    GetParam().before(*driver_, held_);
    return *driver_;
  }

  // What the command comes to with all the memory it wants.
  void FindOut() {
    before_ = Show(Begin(), kNow);
    status_ = GetParam().command(*driver_);
    after_ = Show(*driver_, kNow);
    ASSERT_FALSE(before_.starts_with("broken")) << before_;
    ASSERT_FALSE(after_.starts_with("broken")) << after_;
  }

  // Plays the command; memory runs out at allocation `number`. False: it did not get that far.
  bool Play(std::uint64_t number, FaultLength length) {
    StoreDriver& driver = *driver_;
    std::optional<Status> status;
    FailAllocation(number, FaultScope::kThisThread, length);
    try {
      status = GetParam().command(driver);
    } catch (const std::bad_alloc&) {
    }
    StopFailingAllocations();
    if (AllocationsFailed() == 0) return false;
    const std::string shown = Show(driver, kNow);
    if (!status || (!status->ok() && status->error().code == Code::kOverloaded)) {
      EXPECT_EQ(shown, before_);
    } else {
      EXPECT_EQ(status->ok(), status_->ok());
      EXPECT_EQ(shown, after_);
    }
    // And it goes on as if nothing had happened.
    EXPECT_EQ(GetParam().command(driver).ok(), status_->ok());
    EXPECT_EQ(Show(driver, kNow), after_);
    EXPECT_TRUE(driver.Delete(kA, kNow + 1));
    EXPECT_TRUE(driver.store().CheckInvariants());
    return true;
  }

  std::string before_;
  std::string after_;
  std::optional<Status> status_;
  std::unique_ptr<StoreDriver> driver_;
  Held held_;
};

TEST_P(MemoryFailureTest, OneFailureLeavesAllOrNothing) {
  FindOut();
  SweepSingleFailures([this](std::uint64_t number, FaultLength length) {
    Begin();
    return Play(number, length);
  });
}

TEST_P(MemoryFailureTest, FailuresWithoutEndLeaveAllOrNothingOrEndTheProcess) {
  FindOut();
  SweepEndlessFailures(
      [this](std::uint64_t number, FaultLength length) {
        Begin();
        return Play(number, length);
      },
      kExitOutOfMemory, "pushgateway: out of memory", [] {});
}

INSTANTIATE_TEST_SUITE_P(Store, MemoryFailureTest, ::testing::ValuesIn(kCases),
                         [](const auto& variant) { return variant.param.name; });

// Where the reserve cannot be had, a command is refused before it has changed anything.
TEST(MemoryReserveTest, RefusesWhatThereIsNoMemoryFor) {
  MemoryReserve reserve;
  EXPECT_TRUE(reserve.Ensure(1));
  EXPECT_TRUE(reserve.Ensure(1u << 20));
  EXPECT_FALSE(reserve.Ensure(std::numeric_limits<std::size_t>::max() / 4));
  EXPECT_TRUE(reserve.Ensure(1u << 20));
}

TEST(MemoryReserveTest, GivesAFailedAllocationAnotherTry) {
  MemoryReserve outer;
  MemoryReserve inner;
  ASSERT_TRUE(outer.Ensure(1));
  ASSERT_TRUE(inner.Ensure(1));
  int made = 0;
  const auto make = [&made] {
    FailAllocation(1);
    std::make_unique<std::string>(1'000, 'x')->clear();
    StopFailingAllocations();
    made += AllocationsFailed() == 1 ? 1 : 0;
  };
  outer.Run([&] {
    inner.Run([&] {
      EXPECT_TRUE(MemoryReserve::InUse());
      make();  // takes the inner one
      make();  // and then the outer one
    });
  });
  EXPECT_EQ(made, 2);
  EXPECT_FALSE(MemoryReserve::InUse());
  EXPECT_THROW(make(), std::bad_alloc);  // outside it is as anywhere
  StopFailingAllocations();
}

// Memory runs out now and then in a random history, once each time.
TEST(MemoryFailureModelTest, AgreesOnRandomHistories) {
  int faults = 0;
  for (std::uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    History history{seed % 4 != 0, seed % 2 == 0, seed % 3 == 0 ? 0 : 1'500};
    history.fault = [&random]() -> std::shared_ptr<void> {
      if (random() % 2 == 0) return nullptr;
      std::shared_ptr<void> end(nullptr, [](void*) { StopFailingAllocations(); });
      FailAllocation(1 + random() % 40);
      return end;
    };
    ModelPlayer player(history, std::mt19937_64(seed + 1'000));
    player.Play(60);
    faults += player.faults();
  }
  EXPECT_GT(faults, 60);
}

}  // namespace
}  // namespace pgw::testing
