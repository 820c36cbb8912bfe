#include "bench/load/timeline.h"

#include <iterator>

namespace pgw::load {

void Timeline::Add(std::size_t second, const Interval& interval) {
  const MutexLock lock(mutex_);
  if (second >= closed_) open_[second].Merge(interval);
}

Second Timeline::Close(std::size_t second) {
  const MutexLock lock(mutex_);
  closed_ = second + 1;
  Second closed;
  const auto found = open_.find(second);
  if (found == open_.end()) return closed;
  const Interval& interval = found->second;
  closed.pushes = interval.pushes;
  closed.errors = interval.errors;
  closed.scrapes = interval.scrapes;
  closed.push_p50_ns = interval.push.Quantile(0.5);
  closed.push_p99_ns = interval.push.Quantile(0.99);
  closed.push_max_ns = interval.push.max();
  closed.scrape_p50_ns = interval.scrape.Quantile(0.5);
  closed.scrape_max_ns = interval.scrape.max();
  open_.erase(open_.begin(), std::next(found));
  return closed;
}

}  // namespace pgw::load
