// A command as bytes: what a log puts in order, keeps, and applies again after a restart.
// Knows exposition, store/prepared_push. docs/persistence.md describes the format.
//
// A push is recorded as it is about to be stored: sanitised, checked in itself, rendered. Whether
// it contradicts what is stored is decided when it is applied, and comes out the same each time,
// since the record also says at what time that is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "store/prepared_push.h"
#include "store/session.h"

namespace pgw {

enum class PushMode : unsigned char {
  kReplace,  // PUT: what the group had is dropped
  kMerge,    // POST: families of the same name are replaced, others stay
};

enum class CommandKind : std::uint8_t {
  kPush = 1,
  kRefusedPush = 2,  // wrong in itself: only push_failure_time_seconds moves
  kDelete = 3,
  kWipe = 4,
  kSession = 5,  // from here on times are those of this session; what is there lives on by its TTL
};

// Views into the record.
struct CommandRecord {
  CommandKind kind = CommandKind::kWipe;
  // When it takes effect. Not before any earlier command of the same session.
  Instant time{};
  std::string_view group;  // the key; empty for a wipe or session
  PushMode mode = PushMode::kMerge;
  bool checked = true;        // by the consistency check
  std::string_view families;  // of a push: for PreparedPush::ReadRecord
  std::string_view boot_id;   // of a session
  std::chrono::nanoseconds ttl{0};
};

// Each appends a record to `out`.
void AppendPushRecord(const Instant& time, std::string_view group, PushMode mode, bool checked,
                      const PreparedPush& push, std::string& out);
void AppendRefusedPushRecord(const Instant& time, std::string_view group, bool checked,
                             std::string& out);
void AppendDeleteRecord(const Instant& time, std::string_view group, std::string& out);
void AppendWipeRecord(const Instant& time, std::string& out);
void AppendSessionRecord(const Session& session, std::string& out);

// kInternal: these bytes are no record, and why.
Result<CommandRecord> ReadCommandRecord(std::string_view bytes);

// Changes the time of a record to a later one. REQUIRES: ReadCommandRecord takes it.
void RestampCommandRecord(BootTime time, std::string& record);

}  // namespace pgw
