// The part of a description that says how a container is run. Knows JSON fields.
#pragma once

#include "docker/json.h"
#include "docker/pack/json_fields.h"

namespace pgw::image {

// The "config" object of an image config, members in the specification's order. Faults go to the
// field's document.
JsonObject ReadImageConfig(const Field& field);

}  // namespace pgw::image
