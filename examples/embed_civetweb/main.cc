// A program with a civetweb server of its own, which takes pushes below a prefix. It understands
// the flags of pushgateway, so that one command line serves to compare the two:
//
//   embed_civetweb --web.listen-address=127.0.0.1:9091 --web.route-prefix=/pushed
//   --metric.timetolive=5m
#include <CivetServer.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "server/config.h"
#include "server/embed/civetweb/civetweb_gateway.h"
#include "server/embed/embedded_gateway.h"
#include "server/flags.h"
#include "server/termination.h"

namespace {

// What the program served before it took pushes.
class Hello : public CivetHandler {
 public:
  bool handleGet(CivetServer*, mg_connection* connection) override {
    mg_printf(connection,
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
              "Connection: close\r\n\r\nhello\n");
    mg_disable_connection_keep_alive(connection);
    return true;
  }
  using CivetHandler::handleGet;
};

std::vector<std::string> ServerOptions(const pgw::Config& config) {
  // Of Go's ":9091", civetweb takes the port alone.
  std::string address = config.listen_addresses.front();
  if (address.starts_with(':')) address.erase(0, 1);
  return {
      "listening_ports",
      address,
      "decode_url",
      "no",  // the gateway wants paths as they were sent
      "enable_keep_alive",
      "yes",
      "keep_alive_timeout_ms",
      "5000",
      "tcp_nodelay",
      "1",
      "num_threads",
      "16",
      "max_request_size",
      std::to_string(config.limits.header_bytes_max),
      "request_timeout_ms",
      std::to_string(config.limits.body_timeout.count()),
  };
}

pgw::embed::EmbedOptions GatewayOptions(const pgw::Config& config, pgw::Termination& termination) {
  pgw::embed::EmbedOptions options;
  options.prefix = config.route_prefix;
  options.ttl = config.ttl;
  options.telemetry_path = config.telemetry_path;
  options.check_consistency = config.check_consistency;
  options.validation = config.validation;
  options.enable_admin_api = config.enable_admin_api;
  options.decompressed_bytes_max = config.limits.body_bytes_max;
  options.shown_flags = config.shown_flags;
  if (config.enable_lifecycle) options.quit = [&termination] { termination.Request(); };
  return options;
}

int Serve(const pgw::Config& config) {
  pgw::Termination termination;
  const pgw::SystemClock clock;
  pgw::Logger log(clock, STDERR_FILENO, config.log_level, config.log_format);

  pgw::embed::EmbeddedGateway gateway(GatewayOptions(config, termination), clock, log);
  pgw::embed::CivetwebGateway mounted(gateway.handler(), clock,
                                      {.prefix = config.route_prefix,
                                       .body_bytes_max = config.limits.body_bytes_max,
                                       .bodies_bytes_max = config.limits.bodies_bytes_max});
  Hello hello;
  CivetServer server(ServerOptions(config));  // the last to come and the first to go
  server.addHandler("/hello", hello);
  if (const pgw::Status status = mounted.Mount(server); !status) {
    std::fprintf(stderr, "embed_civetweb: %s\n", status.error().message.c_str());
    return 1;
  }
  const std::string address = "127.0.0.1:" + std::to_string(server.getListeningPorts().front());
  log.Info("Listening on", {{"address", std::string_view(address)}});
  (void)termination.Wait();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto command = pgw::ParseArguments(arguments, pgw::ReadArgumentFile);
  if (!command || command->action != pgw::CommandLine::Action::kRun) {
    std::fprintf(stderr, "embed_civetweb: %s\n",
                 command ? "takes the flags of pushgateway" : command.error().message.c_str());
    return 1;
  }
  try {
    return Serve(command->config);
  } catch (const CivetException& failure) {
    std::fprintf(stderr, "embed_civetweb: %s\n", failure.what());
    return 1;
  }
}
