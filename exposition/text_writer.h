// Writes the text exposition format 0.0.4. Knows base.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "exposition/family_set.h"
#include "exposition/names.h"

namespace pgw {

// Appends the HELP line (if `help` is not null, even if it is empty) and the TYPE line. `name` is
// the pushed name; it is escaped here.
void AppendFamilyHeader(std::string_view name, const std::string_view* help, MetricType type,
                        Escaping escaping, std::string& out);

// Appends the sample lines of one metric of `family`: labels in the order of the set, then le or
// quantile; for histograms the +Inf bucket is made up if missing. Returns the number of lines.
std::uint32_t AppendMetricLines(const FamilySet& set, const Family& family, const Metric& metric,
                                Escaping escaping, std::string& out);

// No more bytes than AppendMetricLines can append. Labels are repeated on each line: a metric of
// many points with long labels, which is small in protobuf, may not be affordable as text.
std::size_t MetricLinesBytesMax(const FamilySet& set, const Family& family, const Metric& metric,
                                Escaping escaping);

// Appends `{a="b",c="d"` without the closing brace and without le: the identity of a series.
// Empty if there are no labels.
void AppendLabels(const FamilySet& set, const Metric& metric, Escaping escaping, std::string& out);

// Appends a label value with \, " and line feed escaped.
void AppendEscapedLabelValue(std::string_view value, std::string& out);

}  // namespace pgw
