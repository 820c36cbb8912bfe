// Everything that a store holds at one instant, as blocks for a snapshot file, without a pause.
// Knows base, store/session.
//
// The dump walks through the groups a few at a time. A command that is about to change a group
// which has not been written yet writes it first; so the blocks show the instant of the beginning,
// whatever goes on meanwhile.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "store/session.h"

namespace pgw {

// Ends when destroyed. One thread at a time; must not outlive its store.
class StoreDump {
 public:
  virtual ~StoreDump() = default;

  // As of the beginning: `session.time` is the store's time then.
  virtual const Session& session() const = 0;
  // Unchecked mode: something stored may be inconsistent.
  virtual bool suspicious() const = 0;

  enum class Progress : unsigned char {
    kMore,
    kDone,
    kVoid,  // everything was wiped meanwhile: begin another one
  };
  // Appends some blocks to `blocks`: at least one group if there is one left, more up to about
  // `bytes_max`, which the store's lock is held for, and all that commands have written meanwhile.
  virtual Progress Next(std::size_t bytes_max, std::vector<std::string>& blocks) = 0;
};

}  // namespace pgw
