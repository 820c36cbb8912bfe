#include "store/persistence/storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"

namespace pgw::persistence {
namespace {

using ::testing::AllOf;
using testing::AppendTo;
using testing::Collector;
using ::testing::ElementsAre;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kFolder;
using testing::kPath;
using ::testing::Pair;
using ::testing::StartsWith;
using Operation = FaultFileSystem::Operation;

class StorageTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Storage>> TryOpen() {
    collector_ = Collector();
    collector_.accept_foreign = accept_foreign_;
    return Storage::Open(files_, kPath, testing::RepeatableOptions(++opened_), collector_);
  }
  std::unique_ptr<Storage> Open() {
    auto storage = TryOpen();
    EXPECT_TRUE(storage) << (storage ? "" : storage.error().message);
    return storage ? std::move(*storage) : nullptr;
  }
  std::string OpenError() {
    const auto storage = TryOpen();
    return storage ? "" : storage.error().message;
  }
  static void Compact(Storage& storage, const std::vector<std::string>& blocks) {
    ASSERT_TRUE(storage.BeginCompaction());
    auto writer = storage.StartSnapshot(storage.lsn(), "meta");
    ASSERT_TRUE(writer);
    for (const std::string& block : blocks) ASSERT_TRUE((*writer)->WriteBlock(block));
    const Status status = storage.CommitSnapshot(**writer);
    ASSERT_TRUE(status) << status.error().message;
  }
  void FailNext(Operation operation, int error_number) {
    files_.set_before_change([=, this](const FaultFileSystem::Call& call) {
      if (call.operation != operation) return;
      files_.FailCall(files_.calls() + 1, error_number, false);
      files_.set_before_change(nullptr);
    });
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : files_.Contents()) names.push_back(name);
    return names;
  }

  FaultFileSystem files_{kFolder};
  Collector collector_;
  bool accept_foreign_ = false;
  std::uint64_t opened_ = 0;
};

TEST_F(StorageTest, ReadsBackRecordsInOrder) {
  auto storage = Open();
  EXPECT_EQ(storage->lsn(), 0U);
  EXPECT_EQ(*AppendTo(*storage, {"a", "b"}), 1U);
  EXPECT_EQ(*AppendTo(*storage, {"c"}), 3U);
  EXPECT_EQ(storage->durable_lsn(), 0U);
  EXPECT_EQ(*storage->Sync(3), 3U);
  EXPECT_EQ(storage->durable_lsn(), 3U);
  storage.reset();
  storage = Open();
  EXPECT_THAT(collector_.records, ElementsAre(Pair(1, "a"), Pair(2, "b"), Pair(3, "c")));
  EXPECT_EQ(storage->lsn(), 3U);
  EXPECT_EQ(storage->recovered().replayed, 3U);
  EXPECT_FALSE(storage->recovered().journal->closed);
}

TEST_F(StorageTest, GivesSnapshotBeforeRecords) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a", "b"}));
  Compact(*storage, {"block 1", "block 2"});
  ASSERT_TRUE(AppendTo(*storage, {"c"}));
  EXPECT_GT(storage->sizes().snapshot_bytes, 0U);
  storage.reset();
  storage = Open();
  EXPECT_EQ(collector_.meta, "meta");
  EXPECT_THAT(collector_.blocks, ElementsAre("block 1", "block 2"));
  EXPECT_THAT(collector_.records, ElementsAre(Pair(3, "c")));
  EXPECT_THAT(Names(), ElementsAre(kPath, kPath + ".journal", kPath + ".lock"));
}

TEST_F(StorageTest, AppendsGoOnDuringACompaction) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  ASSERT_TRUE(storage->BeginCompaction());
  ASSERT_TRUE(AppendTo(*storage, {"b"}));
  auto writer = storage->StartSnapshot(2, "");
  ASSERT_TRUE(writer);
  ASSERT_TRUE(AppendTo(*storage, {"c"}));
  ASSERT_TRUE((*writer)->WriteBlock("a b"));
  EXPECT_THAT(Names(), ElementsAre(kPath + ".journal", kPath + ".journal.old", kPath + ".lock",
                                   kPath + ".tmp"));
  ASSERT_TRUE(storage->CommitSnapshot(**writer));
  storage.reset();
  storage = Open();
  EXPECT_THAT(collector_.blocks, ElementsAre("a b"));
  EXPECT_THAT(collector_.records, ElementsAre(Pair(3, "c")));
}

TEST_F(StorageTest, DoesNotRotateAgainBeforeASnapshotCoversTheOldJournal) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  ASSERT_TRUE(storage->BeginCompaction());
  auto writer = storage->StartSnapshot(1, "");
  storage->AbandonSnapshot(std::move(*writer));
  ASSERT_TRUE(AppendTo(*storage, {"b"}));
  const std::string old = files_.Contents()[kPath + ".journal.old"];
  ASSERT_TRUE(storage->BeginCompaction());
  EXPECT_EQ(files_.Contents()[kPath + ".journal.old"], old);
  storage.reset();
  storage = Open();
  EXPECT_THAT(collector_.records, ElementsAre(Pair(1, "a"), Pair(2, "b")));
  Compact(*storage, {"a b"});
  EXPECT_FALSE(files_.Contents().contains(kPath + ".journal.old"));
  storage.reset();
  storage = Open();
  EXPECT_THAT(collector_.blocks, ElementsAre("a b"));
  EXPECT_TRUE(collector_.records.empty());
}

TEST_F(StorageTest, KeepsAnOldJournalThatASnapshotDoesNotCover) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  ASSERT_TRUE(AppendTo(*storage, {"b"}));
  ASSERT_TRUE(storage->BeginCompaction());
  auto writer = storage->StartSnapshot(1, "");
  ASSERT_TRUE((*writer)->WriteBlock("a"));
  ASSERT_TRUE(storage->CommitSnapshot(**writer));
  storage.reset();
  storage = Open();
  EXPECT_THAT(collector_.blocks, ElementsAre("a"));
  EXPECT_THAT(collector_.records, ElementsAre(Pair(2, "b")));
}

TEST_F(StorageTest, CompactingNothingCreatesNoJournal) {
  auto storage = Open();
  const std::string journal = files_.Contents()[kPath + ".journal"];
  Compact(*storage, {});
  EXPECT_EQ(files_.Contents()[kPath + ".journal"], journal);
}

TEST_F(StorageTest, SyncSharesTheSyncOfOthers) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  ASSERT_TRUE(AppendTo(*storage, {"b"}));
  int syncs = 0;
  files_.set_before_change([&](const FaultFileSystem::Call& call) {
    syncs += call.operation == Operation::kSync ? 1 : 0;
  });
  EXPECT_EQ(*storage->Sync(1), 2U);
  EXPECT_EQ(*storage->Sync(2), 2U);
  EXPECT_EQ(syncs, 1);
}

TEST_F(StorageTest, FailedAppendLeavesEverythingAsItWas) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  files_.set_capacity(1);
  const Result<Lsn> failed = AppendTo(*storage, {"b"});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "write /data/F.journal: No space left on device");
  EXPECT_FALSE(storage->needs_snapshot());
  EXPECT_EQ(storage->lsn(), 1U);
  files_.Heal();
  EXPECT_EQ(*AppendTo(*storage, {"c"}), 2U);
  storage.reset();
  storage = Open();
  EXPECT_THAT(collector_.records, ElementsAre(Pair(1, "a"), Pair(2, "c")));
}

TEST_F(StorageTest, FailedSyncIsHealedByASnapshot) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  ASSERT_TRUE(storage->Sync(1));
  ASSERT_TRUE(AppendTo(*storage, {"b"}));
  FailNext(Operation::kSync, EIO);
  EXPECT_FALSE(storage->Sync(2));
  EXPECT_TRUE(storage->needs_snapshot());
  EXPECT_FALSE(AppendTo(*storage, {"c"}));
  Compact(*storage, {"a"});  // b was refused
  EXPECT_FALSE(storage->needs_snapshot());
  EXPECT_EQ(*AppendTo(*storage, {"c"}), 3U);
  EXPECT_EQ(*storage->Sync(3), 3U);
  storage.reset();
  files_.Reboot(1);
  storage = Open();
  EXPECT_THAT(collector_.blocks, ElementsAre("a"));
  EXPECT_THAT(collector_.records, ElementsAre(Pair(3, "c")));
}

TEST_F(StorageTest, WhatFailedToBeSyncedIsNeverAcknowledgedLater) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  ASSERT_TRUE(storage->Sync(1));
  ASSERT_TRUE(AppendTo(*storage, {"b"}));
  FailNext(Operation::kSync, EIO);
  EXPECT_FALSE(storage->Sync(2));
  Compact(*storage, {"a"});
  // A thread that was slow to ask must not be told that what the snapshot left out is safe.
  EXPECT_FALSE(storage->Sync(2));
  EXPECT_TRUE(storage->Sync(1));
}

TEST_F(StorageTest, SnapshotFromBeforeAFailureDoesNotHeal) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  ASSERT_TRUE(storage->BeginCompaction());
  auto writer = storage->StartSnapshot(1, "");
  ASSERT_TRUE(AppendTo(*storage, {"b"}));
  FailNext(Operation::kSync, EIO);
  EXPECT_FALSE(storage->Sync(2));
  ASSERT_TRUE((*writer)->WriteBlock("a"));
  ASSERT_TRUE(storage->CommitSnapshot(**writer));
  EXPECT_TRUE(storage->needs_snapshot());
  Compact(*storage, {"a b"});
  EXPECT_FALSE(storage->needs_snapshot());
}

TEST_F(StorageTest, CompactionGoesOnWhereItFailed) {
  for (std::uint64_t failing = 1; failing < 12; ++failing) {
    files_.Hide(kPath);
    files_.Hide(kPath + ".journal");
    auto storage = Open();
    ASSERT_TRUE(AppendTo(*storage, {"a"}));
    ASSERT_TRUE(storage->Sync(1));
    files_.FailCall(files_.calls() + failing, ENOSPC, false);
    const bool began = storage->BeginCompaction().ok();
    files_.Heal();
    ASSERT_TRUE(AppendTo(*storage, {"b"}));
    ASSERT_TRUE(storage->Sync(2)) << failing;
    if (!began) {
      ASSERT_TRUE(storage->BeginCompaction());
    }
    EXPECT_TRUE(files_.Contents().contains(kPath + ".journal.old"));
    ASSERT_TRUE(AppendTo(*storage, {"c"}));
    Compact(*storage, {"a b c"});
    EXPECT_THAT(Names(), ElementsAre(kPath, kPath + ".journal", kPath + ".lock"));
    storage.reset();
    storage = Open();
    EXPECT_THAT(collector_.blocks, ElementsAre("a b c"));
    EXPECT_TRUE(collector_.records.empty());
    storage.reset();
  }
}

TEST_F(StorageTest, ClosesInOrder) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  ASSERT_TRUE(storage->Close());
  storage.reset();
  const auto closed = files_.Contents();
  files_.Reboot(3);
  EXPECT_EQ(files_.Contents(), closed);
  storage = Open();
  EXPECT_TRUE(storage->recovered().journal->closed);
  // Who adds nothing changes nothing.
  ASSERT_TRUE(storage->Close());
  EXPECT_EQ(files_.Contents(), closed);
}

TEST_F(StorageTest, SecondProcessIsRefused) {
  const auto first = Open();
  EXPECT_EQ(OpenError(), "lock /data/F.lock: held by another process");
}

TEST_F(StorageTest, SecondProcessIsRefusedWithoutTheLockFile) {
  const auto first = Open();
  ASSERT_TRUE(AppendTo(*first, {"a"}));
  files_.Hide(kPath + ".lock");
  EXPECT_EQ(OpenError(),
            "lock /data/F.journal: held by another process, though /data/F.lock is not");
  EXPECT_FALSE(files_.Contents().contains(kPath + ".lock"));
  // It is made again, so that the next one learns of it there.
  ASSERT_TRUE(first->CheckPlace());
  EXPECT_EQ(OpenError(), "lock /data/F.lock: held by another process");
  ASSERT_TRUE(AppendTo(*first, {"b"}));
}

TEST_F(StorageTest, HoldsItsLockAgainWhereItWasRemoved) {
  const auto first = Open();
  files_.Hide(kPath + ".lock");
  ASSERT_TRUE(first->CheckPlace());
  EXPECT_EQ(OpenError(), "lock /data/F.lock: held by another process");
}

// Whatever changes places.
TEST_F(StorageTest, JournalsAreLockedAtEveryMoment) {
  auto storage = Open();
  std::uint64_t looks = 0;
  bool looking = false;
  files_.set_before_change([&](const FaultFileSystem::Call&) {
    if (std::exchange(looking, true)) return;
    for (const FileAccess access : {FileAccess::kRead, FileAccess::kReadWrite}) {
      EXPECT_FALSE(LockJournals(files_, FileNames(kPath), access)) << looks;
      ++looks;
    }
    looking = false;
  });
  const auto compact = [&] {
    ASSERT_TRUE(storage->BeginCompaction());
    ASSERT_TRUE(AppendTo(*storage, {"more"}));
    auto writer = storage->StartSnapshot(storage->lsn(), "meta");
    ASSERT_TRUE(writer);
    ASSERT_TRUE(storage->CommitSnapshot(**writer));
  };
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  compact();
  // A journal that is replaced.
  ASSERT_TRUE(AppendTo(*storage, {"b"}));
  looking = true;  // a look would be the call that fails
  files_.FailCall(files_.calls() + 1, EIO, false);
  ASSERT_FALSE(storage->Sync(storage->lsn()));
  looking = false;
  ASSERT_TRUE(storage->needs_snapshot());
  auto writer = storage->StartSnapshot(storage->lsn(), "meta");
  ASSERT_TRUE(writer && storage->CommitSnapshot(**writer));
  ASSERT_TRUE(AppendTo(*storage, {"c"}));
  compact();
  // What a start finds.
  ASSERT_TRUE(AppendTo(*storage, {"d"}));
  ASSERT_TRUE(storage->BeginCompaction());
  ASSERT_TRUE(AppendTo(*storage, {"e"}));
  looking = true;
  storage.reset();
  storage = Open();
  looking = false;
  ASSERT_TRUE(AppendTo(*storage, {"f"}));
  compact();
  compact();
  EXPECT_GT(looks, 40U);
}

TEST_F(StorageTest, TouchesNothingOnceAnotherProcessHasTakenItsPlace) {
  auto first = Open();
  ASSERT_TRUE(AppendTo(*first, {"a"}));
  for (const char* const suffix : {".lock", ".journal"}) files_.Hide(kPath + suffix);
  const auto second = Open();
  ASSERT_TRUE(AppendTo(*second, {"b"}));
  const auto started = files_.Contents();
  EXPECT_FALSE(first->BeginCompaction());
  EXPECT_EQ(files_.Contents(), started);
  EXPECT_FALSE(first->CheckPlace());
  const auto before = files_.Contents();
  const auto writer = first->StartSnapshot(first->lsn(), "meta");
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().message, "lock /data/F.lock: held by another process");
  EXPECT_EQ(files_.Contents(), before);
  EXPECT_TRUE(second->CheckPlace());
}

TEST_F(StorageTest, MissingOrUnwritableFolderIsAnError) {
  auto storage = Storage::Open(files_, "/missing/F", {}, collector_);
  ASSERT_FALSE(storage);
  EXPECT_EQ(storage.error().message, "stat /missing: No such file or directory");
  files_.set_writable(false);
  EXPECT_EQ(OpenError(), "write to /data: Permission denied");
  EXPECT_THAT(Names(), ElementsAre());
}

TEST_F(StorageTest, TornTailIsCutAndCounted) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  storage.reset();
  const std::string whole = files_.Contents()[kPath + ".journal"];
  files_.Put(kPath + ".journal", whole + std::string(77, '\x5a'));
  storage = Open();
  EXPECT_THAT(collector_.records, ElementsAre(Pair(1, "a")));
  EXPECT_EQ(storage->recovered().torn_bytes(), 77U);
  EXPECT_EQ(files_.Contents()[kPath + ".journal"], whole);
}

TEST_F(StorageTest, RecordsOfAnotherStoreAreNotTaken) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  Compact(*storage, {"a"});
  storage.reset();
  const std::string snapshot = files_.Contents()[kPath];
  files_.Hide(kPath);
  files_.Hide(kPath + ".journal");
  storage = Open();
  storage.reset();
  files_.Put(kPath, snapshot);
  EXPECT_EQ(
      OpenError(),
      "/data/F.journal: damaged at offset 0: belongs to another store than the files beside it");
}

TEST_F(StorageTest, MissingSnapshotIsNoticed) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  Compact(*storage, {"a"});
  storage.reset();
  const std::string snapshot = files_.Contents()[kPath];
  files_.Hide(kPath);
  EXPECT_EQ(OpenError(),
            "/data/F.journal: damaged at offset 0: the file begins too late, record 1 is missing "
            "and there is no snapshot");
}

TEST_F(StorageTest, SnapshotAloneIsEnough) {
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"a", "b"}));
  Compact(*storage, {"a b"});
  storage.reset();
  files_.Hide(kPath + ".journal");
  storage = Open();
  EXPECT_THAT(collector_.blocks, ElementsAre("a b"));
  EXPECT_EQ(*AppendTo(*storage, {"c"}), 3U);
}

TEST_F(StorageTest, RefusedContentsAreDamageWithFileAndOffset) {
  class Refusing : public Collector {
   public:
    Status OnRecord(Lsn lsn, std::string_view record) override {
      if (record == "bad") return InvalidArgument("no command");
      return Collector::OnRecord(lsn, record);
    }
    Status OnSnapshotBlock(std::string_view block) override {
      if (block == "bad") return InvalidArgument("no group");
      return Collector::OnSnapshotBlock(block);
    }
  };
  auto storage = Open();
  ASSERT_TRUE(AppendTo(*storage, {"good", "bad"}));
  storage.reset();
  auto before = files_.Contents();
  Refusing refusing;
  auto refused = Storage::Open(files_, kPath, {}, refusing);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "/data/F.journal: damaged at offset 64: record 2: no command");
  EXPECT_EQ(files_.Contents(), before);

  storage = Open();
  Compact(*storage, {"good", "bad"});
  storage.reset();
  before = files_.Contents();
  refused = Storage::Open(files_, kPath, {}, refusing);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "/data/F: damaged at offset 104: no group");
  EXPECT_EQ(files_.Contents(), before);
}

TEST_F(StorageTest, ForeignFileStopsTheStartUnlessItIsTaken) {
  files_.Put(kPath, "something foreign");
  const auto before = files_.Contents();
  EXPECT_EQ(OpenError(), "/data/F: damaged at offset 0: not a snapshot");
  EXPECT_EQ(files_.Contents(), before);
}

TEST_F(StorageTest, ARefusedStartLeavesALockFileThatWasThere) {
  files_.Put(kPath, "something foreign");
  files_.Put(kPath + ".lock", "");
  EXPECT_FALSE(OpenError().empty());
  EXPECT_THAT(Names(), ElementsAre(kPath, kPath + ".lock"));
}

TEST_F(StorageTest, WithdrawsWhatItMade) {
  Open()->Withdraw();
  EXPECT_THAT(Names(), IsEmpty());
  ASSERT_TRUE(Open()->Close());
  const auto before = files_.Contents();
  Open()->Withdraw();
  EXPECT_EQ(files_.Contents(), before);
}

// As `touch` makes it for a mount.
TEST_F(StorageTest, AnEmptyFileIsAnEmptyStore) {
  files_.Put(kPath, "");
  auto storage = Open();
  EXPECT_FALSE(storage->recovered().snapshot);
  ASSERT_TRUE(AppendTo(*storage, {"a"}));
  storage.reset();
  storage = Open();
  EXPECT_THAT(collector_.records, ElementsAre(Pair(1, "a")));
  Compact(*storage, {"a"});
  storage.reset();
  storage = Open();
  EXPECT_THAT(collector_.blocks, ElementsAre("a"));
  storage.reset();
  // One that was a snapshot, and lost what was in it, is none.
  files_.Put(kPath, "");
  EXPECT_EQ(OpenError(),
            "/data/F.journal: damaged at offset 0: the file begins too late, record 1 "
            "is missing and there is no snapshot");
}

TEST_F(StorageTest, ForeignFileIsKeptBesideTheSnapshotThatReplacesIt) {
  accept_foreign_ = true;
  for (const bool links : {true, false}) {
    files_.set_links_supported(links);
    files_.Put(kPath, "something foreign");
    files_.Put(kPath + ".gob.bak", "an older one");
    files_.Hide(kPath + ".journal");
    auto storage = Open();
    EXPECT_EQ(collector_.foreign, "something foreign");
    EXPECT_TRUE(storage->recovered().snapshot->foreign);
    ASSERT_TRUE(AppendTo(*storage, {"a"}));
    storage.reset();
    storage = Open();  // once more, since no snapshot was made
    EXPECT_EQ(collector_.foreign, "something foreign");
    EXPECT_THAT(collector_.records, ElementsAre(Pair(1, "a")));
    Compact(*storage, {"imported, a"});
    EXPECT_EQ(files_.Contents()[kPath + ".gob.bak"], "something foreign");
    EXPECT_THAT(Names(),
                ElementsAre(kPath, kPath + ".gob.bak", kPath + ".journal", kPath + ".lock"));
    storage.reset();
    storage = Open();
    EXPECT_EQ(collector_.foreign, "");
    EXPECT_THAT(collector_.blocks, ElementsAre("imported, a"));
    storage.reset();
  }
}

TEST_F(StorageTest, ForeignFileIsNeverMissingUnderBothNames) {
  accept_foreign_ = true;
  files_.Put(kPath, "something foreign");
  auto storage = Open();
  std::uint64_t seed = 0;
  files_.set_before_change([&](const FaultFileSystem::Call&) {
    const auto clone = files_.Clone();
    clone->Reboot(++seed);
    auto contents = clone->Contents();
    EXPECT_TRUE(contents[kPath] == "something foreign" ||
                contents[kPath + ".gob.bak"] == "something foreign");
    EXPECT_TRUE(contents.contains(kPath));
  });
  Compact(*storage, {"imported"});
  EXPECT_GT(seed, 5U);
}

TEST_F(StorageTest, LeftoversAreRemovedAtStart) {
  Open()->Close().ok();
  files_.Put(kPath + ".tmp", "unfinished");
  files_.Put(kPath + ".journal.next", "unfin");
  const auto storage = Open();
  EXPECT_THAT(Names(), ElementsAre(kPath + ".journal", kPath + ".lock"));
}

TEST_F(StorageTest, AppendsAndSyncsFromThreadsBesideACompaction) {
  PosixFileSystem posix;
  char folder[] = "/tmp/pgw_storage_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/F";
  constexpr int kThreads = 3;
  constexpr int kAppends = 40;
  {
    auto storage = Storage::Open(posix, path, {}, collector_);
    ASSERT_TRUE(storage) << storage.error().message;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&storage] {
        for (int i = 0; i < kAppends; ++i) {
          const Result<Lsn> lsn = AppendTo(**storage, {"r"});
          ASSERT_TRUE(lsn);
          const Result<Lsn> synced = (*storage)->Sync(*lsn);
          ASSERT_TRUE(synced);
          EXPECT_GE(*synced, *lsn);
        }
      });
    }
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE((*storage)->BeginCompaction());
      const Lsn lsn = (*storage)->lsn();
      auto writer = (*storage)->StartSnapshot(lsn, "");
      ASSERT_TRUE(writer);
      ASSERT_TRUE((*writer)->WriteBlock(std::to_string(lsn)));
      ASSERT_TRUE((*storage)->CommitSnapshot(**writer));
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ((*storage)->durable_lsn(), Lsn{kThreads * kAppends});
  }
  collector_ = Collector();
  auto storage = Storage::Open(posix, path, {}, collector_);
  ASSERT_TRUE(storage) << storage.error().message;
  const Lsn covered = std::stoul(collector_.blocks.at(0));
  EXPECT_EQ(covered + collector_.records.size(), Lsn{kThreads * kAppends});
  storage->reset();
  const auto names = posix.List(folder);
  for (const std::string& name : *names)
    EXPECT_TRUE(posix.Remove(std::string(folder) + "/" + name));
  rmdir(folder);
}

}  // namespace
}  // namespace pgw::persistence
