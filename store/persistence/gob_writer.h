// Writes a persistence file that the Go Pushgateway starts from: a Go gob stream. Knows base.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "store/persistence/gob.h"

namespace pgw {

// Shows all groups to a visitor, one after the other, and hands its error through.
using GobWalk = std::function<Status(const GobVisitor&)>;

// Takes the next bytes of the file; they live during the call.
using GobSink = std::function<Status(std::string_view)>;

// Walks twice, since the format wants the number of groups and their size in bytes before the
// first of them: both walks must show the same groups with the same sizes. Beside one group at a
// time, memory stays below 100 KiB.
//
// What the Go Pushgateway wants of the content is left to the caller: no two groups of the same
// labels, no two families of the same name in a group; push_time_seconds and
// push_failure_time_seconds among a group's families, or its status page has no times to show;
// messages named like their families, each metric with the group's labels and, where those lack
// it, an empty `instance`.
//
// Errors of `walk` and `sink` are handed through. kInternal: the walks differed. kTooLarge: more
// than Go reads, 8 GiB. After an error what the sink got is no such file.
Status WriteGob(const GobWalk& walk, const GobSink& sink);

}  // namespace pgw
