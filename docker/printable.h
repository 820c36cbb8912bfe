// Text from outside, fit for a terminal. Knows nothing.
#pragma once

#include <string>
#include <string_view>

namespace pgw::image {

// Control characters, backslashes and bytes outside ASCII become \xNN, and what is longer than
// 300 bytes is cut: a name in an archive must not steer the terminal of whoever inspects it.
std::string Printable(std::string_view text);

}  // namespace pgw::image
