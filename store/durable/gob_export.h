// Gives what is stored to a Go Pushgateway. Knows store, store/persistence's gob writer, exposition
// and base. docs/migration.md tells what becomes of what.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/result.h"
#include "store/metric_store.h"
#include "store/persistence/gob_writer.h"

namespace pgw {

struct ExportReport {
  std::uint64_t groups = 0;
  std::uint64_t families = 0;  // without the two bookkeeping ones
};

// Writes a persistence file of what is alive at `now`, with the times of pushes; nothing in it says
// when anything expires. Nobody else may use the store meanwhile: it is walked twice. Takes little
// memory beside the store.
// Errors of `sink` are handed through, WriteGob's too. kInternal: something that is stored cannot
// be read; the message names group and family.
Status ExportGob(MetricStore& store, Instant now, const GobSink& sink, ExportReport& report);

}  // namespace pgw
