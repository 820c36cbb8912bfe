// The packages that are linked into a binary, from the list that the cross build writes.
// Knows base.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pgw::image {

struct Package {
  std::string name;
  std::string version;
  std::string architecture;  // Debian's word, or "source"
  std::string sha256;        // of the package file
  std::string licence;       // an SPDX licence expression
  bool is_linked = true;     // else only its headers were compiled in

  // pkg:deb/debian/…, a package URL.
  std::string purl() const;
};

// A line for each: name, version, architecture, SHA-256 and SPDX licence expression between tabs,
// perhaps with a sixth field: "linked" (so it is without) or "headers", what was taken of it;
// # begins a comment line. Sorted by name and architecture, each once. kInvalidArgument names the
// line.
Result<std::vector<Package>> ParsePackages(std::string_view text);

// As URLs want it: all but letters, digits and -._~ as %XX.
std::string EscapeAll(std::string_view text);

// The LicenseRef-… in a licence expression.
std::vector<std::string> LicenceReferences(std::string_view expression);

}  // namespace pgw::image
