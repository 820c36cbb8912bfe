// What the fuzz targets of journal and snapshot share. Arbitrary bytes fail at the first checksum;
// so most inputs get right ones before they are read, and then what is under them is arbitrary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "store/persistence/check.h"
#include "store/persistence/repair.h"
#include "store/persistence/storage.h"
#include "tests/store/persistence/collector.h"
#include "tests/support/fault_file_system.h"

namespace pgw::testing {

inline void CheckFailed(const char* condition, int line) {
  std::fprintf(stderr, "line %d: %s\n", line, condition);
  std::abort();
}
#define CHECK(condition) ((condition) ? void() : pgw::testing::CheckFailed(#condition, __LINE__))

// The checksum of a frame's or block's header, from its second field on.
inline std::uint32_t PlacedChecksum(std::uint32_t seed, std::uint64_t offset,
                                    std::string_view bytes) {
  char place[8];
  persistence::Store64(place, offset);
  return persistence::ExtendCrc32c(persistence::ExtendCrc32c(seed, {place, 8}), bytes);
}

inline persistence::FileId IdAt(const std::string& bytes, std::size_t offset) {
  persistence::FileId id{};
  bytes.copy(id.data(), id.size(), offset);
  return id;
}

// Both kinds of file have version and checksum at the same places.
inline void SealFileHeader(std::string_view magic, std::string& bytes) {
  magic.copy(bytes.data(), magic.size());
  persistence::Store32(bytes.data() + 8, 1);
  const std::string_view view = bytes;
  persistence::Store32(
      bytes.data() + 12,
      persistence::ExtendCrc32c(persistence::Crc32c(view.substr(0, 12)), view.substr(16, 48)));
}

// Puts a record behind each gap, as who knows what records mean may.
class Bridger final : public Collector {
 public:
  std::optional<std::string> OnGap(std::string_view /*next*/) override { return "bridge"; }
};

// Opens, checks and repairs what is there, and compares what they say.
inline void ReadInEveryWay(FaultFileSystem& files) {
  const auto before = files.Contents();
  std::size_t size = 0;
  for (const auto& [path, bytes] : before) size += bytes.size();

  Collector checked;
  const persistence::CheckReport report = persistence::Check(files, kPath, checked);
  CHECK(files.Contents() == before);
  std::size_t taken = checked.meta.size();
  for (const std::string& block : checked.blocks) taken += block.size();
  for (const auto& [lsn, record] : checked.records) taken += record.size();
  CHECK(taken <= size);

  Bridger repaired;
  const auto repair =
      persistence::Repair(files, kPath, kFolder + "/out", RepeatableOptions(1), repaired);
  for (const auto& [path, bytes] : before) CHECK(files.Contents()[path] == bytes);
  if (repair) {
    Collector again;
    const auto opened =
        persistence::Storage::Open(files, kFolder + "/out", RepeatableOptions(2), again);
    CHECK(opened);
    CHECK(again.records.size() == repair->records_kept + repair->bridges);
    CHECK(repair->bridges <= repair->records_missing + repair->records_refused);
    CHECK(again.blocks.size() == repair->blocks_kept);
    // What is sound is kept as it is; of what a start would cut off, more may be.
    if (report.sound()) {
      CHECK(again.blocks == checked.blocks && again.records.size() >= checked.records.size());
      again.records.resize(checked.records.size());
      CHECK(again.records == checked.records);
    }
  } else {
    CHECK(repair.error().code == Code::kInvalidArgument);
    CHECK(checked.records.empty() && checked.blocks.empty());
  }

  Collector first;
  {
    const auto opened = persistence::Storage::Open(files, kPath, RepeatableOptions(3), first);
    CHECK(opened.has_value() == report.sound());
    if (!opened) {
      CHECK(opened.error().message == report.problem->message);
      for (const auto& [path, bytes] : before) CHECK(files.Contents()[path] == bytes);
      return;
    }
    CHECK(first.records == checked.records && first.blocks == checked.blocks);
    if ((*opened)->lsn() < persistence::kLsnMax - 10) CHECK(AppendTo(**opened, {"new"}));
  }
  Collector second;
  const auto opened = persistence::Storage::Open(files, kPath, RepeatableOptions(4), second);
  CHECK(opened && (*opened)->recovered().torn_bytes() == 0);
  CHECK(second.blocks == first.blocks && second.records.size() >= first.records.size());
}

}  // namespace pgw::testing
