// The JSON API.
#include <memory>
#include <string>
#include <utility>

#include "server/routes/gateway.h"
#include "server/routes/json_text.h"
#include "server/routes/metrics_json.h"

namespace pgw {
namespace {

using http::Request;
using http::Response;

// Bodies up to here go out in one piece, with a length.
constexpr std::size_t kWholeBodyBytes = 32 * 1024;

Response ApiResponse() {
  Response response;
  response.headers = {
      {"Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin"},
      {"Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"},
      {"Access-Control-Allow-Origin", "*"},
      {"Access-Control-Expose-Headers", "Date"},
      {"Cache-Control", "no-cache, no-store, must-revalidate"}};
  return response;
}

void AppendMap(const std::vector<std::pair<std::string, std::string>>& map, std::string& out) {
  out.push_back('{');
  bool first = true;
  for (const auto& [key, value] : map) {
    if (!std::exchange(first, false)) out.push_back(',');
    AppendJsonString(key, out);
    out.push_back(':');
    AppendJsonString(value, out);
  }
  out.push_back('}');
}

}  // namespace

Response Gateway::ApiOptions() const { return ApiResponse(); }

Response Gateway::ApiStatus() const {
  Response response = ApiResponse();
  response.headers.emplace_back("Content-Type", "application/json");
  std::string& body = response.body;
  body = "{\"status\":\"success\",\"data\":{\"build_information\":";
  AppendMap(options_.build_information, body);
  body.append(",\"flags\":");
  AppendMap(options_.flags, body);
  body.append(",\"start_time\":");
  AppendJsonTime(options_.start_time, body);
  body.append("}}");
  return response;
}

Response Gateway::ApiMetrics(const Request& request) {
  Response response = ApiResponse();
  response.headers.emplace_back("Content-Type", "application/json");
  auto json = std::make_unique<MetricsJson>(store_, request.received);
  const bool more = json->Write(kWholeBodyBytes, response.body);
  if (more) {
    json->PutBack(std::exchange(response.body, {}));
    response.stream = scrapes_->Watch(std::move(json), request.remote_address);
  }
  return response;
}

}  // namespace pgw
