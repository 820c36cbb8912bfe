// Groups as bytes, for a file that outlives the process: written from the store, and put back into
// one. Knows the other parts of store. docs/persistence.md describes the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/state.h"

namespace pgw {

// Fills blocks with groups. Each block stands for itself: what is known of a family is written
// where the block first mentions it. A large group may extend over several. Used under the store's
// lock.
class GroupWriter {
 public:
  // Blocks are about this large, unless a single family in a group is larger.
  static constexpr std::size_t kBlockBytes = 256 * 1024;

  // `blocks_ever` numbers the blocks of all writers of one store, and outlives this one.
  explicit GroupWriter(std::uint64_t& blocks_ever) : blocks_ever_(blocks_ever) {}

  // Without what has expired at `now`. A group that has expired altogether is not written.
  void Write(const Group& group, Deadline now);

  std::size_t bytes() const { return finished_bytes_ + block_.size(); }
  // Everything written so far, and none of it empty; begins anew.
  std::vector<std::string> Take();

 private:
  void WriteHead(const Group& group, std::uint8_t kind);
  void WriteMember(const Member& member);
  // What was known of a family in another block is not in this one.
  void BeginBlock();
  void FinishBlock();

  std::uint64_t& blocks_ever_;
  std::uint64_t number_ = 0;  // of this block; 0: not begun
  std::uint32_t families_ = 0;
  std::string block_;
  std::vector<std::string> finished_;
  std::size_t finished_bytes_ = 0;
};

// Puts the groups of a block into the store's state, at the places of the deadlines they had.
// kInvalidArgument: these bytes are no such block, or a group or family comes twice. What came
// before the fault has been put in.
Status ReadGroups(std::string_view block, State& state);

}  // namespace pgw
