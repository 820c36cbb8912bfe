// Times counted in buckets whose width grows with them: log-linear, three significant digits.
//
// docs/decisions/0010-a-histogram-of-our-own.md says why this is not a library. Knows nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace pgw::load {

// Non-negative integers, nanoseconds everywhere here. A value is kept to 1/1024 of itself or
// better; minimum, maximum and sum are exact. Bounded memory (about 300 KB), allocated with the
// first value. Not thread-safe.
class Histogram {
 public:
  // Larger values are counted as this one; the maximum stays exact. Some 78 hours in ns.
  static constexpr std::int64_t kLargest = (std::int64_t{1} << 48) - 1;

  // Negative values count as 0.
  void Record(std::int64_t value) { Record(value, 1); }
  void Record(std::int64_t value, std::uint64_t times);
  void Merge(const Histogram& other);
  // Costs what was recorded, not the size.
  void Clear();

  std::uint64_t count() const { return count_; }
  std::int64_t min() const { return count_ == 0 ? 0 : min_; }
  std::int64_t max() const { return max_; }
  double Mean() const;
  // The smallest kept value that at least `quantile` (0 to 1) of all values do not exceed: never
  // less than the true one, nor more than the maximum. 0 without values.
  std::int64_t Quantile(double quantile) const;
  std::uint64_t CountAbove(std::int64_t value) const;

  // Each bucket that is not empty, ascending: the largest value it stands for, and how many.
  void ForEach(const std::function<void(std::int64_t value, std::uint64_t times)>& visit) const;

 private:
  static std::size_t IndexOf(std::int64_t value);
  static std::int64_t LargestOf(std::size_t index);

  std::vector<std::uint64_t> counts_;
  std::size_t first_ = 0;  // no bucket below is filled
  std::size_t last_ = 0;   // nor one above
  std::uint64_t count_ = 0;
  std::int64_t min_ = 0;
  std::int64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace pgw::load
