// What the command line asks for. Knows flags, base, and the option types of the rooms it feeds.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "exposition/names.h"
#include "server/flags.h"
#include "server/http/server.h"
#include "server/subcommand.h"
#include "store/durable/durability.h"

namespace pgw {

struct Config {
  bool systemd_socket = false;
  std::vector<std::string> listen_addresses;
  std::string telemetry_path;  // complete, with the prefix
  std::string route_prefix;    // "" or "/something"
  std::string external_url;
  std::string external_prefix;  // "" or "/something"
  bool enable_lifecycle = false;
  bool enable_admin_api = false;
  bool check_consistency = true;
  NameValidation validation = NameValidation::kLegacy;
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kLogfmt;
  std::chrono::nanoseconds ttl{0};
  std::string persistence_file;  // empty: nothing is ever written
  std::chrono::milliseconds persistence_interval{0};
  SyncMode persistence_sync = SyncMode::kAlways;
  http::Limits limits;
  std::uint64_t held_bytes_max = 0;  // by readers whose answers are still leaving; 0: no limit
  // Of values that are taken but are probably not what was meant; for the log.
  std::vector<std::string> warnings;
  // Every flag that has a value to show, effective values, sorted by name.
  std::vector<std::pair<std::string, std::string>> shown_flags;
};

struct CommandLine {
  enum class Action : unsigned char { kRun, kShowHelp, kShowVersion, kHealthcheck, kSubcommand };
  Action action = Action::kRun;
  Config config;
  std::string help;             // of kShowHelp
  std::string healthcheck_url;  // of kHealthcheck
  Subcommand subcommand;        // of kSubcommand
};

// `arguments` without the program's name. `read_lines` is also asked for --web.config.file. The
// error is what to print behind `error: `.
Result<CommandLine> ParseArguments(std::span<const std::string> arguments,
                                   const ReadLines& read_lines);

// What --help prints.
std::string HelpText();

}  // namespace pgw
