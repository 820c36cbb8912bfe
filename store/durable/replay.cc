#include "store/durable/replay.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "store/byte_format.h"
#include "store/command_record.h"

namespace pgw {
namespace {

constexpr std::uint8_t kMetaVersion = 1;
enum MetaFlag : std::uint8_t { kSuspicious = 1 };

}  // namespace

std::string EncodeSnapshotMeta(const Session& session, bool suspicious) {
  std::string meta;
  AppendByte(kMetaVersion, meta);
  AppendByte(suspicious ? kSuspicious : 0, meta);
  AppendSessionRecord(session, meta);
  return meta;
}

Status StoreReplayer::OnSnapshotMeta(std::string_view meta) {
  // Repaired without it: nothing is known of the deadlines' clock, so the wall clock's times count.
  if (meta.empty()) {
    store_.StartWith(Session(), true);
    return {};
  }
  ByteReader reader(meta);
  const std::uint8_t version = reader.Byte();
  const std::uint8_t flags = reader.Byte();
  if (version != kMetaVersion || (flags & ~kSuspicious) != 0) {
    return InvalidArgument("meta data of version " + std::to_string(version) +
                           ", which this program does not know");
  }
  const Result<CommandRecord> record = ReadCommandRecord(reader.rest());
  if (!record || record->kind != CommandKind::kSession) {
    return InvalidArgument("meta data without a session");
  }
  session_ = {std::string(record->boot_id), record->ttl, record->time};
  latest_ = session_.time.boot;
  store_.StartWith(session_, (flags & kSuspicious) != 0);
  return {};
}

Session StoreReplayer::Begin(Session session) {
  if (session.SameBoot(session_)) {
    session.time.boot = std::max({session.time.boot, session_.time.boot, store_.PinTime()});
    store_.UnpinTime();
  }
  CommandRecord record;
  record.kind = CommandKind::kSession;
  record.time = session.time;
  record.boot_id = session.boot_id;
  record.ttl = session.ttl;
  [[maybe_unused]] const Status status = store_.Apply(record, kNever);
  session_ = session;
  return session;
}

Status StoreReplayer::OnSnapshotBlock(std::string_view block) { return store_.Load(block); }

Status StoreReplayer::OnRecord(persistence::Lsn /*lsn*/, std::string_view bytes) {
  const Result<CommandRecord> record = ReadCommandRecord(bytes);
  if (!record) return record.error();
  if (record->kind == CommandKind::kSession) {
    Session session{std::string(record->boot_id), record->ttl, record->time};
    if (!session.SameBoot(session_)) latest_ = BootTime::min();  // another clock
    session_ = std::move(session);
  }
  if (record->time.boot < latest_) {
    return InvalidArgument("a command that is earlier than the one before it");
  }
  latest_ = record->time.boot;
  // A push that was refused when it came is refused again.
  const Status status = store_.Apply(*record, session_.DeadlineFor(record->time.boot));
  return status.ok() || status.error().code != Code::kInternal ? Status() : status.error();
}

Status StoreReplayer::OnForeignSnapshot(const File& file) {
  if (!foreign_) return Replayer::OnForeignSnapshot(file);
  return foreign_(file, store_);
}

std::optional<std::string> StoreReplayer::OnGap(std::string_view next) {
  const Result<CommandRecord> record = ReadCommandRecord(next);
  if (!record || record->kind == CommandKind::kSession) return std::nullopt;
  // No time to live: too short a one would drop what is alive. The next session has one, and goes
  // by the wall clock.
  Session unknown;
  unknown.time = record->time;
  std::string bytes;
  AppendSessionRecord(unknown, bytes);
  return bytes;
}

}  // namespace pgw
