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
// A declared length larger than the rest of the body is refused before anything is allocated, and
// so is a body of which more than 16 times its size (plus 1 MiB) would have to be: that many empty
// submessages only a forger sends.
//
// Metric::message is set where beyond_lines is, and null elsewhere: the set says everything then.
// The message has no labels, those are in the set only. Strings are views into `body`.
Status ParseDelimited(std::string_view body, FamilySet& out);

// Appends the one family that SerializeFamily wrote. `bytes` must outlive `out`.
// kInternal: not such bytes.
Status ParseFamilyMessage(std::string_view bytes, FamilySet& out);

}  // namespace pgw
