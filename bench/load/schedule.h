// When requests are due, decided before any of them is sent. Knows nothing; time is an argument.
#pragma once

#include <cstdint>

namespace pgw::load {

// A small generator whose numbers are the same everywhere, which std's distributions do not
// promise.
class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next();
  // In (0, 1].
  double Fraction();

 private:
  std::uint64_t state_;
};

enum class Arrivals : unsigned char { kConstant, kPoisson, kBursts };

struct ScheduleOptions {
  Arrivals arrivals = Arrivals::kConstant;
  double per_second = 0;          // kConstant, kPoisson; more than 0
  std::uint64_t burst = 1;        // kBursts: how many at once
  std::int64_t burst_gap_ns = 0;  // and how long from one to the next
  std::uint64_t seed = 1;
};

// Due times on the caller's clock, ascending, without end. A server that is slow does not move
// them: a delay is counted from here, so that no request is left out of the figures for having
// waited.
class Schedule {
 public:
  Schedule(const ScheduleOptions& options, std::int64_t start_ns);

  // When the next one is due.
  std::int64_t due_ns() const { return due_ns_; }
  // That one is sent.
  void Advance();
  std::uint64_t count() const { return count_; }

 private:
  ScheduleOptions options_;
  SeededRandom random_;
  std::int64_t start_ns_;
  std::int64_t due_ns_;
  double poisson_ns_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace pgw::load
