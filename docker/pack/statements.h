// In-toto statements about an image: what is in it (SPDX 2.3) and how it came about (SLSA
// provenance v1). Knows descriptions, packages and digests; nothing of this machine goes in.
#pragma once

#include <string>
#include <vector>

#include "docker/archive/digest.h"
#include "docker/json.h"
#include "docker/pack/description.h"
#include "docker/pack/packages.h"

namespace pgw::image {

inline constexpr std::string_view kPredicateSpdx = "https://spdx.dev/Document";
inline constexpr std::string_view kPredicateProvenance = "https://slsa.dev/provenance/v1";

// Which image a statement is about. The references must outlive it.
struct StatementSubject {
  const Description& description;
  const Platform& platform;
  const Digest& manifest;
};

// The last part of the repository.
std::string ImageName(const Reference& reference);

// {_type, predicateType, subject, predicate}.
JsonObject MakeStatement(const StatementSubject& subject, std::string_view predicate_type,
                         JsonObject predicate);

// The SPDX document: the image, and each package as statically linked into it, or used for the
// build. Its namespace is
// derived from the manifest's digest.
JsonObject MakeSpdxDocument(const StatementSubject& subject, const std::vector<Package>& packages);

// The provenance predicate: from which source and packages, by which kind of build.
JsonObject MakeProvenance(const StatementSubject& subject, const ProvenanceInfo& info,
                          const std::vector<Package>& packages);

}  // namespace pgw::image
