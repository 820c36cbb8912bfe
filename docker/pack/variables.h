// ${NAME} in descriptions. Knows base.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::image {

// What --set, the description's defaults and the packer itself say.
using Variables = std::map<std::string, std::string, std::less<>>;

// A letter or _, then letters, digits and _.
bool IsVariableName(std::string_view name);

// The names in all ${NAME} of `text`; faults are Substitute()'s to find.
void CollectVariables(std::string_view text, std::set<std::string, std::less<>>& names);

// Replaces each ${NAME}; $${ stands for ${ itself. Values are not looked through again.
// kInvalidArgument for a name without a value and for a ${ that is not closed.
Result<std::string> Substitute(std::string_view text, const Variables& variables);

}  // namespace pgw::image
