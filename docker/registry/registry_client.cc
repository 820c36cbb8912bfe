#include "docker/registry/registry_client.h"

#include <algorithm>
#include <thread>

#include "docker/json.h"
#include "docker/printable.h"

namespace pgw::image {
namespace {

constexpr int kRedirectsMax = 5;

Url BaseUrl(const Reference& reference, const std::string& ca_file) {
  const std::string& host = reference.registry;
  // References are checked where they are parsed.
  Result<Url> url = ParseUrl("https://" + host + "/");
  if (url && IsLoopback(url->host) && ca_file.empty()) url = ParseUrl("http://" + host + "/");
  return url ? *url : Url{"https", "invalid", "443", "/"};
}

bool IsRedirect(const HttpRequest& request, int status) {
  if (status == 307 || status == 308) return true;
  return (status == 301 || status == 302 || status == 303) &&
         (request.method == "GET" || request.method == "HEAD");
}

bool AsksForPatience(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

}  // namespace

std::string DescribeAnswer(const HttpResponse& response) {
  std::string text = "HTTP " + std::to_string(response.status);
  const Result<Json> document = ParseJson(response.body);
  const Json* const errors = document ? FindMember(*document, "errors") : nullptr;
  if (errors != nullptr && errors->is_array() && !errors->get_array().empty()) {
    const Json& first = errors->get_array().front();
    text += ": " + Printable(StringMember(first, "code")) + ": " +
            Printable(StringMember(first, "message"));
  }
  return text;
}

RegistryClient::RegistryClient(Reference reference, std::string mount_from, RegistryOptions options)
    : reference_(std::move(reference)),
      mount_from_(std::move(mount_from)),
      options_(std::move(options)),
      http_(options_.http),
      base_(BaseUrl(reference_, options_.http.ca_file)) {}

Url RegistryClient::RepositoryUrl(const std::string& path) const {
  Url url = base_;
  url.target = "/v2/" + reference_.repository + "/" + path;
  return url;
}

Result<std::optional<Credentials>> RegistryClient::Known() {
  if (!credentials_) {
    Result<std::optional<Credentials>> found =
        FindCredentials(options_.credentials, reference_.registry);
    if (!found) return found;
    credentials_ = std::move(*found);
  }
  return *credentials_;
}

Status RegistryClient::LogIn(const Challenge& challenge) {
  const Result<std::optional<Credentials>> credentials = Known();
  if (!credentials) return credentials.error();
  if (challenge.scheme == "basic") {
    if (!*credentials || (*credentials)->user.empty()) {
      return InvalidArgument(base_.origin() + " wants a login; there is none for " +
                             reference_.registry + " in Docker's configuration (docker login)");
    }
    authorization_ = "Basic " + EncodeBase64((*credentials)->user + ":" + (*credentials)->password);
    return {};
  }
  const Result<std::string> token = FetchToken(challenge, *credentials);
  if (!token) return token.error();
  authorization_ = "Bearer " + *token;
  return {};
}

Result<std::string> RegistryClient::FetchToken(const Challenge& challenge,
                                               const std::optional<Credentials>& credentials) {
  const Result<Url> realm = ParseUrl(challenge.Get("realm"));
  if (!realm) return Error{realm.error().code, "the token service: " + realm.error().message};
  std::vector<std::string> scopes{"repository:" + reference_.repository + ":pull,push"};
  if (!mount_from_.empty()) scopes.push_back("repository:" + mount_from_ + ":pull");

  HttpRequest request;
  request.url = *realm;
  std::string form;
  if (credentials && !credentials->identity_token.empty()) {
    std::string fields = WithQuery("?grant_type=refresh_token&client_id=pgw-pack", "service",
                                   challenge.Get("service"));
    std::string scope;
    for (const std::string& each : scopes) scope += (scope.empty() ? "" : " ") + each;
    fields = WithQuery(fields, "scope", scope);
    form = WithQuery(fields, "refresh_token", credentials->identity_token).substr(1);
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body = form;
  } else {
    std::string& target = request.url.target;
    if (const std::string service = challenge.Get("service"); !service.empty()) {
      target = WithQuery(target, "service", service);
    }
    for (const std::string& scope : scopes) target = WithQuery(target, "scope", scope);
    if (credentials) {
      request.headers.emplace_back(
          "Authorization",
          "Basic " + EncodeBase64(credentials->user + ":" + credentials->password));
    }
  }
  // Not redirected: it carries the password.
  const Result<HttpResponse> answer = http_.Send(request);
  if (!answer) return answer.error();
  const std::string who = realm->origin() + ": the token service: ";
  if (AsksForPatience(answer->status))
    return Error{Code::kUnavailable, who + DescribeAnswer(*answer)};
  if (answer->status != 200) return InvalidArgument(who + DescribeAnswer(*answer));
  const Result<Json> document = ParseJson(answer->body);
  if (!document) return InvalidArgument(who + document.error().message);
  std::string token(StringMember(*document, "token"));
  if (token.empty()) token = StringMember(*document, "access_token");
  const bool good =
      !token.empty() && std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; });
  if (!good) return InvalidArgument(who + "no token in the answer");
  return token;
}

Result<HttpResponse> RegistryClient::SendOnce(HttpRequest request) {
  const std::vector<std::pair<std::string, std::string>> headers = request.headers;
  bool logged_in = false;
  for (int redirects = 0; redirects <= kRedirectsMax;) {
    const bool ours = request.url.origin() == base_.origin();
    request.headers = headers;
    if (ours && !authorization_.empty())
      request.headers.emplace_back("Authorization", authorization_);
    Result<HttpResponse> response = http_.Send(request);
    if (!response) return response;
    const int status = response->status;
    if (status == 401 && ours && !logged_in) {
      const std::optional<Challenge> challenge =
          ParseChallenge(response->Header("www-authenticate"));
      if (!challenge)
        return InvalidArgument(base_.origin() + " asks for a login of an unknown kind");
      if (Status done = LogIn(*challenge); !done) return done.error();
      logged_in = true;
    } else if (IsRedirect(request, status)) {
      const Result<Url> next = ResolveUrl(request.url, response->Header("location"));
      if (!next) return next.error();
      if (request.url.is_tls() && !next->is_tls()) {
        return InvalidArgument(request.url.origin() + " redirects from https to http");
      }
      request.url = *next;
      ++redirects;
    } else if (AsksForPatience(status)) {
      return Error{Code::kUnavailable,
                   request.method + " " + request.url.origin() + ": " + DescribeAnswer(*response)};
    } else {
      return response;
    }
  }
  return InvalidArgument(base_.origin() + ": too many redirects");
}

bool RegistryClient::WaitBefore(int attempt) {
  if (attempt >= options_.attempts_max) return false;
  const std::chrono::milliseconds pause(250 << std::min(attempt, 6));
  if (options_.sleep) {
    options_.sleep(pause);
  } else {
    std::this_thread::sleep_for(pause);
  }
  return true;
}

Result<HttpResponse> RegistryClient::Send(const HttpRequest& request) {
  for (int attempt = 1;; ++attempt) {
    Result<HttpResponse> response = SendOnce(request);
    if (response || response.error().code != Code::kUnavailable || !WaitBefore(attempt)) {
      return response;
    }
  }
}

}  // namespace pgw::image
