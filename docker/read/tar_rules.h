// The rules that make two archives of the same files equal. Knows tar.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "docker/archive/tar_reader.h"
#include "docker/read/findings.h"

namespace pgw::image {

struct TarRules {
  std::optional<std::int64_t> mtime;  // that every entry must have
  bool root_owned = false;  // uid and gid 0, modes 0644 and 0755: the archive around blobs
};

// Entries sorted, parents before what lies in them, headers as our writer writes them, no names of
// users, nothing outside the root.
void CheckTarRules(const std::vector<TarMember>& members, bool canonical_end, const TarRules& rules,
                   const std::string& where, Findings& findings);

}  // namespace pgw::image
