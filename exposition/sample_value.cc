#include "exposition/sample_value.h"

#include <cmath>
#include <limits>

#include "exposition/quote.h"

namespace pgw {
namespace {

constexpr double kTwoTo64 = 18446744073709551616.0;

// The predicates look at the text where there is one: it is canonical.

bool IsPositiveInfinity(const Number& number) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return number.token().empty() ? number.value() == kInfinity : number.token() == "+Inf";
}

bool IsNegative(const Number& number) {
  return number.token().empty() ? number.value() < 0 : number.token()[0] == '-';
}

// It prints as 0 and would come back without its sign.
bool IsNegativeZero(const Number& number) {
  return number.token().empty() && number.value() == 0 && std::signbit(number.value());
}

Number WithoutZeroSign(const Number& number) {
  return IsNegativeZero(number) ? Number(0.0) : number;
}

// Whether upstream counts it as an integer: what 64 bits can hold.
// REQUIRES: !IsNegative(number)
bool IsInteger(const Number& number) {
  const std::string_view token = number.token();
  if (!token.empty() && token.find_first_not_of("0123456789") == token.npos) return true;
  const double value = number.value();
  return value < kTwoTo64 && std::trunc(value) == value;
}

bool AssignSum(Metric& metric, const Number& value) {
  metric.sum = value;
  metric.beyond_lines = metric.beyond_lines || IsNegativeZero(value);
  return true;
}

// The fraction is cut off. Upstream lets what is no 64-bit number wrap around; we refuse it.
bool AssignSummaryCount(Metric& metric, const Family& family, const Number& value,
                        std::string& error) {
  if (!IsNegative(value) && IsInteger(value)) {
    metric.count = WithoutZeroSign(value);
    return true;
  }
  const double count = std::trunc(value.value()) + 0.0;  // never -0
  if (!(count >= 0 && count < kTwoTo64)) {
    error = "expected unsigned integer as count of summary " + GoQuote(family.name) + ", got ";
    value.AppendTo(error);
    return false;
  }
  metric.count = Number(count);
  return true;
}

bool AssignHistogramCount(Metric& metric, const Family& family, const Number& value,
                          std::string& error) {
  if (IsNegative(value)) {
    error = "negative count for histogram " + GoQuote(family.name);
    return false;
  }
  // Upstream keeps integers and floats apart, and a float that is there has precedence.
  if (!IsInteger(value) || IsInteger(metric.count)) metric.count = WithoutZeroSign(value);
  return true;
}

bool AddQuantile(FamilySet& set, std::uint32_t metric, const Number& bound, const Number& value) {
  if (IsNegativeZero(bound) || IsNegativeZero(value)) set.metrics[metric].beyond_lines = true;
  set.AddPoint(metric, bound, value);
  return true;
}

bool AddBucket(FamilySet& set, std::uint32_t metric, const Family& family, const Number& bound,
               const Number& value, std::string& error) {
  if (IsNegative(value)) {
    error = "negative bucket population for histogram " + GoQuote(family.name);
    return false;
  }
  if (IsNegativeZero(bound)) set.metrics[metric].beyond_lines = true;
  set.AddPoint(metric, bound, WithoutZeroSign(value));
  return true;
}

bool HasInfinity(const FamilySet& set, const Metric& metric) {
  if (metric.point_count == 0) return false;
  // Usually it is the last one.
  if (IsPositiveInfinity(set.points[metric.last_point].bound)) return true;
  std::uint32_t p = metric.first_point;
  while (p != kNoIndex && !IsPositiveInfinity(set.points[p].bound)) p = set.points[p].next;
  return p != kNoIndex;
}

}  // namespace

bool IsNan(const Number& number) {
  return number.token().empty() ? std::isnan(number.value()) : number.token() == "NaN";
}

bool AssignValue(FamilySet& set, std::uint32_t metric, const Family& family, SamplePart part,
                 const Bound& bound, const Number& value, std::string& error) {
  Metric& target = set.metrics[metric];
  if (BoundLabel(family.type).empty()) {
    target.value = value;
    target.beyond_lines = target.beyond_lines || IsNegativeZero(value);
    return true;
  }
  if (part == SamplePart::kSum) return AssignSum(target, value);
  if (part == SamplePart::kCount) {
    return IsHistogram(family.type) ? AssignHistogramCount(target, family, value, error)
                                    : AssignSummaryCount(target, family, value, error);
  }
  // A line of no use but for its labels.
  if (!bound.present) return true;
  return IsHistogram(family.type) ? AddBucket(set, metric, family, bound.number, value, error)
                                  : AddQuantile(set, metric, bound.number, value);
}

void MarkHistogramsWithoutInfinity(FamilySet& set) {
  for (const Family& family : set.families) {
    if (!IsHistogram(family.type)) continue;
    for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set.metrics[m].next) {
      if (!HasInfinity(set, set.metrics[m])) set.metrics[m].beyond_lines = true;
    }
  }
}

}  // namespace pgw
