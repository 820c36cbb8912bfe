#include "bench/load/schedule.h"

#include <algorithm>
#include <cmath>

namespace pgw::load {

std::uint64_t SeededRandom::Next() {  // splitmix64
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double SeededRandom::Fraction() { return (static_cast<double>(Next() >> 11) + 1) * 0x1p-53; }

Schedule::Schedule(const ScheduleOptions& options, std::int64_t start_ns)
    : options_(options), random_(options.seed), start_ns_(start_ns), due_ns_(start_ns) {
  options_.burst = std::max<std::uint64_t>(options_.burst, 1);
  if (options_.arrivals != Arrivals::kBursts) {
    options_.per_second = std::max(options_.per_second, 1e-6);
  }
}

void Schedule::Advance() {
  ++count_;
  switch (options_.arrivals) {
    case Arrivals::kConstant:
      // From the start each time: rounding does not add up.
      due_ns_ = start_ns_ + std::llround(static_cast<double>(count_) * 1e9 / options_.per_second);
      break;
    case Arrivals::kPoisson:
      poisson_ns_ -= std::log(random_.Fraction()) * 1e9 / options_.per_second;
      due_ns_ = start_ns_ + std::llround(poisson_ns_);
      break;
    case Arrivals::kBursts:
      due_ns_ = start_ns_ + static_cast<std::int64_t>(count_ / options_.burst) *
                                std::max<std::int64_t>(options_.burst_gap_ns, 1);
      break;
  }
}

}  // namespace pgw::load
