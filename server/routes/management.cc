// Life cycle, wiping and the page for people.
#include <string>

#include "server/routes/gateway.h"
#include "server/routes/status_mapping.h"

namespace pgw {

using http::Request;
using http::Response;

Response Gateway::Quit() {
  if (!options_.enable_lifecycle) return PlainText(403, "Lifecycle API is not enabled.");
  options_.quit();
  Response response = PlainText(200, "Requesting termination... Goodbye!");
  response.close = true;
  return response;
}

Response Gateway::Wipe(const Request& request) {
  log_.Debug("start wiping metric store");
  return Respond(commands_.Wipe(request.received), [this](const Status& status) {
    Response response = Accepted(status);
    own_metrics_.CountRequest(HandlerName::kWipe, "PUT", response.status);
    return response;
  });
}

Response Gateway::Ready() const {
  const Status status = commands_.Ready();
  return status.ok() ? PlainText(200, "OK") : ReplyTo(status.error());
}

Response Gateway::StatusPage() const {
  // Relative, so that they hold behind a proxy that puts something in front of the path.
  const auto link = [](std::string_view path, std::string_view what) {
    return "<li><a href=\"" + EncodePath(path) + "\">" + std::string(what) + "</a></li>\n";
  };
  const std::string& telemetry = options_.routes.telemetry_path;
  const std::string root = options_.routes.prefix + "/";
  const std::string metrics =
      telemetry.starts_with(root) ? "./" + telemetry.substr(root.size()) : telemetry;
  Response response;
  response.headers.emplace_back("Content-Type", "text/html; charset=utf-8");
  response.body =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">"
      "<title>Pushgateway</title></head>\n<body>\n<h1>Pushgateway</h1>\n<ul>\n" +
      link(metrics, "Metrics, as Prometheus scrapes them") +
      link("./api/v1/metrics", "Pushed metrics, by group (JSON)") +
      link("./api/v1/status", "Build, flags and start time (JSON)") +
      link("./-/healthy", "Health") + link("./-/ready", "Readiness") + "</ul>\n</body>\n</html>\n";
  return response;
}

}  // namespace pgw
