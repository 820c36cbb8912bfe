#include "store/group_record.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <utility>

#include "exposition/names.h"
#include "store/bookkeeping.h"
#include "store/byte_format.h"
#include "store/group_key.h"

namespace pgw {
namespace {

enum EntryKind : std::uint8_t { kEnd = 0, kGroup = 1, kContinued = 2 };

enum MemberFlag : std::uint8_t {
  kHelp = 1,
  kSamples = 2,
  kMessage = 4,
  kError = 8,
  kShownHelp = 16,  // the help is the one that scrapes show
  kNewFamily = 32,
  kOwnTtl = 64,  // reserved: a time to live of this family's own
  kMember = 128,
};

enum FamilyFlag : std::uint8_t { kFamilyHelp = 1, kFamilyShown = 2 };

// What fits into a slot.
constexpr std::size_t kLinesMax = (std::size_t{1} << 29) - 1;

void AppendSigned64(std::int64_t value, std::string& out) {
  AppendFixed64(static_cast<std::uint64_t>(value), out);
}

// One block being read.
class GroupReader {
 public:
  GroupReader(std::string_view block, State& state) : reader_(block), state_(state) {}

  Status Read() {
    while (!reader_.AtEnd()) {
      if (const char* const fault = ReadEntry()) return Fault(fault);
    }
    return {};
  }

 private:
  Error Fault(std::string_view what) const {
    std::string text = "no block of groups: " + std::string(what);
    if (!key_.empty()) text += " in group " + Printable(key_);
    return InvalidArgument(std::move(text));
  }

  static std::string Printable(std::string_view key) {
    std::string text;
    for (const auto& [name, value] : SplitGroupKey(key)) {
      text += (text.empty() ? "" : ",") + std::string(name) + "=" + std::string(value);
    }
    return "{" + text + "}";
  }

  // Each returns what is wrong, or null.

  const char* ReadEntry() {
    const std::uint8_t kind = reader_.Byte();
    key_ = reader_.Counted();
    if (!reader_.ok()) return "it ends too early";
    if (kind != kGroup && kind != kContinued) return "unknown kind of entry";
    if (!IsGroupKey(key_)) return "not a grouping key";
    const HashedView key(key_);
    Group* const group = kind == kGroup ? AddGroup(key) : FindGroup(key);
    if (group == nullptr) return kind == kGroup ? "it comes twice" : "its beginning is missing";
    return ReadMembers(*group);
  }

  Group* FindGroup(const HashedView& key) { return state_.FindAlive(key, kFreeSlot); }

  Group* AddGroup(const HashedView& key) {
    if (FindGroup(key) != nullptr) return nullptr;
    const GroupingLabels labels(key_);
    Group& group = state_.AddGroup(key, labels);
    for (std::int64_t& last : group.last_push) last = reader_.Signed64();
    std::array<std::int64_t, 2> pushed{};
    for (std::int64_t& time : pushed) time = reader_.Signed64();
    group.deadline = std::max(reader_.Signed64(), kFreeSlot + 1);
    for (const Bookkeeping which : {kSuccess, kFailure}) {
      AddBookkeeping(group, labels, which, pushed[which]);
    }
    return &group;
  }

  void AddBookkeeping(Group& group, const GroupingLabels& labels, Bookkeeping which,
                      std::int64_t pushed) {
    const double value = BookkeepingValue(group.last_push[which]);
    const std::string line = BookkeepingLine(labels, which, value);
    SlotContent content;
    content.text = line;
    content.type = MetricType::kGauge;
    content.deadline = group.deadline;
    content.message = BookkeepingMessage(labels, which, value);
    Member& member = group.bookkeeping[which];
    member.family = &state_.bookkeeping(which);
    member.pushed = pushed;
    state_.FillMember(group, member, std::move(content), false);
  }

  const char* ReadMembers(Group& group) {
    const std::size_t capacity = group.members.capacity();
    members_.clear();
    std::ranges::move(group.members, std::back_inserter(members_));
    const char* fault = nullptr;
    for (;;) {
      const std::uint8_t flags = reader_.Byte();
      if (flags == 0 && reader_.ok()) break;
      fault = reader_.ok() ? ReadMember(group, flags) : "it ends too early";
      if (fault != nullptr) break;
    }
    std::ranges::sort(members_, std::less<>(), &Member::family);
    group.members = std::vector<Member>(std::make_move_iterator(members_.begin()),
                                        std::make_move_iterator(members_.end()));
    const auto same = std::ranges::adjacent_find(group.members, {}, &Member::family);
    if (fault == nullptr && same != group.members.end()) fault = "a family comes twice";
    state_.AccountMembers(group, capacity);
    state_.Schedule(group);
    return fault;
  }

  const char* ReadMember(Group& group, std::uint8_t flags) {
    if ((flags & kMember) == 0 || (flags & kOwnTtl) != 0) return "unknown flags of a family";
    const std::uint8_t type = reader_.Byte();
    if (type >= kMetricTypeCount) return "unknown type of a family";
    const Known* const known = (flags & kNewFamily) != 0 ? ReadFamily() : FindFamily();
    if (known == nullptr) return "a family that is not as it should be";
    Member member;
    member.family = known->family;
    member.pushed = reader_.Signed64();
    SlotContent content;
    content.type = static_cast<MetricType>(type);
    content.deadline = std::max(reader_.Signed64(), kFreeSlot + 1);
    if ((flags & kHelp) != 0) {
      const bool shown = (flags & kShownHelp) != 0;
      if (shown && !known->help) return "help of a family that has none";
      member.help = shown ? known->help : SharedText(std::string(reader_.Counted()));
    }
    content.text = reader_.Counted();
    if ((flags & kMessage) != 0) content.message = SharedText(std::string(reader_.Counted()));
    if ((flags & kError) != 0) content.error = SharedText(std::string(reader_.Counted()));
    if (!reader_.ok()) return "it ends too early";
    const bool has_samples = (flags & kSamples) != 0;
    const std::string_view lines = content.text;
    if (lines.size() > kLinesMax || (!lines.empty() && (lines.back() != '\n' || !has_samples))) {
      return "lines that are none";
    }
    if (content.deadline > group.deadline) return "a family that outlives its group";
    state_.FillMember(group, member, std::move(content), has_samples);
    members_.push_back(std::move(member));
    return nullptr;
  }

  struct Known {
    StoredFamily* family;
    SharedText help;
  };

  const Known* FindFamily() {
    const std::uint64_t index = reader_.Varint();
    return reader_.ok() && index < known_.size() ? &known_[static_cast<std::size_t>(index)]
                                                 : nullptr;
  }

  const Known* ReadFamily() {
    const std::string_view name = reader_.Counted();
    const std::uint8_t flags = reader_.Byte();
    const std::uint8_t type = reader_.Byte();
    SharedText help;
    if ((flags & kFamilyHelp) != 0) help = SharedText(std::string(reader_.Counted()));
    if (!reader_.ok() || (flags & ~(kFamilyHelp | kFamilyShown)) != 0 || type >= kMetricTypeCount ||
        !IsValidUtf8(name) || name == kPushTimeName || name == kPushFailureTimeName) {
      return nullptr;
    }
    StoredFamily& family = state_.FindOrAddFamily(name);
    if ((flags & kFamilyShown) != 0) family.Show(static_cast<MetricType>(type), help);
    // One text for all that have it.
    if (help && family.shown_help.view() == help.view()) help = family.shown_help;
    return &known_.emplace_back(Known{&family, std::move(help)});
  }

  ByteReader reader_;
  State& state_;
  std::string_view key_;
  std::vector<Known> known_;
  std::vector<Member> members_;  // of the group being read; here to keep its memory
};

}  // namespace

void GroupWriter::BeginBlock() {
  if (number_ != 0) return;
  number_ = ++blocks_ever_;
  families_ = 0;
}

void GroupWriter::FinishBlock() {
  number_ = 0;
  finished_bytes_ += block_.size();
  finished_.push_back(std::exchange(block_, {}));
}

void GroupWriter::Write(const Group& group, Deadline now) {
  if (!group.alive(now)) return;
  BeginBlock();
  WriteHead(group, kGroup);
  for (const Member& member : group.members) {
    if (!member.alive(now)) continue;
    if (block_.size() >= kBlockBytes) {
      AppendByte(kEnd, block_);
      FinishBlock();
      BeginBlock();
      WriteHead(group, kContinued);
    }
    WriteMember(member);
  }
  AppendByte(kEnd, block_);
  if (block_.size() >= kBlockBytes) FinishBlock();
}

void GroupWriter::WriteHead(const Group& group, std::uint8_t kind) {
  AppendByte(kind, block_);
  AppendCounted(group.key(), block_);
  if (kind == kContinued) return;
  for (const std::int64_t last : group.last_push) AppendSigned64(last, block_);
  for (const Member& member : group.bookkeeping) AppendSigned64(member.pushed, block_);
  AppendSigned64(group.deadline, block_);
}

void GroupWriter::WriteMember(const Member& member) {
  StoredFamily& family = *member.family;
  const Block& stored = *member.chunk->block;
  const SlotExtra* const extra = stored.extras().empty() ? nullptr : stored.extra(member.slot);
  const bool known = family.written_in == number_;
  std::uint8_t flags = kMember;
  if (member.help) flags |= kHelp;
  if (member.help && family.shown_help && member.help.view() == family.shown_help.view()) {
    flags |= kShownHelp;
  }
  if (member.has_samples) flags |= kSamples;
  if (extra != nullptr && extra->message) flags |= kMessage;
  if (extra != nullptr && extra->error) flags |= kError;
  if (!known) flags |= kNewFamily;
  AppendByte(flags, block_);
  AppendByte(static_cast<std::uint8_t>(member.type), block_);
  if (known) {
    AppendVarint(family.written_as, block_);
  } else {
    family.written_in = number_;
    family.written_as = families_++;
    AppendCounted(family.name, block_);
    const bool shown = static_cast<bool>(family.header);
    const bool help = static_cast<bool>(family.shown_help);
    AppendByte((help ? kFamilyHelp : 0) | (shown ? kFamilyShown : 0), block_);
    AppendByte(static_cast<std::uint8_t>(family.shown_type), block_);
    if (help) AppendCounted(family.shown_help.view(), block_);
  }
  AppendSigned64(member.pushed, block_);
  AppendSigned64(member.deadline, block_);
  if ((flags & kHelp) != 0 && (flags & kShownHelp) == 0) AppendCounted(member.help.view(), block_);
  AppendCounted(ChunkList::Text(member.slot_ref()), block_);
  if ((flags & kMessage) != 0) AppendCounted(extra->message.view(), block_);
  if ((flags & kError) != 0) AppendCounted(extra->error.view(), block_);
}

std::vector<std::string> GroupWriter::Take() {
  if (!block_.empty()) FinishBlock();
  finished_bytes_ = 0;
  return std::exchange(finished_, {});
}

Status ReadGroups(std::string_view block, State& state) { return GroupReader(block, state).Read(); }

}  // namespace pgw
