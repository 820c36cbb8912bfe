#include "bench/load/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "server/flags.h"
#include "server/go_values.h"

namespace pgw::load {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;

constexpr std::array kScenarios = {
    std::pair{Scenario::kSteady, std::string_view("steady")},
    std::pair{Scenario::kChurn, std::string_view("churn")},
    std::pair{Scenario::kCliff, std::string_view("cliff")},
    std::pair{Scenario::kHerd, std::string_view("herd")},
    std::pair{Scenario::kScrape, std::string_view("scrape")},
    std::pair{Scenario::kSlow, std::string_view("slow")},
    std::pair{Scenario::kReplay, std::string_view("replay")},
};

const FlagSpec kFlags[] = {
    {.name = "help",
     .kind = FlagKind::kSwitch,
     .default_value = "",
     .help = "Show this text.",
     .short_name = 'h'},
    {.name = "version",
     .kind = FlagKind::kSwitch,
     .default_value = "",
     .help = "Show the version."},
    {.name = "url",
     .default_value = "http://127.0.0.1:9091",
     .help = "The server, with a path if its routes have a prefix. http:// only."},
    {.name = "vs",
     .kind = FlagKind::kRepeatable,
     .default_value = "",
     .help = "A further server to compare with, in turns. --name and --pid behind it are about it.",
     .placeholder = "URL"},
    {.name = "name",
     .kind = FlagKind::kRepeatable,
     .default_value = "",
     .help = "What the report calls the server whose URL stands before.",
     .placeholder = "NAME"},
    {.name = "pid",
     .kind = FlagKind::kRepeatable,
     .default_value = "",
     .help = "Its process on this machine: adds CPU, memory, threads and wake-ups.",
     .placeholder = "PID"},
    {.name = "ttl",
     .default_value = "5s",
     .help = "What the servers were started with; 0s: never."},
    {.name = "duration", .default_value = "10s", .help = "How long is measured, at most 1h."},
    {.name = "warm-up", .default_value = "1s", .help = "How long pushes go on before that."},
    {.name = "linger",
     .default_value = "",
     .help = "How long watchers go on after the last push. Default: until all has expired, if the "
             "time to live is at most 30s.",
     .placeholder = "DURATION"},
    {.name = "rate",
     .default_value = "",
     .help =
         "Pushes a second, sent when they are due whatever the server does (open loop), or max: "
         "each connection pushes again once it is answered (closed loop).",
     .placeholder = "N|max"},
    {.name = "interval",
     .default_value = "",
     .help = "In which each group is renewed (an alternative to --rate); of herd: between bursts.",
     .placeholder = "DURATION"},
    {.name = "arrivals",
     .default_value = "constant",
     .help = "constant, or poisson: gaps as of many independent clients."},
    {.name = "connections",
     .default_value = "16",
     .help = "Pushing connections; of herd: clients."},
    {.name = "reconnect",
     .kind = FlagKind::kSwitch,
     .default_value = "",
     .help = "A new connection for each push, as short-lived jobs have."},
    {.name = "threads", .default_value = "1", .help = "Threads of the generator, at most 16."},
    {.name = "method", .default_value = "PUT", .help = "PUT or POST."},
    {.name = "groups", .default_value = "1000", .help = "Groups that are pushed to, in turns."},
    {.name = "series", .default_value = "10", .help = "Series of a group."},
    {.name = "families",
     .default_value = "",
     .help = "Metric families they are in. Default: at most 10.",
     .placeholder = "N"},
    {.name = "tag",
     .default_value = "",
     .help = "What the names of groups begin with, so that another program can know them. Default: "
             "letters of this run. With --watchers=0 only.",
     .placeholder = "NAME"},
    {.name = "scatter",
     .kind = FlagKind::kSwitch,
     .default_value = "",
     .help = "Groups in a scattered order, so that neighbours in time are none in memory."},
    {.name = "first-value",
     .default_value = "1",
     .help =
         "Value of the samples of the first push; each further one counts up. With --watchers=0 "
         "only.",
     .placeholder = "N"},
    {.name = "cliff-groups",
     .default_value = "",
     .help = "Groups that are pushed once, completed at the same instant, to expire together.",
     .placeholder = "N"},
    {.name = "cliff-series", .default_value = "1000", .help = "Series of each of these."},
    {.name = "scrapers",
     .default_value = "0",
     .help = "Connections that scrape as Prometheus does."},
    {.name = "scrape-interval", .default_value = "1s", .help = "In which each of them scrapes."},
    {.name = "scrape-gzip",
     .kind = FlagKind::kSwitch,
     .default_value = "",
     .help = "Every second scraper, beginning with the first, asks for gzip."},
    {.name = "watchers",
     .default_value = "1",
     .help = "Connections that scrape to see what is shown; 0: expiry is not looked at."},
    {.name = "watch-interval",
     .default_value = "",
     .help = "In which each of them looks: the resolution of the expiry error.",
     .placeholder = "DURATION"},
    {.name = "stalled",
     .default_value = "0",
     .help = "Clients that send half a request and stall."},
    {.name = "values",
     .default_value = "change",
     .help = "Of replayed payloads: change a digit of each with every push, or keep."},
    {.name = "timeout", .default_value = "10s", .help = "For one request."},
    {.name = "rounds",
     .default_value = "1",
     .help = "How often the run is repeated, with several servers in turns."},
    {.name = "seed", .default_value = "1", .help = "Of whatever is random."},
    {.name = "json",
     .default_value = "",
     .help = "Write the whole result there.",
     .placeholder = "FILE"},
    {.name = "report",
     .default_value = "",
     .help = "Write one self-contained HTML page there.",
     .placeholder = "FILE"},
    {.name = "quiet",
     .kind = FlagKind::kSwitch,
     .default_value = "",
     .help = "No running figures."},
};

struct Bounds {
  std::uint64_t least;
  std::uint64_t most;
};

Error Wrong(std::string_view flag, std::string_view value, std::string_view expected) {
  return InvalidArgument("--" + std::string(flag) + ": expected " + std::string(expected) +
                         ", got \"" + std::string(value) + "\"");
}

std::optional<std::uint64_t> WholeNumber(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

// The flags that were given, read one after the other into the options.
class Reader {
 public:
  explicit Reader(const ParsedCommandLine& line) : line_(line) {}

  Result<CommandLine> Read();

 private:
  bool Given(std::string_view flag) const { return Value(flag) != nullptr; }
  const std::string* Value(std::string_view flag) const {
    for (const FlagUse& use : line_.uses) {
      if (use.flag->name == flag) return &use.value;
    }
    return nullptr;
  }
  bool Switch(std::string_view flag) const {
    const std::string* const value = Value(flag);
    return value != nullptr && *value == "true";
  }
  void Fail(Error error) {
    if (!error_) error_ = std::move(error);
  }
  void Number(std::string_view flag, std::size_t& into, Bounds bounds);
  void Duration(std::string_view flag, std::int64_t& into, std::int64_t least, std::int64_t most);
  void ReadScenario();
  void ReadTargets();
  void ReadRate();
  void ReadWords();
  void SetDefaults();
  void SizeGroups();
  void Check();

  const ParsedCommandLine& line_;
  Options options_;
  std::optional<Error> error_;
};

void Reader::Number(std::string_view flag, std::size_t& into, Bounds bounds) {
  const std::string* const text = Value(flag);
  if (text == nullptr) return;
  const std::optional<std::uint64_t> value = WholeNumber(*text);
  if (!value || *value < bounds.least || *value > bounds.most) {
    return Fail(Wrong(
        flag, *text,
        "a number from " + std::to_string(bounds.least) + " to " + std::to_string(bounds.most)));
  }
  into = static_cast<std::size_t>(*value);
}

void Reader::Duration(std::string_view flag, std::int64_t& into, std::int64_t least,
                      std::int64_t most) {
  const std::string* const text = Value(flag);
  if (text == nullptr) return;
  const Result<std::chrono::nanoseconds> value = ParseGoDuration(*text);
  if (!value) return Fail(InvalidArgument("--" + std::string(flag) + ": " + value.error().message));
  if (value->count() < least || value->count() > most) {
    return Fail(Wrong(flag, *text,
                      "a duration from " +
                          std::to_string(static_cast<double>(least) / 1e9).substr(0, 5) + "s to " +
                          std::to_string(most / kSecond) + "s"));
  }
  into = value->count();
}

void Reader::ReadScenario() {
  if (line_.words.empty()) return;
  for (const auto& [scenario, name] : kScenarios) {
    if (name == line_.words[0]) {
      options_.scenario = scenario;
      return;
    }
  }
  Fail(InvalidArgument("no scenario is called \"" + line_.words[0] +
                       "\"; there are steady, churn, cliff, herd, scrape, slow and replay"));
}

void Reader::ReadWords() {
  if (options_.scenario == Scenario::kReplay) {
    options_.files.assign(line_.words.begin() + 1, line_.words.end());
    if (options_.files.empty()) Fail(InvalidArgument("replay: expected files with payloads"));
  } else if (line_.words.size() > 1) {
    Fail(InvalidArgument("unexpected " + line_.words[1]));
  }
}

void Reader::ReadTargets() {
  const std::string* const first = Value("url");
  std::vector<Target> targets(1);
  std::string text = first == nullptr ? "http://127.0.0.1:9091" : *first;
  std::vector<std::string> urls = {text};
  for (const FlagUse& use : line_.uses) {
    if (use.flag->name == "vs") {
      targets.emplace_back();
      urls.push_back(use.value);
    } else if (use.flag->name == "name") {
      targets.back().name = use.value;
    } else if (use.flag->name == "pid") {
      const std::optional<std::uint64_t> pid = WholeNumber(use.value);
      if (!pid || *pid == 0 || *pid > std::numeric_limits<int>::max()) {
        return Fail(Wrong("pid", use.value, "the number of a process"));
      }
      targets.back().pid = static_cast<int>(*pid);
    }
  }
  constexpr std::size_t kTargetsMax = 8;
  if (targets.size() > kTargetsMax) return Fail(InvalidArgument("--vs: at most 7 further servers"));
  std::set<std::string> names;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    Result<Url> url = ParseUrl(urls[i]);
    if (!url) {
      return Fail(InvalidArgument((i == 0 ? "--url: " : "--vs: ") + url.error().message));
    }
    targets[i].url = *std::move(url);
    if (targets[i].name.empty()) targets[i].name = targets[i].url.Authority();
    if (!names.insert(targets[i].name).second)
      targets[i].name += " (" + std::to_string(i + 1) + ")";
  }
  options_.targets = std::move(targets);
}

void Reader::SetDefaults() {
  Options& o = options_;
  // As the k0s agent does: four renewals within a life.
  o.interval_ns = o.ttl_ns > 0 ? std::max(o.ttl_ns / 4, 10 * kMs) : kSecond;
  switch (o.scenario) {
    case Scenario::kSteady:
      break;
    case Scenario::kScrape:
      o.scrapers = 4;
      o.scrape_interval_ns = 250 * kMs;
      o.scrape_gzip = true;
      break;
    case Scenario::kSlow:
      o.stalled = 2000;
      break;
    case Scenario::kChurn:
      o.rate = 500;
      o.reconnect = true;
      break;
    case Scenario::kCliff:
      o.groups = 100;
      o.rate = 500;
      o.cliff_groups = 1000;
      o.cliff_series = 1000;
      o.duration_ns = o.ttl_ns + 5 * kSecond;
      o.warm_up_ns = 0;
      o.watch_interval_ns = 5 * kMs;
      break;
    case Scenario::kHerd:
      o.connections = 2000;
      o.reconnect = true;
      o.interval_ns = 5 * kSecond;
      o.warm_up_ns = 0;
      break;
    case Scenario::kReplay:
      o.groups = std::max<std::size_t>(1, 3 * o.files.size());
      break;
  }
}

void Reader::ReadRate() {
  Options& o = options_;
  const std::string* const rate = Value("rate");
  Duration("interval", o.interval_ns, kMs, 3600 * kSecond);
  if (rate != nullptr && *rate == "max") {
    if (o.scenario == Scenario::kHerd) {
      return Fail(InvalidArgument("--rate=max: herd is about the instant of arrival"));
    }
    o.closed_loop = true;
    return;
  }
  if (rate != nullptr) {
    double value = 0;
    const char* const end = rate->data() + rate->size();
    const auto [stop, error] = std::from_chars(rate->data(), end, value);
    if (error != std::errc() || stop != end || !(value > 0 && value <= 1e6)) {
      return Fail(Wrong("rate", *rate, "a number above 0, at most 1000000, or max"));
    }
    if (Given("interval")) {
      return Fail(InvalidArgument("--rate and --interval say the same in two ways; give one"));
    }
    o.rate = value;
  }
}

// What follows from the others.
void Reader::SizeGroups() {
  Options& o = options_;
  if (o.scenario == Scenario::kHerd) {
    o.arrivals = Arrivals::kBursts;
    if (!Given("groups")) o.groups = o.connections;
    o.rate = static_cast<double>(o.connections) * 1e9 / static_cast<double>(o.interval_ns);
  } else if (o.scenario == Scenario::kChurn && !o.closed_loop) {
    if (Given("interval"))
      o.rate = static_cast<double>(o.groups) * 1e9 / static_cast<double>(o.interval_ns);
    if (!Given("groups")) {
      // A group is only used again when the watchers have seen it go, or, for what lives long or
      // for ever, not at all.
      const double total_s = static_cast<double>(o.warm_up_ns + o.duration_ns) / 1e9 + 1;
      const double life_s = o.ttl_ns > 0 ? static_cast<double>(o.ttl_ns) / 1e9 + 3 : total_s;
      o.groups = static_cast<std::size_t>(
          std::clamp(std::ceil(o.rate * std::min(life_s, total_s)), 1.0, 1e6));
    }
  } else if (o.rate == 0 || Given("interval")) {
    o.rate = static_cast<double>(o.groups) * 1e9 / static_cast<double>(o.interval_ns);
  }
  if (!o.closed_loop && o.arrivals != Arrivals::kBursts && o.rate > 0) {
    o.interval_ns = static_cast<std::int64_t>(static_cast<double>(o.groups) * 1e9 / o.rate);
  }
  if (!Given("families")) o.families = std::min<std::size_t>(10, o.series);
  if (!Given("linger")) {
    o.linger_ns =
        o.ttl_ns > 0 && o.ttl_ns <= 30 * kSecond && o.watchers > 0 ? o.ttl_ns + kSecond : 0;
  }
}

void Reader::Check() {
  Options& o = options_;
  if (o.all_groups() > 1'000'000) {
    Fail(InvalidArgument("--groups and --cliff-groups: more than 1000000 groups"));
  }
  if (!o.tag.empty() && (o.watchers > 0 || o.cliff_groups > 0)) {
    // Pushes of an earlier run could be taken for this one's.
    Fail(InvalidArgument("--tag: expiry can only be watched in groups of this run; --watchers=0"));
  }
  if (Given("first-value") && (o.watchers > 0 || o.cliff_groups > 0)) {
    Fail(InvalidArgument("--first-value: values tell pushes apart that are watched; --watchers=0"));
  }
  if (o.scenario == Scenario::kCliff && o.cliff_groups == 0) {
    Fail(InvalidArgument("cliff: expected --cliff-groups"));
  }
  if (o.cliff_groups > 0 && o.ttl_ns == 0)
    Fail(InvalidArgument("cliff: nothing expires with --ttl=0s"));
  if (o.cliff_groups > 0 && o.duration_ns + o.warm_up_ns < o.ttl_ns + kSecond) {
    Fail(InvalidArgument("--duration: cliff needs a second more than --ttl"));
  }
  if (o.threads > 1 && o.cliff_groups > 0) Fail(InvalidArgument("--threads: cliff runs on one"));
  if (o.groups < o.threads) Fail(InvalidArgument("--threads: more than groups"));
  if (o.connections < o.threads) Fail(InvalidArgument("--threads: more than connections"));
  if (o.ttl_ns > 0 && !o.closed_loop && o.scenario != Scenario::kChurn &&
      o.scenario != Scenario::kHerd && o.interval_ns >= o.ttl_ns) {
    o.warnings.push_back("each group is renewed only every " + std::to_string(o.interval_ns / kMs) +
                         " ms and lives " + std::to_string(o.ttl_ns / kMs) +
                         " ms: it comes and goes");
  }
}

Result<CommandLine> Reader::Read() {
  ReadScenario();
  if (error_) return *error_;
  ReadWords();
  ReadTargets();
  Options& o = options_;
  Duration("ttl", o.ttl_ns, 0, 30LL * 86400 * kSecond);
  SetDefaults();
  Duration("duration", o.duration_ns, kSecond / 10, 3600 * kSecond);
  Duration("warm-up", o.warm_up_ns, 0, 600 * kSecond);
  Duration("linger", o.linger_ns, 0, 3600 * kSecond);
  Duration("timeout", o.timeout_ns, kMs, 600 * kSecond);
  Number("threads", o.threads, {1, 16});
  Number("connections", o.connections, {1, 100'000});
  Number("groups", o.groups, {1, 1'000'000});
  Number("series", o.series, {1, 100'000});
  o.families = std::min<std::size_t>(10, o.series);
  Number("families", o.families, {1, o.series});
  Number("cliff-groups", o.cliff_groups, {0, 20'000});
  Number("cliff-series", o.cliff_series, {1, 1'000'000});
  if (o.cliff_groups > 0 && o.cliff_series == 0) o.cliff_series = 1000;
  Number("scrapers", o.scrapers, {0, 1000});
  Duration("scrape-interval", o.scrape_interval_ns, kMs, 3600 * kSecond);
  Number("watchers", o.watchers, {0, 16});
  Duration("watch-interval", o.watch_interval_ns, kMs, 3600 * kSecond);
  Number("stalled", o.stalled, {0, 100'000});
  Number("rounds", o.rounds, {1, 1000});
  std::size_t seed = 1;
  Number("seed", seed, {0, std::numeric_limits<std::uint64_t>::max()});
  o.seed = seed;
  o.scatter = Switch("scatter");
  std::size_t first_value = 1;
  Number("first-value", first_value, {0, 9'999'999'999});
  o.first_value = first_value;
  if (const std::string* const tag = Value("tag")) {
    constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    constexpr std::size_t kTagBytesMax = 32;
    if (tag->empty() || tag->size() > kTagBytesMax ||
        tag->find_first_not_of(kAllowed) != std::string::npos) {
      Fail(Wrong("tag", *tag, "up to 32 letters, digits, - and _"));
    }
    o.tag = *tag;
  }
  if (Given("reconnect")) o.reconnect = Switch("reconnect");
  if (Given("scrape-gzip")) o.scrape_gzip = Switch("scrape-gzip");
  o.quiet = Switch("quiet");
  if (const std::string* const method = Value("method")) {
    if (*method != "PUT" && *method != "POST") Fail(Wrong("method", *method, "PUT or POST"));
    o.method = *method;
  }
  if (const std::string* const arrivals = Value("arrivals")) {
    if (*arrivals == "poisson") {
      o.arrivals = Arrivals::kPoisson;
    } else if (*arrivals != "constant") {
      Fail(Wrong("arrivals", *arrivals, "constant or poisson"));
    }
  }
  if (const std::string* const values = Value("values")) {
    if (*values != "change" && *values != "keep") Fail(Wrong("values", *values, "change or keep"));
    o.change_values = *values == "change";
  }
  if (const std::string* const file = Value("json")) o.json_file = *file;
  if (const std::string* const file = Value("report")) o.report_file = *file;
  ReadRate();
  if (error_) return *error_;
  SizeGroups();
  Check();
  if (error_) return *error_;
  return CommandLine{false, false, std::move(options_)};
}

}  // namespace

std::string_view ScenarioName(Scenario scenario) {
  for (const auto& [each, name] : kScenarios) {
    if (each == scenario) return name;
  }
  return "";
}

std::string Url::Authority() const {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

Result<Url> ParseUrl(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return InvalidArgument("URL \"" + std::string(text) + "\": " + std::string(why));
  };
  constexpr std::string_view kScheme = "http://";
  if (text.starts_with("https://")) {
    return wrong("https is not measured; point at the server behind the TLS");
  }
  if (!text.starts_with(kScheme)) return wrong("expected http://HOST[:PORT][/PREFIX]");
  for (const char c : text) {
    if (c <= ' ' || c == 0x7f) return wrong("holds a blank or a control character");
  }
  Url url;
  url.text = text;
  const std::string_view rest = text.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  if (rest.find_first_of("?#") != std::string_view::npos) return wrong("has a query or a fragment");
  if (authority.find('@') != std::string_view::npos) return wrong("has a user name");
  if (slash != std::string_view::npos) url.prefix = rest.substr(slash);
  while (url.prefix.ends_with('/')) url.prefix.pop_back();
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return wrong("has no closing bracket");
    url.host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
    if (!authority.empty() && authority.front() != ':') return wrong("expected a port");
  } else {
    url.host = authority.substr(0, authority.find(':'));
    authority.remove_prefix(url.host.size());
  }
  if (url.host.empty()) return wrong("has no host");
  url.port = "80";
  if (!authority.empty()) {
    const std::optional<std::uint64_t> port = WholeNumber(authority.substr(1));
    if (!port || *port == 0 || *port > 65535) return wrong("has no port from 1 to 65535");
    url.port = std::to_string(*port);
  }
  return url;
}

std::string HelpText() {
  return "usage: pushgateway-load [SCENARIO] [FLAGS] [FILE…]\n\n"
         "Measures how exactly and how cheaply a Pushgateway's metrics expire under load.\n\n"
         "  pushgateway-load steady --url=http://127.0.0.1:9091 --pid=$(pidof pushgateway) "
         "--ttl=5s\n\n"
         "Scenarios, each a set of defaults for the flags:\n"
         "  steady   groups that are renewed four times within a life, as k0s does (the default)\n"
         "  churn    short-lived jobs: each group is pushed once, on a new connection, and "
         "expires\n"
         "  cliff    1,000,000 series that expire in the same instant, while others push\n"
         "  herd     2,000 clients that connect and push at once, every 5s\n"
         "  scrape   steady, with four scrapers, two of them with gzip\n"
         "  slow     steady, with 2,000 clients that send half a request and stall\n"
         "  replay   payloads from FILEs, their values changed with every push\n\n"
         "Flags:\n" +
         DescribeFlags(kFlags) +
         "\nExit code: 0, or 2 where violations of the time to live were proven, or else 3 where "
         "requests\nfailed, were refused or could not be sent; 1 for anything that keeps it from "
         "running.\n";
}

Result<CommandLine> ParseArguments(std::span<const std::string> arguments) {
  constexpr std::size_t kWordsMax = 1001;
  const ParsedCommandLine line = ParseCommandLine(kFlags, arguments, ReadArgumentFile, kWordsMax);
  CommandLine command;
  for (const FlagUse& use : line.uses) {
    if (use.flag->name == "help" && use.value == "true") command.help = true;
    if (use.flag->name == "version" && use.value == "true") command.version = true;
  }
  if (command.help || command.version) return command;
  if (line.error) return *line.error;
  return Reader(line).Read();
}

}  // namespace pgw::load
