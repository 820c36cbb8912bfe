// The command line's grammar: kingpin's, which upstream uses. Knows base; nothing of what the
// flags mean.
//
// docs/decisions/0003-command-line.md says why this is not a library.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pgw {

enum class FlagKind : unsigned char {
  kSwitch,         // takes no value; --no-x turns it off
  kValue,          // --x=value, --x value; once
  kRepeatable,     // the same, any number of times
  kOptionalValue,  // the value may be missing: at the end, and before what begins with a dash
};

struct FlagSpec {
  std::string_view name;
  FlagKind kind = FlagKind::kValue;
  std::string_view default_value;  // as --help shows it; empty: none
  std::string_view help;
  std::string_view bare_value = {};  // of kOptionalValue
  char short_name = 0;
  bool hidden = false;
  std::string_view placeholder = {};  // in --help, where the default does not say it
};

// A flag as it was met, in order.
struct FlagUse {
  const FlagSpec* flag = nullptr;
  std::string value;  // of a switch: true or false
};

struct ParsedCommandLine {
  std::vector<FlagUse> uses;  // up to the error, if there was one
  std::vector<std::string> words;
  std::optional<Error> error;
};

// The lines of a file, or why they cannot be read, in Go's words.
using ReadLines = std::function<Result<std::vector<std::string>>(const std::string& path)>;

// `arguments` without the program's name. A word @file stands for that file's lines. Views in
// the result point into `specs`. More than `words_max` words beside the flags are an error.
ParsedCommandLine ParseCommandLine(std::span<const FlagSpec> specs,
                                   std::span<const std::string> arguments,
                                   const ReadLines& read_lines, std::size_t words_max = 0);

// Reads from the disk; blank lines and those that begin with # are left out.
Result<std::vector<std::string>> ReadArgumentFile(const std::string& path);

// The flags' part of the --help text.
std::string DescribeFlags(std::span<const FlagSpec> specs);

}  // namespace pgw
