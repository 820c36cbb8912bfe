// How much memory a change may need: asked for before the change begins, so that it does not stop
// halfway. All of these are upper bounds; what a change really needs is mostly nothing.

#include <algorithm>

#include "store/memory_reserve.h"
#include "store/metric_store_impl.h"

namespace pgw {
namespace {

// A change makes some small allocations, each of which may cost a page of the system where memory
// is short.
constexpr std::size_t kSmallBytesMax = 32 * 1024;
// A value beside the labels in a bookkeeping line, and its name.
constexpr std::size_t kStampBytesMax = 256;

}  // namespace

bool MetricStore::Impl::SetMemoryAside(std::size_t bytes, bool must) {
  if (memory_.Ensure(bytes)) return true;
  // A caller inside a Run() of its own has set memory aside for this change.
  if (must && !MemoryReserve::InUse()) EndOutOfMemory();
  return must;
}

std::size_t MetricStore::Impl::BytesToEnter(const Entering& push, const Verdict& verdict,
                                            bool refused) {
  std::size_t bytes = BytesToStamp(verdict.group, push.key.text.size());
  if (verdict.group != nullptr) {
    bytes += BytesToWriteBeforeChange(*verdict.group);
  } else {
    bytes += state_->AddGroupBytesMax(push.key.text);
  }
  if (!refused) bytes += BytesToApply(verdict.group, push);
  if (push.fingerprint) bytes += state_->RememberBytesMax();
  // A push leaves room for all that is no push; but one that a log has already takes what it needs.
  return push.must_enter ? bytes : std::max(bytes, MemoryReserve::kKept);
}

std::size_t MetricStore::Impl::BytesToStamp(const Group* group, std::size_t key) {
  // Labels may double when they are escaped; the message has them once more.
  const std::size_t line = kStampBytesMax + 4 * key;
  std::size_t bytes = kSmallBytesMax + 8 * line;
  for (const Bookkeeping which : {kSuccess, kFailure}) {
    const ChunkList& chunks = state_->bookkeeping(which).chunks;
    const bool exists = group != nullptr && group->bookkeeping[which].chunk != nullptr;
    bytes += exists ? chunks.ReplaceBytesMax(group->bookkeeping[which].slot_ref(), line)
                    : chunks.InsertBytesMax(line);
  }
  return bytes;
}

std::size_t MetricStore::Impl::BytesToApply(Group* group, const Entering& push) {
  const std::vector<Target>& targets = push.work.targets;
  std::size_t bytes = 0;
  std::size_t words = 0;  // names and help, of which headers and members may be made anew
  std::size_t new_members = 0;
  std::size_t new_families = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const PreparedFamily& family = push.prepared.families()[i];
    const Target& target = targets[i];
    words += family.name.size() + family.help.size();
    if (target.family == nullptr) {
      ++new_families;
      ++new_members;
      bytes += 2 * family.text_size;
      continue;
    }
    const StoredFamily& stored = *target.family;
    if (target.member == kNoIndex) {
      ++new_members;
      bytes += stored.chunks.InsertBytesMax(family.text_size) + stored.CountBytesMax();
      continue;
    }
    const Member& member = group->members[target.member];
    if (member.alive(push.time)) {
      bytes += stored.chunks.ReplaceBytesMax(member.slot_ref(), family.text_size);
    } else {
      bytes += stored.chunks.ForgetBytesMax(member.slot_ref()) +
               stored.chunks.InsertBytesMax(family.text_size);
    }
    if (member.type != family.type || member.has_samples != family.has_samples) {
      bytes += stored.CountBytesMax();
    }
  }
  bytes += 16 * words + targets.size() * StoredFamily::kHeaderBytesMax;
  if (new_members > 0) {
    const std::size_t members = (group != nullptr ? group->members.size() : 0) + new_members;
    bytes += state_->AddFamiliesBytesMax(new_families) + 4 * members * sizeof(Member);
  }
  if (push.mode == PushMode::kMerge || group == nullptr) return bytes;
  for (std::size_t i = 0; i < group->members.size(); ++i) {
    if (push.work.touched[i] == 0) {
      bytes += State::EmptyMemberBytesMax(group->members[i], push.time);
    }
  }
  return bytes;
}

std::size_t MetricStore::Impl::BytesToRemove(const Group& group, Deadline now) {
  std::size_t bytes = kSmallBytesMax + BytesToWriteBeforeChange(group);
  for (const Member& member : group.members) bytes += State::EmptyMemberBytesMax(member, now);
  for (const Member& member : group.bookkeeping) {
    if (member.chunk != nullptr) bytes += State::EmptyMemberBytesMax(member, now);
  }
  return bytes;
}

std::size_t MetricStore::Impl::BytesToWriteBeforeChange(const Group& group) {
  if (!WritesBeforeChange(group)) return 0;
  // A block of the dump is a text that grows by doubling.
  std::size_t bytes = 2 * GroupWriter::kBlockBytes + group.key().size() + kStampBytesMax;
  for (const Member& member : group.members) {
    bytes += ChunkList::Text(member.slot_ref()).size() + member.family->name.size() +
             member.help.view().size() + member.family->shown_help.view().size() + kStampBytesMax;
    if (const SlotExtra* const extra = member.chunk->block->extra(member.slot)) {
      bytes += extra->message.view().size() + extra->error.view().size();
    }
  }
  return 3 * bytes;
}

}  // namespace pgw
