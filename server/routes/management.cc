// Life cycle, wiping and the page for people.
#include <string>

#include "server/routes/gateway.h"

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
  store_.Wipe(request.received);
  Response response;
  response.status = 202;
  return response;
}

Response Gateway::StatusPage() const {
  const std::string& prefix = options_.routes.prefix;
  const auto link = [](const std::string& path, std::string_view what) {
    return "<li><a href=\"" + EncodePath(path) + "\">" + std::string(what) + "</a></li>\n";
  };
  Response response;
  response.headers.emplace_back("Content-Type", "text/html; charset=utf-8");
  response.body =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">"
      "<title>Pushgateway</title></head>\n<body>\n<h1>Pushgateway</h1>\n<ul>\n" +
      link(options_.routes.telemetry_path, "Metrics, as Prometheus scrapes them") +
      link(prefix + "/api/v1/metrics", "Pushed metrics, by group (JSON)") +
      link(prefix + "/api/v1/status", "Build, flags and start time (JSON)") +
      link(prefix + "/-/healthy", "Health") + link(prefix + "/-/ready", "Readiness") +
      "</ul>\n</body>\n</html>\n";
  return response;
}

}  // namespace pgw
