// The result as one HTML page that needs nothing else. Knows the template, not the figures.
#pragma once

#include <string>
#include <string_view>

namespace pgw::load {

// `json` is what ToJson gives.
std::string HtmlReport(std::string_view json);

}  // namespace pgw::load
