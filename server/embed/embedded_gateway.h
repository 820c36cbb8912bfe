// A Pushgateway to put into another program: store, TTL, reaper and handler in one object, without
// an HTTP engine. Knows server/routes, ttl, store, base.
//
//   SystemClock clock;
//   Logger log(clock, STDERR_FILENO, LogLevel::kInfo, LogFormat::kLogfmt);
//   EmbeddedGateway gateway({.prefix = "/pushed", .ttl = 5min}, clock, log);
//   … give gateway.handler() to an engine: http::Server, embed::CivetwebGateway
//
// The engine must be gone, or have handled its last request, before the gateway is destroyed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "exposition/names.h"
#include "server/http/handler.h"
#include "server/routes/gateway.h"
#include "server/routes/own_metrics.h"
#include "store/command_log.h"
#include "store/metric_store.h"
#include "ttl/policy.h"
#include "ttl/reaper.h"

namespace pgw::embed {

struct EmbedOptions {
  // Where the gateway lives: "" or "/something", as --web.route-prefix. All its paths begin so.
  std::string prefix{};
  // Of pushed metrics, counted from their push. Zero: for ever.
  std::chrono::nanoseconds ttl{0};
  // Complete, with the prefix; empty: <prefix>/metrics. Pushes go to <prefix>/metrics in any case.
  std::string telemetry_path{};
  bool check_consistency = true;
  NameValidation validation = NameValidation::kLegacy;
  bool enable_admin_api = false;                       // wipe
  std::uint64_t decompressed_bytes_max = 64ull << 20;  // of one body; 0: no limit
  // Metrics of the program itself that are scraped together with the pushed ones. A push that uses
  // one of these names with another type or help is refused instead of spoiling the scrape.
  std::vector<OwnFamily> reserved_families{};
  // For /api/v1/status, sorted by key.
  std::vector<std::pair<std::string, std::string>> shown_flags{};
  // Called when a client asks for termination; must return at once. Empty: nobody may ask.
  std::function<void()> quit{};
};

// Thread-safe.
class EmbeddedGateway {
 public:
  // `clock` and `log` must outlive the gateway. Starts a thread that frees expired metrics, if
  // anything expires.
  EmbeddedGateway(EmbedOptions options, const Clock& clock, Logger& log);
  ~EmbeddedGateway();
  EmbeddedGateway(const EmbeddedGateway&) = delete;
  EmbeddedGateway& operator=(const EmbeddedGateway&) = delete;

  http::Handler& handler() { return gateway_; }
  // For readers in the same process: prometheus_cpp/pushed_metrics.h.
  MetricStore& store() { return store_; }

 private:
  OwnMetrics own_metrics_;
  MetricStore store_;
  DirectLog commands_;
  const TtlPolicy ttl_;
  Gateway gateway_;
  Reaper reaper_;  // the first to go: it uses the store
};

}  // namespace pgw::embed
