// What readers get from the store: immutable views that hold references to blocks of text.
// Knows exposition, store/block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "exposition/family_set.h"
#include "exposition/metric_type.h"
#include "store/block_refs.h"
#include "store/deflated_text.h"
#include "store/shared_text.h"

namespace pgw {

// One family's stored samples of one group: text lines in the default escaping, and, where lines
// cannot carry everything, the pushed message.
struct StoredSamples {
  std::string_view lines;
  std::string_view message;  // an io.prometheus.client.MetricFamily, or empty
};

// Appends one family to `out` with what the store keeps of one group's part of it; help is there
// only where there is a message. Views end with the samples.
// kInternal: they do not read back. The store wrote them, so it is a defect of ours.
Status ReadStoredSamples(std::string_view name, MetricType type, const StoredSamples& samples,
                         FamilySet& out);

// A part of what a snapshot shows.
struct TextPiece {
  std::string_view text;
  const Block* block = nullptr;  // whose text this is, as far as it is alive
  // What readers had left with it when the piece was made.
  const DeflatedTexts::Node* deflated = nullptr;
};

// All groups at one instant, by family, as a scrape shows them. Immutable, hence thread-safe.
class Snapshot {
 public:
  ~Snapshot() = default;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  struct FamilyView {
    std::string_view name;  // as pushed
    MetricType type;        // of the most recent push
    std::string_view help;  // of the most recent push that had one
    bool has_help;
    std::string_view header;  // HELP and TYPE lines in the default escaping
  };

  // Families that have at least one live sample line, in bytewise order of their names as the
  // default escaping emits them.
  std::size_t family_count() const { return families_.size(); }
  // Of all families together: about as many pieces as they are.
  std::size_t block_count() const { return blocks_.size(); }
  FamilyView family(std::size_t index) const;

  // Appends the family's lines as long contiguous pieces (default escaping). A piece lives as
  // long as the snapshot and `scratch`, which receives those that had to be put together.
  void AppendText(std::size_t family, std::vector<std::string_view>& pieces,
                  std::vector<std::unique_ptr<std::string>>& scratch) const;
  void AppendText(std::size_t family, std::vector<TextPiece>& pieces,
                  std::vector<std::unique_ptr<std::string>>& scratch) const;

  // Bytes of memory, without the blocks. Names and help count in full, although the store may have
  // them as well.
  std::size_t footprint() const;

  // Where the memory of compressed forms is counted that are left with the blocks.
  const DeflatedBytes& deflated_bytes() const { return deflated_bytes_; }

  // True if another escaping, or protobuf, needs the stored messages of this family.
  bool HasMessages(std::size_t family) const;

  // Calls `visit` for the samples of each group that are alive.
  void VisitSamples(std::size_t family,
                    const std::function<void(const StoredSamples&)>& visit) const;

  // Groups alive, and their sample lines (bookkeeping included).
  std::size_t groups() const { return groups_; }
  std::size_t series() const { return series_; }

  // What makes the whole state inconsistent, in upstream's words: possible only in unchecked mode.
  const std::optional<Error>& inconsistency() const { return inconsistency_; }

 private:
  friend class MetricStore;
  friend class Verifier;

  struct FamilyPart {
    SharedText name;
    SharedText help;
    SharedText header;
    MetricType type = MetricType::kUntyped;
    bool suspect = false;
    std::uint32_t first_block = 0;
    std::uint32_t block_count = 0;
  };

  Snapshot(DeflatedBytes deflated_bytes, std::shared_ptr<MemoryAccount> account)
      : deflated_bytes_(std::move(deflated_bytes)), blocks_(std::move(account)) {}

  // Drops families without live lines and counts the rest.
  void Finish();
  // In unchecked mode the most recent push of a family may have been of another type, and be gone.
  // Returns how many headers had to be corrected.
  std::size_t CorrectTypes();
  // Lines alive in a block.
  std::size_t LiveLines(const Block& block) const;
  // Calls `visit(TextPiece)` for each block of the family that shows anything.
  template <typename Visit>
  void VisitText(std::size_t family, std::vector<std::unique_ptr<std::string>>& scratch,
                 const Visit& visit) const;
  // Calls `visit(block, slot index)` for each live slot of the family.
  template <typename Visit>
  void VisitSlots(const FamilyPart& part, const Visit& visit) const;

  const DeflatedBytes deflated_bytes_;
  Deadline now_ = 0;
  std::vector<FamilyPart> families_;
  BlockRefs blocks_;
  std::size_t groups_ = 0;
  std::size_t series_ = 0;
  std::optional<Error> inconsistency_;
};

template <typename Visit>
void Snapshot::VisitSlots(const FamilyPart& part, const Visit& visit) const {
  for (std::uint32_t b = part.first_block; b < part.first_block + part.block_count; ++b) {
    const Block& block = blocks_[b];
    for (std::uint32_t i = 0; i < block.slot_count(); ++i) {
      if (block.slot(i).alive(now_)) visit(block, i);
    }
  }
}

// One group for the JSON API and the status page.
struct GroupView {
  struct FamilyEntry {
    std::string_view name;
    MetricType type;
    std::string_view help;
    bool has_help;
    WallTime pushed;    // when the push that last set it was received
    BootTime deadline;  // kNever: lives for ever
    StoredSamples samples;
  };

  std::string key;                       // SplitGroupKey() gives the labels
  std::optional<WallTime> last_success;  // of a PUT or POST
  std::optional<WallTime> last_failure;
  WallTime success_entry_time;  // time_stamp of push_time_seconds
  WallTime failure_entry_time;  // time_stamp of push_failure_time_seconds
  BootTime deadline;
  std::vector<FamilyEntry> families;  // sorted by name, without the two bookkeeping ones
  BlockRefs blocks;                   // keep the views alive
  std::vector<SharedText> texts;

  bool last_push_successful() const {
    return !last_failure || (last_success && *last_failure <= *last_success);
  }
};

}  // namespace pgw
