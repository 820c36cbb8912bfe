// The Pushgateway's HTTP interface: requests in, responses out, whatever engine carries them.
// Knows store, ttl, exposition, server/http's messages and base.
//
// Readers ask the store; commands go through the log, which may answer later.
//
// What can be judged without the body is judged in OnHeader, in upstream's order. One file per
// kind of request: push.cc, delete.cc, scrape.cc, api.cc, management.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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
#include "server/routes/open_scrapes.h"
#include "server/routes/own_metrics.h"
#include "server/routes/router.h"
#include "store/command_log.h"
#include "store/durable/durability.h"
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
  // Where commands are kept, if they are: for the own metrics.
  std::function<DurabilityFacts()> durability = {};
  // What readers whose answers are still leaving may hold together, in bytes; 0: no limit. Beyond
  // it the one with the oldest versions is abandoned (open_scrapes.h), and `look` is called, on any
  // thread, to have the engine see that at once. Without it the engine sees it when it asks for
  // more of the body.
  std::uint64_t held_bytes_max = 0;
  std::function<void()> look = {};
};

// Thread-safe.
class Gateway final : public http::Handler {
 public:
  // All references must outlive the gateway, and the gateway all answers that come later.
  Gateway(MetricStore& store, CommandLog& commands, OwnMetrics& own_metrics, const TtlPolicy& ttl,
          const Clock& clock, Logger& log, GatewayOptions options);
  ~Gateway() override;

  std::optional<http::Response> OnHeader(const http::Request& request) override;
  http::Response OnRequest(const http::Request& request) override;
  http::Response OnBrokenBody(const http::Request& request, std::string_view reason) override;

 private:
  // By its header, and not under the API, where bodies are never decompressed.
  bool IsGzipped(const http::Request& request) const;
  // The group of a push, which is fine as far as its header tells; else the answer.
  std::variant<GroupKey, http::Response> Admit(const http::Request& request);
  http::Response Dispatch(const http::Request& request, const RouteMatch& match);

  // The group that a push or delete names, or the refusal.
  std::variant<GroupKey, http::Response> GroupOf(const RouteMatch& match);
  // A push to be counted and, if it is refused, logged, when its request may be gone already.
  struct PushFacts {
    std::string_view method;  // a literal
    std::uint64_t bytes = 0;
    BootTime begin{};
    std::string source;  // of a request that is gone
  };
  http::Response PushBody(const http::Request& request, const GroupKey& group);
  http::Response AnswerPush(const PushFacts& push, std::string_view source, const Status& status);
  // `answer(status)` makes the response, now or later.
  template <typename Answer>
  static http::Response Respond(Outcome outcome, Answer answer);
  http::Response RefuseBody(const http::Request& request, const Error& error);
  http::Response Delete(const http::Request& request, const RouteMatch& match);
  http::Response Scrape(const http::Request& request);
  http::Response ApiOptions() const;
  http::Response ApiStatus() const;
  http::Response ApiMetrics(const http::Request& request);
  http::Response Quit();
  http::Response Wipe(const http::Request& request);
  http::Response Ready() const;
  http::Response StatusPage() const;

  void CountPush(const PushFacts& push, int status);
  static PushFacts FactsOf(const http::Request& request);

  MetricStore& store_;
  CommandLog& commands_;
  OwnMetrics& own_metrics_;
  const TtlPolicy& ttl_;
  const Clock& clock_;
  Logger& log_;
  const GatewayOptions options_;
  const Router router_;
  const std::shared_ptr<OpenScrapes> scrapes_;
};

template <typename Answer>
http::Response Gateway::Respond(Outcome outcome, Answer answer) {
  if (outcome.pending == nullptr) return answer(outcome.status);
  class Sink final : public CommandSink {
   public:
    Sink(http::Responder responder, Answer answer)
        : responder_(std::move(responder)), answer_(std::move(answer)) {}
    void Take(Status status) override { responder_.Send(answer_(status)); }

   private:
    http::Responder responder_;
    Answer answer_;
  };
  return http::Response::Later([pending = std::move(outcome.pending),
                                answer = std::move(answer)](http::Responder responder) mutable {
    pending->Submit(std::make_unique<Sink>(std::move(responder), std::move(answer)));
  });
}

// Length of the request as upstream's instrumentation reckons it.
std::uint64_t ApproximateRequestBytes(const http::Request& request);

// text/plain without the trappings of an error: OK, Goodbye.
http::Response PlainText(int status, std::string_view text);

}  // namespace pgw
