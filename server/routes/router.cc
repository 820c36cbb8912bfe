#include "server/routes/router.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace pgw {
namespace {

using http::Response;

struct Target {
  std::string_view path;
  std::string_view query;  // with its question mark
};

Target Split(std::string_view target) {
  const std::size_t mark = std::min(target.find('?'), target.size());
  return {target.substr(0, mark), target.substr(mark)};
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsPlainInPath(char c) {
  const bool alphanumeric =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alphanumeric || std::string_view("-_.~$&+,/:;=@").find(c) != std::string_view::npos;
}

void AppendPercentEscaped(char c, std::string& out) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
}

// The path as sent, with everything escaped that could be misread in a Location header (a raw
// backslash, say). Escapes of the sender stay.
std::string SafePath(std::string_view sent) {
  std::string out;
  for (const char c : sent) {
    IsPlainInPath(c) || c == '%' ? out.push_back(c) : AppendPercentEscaped(c, out);
  }
  return out;
}

std::string SafeQuery(std::string_view query) {
  std::string out;
  for (const char c : query) {
    c > ' ' && c < 0x7f ? out.push_back(c) : AppendPercentEscaped(c, out);
  }
  return out;
}

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '"':
        out.append("&#34;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

Response Redirect(int status, std::string_view method, std::string location) {
  Response response;
  response.status = status;
  if (method == "GET" || method == "HEAD") {
    response.headers.emplace_back("Content-Type", "text/html; charset=utf-8");
  }
  if (method == "GET") {
    response.body = "<a href=\"" + EscapeHtml(location) + "\">";
    response.body.append(http::ReasonPhrase(status)).append("</a>.\n\n");
  }
  response.headers.emplace_back("Location", std::move(location));
  return response;
}

char LowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool StartsWithIgnoringCase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         std::ranges::equal(text.substr(0, prefix.size()), prefix, {}, LowerAscii, LowerAscii);
}

// Whether nothing in it looks as if CleanPath() would change it; says no to a few that are clean.
bool IsPlainlyClean(std::string_view path) {
  if (!path.starts_with('/')) return false;
  // Segments are too short for a search for slashes to get up to speed.
  bool in_front = false;  // of a segment's first byte
  for (const char c : path) {
    if (in_front && (c == '/' || c == '.')) return false;
    in_front = c == '/';
  }
  return true;
}

// The same path with its final slash removed, or with one added.
std::string WithSlashToggled(std::string_view path) {
  if (path.ends_with('/')) return std::string(path.substr(0, path.size() - 1));
  return std::string(path) + "/";
}

}  // namespace

std::string CleanPath(std::string_view path) {
  std::string out;
  out.reserve(path.size() + 1);
  std::size_t at = 0;
  while (at < path.size()) {
    if (path[at] == '/') {
      ++at;
      continue;
    }
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, end - at);
    if (segment == "..") {
      out.resize(out.empty() ? 0 : out.rfind('/'));
    } else if (segment != ".") {
      out.append("/").append(segment);
    }
    at = end;
  }
  if (out.empty() || path.ends_with('/')) out.push_back('/');
  return out;
}

std::string DecodePath(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  for (std::size_t i = 0; i < path.size(); ++i) {
    const bool escape = path[i] == '%' && i + 2 < path.size() && HexValue(path[i + 1]) >= 0 &&
                        HexValue(path[i + 2]) >= 0;
    if (!escape) {
      out.push_back(path[i]);
      continue;
    }
    out.push_back(static_cast<char>(HexValue(path[i + 1]) * 16 + HexValue(path[i + 2])));
    i += 2;
  }
  return out;
}

std::string EncodePath(std::string_view decoded) {
  std::string out;
  for (const char c : decoded) IsPlainInPath(c) ? out.push_back(c) : AppendPercentEscaped(c, out);
  return out;
}

Router::Router(const RouterOptions& options)
    : job_stem_(options.prefix + "/metrics/job/"), api_root_(options.prefix + "/api/v1/") {
  const std::string& p = options.prefix;
  // Pushes first: they are what there is most of.
  const std::string job64 = p + "/metrics/job@base64/";
  for (const auto& [method, id] :
       {std::pair{"POST", RouteId::kPush}, {"PUT", RouteId::kPush}, {"DELETE", RouteId::kDelete}}) {
    main_.push_back({method, Shape::kJob, job_stem_, id});
    main_.push_back({method, Shape::kJob, job64, id, true});
  }
  const Entry others[] = {
      {"GET", Shape::kExact, options.telemetry_path, RouteId::kScrape},
      {"GET", Shape::kExact, p + "/-/healthy", RouteId::kHealthy},
      {"GET", Shape::kExact, p + "/-/ready", RouteId::kReady},
      {"GET", Shape::kExact, p + "/", RouteId::kStatusPage},
      {"GET", Shape::kExact, p + "/status", RouteId::kStatusPage},
      {"GET", Shape::kSubtree, p + "/static/", RouteId::kStatic},
      {"GET", Shape::kSubtree, p + "/debug/pprof/", RouteId::kPprof},
      {"PUT", Shape::kExact, p + "/-/quit", RouteId::kQuit},
      {"POST", Shape::kExact, p + "/-/quit", RouteId::kQuit},
      // Never behind the prefix, as upstream has it.
      {"GET", Shape::kExact, "/-/quit", RouteId::kQuitExplanation},
  };
  main_.insert(main_.end(), std::begin(others), std::end(others));
  api_ = {
      {"GET", Shape::kExact, api_root_ + "status", RouteId::kApiStatus},
      {"GET", Shape::kExact, api_root_ + "metrics", RouteId::kApiMetrics},
      {"OPTIONS", Shape::kSubtree, api_root_, RouteId::kApiOptions},
  };
  if (options.enable_admin_api) {
    api_.push_back({"PUT", Shape::kExact, api_root_ + "admin/wipe", RouteId::kWipe});
  }
}

std::optional<Response> Router::CleaningRedirect(std::string_view method,
                                                 std::string_view target) const {
  if (method == "CONNECT") return std::nullopt;
  const Target parts = Split(target);
  const std::string_view api(api_root_.data(), api_root_.size() - 1);
  if (IsPlainlyClean(parts.path) && parts.path != api) return std::nullopt;
  std::string clean = CleanPath(parts.path);
  if (clean == api) clean = api_root_;
  if (clean == parts.path) return std::nullopt;
  // 307 keeps the method and the body; 301 would turn a push into a GET.
  return Redirect(307, method, SafePath(clean) + SafeQuery(parts.query));
}

bool Router::IsApi(std::string_view target) const {
  return DecodePath(Split(target).path).starts_with(api_root_);
}

bool Router::Matches(const Entry& entry, std::string_view path) {
  if (entry.shape == Shape::kExact) return path == entry.literal;
  if (!path.starts_with(entry.literal)) return false;
  // A job may be empty only if labels follow (an escaped slash in the URL brings that about).
  return entry.shape == Shape::kSubtree || path.size() > entry.literal.size();
}

// `path` with the fixed part in its proper case, if it matches but for that.
std::optional<std::string> Router::Respelled(const Entry& entry, std::string_view path) {
  if (!StartsWithIgnoringCase(path, entry.literal)) return std::nullopt;
  std::string spelled = entry.literal;
  spelled.append(path.substr(entry.literal.size()));
  if (!Matches(entry, spelled)) return std::nullopt;
  return spelled;
}

std::optional<std::string> Router::Repaired(const std::vector<Entry>& table,
                                            std::string_view method, std::string_view path) {
  for (const Entry& entry : table) {
    if (entry.method != method) continue;
    if (auto spelled = Respelled(entry, path)) return spelled;
  }
  return std::nullopt;
}

// Stage c. Upstream looks for the other slash first, then for the other case.
std::optional<std::string> Router::RepairedPath(const std::vector<Entry>& table,
                                                std::string_view method,
                                                std::string_view path) const {
  if (path == "/" || path.empty() || method == "OPTIONS") return std::nullopt;
  std::string toggled = WithSlashToggled(path);
  const bool toggled_matches = std::ranges::any_of(
      table, [&](const Entry& entry) { return entry.method == method && Matches(entry, toggled); });
  if (toggled_matches) return toggled;
  // Leads to a 404; kept because upstream's tests and clients see it.
  const bool jobless =
      path == job_stem_ && (method == "PUT" || method == "POST" || method == "DELETE");
  if (jobless) return toggled;

  const std::string clean = CleanPath(path);
  if (auto spelled = Repaired(table, method, clean)) return spelled;
  if (clean == "/") return std::nullopt;
  return Repaired(table, method, WithSlashToggled(clean));
}

std::string Router::AllowedMethods(const std::vector<Entry>& table, std::string_view method,
                                   std::string_view path) {
  std::vector<std::string_view> methods;
  for (const Entry& entry : table) {
    const bool counts = entry.method != method && entry.method != "OPTIONS";
    if (counts && Matches(entry, path)) methods.push_back(entry.method);
  }
  if (methods.empty()) return {};
  methods.push_back("OPTIONS");
  std::ranges::sort(methods);
  const auto repeated = std::ranges::unique(methods);
  methods.erase(repeated.begin(), repeated.end());
  std::string joined;
  for (const std::string_view name : methods) {
    if (!joined.empty()) joined.append(", ");
    joined.append(name);
  }
  return joined;
}

std::variant<RouteMatch, Response> Router::Route(std::string_view method, std::string_view target,
                                                 std::string& storage) const {
  const Target parts = Split(target);
  std::string_view path = parts.path;
  if (path.find('%') != std::string_view::npos) path = storage = DecodePath(path);
  const std::vector<Entry>& table = path.starts_with(api_root_) ? api_ : main_;
  for (const Entry& entry : table) {
    if (entry.method != method || !Matches(entry, path)) continue;
    RouteMatch match{.id = entry.id, .job = {}, .job_is_base64 = entry.base64, .rest = {}};
    const std::string_view rest = path.substr(entry.literal.size());
    if (entry.shape == Shape::kJob) {
      const std::size_t slash = std::min(rest.find('/'), rest.size());
      match.job = rest.substr(0, slash);
      match.rest = rest.substr(slash);
    } else {
      match.rest = rest;
    }
    return match;
  }
  if (auto repaired = RepairedPath(table, method, path)) {
    const std::string location = EncodePath(*repaired) + SafeQuery(parts.query);
    return Redirect(method == "GET" ? 301 : 307, method, location);
  }
  const std::string allowed = AllowedMethods(table, method, path);
  if (allowed.empty()) return Response::PlainError(404, "404 page not found");
  Response response =
      method == "OPTIONS" ? Response{} : Response::PlainError(405, "Method Not Allowed");
  response.headers.emplace_back("Allow", allowed);
  return response;
}

}  // namespace pgw
