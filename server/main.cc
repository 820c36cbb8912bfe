// The program: reads the command line, puts the rooms together, waits for the end.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/log.h"
#include "server/config.h"
#include "server/healthcheck.h"
#include "server/http/server.h"
#include "server/huge_pages.h"
#include "server/persistence_tools.h"
#include "server/routes/gateway.h"
#include "server/routes/own_metrics.h"
#include "server/termination.h"
#include "server/version.h"
#include "store/command_log.h"
#include "store/durable/durable_log.h"
#include "store/durable/durable_store.h"
#include "store/durable/gob_import.h"
#include "store/metric_store.h"
#include "ttl/policy.h"
#include "ttl/reaper.h"

namespace pgw {
namespace {

constexpr int kFailure = 1;
constexpr std::chrono::milliseconds kHealthcheckTimeout{900};

void Print(std::FILE* file, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fflush(file);
}

// Pushes are parsed on a few threads: two arenas keep what they free in reach of each other. Large
// bodies come from mmap and go back to the kernel at once; what control planes push does not.
void TuneAllocator() {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
  mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
#endif
}

// The sockets that systemd passes, from descriptor 3 on, if they are meant for this process.
std::vector<int> ActivationSockets() {
  const char* const pid = std::getenv("LISTEN_PID");
  const char* const count = std::getenv("LISTEN_FDS");
  std::vector<int> sockets;
  if (pid != nullptr && count != nullptr && std::to_string(getpid()) == pid) {
    constexpr int kFirst = 3;
    const int total = std::clamp(std::atoi(count), 0, 1024);
    for (int fd = kFirst; fd < kFirst + total; ++fd) {
      fcntl(fd, F_SETFD, FD_CLOEXEC);
      sockets.push_back(fd);
    }
  }
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  return sockets;
}

void LogListening(Logger& log, std::string_view address) {
  log.Info("Listening on", {{"address", address}});
  log.Info("TLS is disabled.", {{"http2", false}, {"address", address}});
}

Status ListenOnSystemdSockets(http::Server& server, Logger& log) {
  log.Info("Listening on systemd activated listeners instead of port listeners.");
  const std::vector<int> sockets = ActivationSockets();
  if (sockets.empty()) {
    return Error{Code::kUnavailable, "no socket activation file descriptors found"};
  }
  for (const int socket : sockets) {
    const Result<std::string> address = server.Adopt(socket);
    if (!address) return address.error();
    LogListening(log, *address);
  }
  return {};
}

// All addresses are bound before any is served.
Status Listen(http::Server& server, const Config& config, Logger& log) {
  if (config.systemd_socket) return ListenOnSystemdSockets(server, log);
  std::vector<std::string> bound;
  for (const std::string& wanted : config.listen_addresses) {
    Result<std::string> address = server.Listen(wanted);
    if (!address) return address.error();
    bound.push_back(std::move(*address));
  }
  for (const std::string& address : bound) LogListening(log, address);
  return {};
}

void LogRecovery(const persistence::Findings& found, Logger& log) {
  log.Info(
      "recovered what was stored",
      {{"records", static_cast<std::int64_t>(found.replayed)},
       {"snapshot_bytes", static_cast<std::int64_t>(found.snapshot ? found.snapshot->bytes : 0)}});
  if (found.torn_bytes() == 0) return;
  log.Warn("the journal ended with a write that was not completed; it was cut off",
           {{"bytes", static_cast<std::int64_t>(found.torn_bytes())}});
}

void LogImport(const std::string& path, const ImportReport& report, Logger& log) {
  for (const std::string& note : report.notes) log.Warn("taking over: " + note);
  if (report.more_notes > 0) {
    log.Warn("taking over: further remarks left out",
             {{"count", static_cast<std::int64_t>(report.more_notes)}});
  }
  log.Info("taken over from the Go Pushgateway's file, which is kept beside it",
           {{"file", std::string_view(path)},
            {"groups", static_cast<std::int64_t>(report.groups)},
            {"families", static_cast<std::int64_t>(report.families)},
            {"dropped", static_cast<std::int64_t>(report.dropped)}});
}

// The log that keeps commands in files, with everything that is in them in the store.
Result<std::unique_ptr<DurableLog>> OpenDurableLog(FileSystem& files, const Config& config,
                                                   const Instant& now, MetricStore& store,
                                                   const Clock& clock, Logger& log,
                                                   DurabilityObserver& observer) {
  DurableStore::Options options;
  options.session = {SystemBootId(), config.ttl, now};
  options.foreign = [&log](const File& file, MetricStore& into) {
    ImportReport report;
    const Status status = ImportGob(file, into, report);
    if (status.ok()) LogImport(file.path(), report, log);
    return status;
  };
  auto durable = DurableStore::Open(files, config.persistence_file, store, std::move(options));
  if (!durable) return durable.error();
  LogRecovery((*durable)->recovered(), log);
  return std::make_unique<DurableLog>(
      std::move(*durable), store, clock, log, observer,
      DurableLog::Options{config.persistence_sync, config.persistence_interval});
}

GatewayOptions MakeGatewayOptions(const Config& config, WallTime start) {
  GatewayOptions options;
  options.routes = {.prefix = config.route_prefix,
                    .telemetry_path = config.telemetry_path,
                    .enable_admin_api = config.enable_admin_api};
  options.enable_lifecycle = config.enable_lifecycle;
  options.check_consistency = config.check_consistency;
  options.validation = config.validation;
  options.decompressed_bytes_max = config.limits.body_bytes_max;
  options.build_information = BuildInformation();
  options.flags = config.shown_flags;
  options.start_time = start;
  options.held_bytes_max = config.held_bytes_max;
  return options;
}

void LogStart(const Config& config, Logger& log) {
  const std::string version = VersionInfo();
  const std::string context = BuildContext();
  log.Info("starting pushgateway", {{"version", std::string_view(version)}});
  log.Info("Build context", {{"build_context", std::string_view(context)}});
  for (const std::string& warning : config.warnings) log.Warn(warning);
  log.Debug("external URL", {{"url", std::string_view(config.external_url)}});
  log.Debug("path prefix used externally", {{"path", std::string_view(config.external_prefix)}});
  log.Debug("path prefix for internal routing", {{"path", std::string_view(config.route_prefix)}});
}

// Takes back what a start has made of files, unless that goes on to serve clients.
class Withdrawal {
 public:
  // Null: there are no files.
  explicit Withdrawal(DurableLog* log) : log_(log) {}
  ~Withdrawal() {
    if (log_ != nullptr) log_->Withdraw();
  }
  Withdrawal(const Withdrawal&) = delete;
  Withdrawal& operator=(const Withdrawal&) = delete;

  void Cancel() { log_ = nullptr; }

 private:
  DurableLog* log_;
};

int ServeUntilTold(const Config& config, const SystemClock& clock, Logger& log) {
  Termination termination;
  const Instant start = clock.Now();
  LogStart(config, log);
  http::RaiseOpenFilesLimit();

  OwnMetrics own_metrics(BuildInfoLabels(), start);
  // Never destroyed: the process ends with it, and the kernel frees all of it at once.
  static MetricStore& store = *new MetricStore(
      {.check_consistency = config.check_consistency, .own_families = OwnMetrics::Families()});
  const TtlPolicy ttl(config.ttl);
  HugePages huge_pages;
  Reaper reaper(store, clock, own_metrics, [&huge_pages] { return huge_pages.PackNext(); });
  PosixFileSystem files;
  DirectLog direct(store);
  std::unique_ptr<DurableLog> durable;
  if (!config.persistence_file.empty()) {
    auto opened = OpenDurableLog(files, config, start, store, clock, log, own_metrics);
    if (!opened) {
      log.Error("cannot use the persistence file",
                {{"err", std::string_view(opened.error().message)}});
      return kFailure;
    }
    durable = std::move(*opened);
  }
  Withdrawal withdrawal(durable.get());
  CommandLog& commands = durable ? static_cast<CommandLog&>(*durable) : direct;
  GatewayOptions gateway_options = MakeGatewayOptions(config, start.wall);
  gateway_options.quit = [&termination] { termination.Request(); };
  if (durable) gateway_options.durability = [&durable] { return durable->Facts(); };
  http::Server* engine = nullptr;  // there before the first answer, and as long as the last
  gateway_options.look = [&engine] { engine->CutOffAbandoned(); };
  Gateway gateway(store, commands, own_metrics, ttl, clock, log, std::move(gateway_options));

  http::ServerOptions server_options;
  server_options.limits = config.limits;
  server_options.threads = std::clamp(std::thread::hardware_concurrency(), 2u, 4u);
  http::Server server(gateway, server_options, clock, log);
  engine = &server;
  if (const Status status = Listen(server, config, log); !status) {
    log.Error("HTTP server stopped", {{"err", std::string_view(status.error().message)}});
    return kFailure;
  }
  reaper.Start();
  if (durable) durable->Start();
  server.Start();
  withdrawal.Cancel();

  if (termination.Wait() == Termination::Reason::kSignal) {
    log.Info("received SIGINT/SIGTERM; exiting gracefully...");
  } else {
    log.Warn("received termination request via web service, exiting gracefully...");
  }
  server.Shutdown();
  log.Info("HTTP server stopped");
  reaper.Stop();
  if (!durable) return 0;
  const Status stopped = durable->Stop();
  if (stopped.ok()) return 0;
  log.Error("problem shutting down metric storage",
            {{"err", std::string_view(stopped.error().message)}});
  return kFailure;
}

// Constructors throw where the system has no descriptors, threads or memory left.
int Serve(const Config& config) {
  constexpr std::string_view kCannot = "cannot start";
  TuneAllocator();
  const SystemClock clock;
  Logger log(clock, STDERR_FILENO, config.log_level, config.log_format);
  try {
    return ServeUntilTold(config, clock, log);
  } catch (const std::bad_alloc&) {
    log.Error(kCannot, {{"err", "out of memory"}});
  } catch (const std::exception& error) {
    log.Error(kCannot, {{"err", error.what()}});
  }
  return kFailure;
}

int Healthcheck(const std::string& url) {
  const HealthcheckResult result = CheckHealth(url, kHealthcheckTimeout);
  Print(result.healthy ? stdout : stderr, result.line + "\n");
  return result.healthy ? 0 : kFailure;
}

int RunSubcommand(std::string_view program, const Subcommand& subcommand) {
  PosixFileSystem files;
  ToolResult result;
  switch (subcommand.kind) {
    case Subcommand::Kind::kCheck:
      result = CheckFiles(files, subcommand.file);
      break;
    case Subcommand::Kind::kRepair:
      result = RepairFiles(files, subcommand.file, subcommand.out);
      break;
    case Subcommand::Kind::kExport:
      result =
          ExportFiles(files, subcommand.file, subcommand.out, SystemBootId(), SystemClock().Now());
      break;
  }
  Print(stdout, result.text);
  if (result.error) Print(stderr, std::string(program) + ": error: " + *result.error + "\n");
  return result.exit_code;
}

int Run(std::string_view program, const std::vector<std::string>& arguments) {
  const Result<CommandLine> command = ParseArguments(arguments, ReadArgumentFile);
  const std::string_view name = program.substr(program.rfind('/') + 1);
  if (!command) {
    Print(stderr, std::string(name) + ": error: " + command.error().message + ", try --help\n");
    return kFailure;
  }
  switch (command->action) {
    case CommandLine::Action::kShowHelp:
      Print(stdout, command->help);
      return 0;
    case CommandLine::Action::kShowVersion:
      Print(stdout, VersionText());
      return 0;
    case CommandLine::Action::kHealthcheck:
      return Healthcheck(command->healthcheck_url);
    case CommandLine::Action::kSubcommand:
      return RunSubcommand(name, command->subcommand);
    case CommandLine::Action::kRun:
      break;
  }
  return Serve(command->config);
}

}  // namespace
}  // namespace pgw

int main(int argc, char** argv) {
  const std::string_view program = argc > 0 ? argv[0] : "pushgateway";
  try {
    return pgw::Run(program, std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  } catch (const std::bad_alloc&) {
    constexpr std::string_view kLine = "pushgateway: error: out of memory\n";
    (void)!write(STDERR_FILENO, kLine.data(), kLine.size());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pushgateway: error: %s\n", error.what());
  }
  return 1;
}
