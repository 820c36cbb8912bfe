#include "bench/load/report.h"

#include <cassert>

#include "bench/load/report_template.h"

namespace pgw::load {

std::string HtmlReport(std::string_view json) {
  constexpr std::string_view kPlace = "@RESULT@";
  const std::string_view page = kReportTemplate;
  const std::size_t at = page.find(kPlace);
  assert(at != std::string_view::npos);
  std::string out(page.substr(0, at));
  // Inside a script element nothing but "</script" or "<!--" could end the data; names come from
  // the command line.
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  out += page.substr(at + kPlace.size());
  return out;
}

}  // namespace pgw::load
