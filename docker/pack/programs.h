// Whether what an image shall run can run: programs for the right machine, under the names that
// the configuration has. Knows descriptions and ELF files.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "docker/pack/description.h"

namespace pgw::image {

// The bytes that a file entry takes from this machine. Errors name the entry.
Result<std::string> ReadEntryFile(const LayerEntry& entry);

// That an ELF file is whole, for the platform, and static where it has to be. Other files pass.
Status CheckElf(const Platform& platform, const LayerEntry& entry, std::string_view content);

// That the entry point (or the command, where there is none) and the health check begin with a
// file of the platform's layers that may be executed, and that this is an ELF file, or a script
// whose interpreter is one of the same layers. Symbolic links are followed inside the image.
// kInvalidArgument names the member of the configuration.
Status CheckPrograms(const Platform& platform, const JsonObject& config);

}  // namespace pgw::image
