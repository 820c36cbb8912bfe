// HTTP/1.1 over TCP and TLS, one request after the other. Knows URLs.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "docker/registry/url.h"

namespace pgw::image {

struct HttpRequest {
  std::string method = "GET";
  Url url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view body;  // must outlive the call
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string, std::less<>>
      headers;  // names in lower case; the first of each
  std::string body;

  std::string Header(std::string_view name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

struct HttpOptions {
  std::string ca_file;  // certificates to trust besides the system's
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(20);
  std::chrono::milliseconds io_timeout = std::chrono::seconds(60);  // without any progress
  std::size_t response_bytes_max = 4u << 20;
};

// Keeps one connection open for requests to the same origin. Certificates and host names are
// checked; http is refused unless the host is a loopback one. kUnavailable where trying again may
// help. Not thread-safe.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Result<HttpResponse> Send(const HttpRequest& request);

 private:
  struct Connection;
  const HttpOptions options_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace pgw::image
