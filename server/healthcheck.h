// Asks a running server whether it is healthy, for container health checks: the image has no
// shell and no curl. Blocking, within a second. Knows nothing of the server.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace pgw {

struct HealthcheckResult {
  bool healthy = false;
  std::string line;  // what was found, for the operator
};

// Whether CheckHealth() can do anything with it: http://HOST[:PORT][/PATH].
bool IsHealthcheckUrl(std::string_view url);

// GETs an http:// URL. Healthy: status 200. A host name is resolved, which may take longer than
// `timeout`; everything else does not.
HealthcheckResult CheckHealth(std::string_view url, std::chrono::milliseconds timeout);

// The health page of a server with that --web.listen-address and route prefix, from this machine.
std::string HealthcheckUrl(std::string_view listen_address, std::string_view route_prefix);

}  // namespace pgw
