// Requests to one repository of a registry: logged in, redirected, tried again. Knows HTTP and
// credentials; nothing of images.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "docker/reference.h"
#include "docker/registry/challenge.h"
#include "docker/registry/credentials.h"
#include "docker/registry/http_client.h"

namespace pgw::image {

struct RegistryOptions {
  HttpOptions http;
  CredentialsPlace credentials;
  int attempts_max = 5;  // of one request, or of one piece of a blob, without progress
  // Between attempts.
  std::function<void(std::chrono::milliseconds)> sleep;
};

// https, except for loopback hosts without a CA file. Credentials are sent to the registry's own
// origin, and to the token service it names; redirects to others go without. Not thread-safe.
class RegistryClient {
 public:
  // `mount_from` is another repository of that registry whose blobs may be taken over; may be
  // empty.
  RegistryClient(Reference reference, std::string mount_from, RegistryOptions options);

  const Reference& reference() const { return reference_; }
  const std::string& mount_from() const { return mount_from_; }
  // https://host/v2/<repository>/<path>
  Url RepositoryUrl(const std::string& path) const;

  // One exchange with logging in and redirects, tried once. Answers that ask for patience (429,
  // 5xx) and lost connections are kUnavailable.
  Result<HttpResponse> SendOnce(HttpRequest request);
  // The same, tried again with growing pauses: for requests that may be repeated.
  Result<HttpResponse> Send(const HttpRequest& request);
  // Waits before attempt `attempt` (1, 2, …). False: enough of it.
  bool WaitBefore(int attempt);

 private:
  Status LogIn(const Challenge& challenge);
  Result<std::optional<Credentials>> Known();
  Result<std::string> FetchToken(const Challenge& challenge,
                                 const std::optional<Credentials>& credentials);

  const Reference reference_;
  const std::string mount_from_;
  const RegistryOptions options_;
  HttpClient http_;
  Url base_;
  std::string authorization_;
  std::optional<std::optional<Credentials>> credentials_;
};

// "HTTP 403: DENIED: requested access … is denied", as registries explain themselves.
std::string DescribeAnswer(const HttpResponse& response);

}  // namespace pgw::image
