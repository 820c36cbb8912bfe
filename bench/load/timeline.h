// The seconds of a run, collected from the generator's threads. Knows figures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/mutex.h"
#include "bench/load/figures.h"

namespace pgw::load {

// Thread-safe. Holds histograms only for seconds that are not closed yet.
class Timeline {
 public:
  // A thread's part of a second, counted from the start of the run.
  void Add(std::size_t second, const Interval& interval) PGW_EXCLUDES(mutex_);
  // What was collected of a second; what comes for it later is lost.
  Second Close(std::size_t second) PGW_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::map<std::size_t, Interval> open_ PGW_GUARDED_BY(mutex_);
  std::size_t closed_ PGW_GUARDED_BY(mutex_) = 0;  // seconds before are closed
};

}  // namespace pgw::load
