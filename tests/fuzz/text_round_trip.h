// What must hold for the text format, whatever the body: said once, checked by the fuzzers and by
// the unit tests.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "exposition/family_set.h"
#include "exposition/text_parser.h"
#include "exposition/text_writer.h"

namespace pgw {

inline bool SameNumber(const Number& a, const Number& b) {
  const double x = a.value();
  const double y = b.value();
  return (std::isnan(x) && std::isnan(y)) ||
         std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
}

// `names_too`: label names are compared as well as values.
inline bool SameMetric(const FamilySet& set_a, const Metric& a, const FamilySet& set_b,
                       const Metric& b, bool names_too) {
  if (a.label_count != b.label_count || a.point_count != b.point_count || a.kinds != b.kinds ||
      a.has_timestamp != b.has_timestamp || a.beyond_lines != b.beyond_lines ||
      !SameNumber(a.value, b.value) || !SameNumber(a.sum, b.sum) || !SameNumber(a.count, b.count)) {
    return false;
  }
  for (std::uint32_t i = 0; i < a.label_count; ++i) {
    const Label& label_a = set_a.labels[a.first_label + i];
    const Label& label_b = set_b.labels[b.first_label + i];
    if (label_a.value != label_b.value || (names_too && label_a.name != label_b.name)) return false;
  }
  std::uint32_t q = b.first_point;
  for (std::uint32_t p = a.first_point; p != kNoIndex; p = set_a.points[p].next) {
    if (!SameNumber(set_a.points[p].bound, set_b.points[q].bound) ||
        !SameNumber(set_a.points[p].value, set_b.points[q].value)) {
      return false;
    }
    q = set_b.points[q].next;
  }
  return q == kNoIndex;
}

inline std::string LinesOf(const FamilySet& set, const Family& family, Escaping escaping) {
  std::string lines;
  for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set.metrics[m].next) {
    AppendMetricLines(set, family, set.metrics[m], escaping, lines);
  }
  return lines;
}

// Lines that were written for `family` are read back to the same metrics and written the same.
inline std::string StoredLinesProblem(const FamilySet& set, const Family& family) {
  const std::string lines = LinesOf(set, family, Escaping::kUnderscores);
  FamilySet read;
  const Status status = ParseStoredLines(family.name, family.type, lines, read);
  if (!status) return status.error().message;
  const Family& again = read.families[0];
  if (again.name != family.name || again.type != family.type ||
      again.metric_count != family.metric_count) {
    return "stored lines give another family";
  }
  std::uint32_t n = again.first_metric;
  for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set.metrics[m].next) {
    const Metric& metric = set.metrics[m];
    bool escaped = false;
    for (std::uint32_t i = 0; i < metric.label_count; ++i) {
      escaped = escaped || NeedsEscaping(set.labels[metric.first_label + i].name);
    }
    if (!metric.beyond_lines && !SameMetric(set, metric, read, read.metrics[n], !escaped)) {
      return "stored lines give another metric";
    }
    n = read.metrics[n].next;
  }
  if (LinesOf(read, again, Escaping::kUnderscores) != lines) {
    return "stored lines are written differently";
  }
  return "";
}

// A scrape of `family` can be pushed again and gives the same scrape.
inline std::string ScrapeProblem(const FamilySet& set, const Family& family,
                                 NameValidation validation) {
  std::string text;
  AppendFamilyHeader(family.name, family.has_help ? &family.help : nullptr, family.type,
                     Escaping::kAllowUtf8, text);
  const std::string lines = LinesOf(set, family, Escaping::kAllowUtf8);
  text += lines;
  FamilySet read;
  if (const Status status = ParseText(text, validation, read); !status) {
    return "scrape refused: " + status.error().message;
  }
  if (read.families.size() != 1) return "scrape has another number of families";
  const Family& again = read.families[0];
  if (again.name != family.name || again.has_help != family.has_help || again.help != family.help ||
      again.metric_count != family.metric_count) {
    return "scrape gives another family";
  }
  if (LinesOf(read, again, Escaping::kAllowUtf8) != lines)
    return "scrape changes when pushed again";
  return "";
}

// Empty if `body` is refused, or accepted and all is well; else what is wrong.
inline std::string TextProblem(std::string_view body, NameValidation validation) {
  FamilySet set;
  if (!ParseText(body, validation, set)) return "";
  for (const Family& family : set.families) {
    if (family.metric_count == 0) return "family without metrics";
    if (std::string problem = StoredLinesProblem(set, family); !problem.empty()) return problem;
    // A label name with a colon is written bare, as upstream does, but not read so.
    bool colon = false;
    for (const Label& label : set.labels) colon = colon || label.name.find(':') != label.name.npos;
    if (colon) continue;
    if (std::string problem = ScrapeProblem(set, family, validation); !problem.empty()) {
      return problem;
    }
  }
  return "";
}

}  // namespace pgw
