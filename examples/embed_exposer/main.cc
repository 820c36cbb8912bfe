// A program with metrics of its own and a prometheus-cpp Exposer to show them, which also takes
// pushes (on a second port: an Exposer shares its server with nobody) and shows both together.
//
//   embed_exposer --web.listen-address=127.0.0.1:9091 --metric.timetolive=5m
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "server/config.h"
#include "server/embed/embedded_gateway.h"
#include "server/embed/prometheus_cpp/pushed_metrics.h"
#include "server/flags.h"
#include "server/http/server.h"
#include "server/termination.h"

namespace {

constexpr char kStartsName[] = "example_starts_total";
constexpr char kStartsHelp[] = "How often the program started.";

int Serve(const pgw::Config& config) {
  pgw::Termination termination;
  const pgw::SystemClock clock;
  pgw::Logger log(clock, STDERR_FILENO, config.log_level, config.log_format);

  // The program as it was: a counter, and an Exposer that shows it.
  const auto registry = std::make_shared<prometheus::Registry>();
  prometheus::BuildCounter()
      .Name(kStartsName)
      .Help(kStartsHelp)
      .Register(*registry)
      .Add({})
      .Increment();
  prometheus::Exposer exposer("127.0.0.1:0");
  exposer.RegisterCollectable(registry);

  // What it learns: taking pushes …
  pgw::embed::EmbedOptions options;
  options.ttl = config.ttl;
  options.reserved_families = {{.name = kStartsName,
                                .help = kStartsHelp,
                                .type = pgw::MetricType::kCounter,
                                .replaces_help = false}};
  pgw::embed::EmbeddedGateway gateway(std::move(options), clock, log);
  pgw::http::Server server(gateway.handler(), {.limits = config.limits}, clock, log);
  const pgw::Result<std::string> address = server.Listen(config.listen_addresses.front());
  if (!address) {
    std::fprintf(stderr, "embed_exposer: %s\n", address.error().message.c_str());
    return 1;
  }
  server.Start();
  // … and showing them. The Exposer keeps a weak reference.
  const auto pushed = std::make_shared<pgw::embed::PushedMetrics>(gateway.store(), clock);
  exposer.RegisterCollectable(pushed);

  const std::string exposed = "127.0.0.1:" + std::to_string(exposer.GetListeningPorts().front());
  log.Info("Exposing metrics", {{"address", std::string_view(exposed)}});
  log.Info("Listening on", {{"address", std::string_view(*address)}});
  (void)termination.Wait();
  server.Shutdown();
  exposer.RemoveCollectable(pushed);  // waits for a scrape that may be using it
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto command = pgw::ParseArguments(arguments, pgw::ReadArgumentFile);
  if (!command || command->action != pgw::CommandLine::Action::kRun) {
    std::fprintf(stderr, "embed_exposer: %s\n",
                 command ? "takes the flags of pushgateway" : command.error().message.c_str());
    return 1;
  }
  return Serve(command->config);
}
