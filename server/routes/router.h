// Which handler a request belongs to, and the answers that need none: redirects, 404, 405, OPTIONS.
// Pure functions of method and target. Knows server/http's messages.
//
// Follows upstream's three stages: lexical cleaning of the path as sent, matching on the decoded
// path, repair of near misses. docs/compatibility.md lists where we mend its redirects.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/http/message.h"

namespace pgw {

enum class RouteId : unsigned char {
  kPush,
  kDelete,
  kScrape,
  kStatusPage,
  kStatic,
  kHealthy,
  kReady,
  kQuit,
  kQuitExplanation,
  kPprof,
  kApiStatus,
  kApiMetrics,
  kApiOptions,
  kWipe,
};

// Views into the target, or into what was decoded of it.
struct RouteMatch {
  RouteId id = RouteId::kStatusPage;
  std::string_view job;        // kPush, kDelete: the decoded segment behind /job/
  bool job_is_base64 = false;  // it stood behind /job@base64/
  std::string_view rest;       // what follows: labels with their leading slash, or a file's path
};

struct RouterOptions {
  std::string prefix = {};                  // "" or "/something"
  std::string telemetry_path = "/metrics";  // complete, prefix included
  bool enable_admin_api = false;
};

// Thread-safe.
class Router {
 public:
  explicit Router(const RouterOptions& options);

  // Stage a: the redirect to the clean spelling, for any method but CONNECT.
  std::optional<http::Response> CleaningRedirect(std::string_view method,
                                                 std::string_view target) const;

  // True for what lies under the API, where bodies are never decompressed.
  bool IsApi(std::string_view target) const;

  // Stages b and c. `storage` keeps a path that is not as it was sent; it must live as long as the
  // match is used.
  std::variant<RouteMatch, http::Response> Route(std::string_view method, std::string_view target,
                                                 std::string& storage) const;

 private:
  enum class Shape : unsigned char { kExact, kJob, kSubtree };

  struct Entry {
    std::string_view method;
    Shape shape;
    std::string literal;  // the whole path, or its fixed beginning
    RouteId id;
    bool base64 = false;
  };

  static bool Matches(const Entry& entry, std::string_view path);
  static std::optional<std::string> Respelled(const Entry& entry, std::string_view path);
  static std::optional<std::string> Repaired(const std::vector<Entry>& table,
                                             std::string_view method, std::string_view path);
  static std::string AllowedMethods(const std::vector<Entry>& table, std::string_view method,
                                    std::string_view path);
  std::optional<std::string> RepairedPath(const std::vector<Entry>& table, std::string_view method,
                                          std::string_view path) const;

  std::string job_stem_;  // P/metrics/job/
  std::string api_root_;  // P/api/v1/
  std::vector<Entry> main_;
  std::vector<Entry> api_;
};

// `path` with duplicate slashes, `.` and `..` resolved; absolute; a final slash is kept.
std::string CleanPath(std::string_view path);

// Percent-escapes undone; a plus sign stays. Malformed escapes stay as they are.
std::string DecodePath(std::string_view path);

// Percent-escapes what a path may not carry.
std::string EncodePath(std::string_view decoded);

}  // namespace pgw
