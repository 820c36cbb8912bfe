// Reads io.prometheus.client.MetricFamily messages. Knows base; keeps protobuf to itself.
#pragma once

#include <string_view>

#include "base/result.h"
#include "exposition/family_set.h"

namespace pgw {

// Appends the families of a delimited body (varint length, message, …) to the empty set `out`.
// Two families of one name: the last wins. `unexpected EOF` inside a length or message,
// `proto: …` for a malformed one; an empty or non-UTF-8 family name and an unknown type number
// are refused by name (upstream stores them and then breaks its own scrapes).
// A declared length larger than the rest of the body is refused before anything is allocated.
Status ParseDelimited(std::string_view body, FamilySet& out);

// Appends the one family that SerializeFamily wrote. kInternal: not such bytes.
Status ParseFamilyMessage(std::string_view bytes, FamilySet& out);

}  // namespace pgw
