// Takes over what a Go Pushgateway has persisted. Knows store, store/persistence's gob reader,
// exposition and base. docs/migration.md tells what becomes of what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/result.h"
#include "store/metric_store.h"

namespace pgw {

// What was taken over, and what was not.
struct ImportReport {
  static constexpr std::size_t kNotesMax = 100;

  std::uint64_t groups = 0;    // that the store has now
  std::uint64_t families = 0;  // without the two bookkeeping ones
  std::uint64_t dropped = 0;   // groups and families that are not there
  // A line for whatever did not come over as it stands in the file, up to kNotesMax.
  std::vector<std::string> notes;
  std::uint64_t more_notes = 0;  // beyond that

  void Note(std::string line);
};

// Puts what a Go Pushgateway's persistence file holds into an empty store that nobody uses yet and
// whose session, if any, has no TTL: groups with the times of their pushes, families with their
// samples and push times. A session's record that is applied afterwards makes deadlines of these.
// From the same file the same comes out. A Go Pushgateway that did not check may have stored what
// contradicts itself: a store that checks keeps what was pushed first of it, one that does not,
// all. kInvalidArgument: it is no such file, or a damaged one; kUnavailable: it cannot be read;
// kTooLarge: there is no memory for it. The message names the file, and the store is of no use.
Status ImportGob(const File& file, MetricStore& store, ImportReport& report);

}  // namespace pgw
