// What a push costs between the engine and its answer: routing, grouping key, body, store, own
// metrics. One thread, no sockets.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "bench/allocations.h"
#include "bench/payload.h"
#include "server/routes/gateway.h"
#include "server/routes/own_metrics.h"
#include "store/command_log.h"
#include "store/metric_store.h"
#include "ttl/policy.h"

namespace pgw::bench {
namespace {

constexpr std::size_t kFamilies = 10;
constexpr std::size_t kGroups = 1000;

class Server {
 public:
  Server()
      : own_metrics_(BuildLabels{}, clock_.Now()),
        store_({.own_families = OwnMetrics::Families()}),
        gateway_(store_, commands_, own_metrics_, ttl_, clock_, log_, {}) {}

  int Push(std::string_view method, std::string_view target, std::string_view body) {
    request_.method = method;
    request_.target = target;
    request_.headers = headers_;
    request_.host = "bench";
    request_.content_length = body.size();
    request_.has_body = true;
    request_.body = body;
    request_.remote_address = "127.0.0.1:1";
    request_.head_received = request_.received = clock_.Now();
    return gateway_.OnRequest(request_).status;
  }

 private:
  const SystemClock clock_;
  Logger log_{clock_, STDERR_FILENO, LogLevel::kInfo, LogFormat::kLogfmt};
  OwnMetrics own_metrics_;
  MetricStore store_;
  DirectLog commands_{store_};
  const TtlPolicy ttl_{std::chrono::nanoseconds(0)};
  Gateway gateway_;
  const std::vector<http::Header> headers_{{"Host", "bench"}, {"Content-Length", "36"}};
  http::Request request_;
};

std::vector<std::string> Targets() {
  std::vector<std::string> targets;
  for (std::size_t g = 0; g < kGroups; ++g) {
    char target[64];
    std::snprintf(target, sizeof target, "/metrics/job/batch/instance/host-%07zu", g);
    targets.emplace_back(target);
  }
  return targets;
}

std::string TenSeries(std::uint64_t value) {
  std::string body;
  for (std::size_t f = 0; f < kFamilies; ++f) body += OneSeriesBody(f, value);
  return body;
}

void Run(benchmark::State& state, std::string_view method, const std::vector<std::string>& bodies) {
  Server server;
  const std::vector<std::string> targets = Targets();
  for (const std::string& target : targets) {
    if (server.Push("PUT", target, TenSeries(100'000)) != 200) state.SkipWithError("not filled");
  }
  std::size_t i = 0;
  for (auto _ : CountingAllocations(state)) {
    ++i;
    if (server.Push(method, targets[i * 7919 % kGroups], bodies[i % bodies.size()]) != 200) {
      state.SkipWithError("refused");
      return;
    }
  }
}

void BM_PostOneSeries(benchmark::State& state) {
  std::vector<std::string> bodies;
  bodies.reserve(64);
  for (std::uint64_t v = 0; v < 64; ++v) {
    bodies.push_back(OneSeriesBody(v % kFamilies, 200'000 + v));
  }
  Run(state, "POST", bodies);
}
BENCHMARK(BM_PostOneSeries);

void BM_PutTenSeries(benchmark::State& state) {
  std::vector<std::string> bodies;
  bodies.reserve(64);
  for (std::uint64_t v = 0; v < 64; ++v) bodies.push_back(TenSeries(200'000 + v));
  Run(state, "PUT", bodies);
}
BENCHMARK(BM_PutTenSeries);

// What k0s pushes every 30 s; `changed` says whether values differ from the last push.
void BM_PostControlPlane(benchmark::State& state) {
  Server server;
  std::vector<std::string> bodies;
  const std::uint64_t rounds = state.range(0) != 0 ? 4 : 1;
  bodies.reserve(rounds);
  for (std::uint64_t r = 0; r < rounds; ++r) bodies.push_back(ControlPlaneBody(r * 311));
  std::size_t i = 0;
  for (auto _ : CountingAllocations(state)) {
    const std::string& body = bodies[++i % bodies.size()];
    if (server.Push("POST", "/metrics/job/kube-scheduler/instance/controller-0", body) != 200) {
      state.SkipWithError("refused");
      return;
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bodies[0].size()) * state.iterations());
}
BENCHMARK(BM_PostControlPlane)->Arg(1)->Arg(0);

}  // namespace
}  // namespace pgw::bench
