// Reads the text exposition format 0.0.4. Knows base.
//
// One pass over the bytes; names, label values and numbers are views into the body unless they
// contain escapes. Grammar, accepted oddities and messages are upstream's (prometheus/common
// expfmt/text_parse.go), except for its defects listed in docs/compatibility.md.
#pragma once

#include <string_view>

#include "base/result.h"
#include "exposition/family_set.h"
#include "exposition/metric_type.h"
#include "exposition/names.h"

namespace pgw {

// Appends the families of `body` to the empty set `out`, in order of first appearance; families
// without samples are dropped. `body` must outlive `out`.
// kInvalidArgument: `text format parsing error in line N: …`; `out` is then to be cleared.
// Time is linear in the body's size, memory a small multiple of it.
Status ParseText(std::string_view body, NameValidation validation, FamilySet& out);

// Reads back lines that AppendMetricLines wrote with Escaping::kUnderscores for one family, whose
// name and type are known. Appends exactly one family to `out`, without help.
// kInternal: `lines` is not such text.
Status ParseStoredLines(std::string_view name, MetricType type, std::string_view lines,
                        FamilySet& out);

}  // namespace pgw
