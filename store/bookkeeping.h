// The two families that every group has, push_time_seconds and push_failure_time_seconds: what
// their samples look like. Knows exposition, store/group, store/prepared_push.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "exposition/family_set.h"
#include "store/group.h"
#include "store/prepared_push.h"

namespace pgw {

// `last` is Group::last_push: nanoseconds of WallTime, 0 for never.
double BookkeepingValue(std::int64_t last);

// Appends the family with its one sample to `set`, for messages and complaints.
void FillBookkeeping(const GroupingLabels& labels, Bookkeeping which, double value, FamilySet& set);

// The family as a stored message, where a line cannot carry its labels; else null.
SharedText BookkeepingMessage(const GroupingLabels& labels, Bookkeeping which, double value);

// The sample as a line in the default escaping.
std::string BookkeepingLine(const GroupingLabels& labels, Bookkeeping which, double value);

// Makes `line` the line `old` with `last` for its value.
//
// A line that changes its length moves all lines behind it in the block. Today's times print with
// seven decimals; of the quarter that needs one or two fewer, `last` is moved to the next double,
// 0.26 us later, where that prints at the old length.
void Restamp(std::string_view old, std::int64_t& last, std::string& line);

}  // namespace pgw
