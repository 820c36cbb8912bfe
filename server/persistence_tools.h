// What the program does with the files of a store that no server runs on: `check`, `repair` and
// `export`. Knows store, store/persistence, store/durable, base; the names of own metrics.
//
// docs/persistence.md and docs/migration.md tell users about them.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/file_system.h"

namespace pgw {

struct ToolResult {
  int exit_code = 0;
  std::string text;                  // for standard output, in lines
  std::optional<std::string> error;  // for standard error, behind the program's name
};

// Says what the files at `path` hold. Changes nothing and takes no lock. Exit code 0: they are
// sound; 1: there is damage, of which the error names the first with file and offset, or nothing.
// A Go Pushgateway's file in the place of the snapshot is read too.
ToolResult CheckFiles(FileSystem& files, const std::string& path);

// Writes what can be read at `from` as a new store to `to`, of which nothing may exist. Exit code
// 0: nothing but unfinished writes was left out; 2: something was, the text says what; 1: nothing
// usable was written.
ToolResult RepairFiles(FileSystem& files, const std::string& from, const std::string& to);

// Writes what is alive `now` in the files at `from` to a new file `to` for the Go Pushgateway.
// `boot_id` names the boot that `now` belongs to. Exit code 0: done; 1: not, and nothing is at
// `to`.
ToolResult ExportFiles(FileSystem& files, const std::string& from, const std::string& to,
                       const std::string& boot_id, Instant now);

}  // namespace pgw
