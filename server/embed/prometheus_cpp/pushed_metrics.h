// The pushed metrics of a store as something a prometheus-cpp Exposer (or anything else that takes
// a Collectable) shows. Knows store, exposition, base and prometheus-cpp's core.
//
//   auto pushed = std::make_shared<PushedMetrics>(gateway.store(), clock);
//   exposer.RegisterCollectable(pushed);
//
// What prometheus-cpp 1.0 cannot carry, and what becomes of it:
//
// | Pushed                                   | Collected                                         |
// |------------------------------------------|---------------------------------------------------|
// | buckets of a native histogram            | nothing; count, sum and classic buckets stay      |
// | exemplars, created timestamps            | nothing                                           |
// | counts that are no whole numbers         | the whole number below                            |
// | a gauge histogram                        | a histogram, as the text format shows it          |
// | names beyond [a-zA-Z_:][a-zA-Z0-9_:]*    | escaped with underscores, as a scrape by default  |
// | a family without help                    | an empty help                                     |
//
// Families are sorted by name. An Exposer strings the families of its collectables together: name
// what the program itself shows in EmbedOptions::reserved_families, and no push can repeat it.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

#include "base/clock.h"
#include "store/metric_store.h"

namespace pgw::embed {

// Thread-safe. References must outlive it.
class PushedMetrics : public prometheus::Collectable {
 public:
  PushedMetrics(MetricStore& store, const Clock& clock) : store_(store), clock_(clock) {}

  // All families alive now, push_time_seconds and push_failure_time_seconds included; what has
  // expired is absent. Makes a string of every label of every sample: a scrape of the gateway
  // itself, which sends the stored text, is much cheaper.
  //
  // Nothing while the store is inconsistent, which takes check_consistency = false: Prometheus
  // would refuse the whole scrape, the program's own metrics with it. Nothing without memory,
  // either: prometheus-cpp calls this through C code, which no exception may cross.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  MetricStore& store_;
  const Clock& clock_;
};

}  // namespace pgw::embed
