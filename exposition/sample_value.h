// What the value of a text line means for its metric. Knows family_set.
#pragma once

#include <cstdint>
#include <string>

#include "exposition/family_set.h"
#include "exposition/family_table.h"
#include "exposition/number.h"

namespace pgw {

// The value of a histogram's or summary's bound label, unless there is none or it is NaN.
struct Bound {
  bool present = false;
  Number number;
};

bool IsNan(const Number& number);

// Gives `metric` of a family `name` the value of one of its lines, and sets beyond_lines where the
// text that will be printed cannot carry it. False: `error` says what is wrong with it.
[[nodiscard]] bool AssignValue(FamilySet& set, std::uint32_t metric, const Family& family,
                               SamplePart part, const Bound& bound, const Number& value,
                               std::string& error);

// Sets beyond_lines for histograms without a +Inf bucket: the writer makes one up, and a reader
// cannot tell.
void MarkHistogramsWithoutInfinity(FamilySet& set);

}  // namespace pgw
