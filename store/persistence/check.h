// For `pushgateway check`: what the files of a store hold, and the first damage. Changes nothing,
// takes no lock. Knows base.
#pragma once

#include <optional>
#include <string>

#include "base/file_system.h"
#include "store/persistence/recovery.h"

namespace pgw::persistence {

struct CheckReport {
  Findings findings;
  std::optional<Error> problem;  // the first damage, or why something could not be read
  std::string text;              // all of it for a person, in lines

  bool sound() const { return !problem; }
};

// `replayer` says whether the contents make sense, as for Storage::Open.
CheckReport Check(FileSystem& files, const std::string& path, Replayer& replayer);

}  // namespace pgw::persistence
