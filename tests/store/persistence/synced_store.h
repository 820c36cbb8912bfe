// What tests of damage begin with: a store in all three files, everything synced.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

#include "store/persistence/storage.h"
#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"

namespace pgw::testing {

inline const std::string kJournal = kPath + ".journal";
inline const std::string kOld = kPath + ".journal.old";

class SyncedStoreTest : public ::testing::Test {
 protected:
  // A snapshot of records 1 and 2, an old journal with 3 and 4, a journal with 5, 6 and 7; each
  // record was synced.
  void SetUp() override {
    storage_ = Open();
    Append("1");
    Append("2");
    ASSERT_TRUE(storage_->BeginCompaction());
    auto writer = storage_->StartSnapshot(2, "meta");
    ASSERT_TRUE((*writer)->WriteBlock("block 1"));
    ASSERT_TRUE((*writer)->WriteBlock("block 2"));
    ASSERT_TRUE(storage_->CommitSnapshot(**writer));
    Append("3");
    Append("4");
    ASSERT_TRUE(storage_->BeginCompaction());
    Append("5");
    Append("6");
    last_frame_ = storage_->sizes().new_journal_bytes;
    Append("7");
  }

  std::unique_ptr<persistence::Storage> Open() {
    auto storage = persistence::Storage::Open(files_, kPath, RepeatableOptions(), collector_);
    EXPECT_TRUE(storage) << (storage ? "" : storage.error().message);
    return storage ? std::move(*storage) : nullptr;
  }
  void Append(const std::string& record) {
    const Result<persistence::Lsn> lsn = AppendTo(*storage_, {record});
    ASSERT_TRUE(lsn);
    ASSERT_TRUE(storage_->Sync(*lsn));
  }
  // The error of opening a store whose files are as they are now but for one bit; checks that
  // nothing was touched.
  std::string ErrorWithFlip(const std::string& path, std::uint64_t bit) {
    const auto clone = files_.Clone();
    clone->FlipBit(path, bit);
    const auto before = clone->Contents();
    Collector collector;
    const auto storage = persistence::Storage::Open(*clone, kPath, RepeatableOptions(), collector);
    if (storage) return {};
    EXPECT_EQ(clone->Contents(), before);
    return storage.error().message;
  }
  std::uint64_t Size(const std::string& path) { return files_.Contents()[path].size(); }

  FaultFileSystem files_{kFolder};
  Collector collector_;
  std::unique_ptr<persistence::Storage> storage_;
  std::uint64_t last_frame_ = 0;  // where it begins in the journal
};

}  // namespace pgw::testing
