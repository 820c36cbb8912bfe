#include "tests/support/store_driver.h"

#include "exposition/protobuf_reader.h"
#include "exposition/text_parser.h"

namespace pgw::testing {

Instant At(std::int64_t milliseconds) {
  const std::chrono::nanoseconds time = std::chrono::milliseconds(milliseconds);
  return {BootTime(time), WallTime(time + std::chrono::seconds(1'000'000'000))};
}

Status StoreDriver::Push(const LabelList& group, PushMode mode, FamilySet& set,
                         std::int64_t now_ms) {
  const Result<GroupKey> key = GroupKey::Make({group.begin(), group.end()});
  if (!key) return key.error();
  PushCommand command;
  command.group = &*key;
  command.mode = mode;
  command.families = &set;
  command.received = At(now_ms);
  command.deadline = ttl_.count() > 0 ? command.received.boot + ttl_ : kNever;
  return store_.Push(command);
}

Status StoreDriver::Post(const LabelList& group, std::string_view body, std::int64_t now_ms) {
  FamilySet set;
  if (Status status = ParseText(body, NameValidation::kUtf8, set); !status) return status;
  return Push(group, PushMode::kMerge, set, now_ms);
}

Status StoreDriver::Put(const LabelList& group, std::string_view body, std::int64_t now_ms) {
  FamilySet set;
  if (Status status = ParseText(body, NameValidation::kUtf8, set); !status) return status;
  return Push(group, PushMode::kReplace, set, now_ms);
}

Status StoreDriver::PostMessages(const LabelList& group, std::string_view body,
                                 std::int64_t now_ms) {
  FamilySet set;
  if (Status status = ParseDelimited(body, set); !status) return status;
  return Push(group, PushMode::kMerge, set, now_ms);
}

Status StoreDriver::Delete(const LabelList& group, std::int64_t now_ms) {
  const Result<GroupKey> key = GroupKey::Make({group.begin(), group.end()});
  return key ? store_.Delete(*key, At(now_ms)) : key.error();
}

std::string StoreDriver::Scrape(std::int64_t now_ms, bool bookkeeping) {
  const auto snapshot = store_.SnapshotAt(At(now_ms));
  std::string text;
  for (std::size_t i = 0; i < snapshot->family_count(); ++i) {
    const Snapshot::FamilyView family = snapshot->family(i);
    if (!bookkeeping && family.name.starts_with("push_")) continue;
    text.append(family.header);
    std::vector<std::string_view> pieces;
    std::vector<std::unique_ptr<std::string>> scratch;
    snapshot->AppendText(i, pieces, scratch);
    for (const std::string_view piece : pieces) text.append(piece);
  }
  return text;
}

std::multiset<std::string> StoreDriver::Lines(std::int64_t now_ms, bool bookkeeping) {
  const std::string text = Scrape(now_ms, bookkeeping);
  std::multiset<std::string> lines;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = text.find('\n', start);
    if (text[start] != '#') lines.insert(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

std::string StoreDriver::Inconsistency(std::int64_t now_ms) {
  const auto snapshot = store_.SnapshotAt(At(now_ms));
  return snapshot->inconsistency() ? snapshot->inconsistency()->message : std::string();
}

std::vector<GroupView> StoreDriver::Groups(std::int64_t now_ms) {
  std::vector<GroupView> views;
  std::size_t cursor = 0;
  do {
    cursor = store_.ListGroups(At(now_ms), cursor, 16, views);
  } while (cursor != 0);
  return views;
}

}  // namespace pgw::testing
