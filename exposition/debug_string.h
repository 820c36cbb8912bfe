// Protobuf's text format of metrics, for error messages and the two debug answers of a scrape
// (encoding=text, encoding=compact-text). Upstream's spacing is deliberately unstable; ours is
// fixed. Knows base; keeps protobuf to itself.
#pragma once

#include <string>

#include "exposition/family_set.h"
#include "exposition/names.h"

namespace pgw {

// label:{name:"instance" value:""} label:{name:"job" value:"a"} untyped:{value:2}
std::string MetricDebugString(const FamilySet& set, const Family& family, const Metric& metric);

// Appends one family: on one line (compact), or indented over several and followed by an empty one.
void AppendFamilyDebugText(const FamilySet& set, const Family& family, Escaping escaping,
                           bool compact, std::string& out);

}  // namespace pgw
