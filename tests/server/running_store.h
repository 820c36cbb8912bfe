// Files of a store as a server leaves them, on a file system in memory.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "exposition/text_parser.h"
#include "store/durable/durable_store.h"
#include "store/durable/gob_import.h"
#include "store/metric_store.h"
#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"

namespace pgw::testing {

// On both clocks; the wall clock's is 1000 s more.
inline Instant AtSeconds(std::int64_t seconds) {
  return {BootTime(std::chrono::seconds(seconds)), WallTime(std::chrono::seconds(seconds + 1'000))};
}

struct RunningOptions {
  std::chrono::nanoseconds ttl{0};
  std::string boot_id = "boot";
  Instant start = AtSeconds(0);
  std::string path = kPath;
  std::uint64_t seed = 7;  // of identities
};

// A server that runs on the files.
struct Running {
  explicit Running(FaultFileSystem& files, const RunningOptions& running = {}) {
    DurableStore::Options options;
    options.session = {running.boot_id, running.ttl, running.start};
    options.storage = RepeatableOptions(running.seed);
    options.foreign = [this](const File& file, MetricStore& into) {
      return ImportGob(file, into, imported);
    };
    auto opened = DurableStore::Open(files, running.path, store, std::move(options));
    EXPECT_TRUE(opened) << opened.error().message;
    if (opened) durable = std::move(*opened);
  }

  void Push(const std::string& job, std::string_view body, Instant received) {
    const Result<GroupKey> key = GroupKey::Make({{"job", job}});
    FamilySet set;
    ASSERT_TRUE(ParseText(body, NameValidation::kUtf8, set));
    PushCommand push;
    push.group = &*key;
    push.families = &set;
    push.received = received;
    Command command;
    RecordedPush recorded;
    ASSERT_TRUE(store.Record(push, recorded));
    command.record = recorded.record;
    command.received = push.received.boot;
    ASSERT_TRUE(durable->Commit({&command, 1}, true));
  }
  void Push(const std::string& job, std::string_view body, std::int64_t seconds) {
    Push(job, body, AtSeconds(seconds));
  }
  void Snapshot() {
    ASSERT_TRUE(durable->PrepareSnapshot());
    const auto written =
        durable->WriteSnapshot(durable->BeginSnapshot(), [](std::size_t) { return true; });
    ASSERT_TRUE(written && *written == DurableStore::Written::kDone);
  }

  MetricStore store{StoreOptions()};
  ImportReport imported;
  std::unique_ptr<DurableStore> durable;
};

}  // namespace pgw::testing
