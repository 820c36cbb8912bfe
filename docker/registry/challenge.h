// WWW-Authenticate: how a registry wants to be asked. Knows nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace pgw::image {

struct Challenge {
  std::string scheme;                                          // lower case: basic, bearer
  std::map<std::string, std::string, std::less<>> parameters;  // names in lower case

  std::string Get(std::string_view name) const {
    const auto found = parameters.find(name);
    return found == parameters.end() ? std::string() : found->second;
  }
};

// The first Bearer challenge of the header's value, else the first Basic one; nothing for others.
std::optional<Challenge> ParseChallenge(std::string_view header);

}  // namespace pgw::image
