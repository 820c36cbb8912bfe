#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "server/version.h"

namespace pgw {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

using Arguments = std::vector<std::string>;
using Action = CommandLine::Action;

Result<std::vector<std::string>> NoFiles(const std::string& path) {
  return InvalidArgument("open " + path + ": no such file or directory");
}

CommandLine Parse(const Arguments& arguments) {
  Result<CommandLine> command = ParseArguments(arguments, NoFiles);
  EXPECT_TRUE(command) << command.error().message;
  return command ? *command : CommandLine{};
}

Config ConfigOf(const Arguments& arguments) { return Parse(arguments).config; }

std::string ErrorOf(const Arguments& arguments) {
  const Result<CommandLine> command = ParseArguments(arguments, NoFiles);
  return command ? "none" : command.error().message;
}

std::map<std::string, std::string> Shown(const Arguments& arguments) {
  const Config config = ConfigOf(arguments);
  return {config.shown_flags.begin(), config.shown_flags.end()};
}

TEST(ConfigTest, HasUpstreamsDefaultsAndOurLimits) {
  const Config config = ConfigOf({});
  EXPECT_THAT(config.listen_addresses, ElementsAre(":9091"));
  EXPECT_EQ(config.telemetry_path, "/metrics");
  EXPECT_EQ(config.route_prefix, "");
  EXPECT_FALSE(config.enable_lifecycle);
  EXPECT_FALSE(config.enable_admin_api);
  EXPECT_TRUE(config.check_consistency);
  EXPECT_EQ(config.validation, NameValidation::kLegacy);
  EXPECT_EQ(config.log_level, LogLevel::kInfo);
  EXPECT_EQ(config.log_format, LogFormat::kLogfmt);
  EXPECT_EQ(config.ttl, 0ns);
  EXPECT_EQ(config.limits.header_bytes_max, 64u * 1024);
  EXPECT_EQ(config.limits.body_bytes_max, 64u << 20);
  EXPECT_EQ(config.limits.bodies_bytes_max, 256u << 20);
  EXPECT_EQ(config.limits.header_timeout, 30s);
  EXPECT_EQ(config.limits.body_timeout, 60s);
  EXPECT_EQ(config.limits.idle_timeout, 67min + 13s);
  EXPECT_EQ(config.limits.response_timeout, 60s);
}

TEST(ConfigTest, TakesEveryFlagOver) {
  const Config config =
      ConfigOf({"--web.listen-address=127.0.0.1:1", "--web.listen-address", "[::1]:2",
                "--web.systemd-socket", "--web.enable-lifecycle", "--web.enable-admin-api",
                "--push.disable-consistency-check", "--push.enable-utf8-names", "--log.level=DEBUG",
                "--log.format=json", "--metric.timetolive=1d", "--web.max-header-bytes=1",
                "--web.max-body-bytes=2", "--web.max-inflight-body-bytes=0",
                "--web.max-scrape-bytes=3", "--web.read-header-timeout=1s",
                "--web.read-body-timeout=0", "--web.idle-timeout=1us", "--web.write-timeout=1.5s"});
  EXPECT_THAT(config.listen_addresses, ElementsAre("127.0.0.1:1", "[::1]:2"));
  EXPECT_TRUE(config.systemd_socket);
  EXPECT_TRUE(config.enable_lifecycle);
  EXPECT_TRUE(config.enable_admin_api);
  EXPECT_FALSE(config.check_consistency);
  EXPECT_EQ(config.validation, NameValidation::kUtf8);
  EXPECT_EQ(config.log_level, LogLevel::kDebug);
  EXPECT_EQ(config.log_format, LogFormat::kJson);
  EXPECT_EQ(config.ttl, 24h);
  EXPECT_EQ(config.limits.header_bytes_max, 1u);
  EXPECT_EQ(config.limits.body_bytes_max, 2u);
  EXPECT_EQ(config.limits.bodies_bytes_max, 0u);
  EXPECT_EQ(config.held_bytes_max, 3u);
  EXPECT_EQ(config.limits.header_timeout, 1s);
  EXPECT_EQ(config.limits.body_timeout, 0s);
  EXPECT_EQ(config.limits.idle_timeout, 1ms) << "rounded to zero it would be no limit";
  EXPECT_EQ(config.limits.response_timeout, 1500ms);
}

TEST(ConfigTest, DerivesPrefixes) {
  struct Case {
    Arguments arguments;
    std::string internal, external;
  };
  for (const Case& c : {
           Case{{}, "", ""},
           Case{{"--web.route-prefix=/"}, "", ""},
           Case{{"--web.route-prefix=pg"}, "/pg", ""},
           Case{{"--web.route-prefix=/pg/"}, "/pg", ""},
           Case{{"--web.external-url=http://h/pg/"}, "/pg", "/pg"},
           Case{{"--web.external-url=http://h/pg", "--web.route-prefix=/"}, "", "/pg"},
           Case{{"--web.external-url=h.example/pg"}, "/h.example/pg", "/h.example/pg"},
       }) {
    const Config config = ConfigOf(c.arguments);
    EXPECT_EQ(config.route_prefix, c.internal);
    EXPECT_EQ(config.external_prefix, c.external);
    EXPECT_EQ(config.telemetry_path, c.internal + "/metrics");
  }
}

TEST(ConfigTest, JoinsTheTelemetryPath) {
  EXPECT_EQ(ConfigOf({"--web.telemetry-path=/a//b/../c/"}).telemetry_path, "/a/c");
  EXPECT_EQ(ConfigOf({"--web.telemetry-path=m", "--web.route-prefix=/pg"}).telemetry_path, "/pg/m");
  EXPECT_THAT(ErrorOf({"--web.telemetry-path=m"}), HasSubstr("must begin with /"));
  for (const std::string path : {"/", "/status", "/-/healthy", "/-/ready/", "/static/x",
                                 "/debug/pprof/heap", "/-/quit", "/api/v1", "/api/v1/metrics"}) {
    EXPECT_EQ(ErrorOf({"--web.telemetry-path=" + path}),
              "invalid --web.telemetry-path \"" + path + "\": another page is there");
  }
  EXPECT_EQ(ErrorOf({"--web.telemetry-path=/status", "--web.route-prefix=/pg"}),
            "invalid --web.telemetry-path \"/status\": another page is there");
}

TEST(ConfigTest, LetsTheTimeToLiveStandBare) {
  EXPECT_EQ(ConfigOf({"--metric.timetolive"}).ttl, 120s);
  EXPECT_EQ(ConfigOf({"--metric.timetolive", "--log.level=warn"}).ttl, 120s);
  EXPECT_EQ(ConfigOf({"--metric.timetolive", "90s"}).ttl, 90s);
  EXPECT_EQ(ErrorOf({"--metric.timetolive", "soon"}),
            "--metric.timetolive: time: invalid duration \"soon\"");
  EXPECT_EQ(ErrorOf({"--metric.timetolive="}), "--metric.timetolive: time: invalid duration \"\"");
  EXPECT_EQ(ErrorOf({"--metric.timetolive=-5s"}),
            "--metric.timetolive: must not be negative, got \"-5s\"");
  EXPECT_EQ(ErrorOf({"--metric.timetolive", "-5s"}), "unknown short flag '-5'");
}

TEST(ConfigTest, NamesTheFirstMistake) {
  EXPECT_EQ(ErrorOf({"--log.level=foo", "--log.format=bar"}),
            "--log.level: unrecognized log level foo");
  EXPECT_EQ(ErrorOf({"--log.format=JSON"}), "--log.format: unrecognized log format JSON");
  EXPECT_EQ(ErrorOf({"--web.external-url=%zz"}),
            "--web.external-url: invalid URL: parse \"%zz\": invalid URL escape \"%zz\"");
  EXPECT_EQ(ErrorOf({"--persistence.interval=5"}),
            "--persistence.interval: time: missing unit in duration \"5\"");
  EXPECT_EQ(ErrorOf({"--web.max-body-bytes=1MB"}),
            "--web.max-body-bytes: must be a number of bytes, got \"1MB\"");
  EXPECT_EQ(ErrorOf({"--web.max-header-bytes=-1"}),
            "--web.max-header-bytes: must be a number of bytes, got \"-1\"");
  EXPECT_EQ(ErrorOf({"--web.idle-timeout=-1s"}),
            "--web.idle-timeout: must not be negative, got \"-1s\"");
  EXPECT_EQ(ErrorOf({"--log.level=info", "--log.level=info"}),
            "flag 'log.level' cannot be repeated");
  EXPECT_EQ(ErrorOf({"--log.level=foo", "--x"}), "unknown long flag '--x'");
  EXPECT_EQ(ErrorOf({"word"}), "unexpected word");
}

// Each flag that takes a value, with one that it does not take.
TEST(ConfigTest, NamesTheFlagOfEveryBadValue) {
  const std::map<std::string, std::string> bad = {
      {"web.listen-address", "localhost"},
      {"web.config.file", "/missing"},
      {"web.telemetry-path", "http://h/metrics"},
      {"web.external-url", "http://h:x/"},
      {"web.route-prefix", "http://h/pg"},
      {"web.max-header-bytes", "64k"},
      {"web.max-body-bytes", "-1"},
      {"web.max-inflight-body-bytes", "99999999999999999999"},
      {"web.max-scrape-bytes", "1GiB"},
      {"web.read-header-timeout", "30"},
      {"web.read-body-timeout", "-1s"},
      {"web.idle-timeout", "abc"},
      {"web.write-timeout", ""},
      {"persistence.interval", "5x"},
      {"persistence.sync", "never"},
      {"metric.timetolive", "abc"},
      {"log.level", "loud"},
      {"log.format", "xml"},
      {"healthcheck", "https://h/"},
  };
  for (const auto& [flag, value] : bad) {
    EXPECT_THAT(ErrorOf({"--" + flag + "=" + value}), HasSubstr("--" + flag)) << value;
  }
  const std::set<std::string> without_bad_values = {
      "persistence.file",  // any path; what is there is reported when it is opened
  };
  for (const auto& [flag, value] : Shown({})) {
    const bool is_switch = value == "true" || value == "false";
    EXPECT_TRUE(is_switch || bad.contains(flag) || without_bad_values.contains(flag)) << flag;
  }
}

TEST(ConfigTest, RefusesAUrlWhereAPathIsExpected) {
  EXPECT_EQ(ErrorOf({"--web.route-prefix=http://localhost/pushgateway"}),
            "--web.route-prefix: a path is expected, not a URL; probably meant: "
            "--web.external-url=http://localhost/pushgateway");
  EXPECT_EQ(ErrorOf({"--web.telemetry-path=http://h/metrics", "--web.route-prefix=/pg"}),
            "invalid --web.telemetry-path \"http://h/metrics\": a path is expected, not a URL");
  EXPECT_EQ(ErrorOf({"--web.external-url=http://h/http://h/pg"}),
            "--web.external-url: its path is a URL itself: \"/http://h/pg\"");
}

TEST(ConfigTest, CleansPrefixesAsPathsOfRequestsAre) {
  for (const auto& [given, prefix] : std::map<std::string, std::string>{{"//", ""},
                                                                        {"/.", ""},
                                                                        {"..", ""},
                                                                        {"//a", "/a"},
                                                                        {"/a//", "/a"},
                                                                        {"/a/../b", "/b"},
                                                                        {"/a:b", "/a:b"},
                                                                        {"/a b", "/a b"}}) {
    EXPECT_EQ(ConfigOf({"--web.route-prefix=" + given}).route_prefix, prefix);
    EXPECT_THAT(ConfigOf({"--web.route-prefix=" + given}).warnings, IsEmpty());
  }
  EXPECT_EQ(ConfigOf({"--web.external-url=http://h//x//"}).route_prefix, "/x");
}

// Upstream starts with them, and clients can reach it.
TEST(ConfigTest, WarnsOfWhatIsProbablyNotMeant) {
  EXPECT_THAT(ConfigOf({"--web.route-prefix=/a%20b"}).warnings,
              ElementsAre("--web.route-prefix is taken as it is; in a URL it reads /a%2520b"));
  EXPECT_THAT(ConfigOf({"--web.route-prefix=/a?b", "--web.telemetry-path=/m#x"}).warnings,
              ElementsAre("--web.route-prefix is taken as it is; in a URL it reads /a%3Fb",
                          "--web.telemetry-path is taken as it is; in a URL it reads "
                          "/a%3Fb/m%23x"));
  EXPECT_THAT(ConfigOf({"--web.external-url=h.example/pg"}).warnings,
              ElementsAre("--web.external-url begins with neither http:// nor https://; routes "
                          "are below \"/h.example/pg/\""));
  EXPECT_THAT(ConfigOf({"--web.external-url=localhost:9091/pg"}).warnings,
              ElementsAre(HasSubstr("routes are below \"/\"")));
  for (const std::string url : {"/pg", "https://h/a%20b?x=y", "http://h"}) {
    EXPECT_THAT(ConfigOf({"--web.external-url=" + url}).warnings, IsEmpty()) << url;
  }
}

TEST(ConfigTest, TakesAnEmptyWebConfigurationAlone) {
  const auto error_of = [](std::vector<std::string> lines) {
    const Arguments arguments = {"--web.config.file=x"};
    const auto read = [&lines](const std::string&) -> Result<std::vector<std::string>> {
      return lines;
    };
    const Result<CommandLine> command = ParseArguments(arguments, read);
    return command ? "none" : command.error().message;
  };
  for (const std::vector<std::string>& lines : {std::vector<std::string>{},
                                                {"", "  ", "# nothing", "   # nothing"},
                                                {"{}"},
                                                {"---"},
                                                {"# x", "---", "{} \r"}}) {
    EXPECT_EQ(error_of(lines), "none");
  }
  for (const std::vector<std::string>& lines : {std::vector<std::string>{"tls_server_config:"},
                                                {"basic_auth_users: {}"},
                                                {"---", "tls_server_config: {}"},
                                                {"{"},
                                                {"\t"}}) {
    EXPECT_EQ(error_of(lines),
              "--web.config.file: TLS and authentication are not available in this version, so "
              "only an empty file is taken")
        << lines.front();
  }
  EXPECT_EQ(ErrorOf({"--web.config.file=x"}),
            "--web.config.file: open x: no such file or directory");
}

TEST(ConfigTest, ChecksTheFormOfListenAddresses) {
  for (const std::string address :
       {"", "localhost", "http://localhost:9091", "[::1]", ":65536", "vsock://:x", "::1:9091"}) {
    EXPECT_THAT(ErrorOf({"--web.listen-address=" + address}), HasSubstr("--web.listen-address: "))
        << address;
    EXPECT_EQ(ErrorOf({"--web.listen-address=" + address, "--web.systemd-socket"}), "none");
  }
  for (const std::string address : {":0", ":", "localhost:http", "[::1]:9091", "h.example:9091",
                                    "vsock://:9100", "127.0.0.1:65535"}) {
    EXPECT_EQ(ErrorOf({"--web.listen-address=" + address}), "none");
  }
}

TEST(ConfigTest, TakesWhatPersistenceNeeds) {
  EXPECT_EQ(ErrorOf({"--persistence.file="}), "none");
  EXPECT_EQ(ErrorOf({"--persistence.sync=never"}),
            "--persistence.sync: enum value must be one of always,interval,off, got 'never'");
  EXPECT_EQ(ErrorOf({"--persistence.interval=-1s"}),
            "--persistence.interval: must not be negative, got \"-1s\"");
  const std::vector<std::string> arguments = {"--persistence.file=x", "--persistence.sync=interval",
                                              "--persistence.interval=2m"};
  const Result<CommandLine> command = ParseArguments(arguments, ReadArgumentFile);
  ASSERT_TRUE(command);
  EXPECT_EQ(command->config.persistence_file, "x");
  EXPECT_EQ(command->config.persistence_sync, SyncMode::kInterval);
  EXPECT_EQ(command->config.persistence_interval, std::chrono::minutes(2));
}

TEST(ConfigTest, NoticesASyncModeWithoutAFile) {
  const auto unused = ElementsAre("--persistence.sync has no effect without --persistence.file");
  EXPECT_THAT(ConfigOf({"--persistence.sync=always"}).warnings, unused);
  EXPECT_THAT(ConfigOf({"--persistence.sync=off", "--persistence.file="}).warnings, unused);
  EXPECT_THAT(ConfigOf({"--persistence.sync=off", "--persistence.file=x"}).warnings, IsEmpty());
  // Nobody is told off for upstream's flags.
  EXPECT_THAT(ConfigOf({"--persistence.interval=1m"}).warnings, IsEmpty());
}

TEST(ConfigTest, ShowsEffectiveValues) {
  const auto shown = Shown({"--web.route-prefix=pg/", "--web.listen-address=:1",
                            "--web.listen-address=:2", "--web.enable-lifecycle", "--log.level=WARN",
                            "--metric.timetolive", "--persistence.interval=90m"});
  EXPECT_EQ(shown.at("web.route-prefix"), "/pg");
  EXPECT_EQ(shown.at("web.listen-address"), ":1,:2");
  EXPECT_EQ(shown.at("web.enable-lifecycle"), "true");
  EXPECT_EQ(shown.at("log.level"), "warn");
  EXPECT_EQ(shown.at("metric.timetolive"), "2m0s");
  EXPECT_EQ(shown.at("persistence.interval"), "1h30m0s");
  EXPECT_EQ(shown.at("web.read-header-timeout"), "30s");
  EXPECT_EQ(shown.at("web.max-body-bytes"), "67108864");
  EXPECT_FALSE(shown.contains("help"));
  EXPECT_FALSE(shown.contains("version"));
  EXPECT_FALSE(shown.contains("healthcheck"));
}

TEST(ConfigTest, ShowsUpstreamsFlagsWithItsDefaults) {
  const auto shown = Shown({});
  const std::map<std::string, std::string> expected = {{"log.format", "logfmt"},
                                                       {"log.level", "info"},
                                                       {"metric.timetolive", "0s"},
                                                       {"persistence.file", ""},
                                                       {"persistence.interval", "5m0s"},
                                                       {"persistence.sync", "always"},
                                                       {"push.disable-consistency-check", "false"},
                                                       {"push.enable-utf8-names", "false"},
                                                       {"web.config.file", ""},
                                                       {"web.enable-admin-api", "false"},
                                                       {"web.enable-lifecycle", "false"},
                                                       {"web.external-url", ""},
                                                       {"web.listen-address", ":9091"},
                                                       {"web.route-prefix", ""},
                                                       {"web.systemd-socket", "false"},
                                                       {"web.telemetry-path", "/metrics"}};
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(shown.contains(name)) << name;
    EXPECT_EQ(shown.at(name), value) << name;
  }
  EXPECT_EQ(shown.size(), expected.size() + 8) << "and eight limits of ours";
}

TEST(ConfigTest, ShowsHelpAndVersionInSpiteOfBadValues) {
  EXPECT_EQ(Parse({"--help", "--persistence.interval=abc"}).action, Action::kShowHelp);
  EXPECT_EQ(Parse({"-h"}).action, Action::kShowHelp);
  EXPECT_EQ(Parse({"-h"}).help, HelpText());
  EXPECT_EQ(Parse({"--help-long"}).action, Action::kShowHelp);
  EXPECT_EQ(Parse({"--version", "--x"}).action, Action::kShowVersion);
  EXPECT_EQ(Parse({"--log.level=foo", "--version"}).action, Action::kShowVersion);
  EXPECT_EQ(ErrorOf({"--help", "--x"}), "unknown long flag '--x'");
  EXPECT_EQ(ErrorOf({"--x", "--version"}), "unknown long flag '--x'");
  EXPECT_EQ(Parse({"--no-help"}).action, Action::kRun);
}

TEST(ConfigTest, ListsEveryFlagInTheHelp) {
  const std::string help = HelpText();
  for (const auto& [name, value] : Shown({})) EXPECT_THAT(help, HasSubstr(name));
  EXPECT_THAT(help, HasSubstr("--metric.timetolive[=120s]"));
  EXPECT_THAT(help, HasSubstr("--healthcheck[=URL]"));
  EXPECT_TRUE(help.starts_with("usage: pushgateway [<flags>]\n"));
}

TEST(ConfigTest, FindsTheServerToCheck) {
  EXPECT_EQ(Parse({"--healthcheck"}).action, Action::kHealthcheck);
  EXPECT_EQ(Parse({"--healthcheck"}).healthcheck_url, "http://127.0.0.1:9091/-/healthy");
  EXPECT_EQ(Parse({"--healthcheck", "http://h/x"}).healthcheck_url, "http://h/x");
  EXPECT_EQ(Parse({"--healthcheck", "--web.listen-address=[::]:8", "--web.route-prefix=pg"})
                .healthcheck_url,
            "http://[::1]:8/pg/-/healthy");
}

TEST(VersionTest, HasUpstreamsForm) {
  EXPECT_THAT(VersionText(),
              MatchesRegex("pushgateway, version [^ ]+ \\(branch: [^ ]+, revision: [^ ]+\\)\n"
                           "  build user:       .*\n  build date:       .*\n"
                           "  go version:       .*\n  platform:         linux/[a-z0-9]+\n"
                           "  tags:             unknown\n"));
  EXPECT_THAT(VersionInfo(), MatchesRegex("\\(version=.+, branch=.+, revision=.+\\)"));
  EXPECT_THAT(BuildContext(),
              MatchesRegex("\\(go=, platform=linux/.+, user=, date=.+, tags=unknown\\)"));
}

}  // namespace
}  // namespace pgw
