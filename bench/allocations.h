// How often a benchmark's loop allocates, as the counter `allocs` per iteration. Hardware counters
// are closed on many machines; allocations are counted everywhere, and move with nothing but the
// code.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace pgw::bench {

// Calls of operator new so far, of all threads of this program. Its aligned forms are not counted.
std::uint64_t Allocations();

// The loop of a benchmark: `for (auto _ : CountingAllocations(state))`. Sets the counter at its
// end.
class CountingAllocations {
 public:
  explicit CountingAllocations(benchmark::State& state) : state_(state) {}
  ~CountingAllocations() {
    state_.counters["allocs"] = benchmark::Counter(static_cast<double>(Allocations() - before_),
                                                   benchmark::Counter::kAvgIterations);
  }
  CountingAllocations(const CountingAllocations&) = delete;
  CountingAllocations& operator=(const CountingAllocations&) = delete;

  auto begin() {
    before_ = Allocations();
    return state_.begin();
  }
  auto end() { return state_.end(); }

 private:
  benchmark::State& state_;
  std::uint64_t before_ = 0;
};

}  // namespace pgw::bench
