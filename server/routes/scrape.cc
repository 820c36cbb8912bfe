// GET of the telemetry path.
#include <memory>
#include <string>
#include <utility>

#include "exposition/negotiation.h"
#include "server/routes/gateway.h"
#include "server/routes/gzip_stream.h"
#include "server/routes/gzip_text.h"
#include "server/routes/scrape_body.h"

namespace pgw {
namespace {

using http::Request;
using http::Response;

// Texts up to here are compressed at once, so that the answer has a length.
constexpr std::uint64_t kWholeBodyBytes = 64 * 1024;

}  // namespace

Response Gateway::Scrape(const Request& request) {
  std::shared_ptr<const Snapshot> snapshot = store_.SnapshotAt(request.received);
  if (const std::optional<Error>& error = snapshot->inconsistency()) {
    log_.Error("error gathering metrics: " + error->message);
    return Response::PlainError(
        500, "An error has occurred while serving metrics:\n\n" + error->message);
  }
  const StoreFacts facts{snapshot->groups(), snapshot->series(), store_.Stats().bytes,
                         scrapes_->held_bytes(), scrapes_->cut_off()};
  auto own = std::make_unique<FamilySet>();
  std::optional<DurabilityFacts> durability;
  if (options_.durability) durability = options_.durability();
  own_metrics_.Collect(facts, durability, request.received.boot, *own);
  ScrapeContent content{std::move(own), std::move(snapshot)};

  const Negotiated format = NegotiateFormat(request.Find("Accept").value_or(""));
  const bool gzip = NegotiateGzip(request.Find("Accept-Encoding").value_or(""));
  Response response;
  response.headers.emplace_back("Content-Type", ContentType(format));
  if (gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  if (format.format != ExpositionFormat::kText) {
    std::unique_ptr<ReaderBody> body = std::make_unique<MessageScrape>(std::move(content), format);
    if (gzip) body = std::make_unique<GzipStream>(std::move(body));
    response.stream = scrapes_->Watch(std::move(body), request.remote_address);
    return response;
  }
  auto text = std::make_unique<TextScrape>(std::move(content), format.escaping);
  if (!gzip) {
    response.stream_length = text->length();
    response.stream = scrapes_->Watch(std::move(text), request.remote_address);
  } else if (text->length() <= kWholeBodyBytes) {
    GzipStream stream(std::move(text));
    response.body = ReadAll(stream);
  } else {
    auto zipped = std::make_unique<GzipText>(std::move(text));
    response.stream_length = zipped->length();
    response.stream = scrapes_->Watch(std::move(zipped), request.remote_address);
  }
  return response;
}

}  // namespace pgw
