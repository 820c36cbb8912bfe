// Is what a scrape would show consistent? Knows store/snapshot.
//
// Needed only in unchecked mode, and only for families that a push has put under suspicion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "store/error_list.h"
#include "store/snapshot.h"

namespace pgw {

class Verifier {
 public:
  explicit Verifier(const Snapshot& snapshot) : snapshot_(snapshot) {}

  // What upstream's gathering would complain about; nothing if all is well. Costs O(what is
  // stored in suspect families).
  std::optional<Error> Run();

 private:
  void CheckSlots(const Snapshot::FamilyPart& part);
  void CheckNames(const Snapshot::FamilyPart& part);

  const Snapshot& snapshot_;
  std::unordered_multimap<std::string, const Snapshot::FamilyPart*> by_exposed_;
  ErrorList errors_;
};

}  // namespace pgw
