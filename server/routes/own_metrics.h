// What the server tells about itself on its scrape endpoint. Knows base, exposition, and the
// store's OwnFamily and observers; keeps prometheus-cpp to itself.
//
// prometheus-cpp holds and collects the counters and the histogram; the two summaries of the push
// path are push_summary.h, because prometheus-cpp's take a mutex and a copy per observation.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "exposition/family_set.h"
#include "store/durable/durability.h"
#include "store/metric_store.h"
#include "ttl/reaper.h"

namespace pgw {

// The `handler` label of the request counter.
enum class HandlerName : unsigned char {
  kPush,
  kDelete,
  kStatus,
  kStatic,
  kHealthy,
  kReady,
  kApiStatus,
  kApiMetrics,
  kApiOptions,
  kWipe,
};

// Labels of pushgateway_build_info.
struct BuildLabels {
  std::string branch;
  std::string goarch;  // the platform in Go's terms: amd64, arm64, …
  std::string goos;
  std::string goversion;
  std::string revision;
  std::string tags;
  std::string version;
};

// What only the moment of a scrape knows.
struct StoreFacts {
  std::size_t groups = 0;
  std::size_t series = 0;
  std::size_t bytes = 0;
  std::size_t held_bytes = 0;  // by readers alone
  std::uint64_t cut_off = 0;   // readers, for holding too much
};

// Thread-safe.
class OwnMetrics final : public ExpiryObserver, public DurabilityObserver {
 public:
  OwnMetrics(const BuildLabels& build, Instant start);
  ~OwnMetrics() override;

  // Every family this class may ever show: pushes are checked against them from the start.
  static std::vector<OwnFamily> Families();

  // No look-up of labels and no lock, but for the first request of its kind.
  void CountRequest(HandlerName handler, std::string_view method, int status);

  // A request to the push handler, successful or not.
  void ObservePush(std::string_view method, std::uint64_t request_bytes,
                   std::chrono::nanoseconds duration, BootTime now);

  void OnExpired(std::size_t families, std::size_t groups,
                 std::span<const std::chrono::nanoseconds> lags) override;

  void OnSync(std::chrono::nanoseconds duration) override;
  void OnPersistenceError() override;
  void OnSnapshot() override;

  // Fills the empty set with the families that have samples, sorted by name. Without `durability`
  // nothing is told about persistence.
  void Collect(const StoreFacts& store, const std::optional<DurabilityFacts>& durability,
               BootTime now, FamilySet& out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgw
