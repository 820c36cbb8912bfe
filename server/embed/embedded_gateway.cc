#include "server/embed/embedded_gateway.h"

#include "server/version.h"

namespace pgw::embed {
namespace {

StoreOptions MakeStoreOptions(EmbedOptions& options) {
  StoreOptions result{.check_consistency = options.check_consistency,
                      .own_families = OwnMetrics::Families()};
  for (OwnFamily& family : options.reserved_families) {
    result.own_families.push_back(std::move(family));
  }
  return result;
}

GatewayOptions MakeGatewayOptions(EmbedOptions& options, WallTime start) {
  GatewayOptions result;
  result.routes.prefix = options.prefix;
  result.routes.telemetry_path =
      options.telemetry_path.empty() ? options.prefix + "/metrics" : options.telemetry_path;
  result.routes.enable_admin_api = options.enable_admin_api;
  result.enable_lifecycle = static_cast<bool>(options.quit);
  result.check_consistency = options.check_consistency;
  result.validation = options.validation;
  result.decompressed_bytes_max = options.decompressed_bytes_max;
  result.build_information = BuildInformation();
  result.flags = std::move(options.shown_flags);
  result.start_time = start;
  result.quit = std::move(options.quit);
  return result;
}

}  // namespace

EmbeddedGateway::EmbeddedGateway(EmbedOptions options, const Clock& clock, Logger& log)
    : own_metrics_(BuildInfoLabels(), clock.Now()),
      store_(MakeStoreOptions(options)),
      commands_(store_),
      ttl_(options.ttl),
      gateway_(store_, commands_, own_metrics_, ttl_, clock, log,
               MakeGatewayOptions(options, clock.Now().wall)),
      reaper_(store_, clock, own_metrics_) {
  reaper_.Start();
}

EmbeddedGateway::~EmbeddedGateway() = default;

}  // namespace pgw::embed
