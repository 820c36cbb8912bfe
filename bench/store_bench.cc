// What the store costs: pushes into few and many groups, a control-plane push, a scrape.
//
// Own bodies are pushed as well, one after the other into one group:
// PGW_BENCH_BODIES=file:file:… store_bench
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "bench/allocations.h"
#include "bench/payload.h"
#include "exposition/text_parser.h"
#include "store/metric_store.h"
#include "store/prepared_push.h"

namespace pgw::bench {
namespace {

constexpr std::size_t kFamilies = 10;

Instant At(std::int64_t nanoseconds) {
  return {BootTime(std::chrono::nanoseconds(nanoseconds)),
          WallTime(std::chrono::nanoseconds(1'764'000'000'123'456'789 + nanoseconds * 1'234'567))};
}

GroupKey Key(std::size_t group) {
  char instance[32];
  std::snprintf(instance, sizeof instance, "host-%07zu", group);
  return *GroupKey::Make({{"job", "batch"}, {"instance", instance}});
}

void Push(MetricStore& store, const GroupKey& key, std::string_view body, std::int64_t now,
          FamilySet& set, benchmark::State* state) {
  store.Expect(key);
  set.Clear();
  if (Status status = ParseText(body, NameValidation::kLegacy, set); !status) {
    if (state != nullptr) state->SkipWithError(status.error().message.c_str());
    return;
  }
  PushCommand command;
  command.group = &key;
  command.families = &set;
  command.received = At(now);
  command.deadline = At(now + 120'000'000'000).boot;
  const Status status = store.Push(command);
  if (!status && state != nullptr) state->SkipWithError(status.error().message.c_str());
}

std::unique_ptr<MetricStore> Filled(std::size_t groups) {
  auto store = std::make_unique<MetricStore>(StoreOptions());
  FamilySet set;
  for (std::size_t g = 0; g < groups; ++g) {
    std::string body;
    for (std::size_t f = 0; f < kFamilies; ++f) body += OneSeriesBody(f, 100'000 + g);
    Push(*store, Key(g), body, 1, set, nullptr);
  }
  return store;
}

// Pushes into groups of ten series, a different group each time.
void PushIntoGroups(benchmark::State& state, const std::vector<std::string>& bodies) {
  const auto groups = static_cast<std::size_t>(state.range(0));
  const auto store = Filled(groups);
  std::vector<GroupKey> keys;
  keys.reserve(groups);
  for (std::size_t g = 0; g < groups; ++g) keys.push_back(Key(g));
  FamilySet set;
  std::size_t i = 0;
  for (auto _ : CountingAllocations(state)) {
    Push(*store, keys[i * 7919 % groups], bodies[i % bodies.size()],
         static_cast<std::int64_t>(1000 + i), set, &state);
    ++i;
  }
  const auto snapshot = store->SnapshotAt(At(1'000'000));
  if (snapshot->groups() != groups || snapshot->series() != groups * (kFamilies + 2)) {
    state.SkipWithError("lost series");
  }
  state.counters["bytes/series"] =
      static_cast<double>(store->Stats().bytes) / static_cast<double>(groups * kFamilies);
}

void BM_PushOneSeries(benchmark::State& state) {
  std::vector<std::string> bodies;
  bodies.reserve(64);
  for (std::uint64_t v = 0; v < 64; ++v)
    bodies.push_back(OneSeriesBody(v % kFamilies, 200'000 + v));
  PushIntoGroups(state, bodies);
}
BENCHMARK(BM_PushOneSeries)->Arg(100)->Arg(1000)->Arg(10'000)->Arg(100'000);

void BM_PushTenSeries(benchmark::State& state) {
  std::vector<std::string> bodies(61);  // so that no group gets the same one twice
  for (std::size_t v = 0; v < bodies.size(); ++v) {
    for (std::size_t f = 0; f < kFamilies; ++f) bodies[v] += OneSeriesBody(f, 200'000 + v);
  }
  PushIntoGroups(state, bodies);
}
BENCHMARK(BM_PushTenSeries)->Arg(100)->Arg(1000)->Arg(10'000)->Arg(100'000);

// What k0s pushes every 30 s; `changed` says whether values differ from the last push.
void BM_PushControlPlane(benchmark::State& state) {
  const bool changed = state.range(0) != 0;
  MetricStore store{StoreOptions()};
  std::vector<std::string> bodies;
  bodies.reserve(4);
  for (std::uint64_t r = 0; r < 4; ++r) bodies.push_back(ControlPlaneBody(changed ? r * 311 : 7));
  const GroupKey key = *GroupKey::Make({{"job", "kube-scheduler"}, {"instance", "controller-0"}});
  FamilySet set;
  std::int64_t i = 0;
  for (auto _ : CountingAllocations(state)) {
    ++i;
    Push(store, key, bodies[static_cast<std::size_t>(i) % bodies.size()], i, set, &state);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bodies[0].size()) * state.iterations());
}
BENCHMARK(BM_PushControlPlane)->Arg(1)->Arg(0);

void BM_PushBodies(benchmark::State& state, const std::vector<std::string>& bodies) {
  MetricStore store{StoreOptions()};
  const GroupKey key = *GroupKey::Make({{"job", "kube-scheduler"}, {"instance", "controller-0"}});
  FamilySet set;
  std::int64_t i = 0;
  std::size_t bytes = 0;
  for (auto _ : CountingAllocations(state)) {
    const std::string& body = bodies[static_cast<std::size_t>(++i) % bodies.size()];
    Push(store, key, body, i, set, &state);
    bytes += body.size();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

// The way to what the store keeps, without the store.
void BM_ParsePrepare(benchmark::State& state, const std::vector<std::string>& bodies) {
  const GroupKey key = *GroupKey::Make({{"job", "kube-scheduler"}, {"instance", "controller-0"}});
  const GroupingLabels labels(key.bytes());
  const OwnFamilyTable own({});
  FamilySet set;
  PreparedPush push;
  std::size_t i = 0;
  std::size_t bytes = 0;
  for (auto _ : CountingAllocations(state)) {
    const std::string& body = bodies[++i % bodies.size()];
    set.Clear();
    if (!ParseText(body, NameValidation::kLegacy, set) || !push.Prepare(labels, set, own) ||
        push.families().empty() || !push.errors().empty()) {
      state.SkipWithError("not prepared");
      return;
    }
    push.Trim();
    bytes += body.size();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

const bool registered = [] {
  const char* const files = std::getenv("PGW_BENCH_BODIES");
  if (files == nullptr) return false;
  std::vector<std::string> bodies;
  std::istringstream names(files);
  for (std::string name; std::getline(names, name, ':');) {
    std::ifstream file(name, std::ios::binary);
    bodies.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  benchmark::RegisterBenchmark("BM_ParsePrepare", BM_ParsePrepare, bodies);
  benchmark::RegisterBenchmark("BM_PushBodies", BM_PushBodies, std::move(bodies));
  return true;
}();

void BM_Snapshot(benchmark::State& state) {
  const auto store = Filled(static_cast<std::size_t>(state.range(0)));
  std::size_t bytes = 0;
  for (auto _ : CountingAllocations(state)) {
    const auto snapshot = store->SnapshotAt(At(1'000'000));
    std::vector<std::string_view> pieces;
    std::vector<std::unique_ptr<std::string>> scratch;
    for (std::size_t f = 0; f < snapshot->family_count(); ++f) {
      snapshot->AppendText(f, pieces, scratch);
    }
    bytes = 0;
    for (const std::string_view piece : pieces) bytes += piece.size();
    benchmark::DoNotOptimize(bytes);
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_Snapshot)->Arg(10'000)->Arg(100'000);

// A million series that expire in the same instant, freed step by step.
void BM_EraseCliff(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    auto store = Filled(100'000);
    state.ResumeTiming();
    std::size_t families = 0;
    bool more = true;
    while (more) {
      const ExpiryProgress progress = store->EraseExpired(At(200'000'000'000).boot, 256);
      families += progress.families;
      more = progress.more;
    }
    if (families != 100'000 * kFamilies) state.SkipWithError("not everything was erased");
    state.PauseTiming();
    store.reset();
    state.ResumeTiming();
  }
}
BENCHMARK(BM_EraseCliff)->Unit(benchmark::kMillisecond)->Iterations(2);

}  // namespace
}  // namespace pgw::bench
