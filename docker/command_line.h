// The words of pgw-pack's command line. Knows base.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pgw::image {

struct OptionSpec {
  std::string_view name;         // "--set"
  std::string_view placeholder;  // "NAME=VALUE"; empty: a switch
  std::string_view help;
  char short_name = 0;
  bool repeatable = false;
};

struct CommandSpec {
  std::string_view name;
  std::vector<std::string_view> operands;
  std::string_view help;
  std::vector<OptionSpec> options;
};

struct ParsedCommand {
  const CommandSpec* command = nullptr;
  bool help = false;
  std::vector<std::string> operands;
  std::map<std::string_view, std::vector<std::string>>
      options;  // by name; of switches: empty texts

  bool Has(std::string_view name) const { return options.contains(name); }
  // The last one, or "".
  std::string Value(std::string_view name) const {
    const auto found = options.find(name);
    return found == options.end() ? std::string() : found->second.back();
  }
};

// `arguments` without the program's name: a command, then operands and options in any order.
// --option=value, --option value and -ovalue; -- ends options. kInvalidArgument names the word.
Result<ParsedCommand> ParseCommand(std::span<const CommandSpec> commands,
                                   std::span<const std::string> arguments);

// Usage and options of a command.
std::string DescribeCommand(const CommandSpec& command);

}  // namespace pgw::image
