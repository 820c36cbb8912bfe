#include "server/routes/router.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <variant>

namespace pgw {
namespace {

struct Answer {
  int status = 0;
  std::string location;
  std::string allow;
  std::string body;
};

std::string HeaderOf(const http::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

// What a request gets that no handler sees; status 0 if one does.
Answer AnswerTo(const Router& router, std::string_view method, std::string_view target) {
  const auto describe = [](const http::Response& response) {
    return Answer{response.status, HeaderOf(response, "Location"), HeaderOf(response, "Allow"),
                  response.body};
  };
  if (const auto redirect = router.CleaningRedirect(method, target)) return describe(*redirect);
  std::string storage;
  const auto routed = router.Route(method, target, storage);
  if (const auto* const response = std::get_if<http::Response>(&routed)) return describe(*response);
  return {};
}

RouteMatch MatchOf(const Router& router, std::string_view method, std::string_view target) {
  EXPECT_FALSE(router.CleaningRedirect(method, target)) << target;
  static std::deque<std::string> storages;  // what the matches point into
  const auto routed = router.Route(method, target, storages.emplace_back());
  EXPECT_TRUE(std::holds_alternative<RouteMatch>(routed)) << method << " " << target;
  return std::holds_alternative<RouteMatch>(routed) ? std::get<RouteMatch>(routed) : RouteMatch{};
}

const Router& Plain() {
  static const Router kRouter{RouterOptions{}};
  return kRouter;
}

const Router& Prefixed() {
  static const Router kRouter{
      {.prefix = "/pg", .telemetry_path = "/pg/m", .enable_admin_api = true}};
  return kRouter;
}

TEST(RouterTest, FindsEveryHandler) {
  EXPECT_EQ(MatchOf(Plain(), "GET", "/metrics").id, RouteId::kScrape);
  EXPECT_EQ(MatchOf(Plain(), "GET", "/").id, RouteId::kStatusPage);
  EXPECT_EQ(MatchOf(Plain(), "GET", "/status").id, RouteId::kStatusPage);
  EXPECT_EQ(MatchOf(Plain(), "GET", "/static/a/b.js").id, RouteId::kStatic);
  EXPECT_EQ(MatchOf(Plain(), "GET", "/-/healthy").id, RouteId::kHealthy);
  EXPECT_EQ(MatchOf(Plain(), "GET", "/-/ready").id, RouteId::kReady);
  EXPECT_EQ(MatchOf(Plain(), "PUT", "/-/quit").id, RouteId::kQuit);
  EXPECT_EQ(MatchOf(Plain(), "POST", "/-/quit").id, RouteId::kQuit);
  EXPECT_EQ(MatchOf(Plain(), "GET", "/-/quit").id, RouteId::kQuitExplanation);
  EXPECT_EQ(MatchOf(Plain(), "GET", "/debug/pprof/heap").id, RouteId::kPprof);
  EXPECT_EQ(MatchOf(Plain(), "GET", "/api/v1/status").id, RouteId::kApiStatus);
  EXPECT_EQ(MatchOf(Plain(), "GET", "/api/v1/metrics?x=y").id, RouteId::kApiMetrics);
  EXPECT_EQ(MatchOf(Plain(), "OPTIONS", "/api/v1/whatever").id, RouteId::kApiOptions);
  EXPECT_EQ(MatchOf(Plain(), "OPTIONS", "/api/v1/").id, RouteId::kApiOptions);
  EXPECT_EQ(MatchOf(Prefixed(), "PUT", "/pg/api/v1/admin/wipe").id, RouteId::kWipe);
}

TEST(RouterTest, CutsPushPathsIntoJobAndLabels) {
  const RouteMatch push = MatchOf(Plain(), "PUT", "/metrics/job/foo/a/b");
  EXPECT_EQ(push.id, RouteId::kPush);
  EXPECT_EQ(push.job, "foo");
  EXPECT_EQ(push.rest, "/a/b");
  EXPECT_FALSE(push.job_is_base64);

  const RouteMatch encoded = MatchOf(Plain(), "DELETE", "/metrics/job@base64/Zm9v");
  EXPECT_EQ(encoded.id, RouteId::kDelete);
  EXPECT_EQ(encoded.job, "Zm9v");
  EXPECT_EQ(encoded.rest, "");
  EXPECT_TRUE(encoded.job_is_base64);

  EXPECT_EQ(MatchOf(Plain(), "POST", "/metrics/job/foo/").rest, "/");
}

TEST(RouterTest, MatchesTheDecodedPath) {
  const RouteMatch match = MatchOf(Plain(), "PUT", "/metrics/job/a%2Fb/c+%3F%23%00%0a");
  EXPECT_EQ(match.job, "a");
  EXPECT_EQ(match.rest, std::string("/b/c+?#\0\n", 9));
  EXPECT_EQ(MatchOf(Plain(), "GET", "/%6detrics").id, RouteId::kScrape);
  EXPECT_EQ(MatchOf(Plain(), "PUT", "/metrics/job/%ff\xfe").job, "\xff\xfe");
}

TEST(RouterTest, LetsAnEncodedSlashEmptyTheJob) {
  const RouteMatch match = MatchOf(Plain(), "PUT", "/metrics/job/%2Fvar");
  EXPECT_EQ(match.job, "");
  EXPECT_EQ(match.rest, "/var");
  EXPECT_EQ(MatchOf(Plain(), "PUT", "/metrics/job/x/p/%2Fvar").rest, "/p//var");
}

TEST(RouterTest, MovesEverythingBehindThePrefixButTheQuitExplanation) {
  EXPECT_EQ(MatchOf(Prefixed(), "GET", "/pg/").id, RouteId::kStatusPage);
  EXPECT_EQ(MatchOf(Prefixed(), "GET", "/pg/m").id, RouteId::kScrape);
  EXPECT_EQ(MatchOf(Prefixed(), "PUT", "/pg/metrics/job/x").id, RouteId::kPush);
  EXPECT_EQ(MatchOf(Prefixed(), "GET", "/-/quit").id, RouteId::kQuitExplanation);
  EXPECT_EQ(AnswerTo(Prefixed(), "GET", "/metrics").status, 404);
  EXPECT_EQ(AnswerTo(Prefixed(), "GET", "/pg/metrics").status, 404);
  EXPECT_EQ(AnswerTo(Prefixed(), "GET", "/").status, 404);
  const Answer quit = AnswerTo(Prefixed(), "GET", "/pg/-/quit");
  EXPECT_EQ(quit.status, 405);
  EXPECT_EQ(quit.allow, "OPTIONS, POST, PUT");
}

TEST(RouterTest, RedirectsToTheCleanPathWithTheMethodKept) {
  struct Case {
    std::string_view method, target, location;
  };
  for (const Case& c : {
           Case{"PUT", "/metrics/job//foo/bar", "/metrics/job/foo/bar"},
           Case{"GET", "//metrics", "/metrics"},
           Case{"GET", "/x/../metrics?a=b", "/metrics?a=b"},
           Case{"PUT", "/metrics/job/a/b/..", "/metrics/job/a"},
           Case{"PUT", "/metrics/job//a%20b/", "/metrics/job/a%20b/"},
           Case{"POST", "/api/v1", "/api/v1/"},
           Case{"GET", "/../..", "/"},
           Case{"GET", "/./", "/"},
           Case{"DELETE", "//\\evil.example/", "/%5Cevil.example/"},
           Case{"GET", "//\"<x>", "/%22%3Cx%3E"},
       }) {
    const Answer answer = AnswerTo(Plain(), c.method, c.target);
    EXPECT_EQ(answer.status, 307) << c.target;
    EXPECT_EQ(answer.location, c.location);
  }
  EXPECT_FALSE(Plain().CleaningRedirect("CONNECT", "//x"));
}

TEST(RouterTest, CleansThePathAsSentNotTheDecodedOne) {
  EXPECT_FALSE(Plain().CleaningRedirect("GET", "/a/%2e%2e/b"));
  EXPECT_FALSE(Plain().CleaningRedirect("PUT", "/metrics/job/x/p/%2Fvar"));
}

TEST(RouterTest, GivesRedirectsABodyForGetAlone) {
  EXPECT_EQ(AnswerTo(Plain(), "GET", "//a&b").body,
            "<a href=\"/a&amp;b\">Temporary Redirect</a>.\n\n");
  EXPECT_EQ(AnswerTo(Plain(), "GET", "/Metrics").body,
            "<a href=\"/metrics\">Moved Permanently</a>.\n\n");
  EXPECT_EQ(AnswerTo(Plain(), "PUT", "//x").body, "");
}

TEST(RouterTest, RepairsSlashesAndCase) {
  struct Case {
    std::string_view method, target;
    int status;
    std::string_view location;
  };
  for (const Case& c : {
           Case{"GET", "/metrics/", 301, "/metrics"},
           Case{"GET", "/-/healthy/?q", 301, "/-/healthy?q"},
           Case{"GET", "/status/", 301, "/status"},
           Case{"GET", "/static", 301, "/static/"},
           Case{"GET", "/debug/pprof", 301, "/debug/pprof/"},
           Case{"GET", "/Metrics", 301, "/metrics"},
           Case{"GET", "/METRICS/", 301, "/metrics"},
           Case{"PUT", "/METRICS/job/a", 307, "/metrics/job/a"},
           Case{"PUT", "/Metrics/Job/Foo/Bar/Baz?x=y", 307, "/metrics/job/Foo/Bar/Baz?x=y"},
           Case{"POST", "/METRICS/JOB@BASE64/Zm9v", 307, "/metrics/job@base64/Zm9v"},
           Case{"PUT", "/METRICS/job/a%20%2541", 307, "/metrics/job/a%20%2541"},
           Case{"PUT", "/metrics/job/", 307, "/metrics/job"},
           Case{"PUT", "/-/quit/", 307, "/-/quit"},
           Case{"GET", "/%2Fmetrics", 301, "/metrics"},
           Case{"GET", "/api/v1/status/", 301, "/api/v1/status"},
           Case{"GET", "/api/v1/Metrics", 301, "/api/v1/metrics"},
       }) {
    const Answer answer = AnswerTo(Plain(), c.method, c.target);
    EXPECT_EQ(answer.status, c.status) << c.method << " " << c.target;
    EXPECT_EQ(answer.location, c.location);
  }
  EXPECT_EQ(AnswerTo(Prefixed(), "GET", "/pg").location, "/pg/");
}

TEST(RouterTest, NeverRedirectsToWhereItCameFrom) {
  for (const std::string_view method : {"GET", "PUT", "DELETE"}) {
    for (const std::string_view target :
         {"/metrics/", "/Metrics", "/metrics/job/", "/%2F%2Fmetrics", "/STATIC/%2e%2e/x", "/static",
          "/metrics/job/%2e%2e", "/api/v1/%2e%2e/v1/status", "/%2e", "/METRICS/JOB/%2F"}) {
      const Answer answer = AnswerTo(Plain(), method, target);
      const bool redirects = answer.status == 301 || answer.status == 307;
      EXPECT_FALSE(redirects && answer.location == target) << target;
    }
  }
}

TEST(RouterTest, NamesTheMethodsOfAPath) {
  struct Case {
    std::string_view method, target, allow;
  };
  for (const Case& c : {
           Case{"GET", "/metrics/job/x", "DELETE, OPTIONS, POST, PUT"},
           Case{"HEAD", "/metrics/job/x/a/b", "DELETE, OPTIONS, POST, PUT"},
           Case{"FOO", "/metrics/job/x", "DELETE, OPTIONS, POST, PUT"},
           Case{"POST", "/metrics", "GET, OPTIONS"},
           Case{"HEAD", "/metrics", "GET, OPTIONS"},
           Case{"get", "/metrics", "GET, OPTIONS"},
           Case{"PUT", "/", "GET, OPTIONS"},
           Case{"DELETE", "/-/quit", "GET, OPTIONS, POST, PUT"},
           Case{"POST", "/api/v1/status", "GET, OPTIONS"},
       }) {
    const Answer answer = AnswerTo(Plain(), c.method, c.target);
    EXPECT_EQ(answer.status, 405) << c.method << " " << c.target;
    EXPECT_EQ(answer.allow, c.allow);
    EXPECT_EQ(answer.body, "Method Not Allowed\n");
  }
  EXPECT_EQ(AnswerTo(Prefixed(), "GET", "/pg/api/v1/admin/wipe").allow, "OPTIONS, PUT");
}

TEST(RouterTest, AnswersOptionsOutsideTheApi) {
  EXPECT_EQ(AnswerTo(Plain(), "OPTIONS", "/metrics").status, 200);
  EXPECT_EQ(AnswerTo(Plain(), "OPTIONS", "/metrics").allow, "GET, OPTIONS");
  EXPECT_EQ(AnswerTo(Plain(), "OPTIONS", "/metrics").body, "");
  EXPECT_EQ(AnswerTo(Plain(), "OPTIONS", "/metrics/job/x").allow, "DELETE, OPTIONS, POST, PUT");
  EXPECT_EQ(AnswerTo(Plain(), "OPTIONS", "/nope").status, 404);
}

TEST(RouterTest, KnowsNothingElse) {
  for (const std::string_view target :
       {"/nope", "/api", "/api/v2/status", "/-/", "/api/v1/", "/api/v1/foo", "/metrics/jobs/x"}) {
    EXPECT_EQ(AnswerTo(Plain(), "GET", target).status, 404) << target;
  }
  EXPECT_EQ(AnswerTo(Plain(), "GET", "/nope").body, "404 page not found\n");
  EXPECT_EQ(AnswerTo(Plain(), "PUT", "/metrics/job").status, 404);
  EXPECT_EQ(AnswerTo(Plain(), "PUT", "/metrics/job@base64/").status, 404);
  EXPECT_EQ(AnswerTo(Plain(), "PUT", "/api/v1/admin/wipe").status, 404);
}

TEST(RouterTest, TellsTheApiFromTheRest) {
  EXPECT_TRUE(Plain().IsApi("/api/v1/metrics"));
  EXPECT_TRUE(Plain().IsApi("/%61pi/v1/"));
  EXPECT_FALSE(Plain().IsApi("/metrics?/api/v1/"));
  EXPECT_TRUE(Prefixed().IsApi("/pg/api/v1/x"));
  EXPECT_FALSE(Prefixed().IsApi("/api/v1/x"));
}

TEST(CleanPathTest, ResolvesLexically) {
  EXPECT_EQ(CleanPath(""), "/");
  EXPECT_EQ(CleanPath("a"), "/a");
  EXPECT_EQ(CleanPath("/a/./b//c/../d"), "/a/b/d");
  EXPECT_EQ(CleanPath("/a/.."), "/");
  EXPECT_EQ(CleanPath("/a/b/../"), "/a/");
  EXPECT_EQ(CleanPath("/.../..a/a.."), "/.../..a/a..");
  EXPECT_EQ(CleanPath("///"), "/");
}

TEST(CleanPathTest, TakesLinearTimeForManyDots) {
  std::string path;
  for (int i = 0; i < 20'000; ++i) path.append("/a/..");
  EXPECT_EQ(CleanPath(path), "/");
}

}  // namespace
}  // namespace pgw
