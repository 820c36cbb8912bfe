// The Pushgateway's HTTP interface: requests in, responses out, whatever engine carries them.
// Knows store, ttl, exposition, server/http's messages and base.
//
// What can be judged without the body is judged in OnHeader, in upstream's order. One file per
// kind of request: push.cc, delete.cc, scrape.cc, api.cc, management.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "exposition/names.h"
#include "server/http/handler.h"
#include "server/routes/grouping_path.h"
#include "server/routes/own_metrics.h"
#include "server/routes/router.h"
#include "store/metric_store.h"
#include "ttl/policy.h"

namespace pgw {

struct GatewayOptions {
  RouterOptions routes = {};
  bool enable_lifecycle = false;
  // As the store has it: decides between 200 and 202.
  bool check_consistency = true;
  NameValidation validation = NameValidation::kLegacy;
  std::uint64_t decompressed_bytes_max = 64ull << 20;  // 0: no limit
  // For /api/v1/status, keys sorted.
  std::vector<std::pair<std::string, std::string>> build_information = {};
  std::vector<std::pair<std::string, std::string>> flags = {};
  WallTime start_time{};
  // Called when a client asks for termination; must return at once.
  std::function<void()> quit = {};
};

// Thread-safe.
class Gateway final : public http::Handler {
 public:
  // All references must outlive the gateway.
  Gateway(MetricStore& store, OwnMetrics& own_metrics, const TtlPolicy& ttl, const Clock& clock,
          Logger& log, GatewayOptions options);

  std::optional<http::Response> OnHeader(const http::Request& request) override;
  http::Response OnRequest(const http::Request& request) override;

 private:
  // Routing, and all answers that need no body. Nullopt: a push that is fine so far.
  std::optional<http::Response> AnswerWithoutBody(const http::Request& request);
  http::Response Dispatch(const http::Request& request, const RouteMatch& match);

  // The group that a push or delete names, or the refusal.
  std::variant<GroupKey, http::Response> GroupOf(const RouteMatch& match);
  http::Response PushBody(const http::Request& request, const GroupKey& group);
  http::Response RefuseBody(const http::Request& request, const Error& error);
  http::Response Delete(const http::Request& request, const RouteMatch& match);
  http::Response Scrape(const http::Request& request);
  http::Response ApiOptions() const;
  http::Response ApiStatus() const;
  http::Response ApiMetrics(const http::Request& request);
  http::Response Quit();
  http::Response Wipe(const http::Request& request);
  http::Response StatusPage() const;

  void CountPush(const http::Request& request, int status);

  MetricStore& store_;
  OwnMetrics& own_metrics_;
  const TtlPolicy& ttl_;
  const Clock& clock_;
  Logger& log_;
  const GatewayOptions options_;
  const Router router_;
};

// Length of the request as upstream's instrumentation reckons it.
std::uint64_t ApproximateRequestBytes(const http::Request& request);

// text/plain without the trappings of an error: OK, Goodbye.
http::Response PlainText(int status, std::string_view text);

}  // namespace pgw
