// URLs of registries. Knows base.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::image {

struct Url {
  std::string scheme;  // http or https
  std::string host;    // without brackets
  std::string port;    // never empty
  std::string target;  // path and query, begins with a slash

  bool is_tls() const { return scheme == "https"; }
  // What credentials belong to.
  std::string origin() const;
  // As the Host header wants it: without the scheme's usual port.
  std::string authority() const;
  std::string text() const { return scheme + "://" + authority() + target; }

  friend bool operator==(const Url&, const Url&) = default;
};

// Absolute http and https URLs without user and fragment.
Result<Url> ParseUrl(std::string_view text);

// What a Location header means, seen from `base`.
Result<Url> ResolveUrl(const Url& base, std::string_view location);

// localhost, 127.0.0.0/8, ::1.
bool IsLoopback(std::string_view host);

// The target with one more query parameter, whose name and value are escaped.
std::string WithQuery(std::string target, std::string_view name, std::string_view value);

}  // namespace pgw::image
