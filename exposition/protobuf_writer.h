// Writes io.prometheus.client.MetricFamily messages. Knows base; keeps protobuf to itself.
#pragma once

#include <string>

#include "exposition/family_set.h"
#include "exposition/names.h"

namespace pgw {

// `family` as one message, without length: labels as they stand in the set, names escaped, unit
// dropped. Metrics that came from protobuf keep all their fields (exemplars, native buckets,
// created timestamps), unknown ones too. Timestamps are kept.
std::string SerializeFamily(const FamilySet& set, const Family& family, Escaping escaping);

// Appends one metric as an io.prometheus.client.Metric, without tag and length.
void AppendMetricMessage(const FamilySet& set, const Metric& metric, Escaping escaping,
                         std::string& out);

// Appends varint length and message.
void AppendDelimitedFamily(const FamilySet& set, const Family& family, Escaping escaping,
                           std::string& out);

}  // namespace pgw
