// All that a FamilySet says, as text that a test can compare.
#pragma once

#include <string>

#include "exposition/family_set.h"
#include "exposition/metric_type.h"
#include "exposition/number.h"

namespace pgw {

inline std::string DumpNumber(const Number& number) {
  std::string text;
  AppendFloatKeepingZeroSign(number.value(), text);
  return text;
}

// {a="b"} value=1, or {a="b"} (0.5:1) (+Inf:2) sum=3 count=2, and flags in brackets.
inline std::string DumpMetric(const FamilySet& set, const Metric& metric) {
  std::string text = "{";
  for (std::uint32_t i = 0; i < metric.label_count; ++i) {
    const Label& label = set.labels[metric.first_label + i];
    if (i > 0) text += ',';
    text += std::string(label.name) + "=\"" + std::string(label.value) + '"';
  }
  text += '}';
  std::uint32_t points = 0;
  for (std::uint32_t p = metric.first_point; p != kNoIndex; p = set.points[p].next) {
    text += " (" + DumpNumber(set.points[p].bound) + ':' + DumpNumber(set.points[p].value) + ')';
    ++points;
  }
  if (points != metric.point_count) text += " WRONG POINT COUNT";
  if ((metric.kinds & (kHasSummary | kHasHistogram)) != 0) {
    text += " sum=" + DumpNumber(metric.sum) + " count=" + DumpNumber(metric.count);
  } else {
    text += " value=" + DumpNumber(metric.value);
  }
  if (metric.has_timestamp) text += " [timestamp]";
  if (metric.beyond_lines) text += " [beyond lines]";
  return text;
}

// A line per family (`name TYPE "help"`), then an indented one per metric.
inline std::string Dump(const FamilySet& set) {
  std::string text;
  for (const Family& family : set.families) {
    text += std::string(family.name) + ' ' + std::string(UpperName(family.type));
    if (family.has_help) text += " \"" + std::string(family.help) + '"';
    text += '\n';
    std::uint32_t metrics = 0;
    for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set.metrics[m].next) {
      const Metric& metric = set.metrics[m];
      text += "  " + DumpMetric(set, metric);
      if (metric.kinds != ValueKindOf(family.type)) text += " WRONG KIND";
      text += '\n';
      ++metrics;
    }
    if (metrics != family.metric_count) text += "  WRONG METRIC COUNT\n";
  }
  return text;
}

}  // namespace pgw
