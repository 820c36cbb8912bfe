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

  // pkg:deb/debian/…, a package URL.
  std::string purl() const;
};

// A line for each: name, version, architecture, SHA-256 and SPDX licence expression between tabs;
// # begins a comment line. Sorted by name and architecture, each once. kInvalidArgument names the
// line.
Result<std::vector<Package>> ParsePackages(std::string_view text);

// The LicenseRef-… in a licence expression.
std::vector<std::string> LicenceReferences(std::string_view expression);

}  // namespace pgw::image
