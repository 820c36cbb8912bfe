// Reads the persistence file of the Go Pushgateway: a Go gob stream. Knows base.
//
// The types are those the file itself defines: ids are not assumed, fields are found by name, and
// what other versions may add is stepped over. docs/migration.md tells what this is for.
#pragma once

#include <string_view>

#include "base/result.h"
#include "store/persistence/gob.h"

namespace pgw {

// Calls `visit` for each group in the order of the file. `file` is the whole file; all views are
// into it. Takes time linear in its size, and beside the largest group's list of families little
// memory, on any bytes.
// kInvalidArgument: not such a file, or a damaged one: `byte 12: …`. An error of `visit` is handed
// through. Either way what was visited before is not to be trusted: there is no checksum, and Go
// would not have loaded any of it.
//
// Nothing is said about the content: names may repeat, be empty or no UTF-8, messages may be
// anything. The Go Pushgateway takes the later of two equal names.
Status ReadGob(std::string_view file, const GobVisitor& visit);

// Whether a file that starts with `head` may be such a file: 16 bytes are enough to tell.
bool LooksLikeGob(std::string_view head);

}  // namespace pgw
