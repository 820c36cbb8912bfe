// One layer's tar archive from its description and the files of this machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "docker/pack/description.h"

namespace pgw::image {

// Entries sorted, parents before what lies in them: parents that no entry of the platform declares
// are 0755 and root's. Everything has the time `mtime`. Files are read and ELF files checked:
// static, and of the platform's architecture. Errors name the entry as the description has it.
Result<std::string> BuildLayerTar(const Platform& platform, const Layer& layer, std::int64_t mtime);

}  // namespace pgw::image
