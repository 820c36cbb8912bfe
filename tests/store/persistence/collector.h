// What tests of persistence share: a replayer that remembers, identities that repeat.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/persistence/recovery.h"
#include "store/persistence/storage.h"

namespace pgw::testing {

inline const std::string kFolder = "/data";
inline const std::string kPath = "/data/F";

class Collector : public persistence::Replayer {
 public:
  Status OnSnapshotMeta(std::string_view bytes) override {
    meta = bytes;
    return {};
  }
  Status OnSnapshotBlock(std::string_view block) override {
    blocks.emplace_back(block);
    return {};
  }
  Status OnRecord(persistence::Lsn lsn, std::string_view record) override {
    records.emplace_back(lsn, record);
    return {};
  }
  Status OnForeignSnapshot(const File& file) override {
    if (!accept_foreign) return Replayer::OnForeignSnapshot(file);
    foreign.resize(100);
    const Result<std::size_t> read = file.ReadAt(0, foreign);
    if (!read) return read.error();
    foreign.resize(*read);
    return {};
  }

  std::string meta;
  std::vector<std::string> blocks;
  std::vector<std::pair<persistence::Lsn, std::string>> records;
  bool accept_foreign = false;
  std::string foreign;
};

// Identities 1, 2, 3 … behind `seed`.
inline persistence::StorageOptions RepeatableOptions(std::uint64_t seed = 0) {
  persistence::StorageOptions options;
  auto count = std::make_shared<std::uint64_t>(seed << 20U);
  options.random_id = [count]() -> Result<persistence::FileId> {
    persistence::FileId id{};
    const std::uint64_t number = ++*count;
    persistence::Store64(id.data(), number * 0x9e3779b97f4a7c15U);
    persistence::Store64(id.data() + 8, number * 0xbf58476d1ce4e5b9U);
    return id;
  };
  return options;
}

inline Result<persistence::Lsn> AppendTo(persistence::Storage& storage,
                                         const std::vector<std::string>& records) {
  const std::vector<std::string_view> views(records.begin(), records.end());
  return storage.Append(views);
}

}  // namespace pgw::testing
