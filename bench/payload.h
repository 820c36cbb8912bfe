// Bodies for benchmarks: what batch jobs and Kubernetes control-plane components push.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pgw::bench {

// One gauge with two labels, about 50 bytes; `value` makes it differ.
std::string OneSeriesBody(std::size_t metric, std::uint64_t value);

// About 280 KB in the shape of a control-plane component: 155 families, a sixth of them histograms
// with up to eight labels and fifteen buckets, integers and long fractions. Every value depends on
// `round`.
std::string ControlPlaneBody(std::uint64_t round);

}  // namespace pgw::bench
