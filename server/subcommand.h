// What the program does instead of serving: a word that is the first argument. Knows flags, base.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "server/flags.h"

namespace pgw {

struct Subcommand {
  enum class Kind : unsigned char { kCheck, kRepair, kExport };
  Kind kind = Kind::kCheck;
  bool show_help = false;  // and nothing else
  std::string file;
  std::string out;  // of kRepair and kExport
};

// Nothing if the first of `arguments` is no subcommand. The error is what to print behind
// `error: `.
std::optional<Result<Subcommand>> ParseSubcommand(std::span<const std::string> arguments,
                                                  const ReadLines& read_lines);

// Their part of the --help text.
std::string DescribeSubcommands();
// What --help behind one of them prints.
std::string SubcommandHelp(Subcommand::Kind kind);

}  // namespace pgw
