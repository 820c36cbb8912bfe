// What is in a layout or an archive, for people and for programs. Knows trees.
#pragma once

#include <string>

#include "base/result.h"
#include "docker/json.h"
#include "docker/read/layer_scan.h"
#include "docker/read/layout_store.h"

namespace pgw::image {

// {"name", "digest", "images": [{"platform", "manifest", "size", "layers": [{…, "entries"}], …}]}.
// Layers are opened to list their entries; a broken one has "fault". "entryCount" says how many
// there are: at most 1000 of a layer are listed, and 50,000 in all. kTooLarge as VerifyLayout.
Result<Json> InspectLayout(const LayoutStore& store, const LayerLimits& limits = {});

// The same in lines, fit for a terminal.
std::string DescribeInspection(const Json& inspection);

}  // namespace pgw::image
