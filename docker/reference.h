// Image references: registry/repository:tag. Knows base.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::image {

struct Reference {
  std::string registry;    // host, host:port, [v6]:port
  std::string repository;  // team/pushgateway-ttl
  std::string tag;

  std::string name() const { return registry + "/" + repository; }
  std::string text() const { return name() + ":" + tag; }

  friend bool operator==(const Reference&, const Reference&) = default;
};

// A full reference, with registry and tag: k0s' and containerd's imports take no less.
// kInvalidArgument says what is missing.
Result<Reference> ParseReference(std::string_view text);

// The same without a tag.
Result<Reference> ParseName(std::string_view text);

bool IsValidTag(std::string_view text);

}  // namespace pgw::image
