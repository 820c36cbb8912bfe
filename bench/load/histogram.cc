#include "bench/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace pgw::load {
namespace {

// Values below 2048 have a bucket each; every doubling above is cut into 1024.
constexpr int kHalfBits = 10;
constexpr std::size_t kHalf = std::size_t{1} << kHalfBits;
constexpr int kLargestBits = 48;
constexpr std::size_t kBuckets = (kLargestBits - kHalfBits + 1) * kHalf;

}  // namespace

std::size_t Histogram::IndexOf(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  const auto width = static_cast<int>(std::bit_width(bits));
  const int shift = std::max(0, width - kHalfBits - 1);
  return (static_cast<std::size_t>(shift) << kHalfBits) + static_cast<std::size_t>(bits >> shift);
}

std::int64_t Histogram::LargestOf(std::size_t index) {
  if (index < 2 * kHalf) return static_cast<std::int64_t>(index);
  const std::size_t shift = (index >> kHalfBits) - 1;
  const std::size_t part = index - (shift << kHalfBits);
  return static_cast<std::int64_t>(((part + 1) << shift) - 1);
}

void Histogram::Record(std::int64_t value, std::uint64_t times) {
  if (times == 0) return;
  value = std::max<std::int64_t>(value, 0);
  if (counts_.empty()) counts_.resize(kBuckets);
  const std::size_t index = IndexOf(std::min(value, kLargest));
  counts_[index] += times;
  if (count_ == 0) {
    first_ = last_ = index;
    min_ = value;
  }
  first_ = std::min(first_, index);
  last_ = std::max(last_, index);
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
  count_ += times;
  sum_ += static_cast<double>(value) * static_cast<double>(times);
}

void Histogram::Merge(const Histogram& other) {
  if (other.count_ == 0) return;
  if (counts_.empty()) counts_.resize(kBuckets);
  for (std::size_t i = other.first_; i <= other.last_; ++i) counts_[i] += other.counts_[i];
  first_ = count_ == 0 ? other.first_ : std::min(first_, other.first_);
  last_ = count_ == 0 ? other.last_ : std::max(last_, other.last_);
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
}

void Histogram::Clear() {
  if (count_ == 0) return;
  std::fill(counts_.begin() + static_cast<std::ptrdiff_t>(first_),
            counts_.begin() + static_cast<std::ptrdiff_t>(last_) + 1, 0);
  first_ = last_ = 0;
  count_ = 0;
  min_ = max_ = 0;
  sum_ = 0;
}

double Histogram::Mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::int64_t Histogram::Quantile(double quantile) const {
  if (count_ == 0) return 0;
  const double exact = std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_);
  const std::uint64_t wanted =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(exact)), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = first_; i <= last_; ++i) {
    seen += counts_[i];
    if (seen >= wanted) return i == last_ ? max_ : std::min(LargestOf(i), max_);
  }
  return max_;
}

std::uint64_t Histogram::CountAbove(std::int64_t value) const {
  std::uint64_t above = 0;
  ForEach([&](std::int64_t bucket, std::uint64_t times) {
    if (bucket > value) above += times;
  });
  return above;
}

void Histogram::ForEach(const std::function<void(std::int64_t, std::uint64_t)>& visit) const {
  if (count_ == 0) return;
  for (std::size_t i = first_; i <= last_; ++i) {
    if (counts_[i] != 0) visit(std::min(LargestOf(i), max_), counts_[i]);
  }
}

}  // namespace pgw::load
