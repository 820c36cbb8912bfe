#include "server/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <optional>

#include "exposition/quote.h"
#include "server/go_values.h"
#include "server/healthcheck.h"
#include "server/http/listen_address.h"
#include "server/routes/router.h"

namespace pgw {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Kind = FlagKind;

constexpr std::array kFlags = std::to_array<FlagSpec>({
    {"help", Kind::kSwitch, "",
     "Show context-sensitive help (also try --help-long and --help-man).", "", 'h'},
    {"help-long", Kind::kSwitch, "", "Generate long help.", "", 0, true},
    {"help-man", Kind::kSwitch, "", "Generate a man page.", "", 0, true},
    {"web.systemd-socket", Kind::kSwitch, "false",
     "Use systemd socket activation listeners instead of port listeners (Linux only)."},
    {"web.listen-address", Kind::kRepeatable, ":9091",
     "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses. "
     "Examples: `:9091` or `[::1]:9091` for http, `vsock://:9100` for vsock"},
    {"web.config.file", Kind::kValue, "",
     "Path to configuration file that can enable TLS or authentication. Not available yet: only an "
     "empty one is taken."},
    {"web.telemetry-path", Kind::kValue, "/metrics", "Path under which to expose metrics."},
    {"web.external-url", Kind::kValue, "",
     "The URL under which the Pushgateway is externally reachable.", "", 0, false,
     "WEB.EXTERNAL-URL"},
    {"web.route-prefix", Kind::kValue, "",
     "Prefix for the internal routes of web endpoints. Defaults to the path of "
     "--web.external-url."},
    {"web.enable-lifecycle", Kind::kSwitch, "false", "Enable shutdown via HTTP request."},
    {"web.enable-admin-api", Kind::kSwitch, "false",
     "Enable API endpoints for admin control actions."},
    {"web.max-header-bytes", Kind::kValue, "65536",
     "Largest header block of a request (answer: 431). 0 for no limit."},
    {"web.max-body-bytes", Kind::kValue, "67108864",
     "Largest request body, as received and decompressed (answer: 413). 0 for no limit."},
    {"web.max-inflight-body-bytes", Kind::kValue, "268435456",
     "Memory for all unfinished requests together, bodies and long headers; above it reading "
     "stops, then 503 is answered. 0 for no limit."},
    {"web.max-scrape-bytes", Kind::kValue, "1073741824",
     "Memory that slow scrapes may hold of what was replaced or deleted since they began; above it "
     "the oldest one is cut off. 0 for no limit."},
    {"web.read-header-timeout", Kind::kValue, "30s",
     "Time for a request's header to arrive (answer: 408). 0 for no limit."},
    {"web.read-body-timeout", Kind::kValue, "1m",
     "Time without progress of a request body (answer: 408). 0 for no limit."},
    {"web.idle-timeout", Kind::kValue, "1h7m13s",
     "Time between two requests of a connection, after which it is closed; three times the longest "
     "pause between its requests so far, if that is longer. 0 for no limit."},
    {"web.write-timeout", Kind::kValue, "1m",
     "Time without progress of a response, after which the connection is closed. 0 for no limit."},
    {"persistence.file", Kind::kValue, "",
     "File to persist metrics. If empty, metrics are only kept in memory. Beside it stand a "
     "journal with what came since the file was written, and a lock."},
    {"persistence.interval", Kind::kValue, "5m",
     "The minimum interval at which to write out the persistence file, if only little has changed; "
     "no push waits for that."},
    {"persistence.sync", Kind::kValue, "always",
     "When what was pushed is on the disk: before the answer, a second later, or when the kernel "
     "likes. A crash of this process alone loses nothing in any case. One of: [always, interval, "
     "off]"},
    {"push.disable-consistency-check", Kind::kSwitch, "false",
     "Do not check consistency of pushed metrics. DANGEROUS."},
    {"push.enable-utf8-names", Kind::kSwitch, "false",
     "Allow UTF-8 characters in metric and label names."},
    {"metric.timetolive", Kind::kOptionalValue, "0s",
     "The time to live of pushed metrics: a metric family that has not been pushed for this long "
     "ceases to exist. 0s, the default: metrics live for ever.",
     "120s"},
    {"log.level", Kind::kValue, "info",
     "Only log messages with the given severity or above. One of: [debug, info, warn, error]", "",
     0, false, "info"},
    {"log.format", Kind::kValue, "logfmt", "Output format of log messages. One of: [logfmt, json]",
     "", 0, false, "logfmt"},
    {"healthcheck", Kind::kOptionalValue, "",
     "Ask a running Pushgateway whether it is healthy, and exit with 0 if so, else 1. Without a "
     "URL: the one at --web.listen-address and --web.route-prefix.",
     "", 0, false, "URL"},
    {"version", Kind::kSwitch, "", "Show application version."},
});

// Not part of the running program's configuration.
bool IsShown(std::string_view name) {
  return !name.starts_with("help") && name != "version" && name != "healthcheck";
}

// `/` and nothing become nothing; otherwise one leading slash, no trailing one, and none of what
// the router cleans out of the paths of requests, which would then not be found below the prefix.
std::string NormalisePrefix(const std::string& prefix) {
  std::string clean = CleanPath(prefix);
  if (clean.ends_with('/')) clean.pop_back();
  return clean;
}

bool HoldsUrl(std::string_view path) { return path.find("://") != std::string_view::npos; }

// Nothing that has a meaning in YAML but for empty mappings: `{}`, `---`, comments.
bool IsEmptyYaml(const std::vector<std::string>& lines) {
  return std::ranges::all_of(lines, [](std::string_view line) {
    while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
    while (line.starts_with(' ')) line.remove_prefix(1);
    return line.empty() || line.starts_with('#') || line == "---" || line == "{}";
  });
}

// The values of all flags, as text, checked and taken over one by one in the order of the command
// line, so that of several mistakes the first is reported.
class ConfigBuilder {
 public:
  explicit ConfigBuilder(const ReadLines& read_lines) : read_lines_(read_lines) {
    for (const FlagSpec& flag : kFlags) {
      if (flag.kind != Kind::kRepeatable) values_[flag.name] = flag.default_value;
    }
  }

  Status Take(const FlagUse& use) {
    const std::string_view name = use.flag->name;
    const bool repeated = std::ranges::find(seen_, name) != seen_.end();
    if (repeated && use.flag->kind != Kind::kRepeatable) {
      return InvalidArgument("flag '" + std::string(name) + "' cannot be repeated");
    }
    seen_.push_back(name);
    if (use.flag->kind == Kind::kRepeatable) {
      config_.listen_addresses.push_back(use.value);
      return {};
    }
    values_[name] = use.value;
    return Named(name, Check(name, use.value));
  }

  Result<Config> Finish() {
    for (const FlagSpec& flag : kFlags) {
      if (flag.kind == Kind::kRepeatable || Given(flag.name)) continue;
      if (Status status = Check(flag.name, values_[flag.name]); !status) return status.error();
    }
    if (Status status = CheckWebConfig(); !status) return status.error();
    config_.persistence_file = Value("persistence.file");
    if (config_.persistence_file.empty() && Given("persistence.sync")) {
      config_.warnings.emplace_back("--persistence.sync has no effect without --persistence.file");
    }
    config_.systemd_socket = IsOn("web.systemd-socket");
    config_.enable_lifecycle = IsOn("web.enable-lifecycle");
    config_.enable_admin_api = IsOn("web.enable-admin-api");
    config_.check_consistency = !IsOn("push.disable-consistency-check");
    if (IsOn("push.enable-utf8-names")) config_.validation = NameValidation::kUtf8;
    if (config_.listen_addresses.empty()) config_.listen_addresses = {":9091"};
    if (Status status = SetPaths(); !status) return status.error();
    CollectShownFlags();
    return std::move(config_);
  }

  bool Given(std::string_view name) const { return std::ranges::find(seen_, name) != seen_.end(); }
  const std::string& Value(std::string_view name) const { return values_.find(name)->second; }
  bool IsOn(std::string_view name) const { return Value(name) == "true"; }

 private:
  // An error of a value, with the flag it is of.
  static Status Named(std::string_view name, Status status) {
    if (status.ok()) return status;
    return InvalidArgument("--" + std::string(name) + ": " + status.error().message);
  }

  Status Check(std::string_view name, const std::string& value) {
    if (name == "metric.timetolive") return TakeTtl(value);
    if (name == "log.level" || name == "log.format") return TakeLogOption(name, value);
    if (name == "web.external-url") return TakeExternalUrl(value);
    if (name == "persistence.interval") {
      return TakeDuration(value, &config_.persistence_interval);
    }
    if (name == "persistence.sync") return TakeSync(value);
    if (name == "web.read-header-timeout")
      return TakeDuration(value, &config_.limits.header_timeout);
    if (name == "web.read-body-timeout") return TakeDuration(value, &config_.limits.body_timeout);
    if (name == "web.idle-timeout") return TakeDuration(value, &config_.limits.idle_timeout);
    if (name == "web.write-timeout") return TakeDuration(value, &config_.limits.response_timeout);
    if (name == "web.max-header-bytes") return TakeBytes(value, config_.limits.header_bytes_max);
    if (name == "web.max-body-bytes") return TakeBytes(value, config_.limits.body_bytes_max);
    if (name == "web.max-inflight-body-bytes") {
      return TakeBytes(value, config_.limits.bodies_bytes_max);
    }
    if (name == "web.max-scrape-bytes") return TakeBytes(value, config_.held_bytes_max);
    return {};
  }

  Status TakeSync(const std::string& value) {
    if (value == "always") {
      config_.persistence_sync = SyncMode::kAlways;
    } else if (value == "interval") {
      config_.persistence_sync = SyncMode::kInterval;
    } else if (value == "off") {
      config_.persistence_sync = SyncMode::kOff;
    } else {
      return InvalidArgument("enum value must be one of always,interval,off, got '" + value + "'");
    }
    return {};
  }

  Status TakeTtl(const std::string& value) {
    const Result<nanoseconds> duration = ParseGoDuration(value);
    if (!duration) return duration.error();
    if (duration->count() < 0) {
      return InvalidArgument("must not be negative, got " + GoQuote(value));
    }
    config_.ttl = *duration;
    return {};
  }

  Status TakeLogOption(std::string_view name, const std::string& value) {
    if (name == "log.level") {
      const std::optional<LogLevel> level = ParseLogLevel(value);
      if (!level) return InvalidArgument("unrecognized log level " + value);
      config_.log_level = *level;
    } else {
      const std::optional<LogFormat> format = ParseLogFormat(value);
      if (!format) return InvalidArgument("unrecognized log format " + value);
      config_.log_format = *format;
    }
    return {};
  }

  Status TakeExternalUrl(const std::string& value) {
    Result<std::string> path = ParseUrlPath(value);
    if (!path) return InvalidArgument("invalid URL: " + path.error().message);
    if (HoldsUrl(*path)) return InvalidArgument("its path is a URL itself: " + GoQuote(*path));
    config_.external_url = value;
    config_.external_prefix = NormalisePrefix(*path);
    return {};
  }

  // A positive time below a millisecond is one: rounding must not switch the limit off.
  static Status TakeDuration(const std::string& value, milliseconds* target) {
    const Result<nanoseconds> duration = ParseGoDuration(value);
    if (!duration) return duration.error();
    if (duration->count() < 0) {
      return InvalidArgument("must not be negative, got " + GoQuote(value));
    }
    *target = std::chrono::ceil<milliseconds>(*duration);
    return {};
  }

  template <typename Size>
  static Status TakeBytes(const std::string& value, Size& target) {
    Size size = 0;
    const char* const end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, size);
    if (error != std::errc{} || stop != end) {
      return InvalidArgument("must be a number of bytes, got " + GoQuote(value));
    }
    target = size;
    return {};
  }

  // What upstream starts with too.
  Status CheckWebConfig() {
    const std::string& path = Value("web.config.file");
    if (path.empty()) return {};
    const Result<std::vector<std::string>> lines = read_lines_(path);
    if (!lines) return Named("web.config.file", lines.error());
    if (IsEmptyYaml(*lines)) return {};
    return InvalidArgument(
        "--web.config.file: TLS and authentication are not available in this version, so only an "
        "empty file is taken");
  }

  Status SetPrefix() {
    const std::string& given = Value("web.route-prefix");
    if (HoldsUrl(given)) {
      return InvalidArgument("--web.route-prefix: a path is expected, not a URL; probably meant: " +
                             ("--web.external-url=" + given));
    }
    config_.route_prefix = given.empty() ? config_.external_prefix : NormalisePrefix(given);
    WarnOfEscapes("web.route-prefix", given, config_.route_prefix);
    const std::string& url = config_.external_url;
    const bool complete = url.starts_with("http://") || url.starts_with("https://");
    if (!url.empty() && !complete && !url.starts_with('/')) {
      config_.warnings.push_back("--web.external-url begins with neither http:// nor https://; " +
                                 ("routes are below " + GoQuote(config_.route_prefix + "/")));
    }
    return {};
  }

  // A path on the command line is no part of a URL: nothing in it is an escape or a query.
  void WarnOfEscapes(std::string_view flag, std::string_view given, std::string_view path) {
    if (given.find_first_of("%?#") == std::string_view::npos) return;
    config_.warnings.push_back("--" + std::string(flag) + " is taken as it is; in a URL it reads " +
                               EncodePath(path));
  }

  Status SetPaths() {
    if (Status status = SetPrefix(); !status) return status;
    const std::string& prefix = config_.route_prefix;
    const std::string& telemetry = Value("web.telemetry-path");
    const auto refuse = [&](std::string_view why) {
      return InvalidArgument("invalid --web.telemetry-path " + GoQuote(telemetry) + ": " +
                             std::string(why));
    };
    if (HoldsUrl(telemetry)) return refuse("a path is expected, not a URL");
    if (prefix.empty() && !telemetry.starts_with('/')) return refuse("it must begin with /");
    std::string path = CleanPath(prefix + "/" + telemetry);
    if (path.size() > 1 && path.ends_with('/')) path.pop_back();
    for (const std::string_view taken : {"/", "/status", "/-/healthy", "/-/ready"}) {
      if (path == prefix + std::string(taken)) return refuse("another page is there");
    }
    const bool below = path.starts_with(prefix + "/static/") ||
                       path.starts_with(prefix + "/debug/pprof/") ||
                       (path + "/").starts_with(prefix + "/api/v1/") || path == "/-/quit";
    if (below) return refuse("another page is there");
    config_.telemetry_path = std::move(path);
    WarnOfEscapes("web.telemetry-path", telemetry, config_.telemetry_path);
    return {};
  }

  void CollectShownFlags() {
    std::map<std::string, std::string> shown;
    for (const auto& [name, value] : values_) {
      if (IsShown(name)) shown.emplace(name, value);
    }
    for (const FlagSpec& flag : kFlags) {
      if (!IsShown(flag.name)) continue;
      std::string& value = shown[std::string(flag.name)];
      const bool duration = flag.name == "metric.timetolive" ||
                            flag.name == "persistence.interval" || flag.name.ends_with("-timeout");
      if (duration) value = FormatGoDuration(*ParseGoDuration(value));
    }
    std::string& level = shown["log.level"];
    std::ranges::transform(level, level.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    shown["web.route-prefix"] = config_.route_prefix;
    std::string& addresses = shown["web.listen-address"];
    for (const std::string& address : config_.listen_addresses) {
      if (!addresses.empty()) addresses.push_back(',');
      addresses.append(address);
    }
    config_.shown_flags.assign(shown.begin(), shown.end());
  }

  const ReadLines& read_lines_;
  Config config_;
  std::map<std::string_view, std::string> values_;
  std::vector<std::string_view> seen_;
};

// What can be told of an address without looking anything up.
Status CheckListenAddress(const std::string& address) {
  const auto named = [](const Error& error) {
    return InvalidArgument("--web.listen-address: " + error.message);
  };
  if (address.starts_with("vsock://")) {
    const Result<std::uint32_t> port = http::ParseVsockPort(address);
    return port ? Status() : named(port.error());
  }
  const Result<http::HostPort> parts = http::SplitHostPort(address);
  if (!parts) return named(parts.error());
  const bool number = parts->port.find_first_not_of("0123456789") == std::string::npos;
  if (!number) return {};
  const Result<std::uint16_t> port = http::ResolvePort(parts->port, "");
  return port ? Status() : named(port.error());
}

bool Uses(const ParsedCommandLine& parsed, std::string_view name) {
  return std::ranges::any_of(parsed.uses, [&](const FlagUse& use) {
    return use.flag->name == name && use.value == "true";
  });
}

}  // namespace

Result<CommandLine> ParseArguments(std::span<const std::string> arguments,
                                   const ReadLines& read_lines) {
  CommandLine result;
  if (const auto subcommand = ParseSubcommand(arguments, read_lines)) {
    if (!*subcommand) return subcommand->error();
    result.subcommand = **subcommand;
    result.action = CommandLine::Action::kSubcommand;
    if (result.subcommand.show_help) {
      result.action = CommandLine::Action::kShowHelp;
      result.help = SubcommandHelp(result.subcommand.kind);
    }
    return result;
  }
  const ParsedCommandLine parsed = ParseCommandLine(kFlags, arguments, read_lines);
  // Bad values do not keep anybody from these two; bad grammar does from the second.
  if (Uses(parsed, "version")) {
    result.action = CommandLine::Action::kShowVersion;
    return result;
  }
  if (parsed.error) return *parsed.error;
  if (Uses(parsed, "help") || Uses(parsed, "help-long") || Uses(parsed, "help-man")) {
    result.action = CommandLine::Action::kShowHelp;
    result.help = HelpText();
    return result;
  }
  ConfigBuilder builder(read_lines);
  for (const FlagUse& use : parsed.uses) {
    if (Status status = builder.Take(use); !status) return status.error();
  }
  Result<Config> config = builder.Finish();
  if (!config) return config.error();
  result.config = std::move(*config);
  if (builder.Given("healthcheck")) {
    result.action = CommandLine::Action::kHealthcheck;
    const std::string& url = builder.Value("healthcheck");
    if (!url.empty() && !IsHealthcheckUrl(url)) {
      return InvalidArgument("--healthcheck: expected http://HOST[:PORT][/PATH], got " +
                             GoQuote(url));
    }
    result.healthcheck_url = !url.empty() ? url
                                          : HealthcheckUrl(result.config.listen_addresses.front(),
                                                           result.config.route_prefix);
    return result;
  }
  if (result.config.systemd_socket) return result;
  for (const std::string& address : result.config.listen_addresses) {
    if (Status status = CheckListenAddress(address); !status) return status.error();
  }
  return result;
}

std::string HelpText() {
  return "usage: pushgateway [<flags>]\n"
         "       pushgateway <command> [<args>]\n\n"
         "The Pushgateway: accepts pushed metrics and exposes them to Prometheus.\n\n\n"
         "Flags:\n" +
         DescribeFlags(kFlags) + "\n" + DescribeSubcommands();
}

}  // namespace pgw
