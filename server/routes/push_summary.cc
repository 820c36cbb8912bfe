#include "server/routes/push_summary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace pgw {

std::size_t ThreadNumber() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

std::size_t LogLinearBuckets::IndexOf(std::uint64_t value) {
  constexpr std::uint64_t kLinear = 1u << kSubBits;
  if (value < kLinear) return value;
  value = std::min(value, (std::uint64_t{1} << kValueBits) - 1);
  // The leading one and the kSubBits bits behind it.
  const auto shift = static_cast<std::size_t>(std::bit_width(value)) - 1 - kSubBits;
  return (shift << kSubBits) + static_cast<std::size_t>(value >> shift);
}

double LogLinearBuckets::ValueOf(std::size_t index) {
  constexpr std::size_t kLinear = 1u << kSubBits;
  if (index < 2 * kLinear) return static_cast<double>(index);
  const std::size_t shift = (index >> kSubBits) - 1;
  const std::size_t leading = kLinear + (index & (kLinear - 1));
  const double width = std::ldexp(1.0, static_cast<int>(shift));
  return (static_cast<double>(leading) + 0.5) * width - 0.5;
}

SlidingSummary::~SlidingSummary() {
  for (std::atomic<Stripe*>& stripe : stripes_) delete stripe.load();
}

std::int64_t SlidingSummary::StepOf(BootTime now) const {
  return std::max<std::int64_t>((now - start_) / kStep, 0);
}

SlidingSummary::Stripe& SlidingSummary::StripeOfThisThread() {
  std::atomic<Stripe*>& place = stripes_[ThreadNumber() % kStripes];
  Stripe* stripe = place.load(std::memory_order_acquire);
  if (stripe != nullptr) return *stripe;
  auto fresh = std::make_unique<Stripe>();
  if (place.compare_exchange_strong(stripe, fresh.get(), std::memory_order_acq_rel)) {
    return *fresh.release();
  }
  return *stripe;
}

void SlidingSummary::TurnTo(Stripe& stripe, Slot& slot, std::int64_t step) {
  const MutexLock lock(stripe.turning);
  if (slot.step.load(std::memory_order_relaxed) >= step) return;
  for (std::atomic<std::uint32_t>& count : slot.counts) count.store(0, std::memory_order_relaxed);
  slot.step.store(step, std::memory_order_release);
}

void SlidingSummary::Observe(std::uint64_t value, BootTime now) {
  Stripe& stripe = StripeOfThisThread();
  stripe.sum.fetch_add(value, std::memory_order_relaxed);
  stripe.count.fetch_add(1, std::memory_order_relaxed);
  const std::int64_t step = StepOf(now);
  Slot& slot = stripe.slots[static_cast<std::size_t>(step) % kSteps];
  std::int64_t held = slot.step.load(std::memory_order_acquire);
  if (held < step) {
    TurnTo(stripe, slot, step);
    held = slot.step.load(std::memory_order_acquire);
  }
  // Otherwise so late that its step has left the window.
  if (held == step) {
    slot.counts[LogLinearBuckets::IndexOf(value)].fetch_add(1, std::memory_order_relaxed);
  }
}

bool SlidingSummary::touched() const {
  return std::ranges::any_of(stripes_, [](const std::atomic<Stripe*>& stripe) {
    return stripe.load(std::memory_order_acquire) != nullptr;
  });
}

SlidingSummary::Reading SlidingSummary::Read(BootTime now,
                                             const std::vector<double>& quantiles) const {
  Reading reading;
  std::uint64_t sum = 0;
  std::uint64_t in_window = 0;
  std::vector<std::uint64_t> counts(LogLinearBuckets::kCount);
  const std::int64_t step = StepOf(now);
  for (const std::atomic<Stripe*>& place : stripes_) {
    const Stripe* stripe = place.load(std::memory_order_acquire);
    if (stripe == nullptr) continue;
    reading.count += stripe->count.load(std::memory_order_relaxed);
    sum += stripe->sum.load(std::memory_order_relaxed);
    for (const Slot& slot : stripe->slots) {
      const std::int64_t held = slot.step.load(std::memory_order_acquire);
      if (held < 0 || held + static_cast<std::int64_t>(kSteps) <= step) continue;
      for (std::size_t i = 0; i < counts.size(); ++i) {
        const std::uint32_t count = slot.counts[i].load(std::memory_order_relaxed);
        counts[i] += count;
        in_window += count;
      }
    }
  }
  reading.sum = static_cast<double>(sum);
  for (const double quantile : quantiles) {
    double value = std::numeric_limits<double>::quiet_NaN();
    const double rank = std::max(1.0, std::ceil(quantile * static_cast<double>(in_window)));
    std::uint64_t passed = 0;
    for (std::size_t i = 0; in_window > 0 && i < counts.size(); ++i) {
      passed += counts[i];
      if (static_cast<double>(passed) < rank) continue;
      value = LogLinearBuckets::ValueOf(i);
      break;
    }
    reading.quantiles.push_back(value);
  }
  return reading;
}

}  // namespace pgw
