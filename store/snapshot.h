// What readers get from the store: immutable views that hold references to chunks of text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "exposition/family_set.h"
#include "exposition/metric_type.h"
#include "exposition/names.h"

namespace pgw {

class Block;  // store/block.h

// A counted reference to a block.
class BlockRef {
 public:
  BlockRef() = default;
  explicit BlockRef(Block* block);  // takes a further reference
  BlockRef(const BlockRef& other);
  BlockRef(BlockRef&& other) noexcept : block_(other.block_) { other.block_ = nullptr; }
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef();

  Block* get() const { return block_; }

 private:
  Block* block_ = nullptr;
};

// One family's stored samples: text lines in the default escaping, and, where lines cannot carry
// everything, the pushed message.
struct StoredSamples {
  std::string_view lines;
  std::string_view message;  // an io.prometheus.client.MetricFamily, or empty
};

// All groups at one instant, by family, as a scrape shows them. Thread-safe after construction.
class Snapshot {
 public:
  struct FamilyView {
    std::string_view name;    // as pushed
    MetricType type;          // of the most recent push
    std::string_view help;    // of the most recent push that had one
    bool has_help;
    std::string_view header;  // HELP and TYPE lines in the default escaping
  };

  // Families that have at least one live sample line, in bytewise order of their names as the
  // default escaping emits them.
  std::size_t family_count() const;
  FamilyView family(std::size_t index) const;

  // Appends the family's lines as long contiguous pieces (default escaping). A piece lives as
  // long as the snapshot and `scratch`, which receives those that had to be put together.
  void AppendText(std::size_t family, std::vector<std::string_view>& pieces,
                  std::vector<std::unique_ptr<std::string>>& scratch) const;

  // True if another escaping, or protobuf, needs the stored messages of this family.
  bool HasMessages(std::size_t family) const;

  // Calls `visit` for the samples of each group that are alive.
  void VisitSamples(std::size_t family, const std::function<void(const StoredSamples&)>& visit) const;

  // Groups alive, and their sample lines (bookkeeping included).
  std::size_t groups() const;
  std::size_t series() const;

  // What makes the whole state inconsistent, in upstream's words: possible only in unchecked mode.
  const std::optional<Error>& inconsistency() const;

  Snapshot();
  ~Snapshot();

 private:
  friend class SnapshotBuilder;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One group for the JSON API and the status page.
struct GroupView {
  struct FamilyEntry {
    std::string_view name;
    MetricType type;
    std::string_view help;
    bool has_help;
    WallTime pushed;         // when the push that last set it was received
    BootTime deadline;       // kNever: lives for ever
    StoredSamples samples;
  };

  std::string key;                    // SplitGroupKey() gives the labels
  std::optional<WallTime> last_success;  // of a PUT or POST
  std::optional<WallTime> last_failure;
  WallTime success_entry_time;        // time_stamp of push_time_seconds
  WallTime failure_entry_time;        // time_stamp of push_failure_time_seconds
  BootTime deadline;
  std::vector<FamilyEntry> families;  // sorted by name, without the two bookkeeping ones
  std::vector<BlockRef> blocks;       // keep the views alive
  std::vector<std::shared_ptr<const std::string>> texts;

  bool last_push_successful() const;
};

}  // namespace pgw
