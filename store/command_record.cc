#include "store/command_record.h"

#include "store/byte_format.h"
#include "store/group_key.h"

namespace pgw {
namespace {

enum Flag : std::uint8_t { kReplaces = 1, kChecked = 2 };

constexpr std::size_t kBootOffset = 1;  // behind the kind

void AppendHead(CommandKind kind, const Instant& time, std::string& out) {
  AppendByte(static_cast<std::uint8_t>(kind), out);
  AppendFixed64(static_cast<std::uint64_t>(time.boot.time_since_epoch().count()), out);
  AppendFixed64(static_cast<std::uint64_t>(time.wall.time_since_epoch().count()), out);
}

Error NoRecord(std::string_view why) {
  return {Code::kInternal, "no command: " + std::string(why)};
}

}  // namespace

void AppendPushRecord(const Instant& time, std::string_view group, PushMode mode, bool checked,
                      const PreparedPush& push, std::string& out) {
  AppendHead(CommandKind::kPush, time, out);
  AppendCounted(group, out);
  AppendByte((mode == PushMode::kReplace ? kReplaces : 0) | (checked ? kChecked : 0), out);
  push.AppendRecord(out);
}

void AppendRefusedPushRecord(const Instant& time, std::string_view group, bool checked,
                             std::string& out) {
  AppendHead(CommandKind::kRefusedPush, time, out);
  AppendCounted(group, out);
  AppendByte(checked ? kChecked : 0, out);
}

void AppendDeleteRecord(const Instant& time, std::string_view group, std::string& out) {
  AppendHead(CommandKind::kDelete, time, out);
  AppendCounted(group, out);
}

void AppendWipeRecord(const Instant& time, std::string& out) {
  AppendHead(CommandKind::kWipe, time, out);
}

void AppendSessionRecord(const Session& session, std::string& out) {
  AppendHead(CommandKind::kSession, session.time, out);
  AppendCounted(session.boot_id, out);
  AppendFixed64(static_cast<std::uint64_t>(session.ttl.count()), out);
}

Result<CommandRecord> ReadCommandRecord(std::string_view bytes) {
  ByteReader reader(bytes);
  CommandRecord record;
  const std::uint8_t kind = reader.Byte();
  if (kind < static_cast<std::uint8_t>(CommandKind::kPush) ||
      kind > static_cast<std::uint8_t>(CommandKind::kSession)) {
    return NoRecord("kind " + std::to_string(kind));
  }
  record.kind = static_cast<CommandKind>(kind);
  record.time.boot = BootTime(std::chrono::nanoseconds(reader.Signed64()));
  record.time.wall = WallTime(std::chrono::nanoseconds(reader.Signed64()));
  if (record.kind == CommandKind::kSession) {
    record.boot_id = reader.Counted();
    record.ttl = std::chrono::nanoseconds(reader.Signed64());
    if (record.boot_id.size() > Session::kBootIdBytesMax) return NoRecord("boot id too long");
    if (record.ttl.count() < 0) return NoRecord("a negative TTL");
  } else if (record.kind != CommandKind::kWipe) {
    record.group = reader.Counted();
    if (!IsGroupKey(record.group)) return NoRecord("not a grouping key");
  }
  if (record.kind == CommandKind::kPush || record.kind == CommandKind::kRefusedPush) {
    const std::uint8_t flags = reader.Byte();
    if ((flags & ~(kReplaces | kChecked)) != 0) return NoRecord("unknown flags");
    record.mode = (flags & kReplaces) != 0 ? PushMode::kReplace : PushMode::kMerge;
    record.checked = (flags & kChecked) != 0;
  }
  record.families = reader.rest();
  if (!reader.ok()) return NoRecord("it ends too early");
  if (record.kind != CommandKind::kPush && !record.families.empty()) {
    return NoRecord("bytes behind its end");
  }
  return record;
}

void RestampCommandRecord(BootTime time, std::string& record) {
  std::string bytes;
  AppendFixed64(static_cast<std::uint64_t>(time.time_since_epoch().count()), bytes);
  record.replace(kBootOffset, bytes.size(), bytes);
}

}  // namespace pgw
