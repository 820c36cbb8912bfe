// What is in a layout or an archive, for people and for programs. Knows trees.
#pragma once

#include <string>

#include "base/result.h"
#include "docker/json.h"
#include "docker/read/layer_scan.h"
#include "docker/read/layout_store.h"

namespace pgw::image {

// {"name", "digest", "images": [{"platform", "manifest", "size", "layers": [{…, "entries"}], …}]}.
// Layers are opened to list their entries; a broken one has "fault".
Result<Json> InspectLayout(const LayoutStore& store, const LayerLimits& limits = {});

// The same in lines, fit for a terminal.
std::string DescribeInspection(const Json& inspection);

}  // namespace pgw::image
