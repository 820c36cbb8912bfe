#include "server/subcommand.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pgw {
namespace {

constexpr FlagSpec kHelp = {"help", FlagKind::kSwitch, "", "Show this help.", "", 'h'};
constexpr std::array kHelpOnly = {kHelp};
constexpr std::array kExportFlags = {
    kHelp, FlagSpec{"format", FlagKind::kValue, "gob", "What OUT becomes. One of: [gob]"}};

struct SubcommandSpec {
  std::string_view name;
  Subcommand::Kind kind;
  std::span<const FlagSpec> flags;
  std::size_t words;  // FILE, or FILE and OUT
  std::string_view usage;
  std::string_view help;  // in lines
};

constexpr std::array kSubcommands = std::to_array<SubcommandSpec>({
    {"check", Subcommand::Kind::kCheck, kHelpOnly, 1, "FILE",
     "Say what the persistence file and its journal hold. Exit code 1 if they are damaged, with\n"
     "the first place. Changes nothing.\n"},
    {"repair", Subcommand::Kind::kRepair, kHelpOnly, 2, "FILE OUT",
     "Copy what can still be read of damaged files to a new persistence file. Exit code 2 if\n"
     "something had to be left out.\n"},
    {"export", Subcommand::Kind::kExport, kExportFlags, 2, "[--format=gob] FILE OUT",
     "Write what the persistence file holds to a new file that the Go Pushgateway starts from.\n"},
});

std::string Line(const SubcommandSpec& spec) {
  return std::string(spec.name) + " " + std::string(spec.usage) + "\n";
}

}  // namespace

std::optional<Result<Subcommand>> ParseSubcommand(std::span<const std::string> arguments,
                                                  const ReadLines& read_lines) {
  if (arguments.empty()) return std::nullopt;
  const auto spec = std::ranges::find(kSubcommands, arguments.front(), &SubcommandSpec::name);
  if (spec == kSubcommands.end()) return std::nullopt;
  const ParsedCommandLine parsed =
      ParseCommandLine(spec->flags, arguments.subspan(1), read_lines, spec->words);
  if (parsed.error) return Result<Subcommand>(*parsed.error);
  Subcommand result;
  result.kind = spec->kind;
  std::vector<std::string_view> seen;
  for (const FlagUse& use : parsed.uses) {
    if (std::ranges::find(seen, use.flag->name) != seen.end()) {
      return Result<Subcommand>(
          InvalidArgument("flag '" + std::string(use.flag->name) + "' cannot be repeated"));
    }
    seen.push_back(use.flag->name);
    if (use.flag->name == kHelp.name) {
      result.show_help = use.value == "true";
    } else if (use.value != "gob") {
      return Result<Subcommand>(
          InvalidArgument("--format: enum value must be one of gob, got '" + use.value + "'"));
    }
  }
  if (result.show_help) return Result<Subcommand>(std::move(result));
  constexpr std::string_view kNames[] = {"file", "out"};
  for (std::size_t i = 0; i < spec->words; ++i) {
    if (i < parsed.words.size() && !parsed.words[i].empty()) continue;
    return Result<Subcommand>(
        InvalidArgument("required argument '" + std::string(kNames[i]) + "' not provided"));
  }
  result.file = parsed.words[0];
  if (spec->words > 1) result.out = parsed.words[1];
  return Result<Subcommand>(std::move(result));
}

std::string DescribeSubcommands() {
  std::string text = "Commands, as the first argument:\n";
  for (const SubcommandSpec& spec : kSubcommands) {
    text += "  " + Line(spec);
    for (std::string_view rest = spec.help; !rest.empty();) {
      const std::size_t end = rest.find('\n') + 1;
      text.append("    ").append(rest.substr(0, end));
      rest.remove_prefix(end);
    }
  }
  return text;
}

std::string SubcommandHelp(Subcommand::Kind kind) {
  const SubcommandSpec& spec = *std::ranges::find(kSubcommands, kind, &SubcommandSpec::kind);
  return "usage: pushgateway " + Line(spec) + "\n" + std::string(spec.help) + "\nFlags:\n" +
         DescribeFlags(spec.flags);
}

}  // namespace pgw
