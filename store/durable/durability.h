// What a log that keeps commands promises, and tells about itself. Knows base.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace pgw {

// When what was answered is on the disk. Either way a crash of the process alone loses nothing.
enum class SyncMode : std::uint8_t {
  kAlways,    // before the answer
  kInterval,  // a second later
  kOff,       // when the kernel likes
};

// Is told what happens; on the log's threads, with no lock held.
class DurabilityObserver {
 public:
  virtual ~DurabilityObserver() = default;
  // A sync of the journal that took this long, including the write before it.
  virtual void OnSync(std::chrono::nanoseconds duration) = 0;
  virtual void OnPersistenceError() = 0;
  virtual void OnSnapshot() = 0;
};

struct DurabilityFacts {
  std::uint64_t journal_bytes = 0;
  std::uint64_t snapshot_bytes = 0;
  std::uint64_t recovered_records = 0;  // read from the journals at the start
  bool failing = false;
  std::optional<WallTime> last_success;  // of a write, sync or snapshot
};

}  // namespace pgw
