#include "server/routes/gateway.h"

#include "server/routes/body_decoding.h"

namespace pgw {

using http::Request;
using http::Response;

Gateway::Gateway(MetricStore& store, CommandLog& commands, OwnMetrics& own_metrics,
                 const TtlPolicy& ttl, const Clock& clock, Logger& log, GatewayOptions options)
    : store_(store),
      commands_(commands),
      own_metrics_(own_metrics),
      ttl_(ttl),
      clock_(clock),
      log_(log),
      options_(std::move(options)),
      router_(options_.routes),
      scrapes_(std::make_shared<OpenScrapes>(
          store.memory(), OpenScrapes::Options{options_.held_bytes_max, options_.look}, clock,
          log)) {
  scrapes_->Open();
}

Gateway::~Gateway() { scrapes_->Close(); }

std::optional<Response> Gateway::OnHeader(const Request& request) {
  if (auto redirect = router_.CleaningRedirect(request.method, request.target)) return redirect;
  // Upstream looks at the gzip header of any request before it routes it.
  if (IsGzipped(request)) return std::nullopt;
  auto admitted = Admit(request);
  if (auto* const answer = std::get_if<Response>(&admitted)) return std::move(*answer);
  return std::nullopt;
}

Response Gateway::OnRequest(const Request& request) {
  if (auto redirect = router_.CleaningRedirect(request.method, request.target)) {
    return std::move(*redirect);
  }
  if (IsGzipped(request)) {
    if (auto error = GzipHeaderError(request.body)) return Response::PlainError(400, *error);
  }
  auto admitted = Admit(request);
  if (auto* const key = std::get_if<GroupKey>(&admitted)) return PushBody(request, *key);
  return std::get<Response>(std::move(admitted));
}

std::variant<GroupKey, Response> Gateway::Admit(const Request& request) {
  std::string storage;
  auto routed = router_.Route(request.method, request.target, storage);
  if (auto* const answer = std::get_if<Response>(&routed)) return std::move(*answer);
  const auto& match = std::get<RouteMatch>(routed);
  if (match.id != RouteId::kPush) return Dispatch(request, match);
  auto group = GroupOf(match);
  if (const auto* const refusal = std::get_if<Response>(&group)) {
    CountPush(FactsOf(request), refusal->status);
  }
  return group;
}

bool Gateway::IsGzipped(const Request& request) const {
  return EncodingOf(request.Find("Content-Encoding")) == BodyEncoding::kGzip &&
         !router_.IsApi(request.target);
}

Response Gateway::Dispatch(const Request& request, const RouteMatch& match) {
  const auto counted = [&](HandlerName handler, Response response) {
    own_metrics_.CountRequest(handler, request.method, response.status);
    return response;
  };
  switch (match.id) {
    case RouteId::kDelete:
      return Delete(request, match);
    case RouteId::kScrape:
      return Scrape(request);
    case RouteId::kStatusPage:
      return counted(HandlerName::kStatus, StatusPage());
    case RouteId::kStatic:
      return counted(HandlerName::kStatic, Response::PlainError(404, "404 page not found"));
    case RouteId::kHealthy:
      return counted(HandlerName::kHealthy, PlainText(200, "OK"));
    case RouteId::kReady:
      return counted(HandlerName::kReady, Ready());
    case RouteId::kQuit:
      return Quit();
    case RouteId::kQuitExplanation:
      return PlainText(405, "Only POST or PUT requests allowed.");
    case RouteId::kPprof:
      return Response::PlainError(404,
                                  "This server is not written in Go and has no pprof profiles.");
    case RouteId::kApiStatus:
      return counted(HandlerName::kApiStatus, ApiStatus());
    case RouteId::kApiMetrics:
      return counted(HandlerName::kApiMetrics, ApiMetrics(request));
    case RouteId::kApiOptions:
      return counted(HandlerName::kApiOptions, ApiOptions());
    case RouteId::kWipe:
      return Wipe(request);
    case RouteId::kPush:
      break;  // needs its body
  }
  return Response::PlainError(404, "404 page not found");
}

std::variant<GroupKey, Response> Gateway::GroupOf(const RouteMatch& match) {
  auto parsed = ParseGroupingPath(match.job, match.job_is_base64, match.rest, options_.validation);
  if (auto* const key = std::get_if<GroupKey>(&parsed)) return std::move(*key);
  const auto& failure = std::get<GroupingFailure>(parsed);
  switch (failure.part) {
    case GroupingFailure::Part::kJobEncoding:
      log_.Debug(
          "invalid base64 encoding in job name",
          {{"job", std::string_view(failure.job)}, {"err", std::string_view(failure.reason)}});
      break;
    case GroupingFailure::Part::kLabels:
      log_.Debug("failed to parse URL",
                 {{"url", match.rest}, {"err", std::string_view(failure.reason)}});
      break;
    case GroupingFailure::Part::kJobMissing:
      log_.Debug("job name is required");
      break;
  }
  return Response::PlainError(400, failure.message);
}

Gateway::PushFacts Gateway::FactsOf(const Request& request) {
  return {request.method == "PUT" ? "PUT" : "POST",
          ApproximateRequestBytes(request),
          request.head_received.boot,
          {}};
}

void Gateway::CountPush(const PushFacts& push, int status) {
  const BootTime now = clock_.BootNow();
  own_metrics_.CountRequest(HandlerName::kPush, push.method, status);
  own_metrics_.ObservePush(push.method, push.bytes, now - push.begin, now);
}

std::uint64_t ApproximateRequestBytes(const Request& request) {
  constexpr std::uint64_t kProtocolBytes = 8;  // HTTP/1.1
  std::uint64_t bytes = request.target.size() + request.method.size() + kProtocolBytes +
                        request.host.size() + request.content_length.value_or(0);
  for (const http::Header& header : request.headers) {
    bytes += header.name.size() + header.value.size();
  }
  // Go takes these out of the headers; the first one is counted as the host.
  for (const std::string_view name : {"Host", "Transfer-Encoding"}) {
    if (const auto value = request.Find(name)) bytes -= name.size() + value->size();
  }
  return bytes;
}

Response PlainText(int status, std::string_view text) {
  Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  response.body = text;
  return response;
}

}  // namespace pgw
