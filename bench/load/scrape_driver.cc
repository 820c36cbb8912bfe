#include <algorithm>

#include "bench/load/drivers.h"

namespace pgw::load {

struct ScrapeDriver::Impl final : ExchangeListener {
  // Enough that a large answer takes few reads, little enough that none holds up a push.
  static constexpr std::size_t kReadBytes = std::size_t{64} * 1024;

  Impl(Stage& shared, const RequestTarget& target, bool with_gzip, std::int64_t first_ns,
       std::int64_t every_ns)
      : stage(shared),
        gzip(with_gzip),
        request(ScrapeRequest(target, with_gzip)),
        due_ns(first_ns),
        interval_ns(every_ns),
        stop_ns(shared.measured_to_ns),
        timer(shared.loop, [this] { Scrape(); }),
        connection(shared.loop, shared.endpoint, *this, shared.figures.traffic,
                   {.read_bytes = kReadBytes, .timeout_ns = shared.timeout_ns}) {}

  RequestFigures& figures() {
    return gzip ? stage.figures.scrape_gzip : stage.figures.scrape_plain;
  }

  void Scrape() {
    if (due_ns >= stop_ns) return;
    bytes = 0;
    connection.Send(request);
  }

  void OnBody(std::string_view piece) override { bytes += piece.size(); }

  void OnResponse(const ResponseParser& response, std::int64_t now_ns) override {
    (response.gzip() ? stage.figures.scrape_bytes_gzip : stage.figures.scrape_bytes_plain) = bytes;
    if (stage.Measured(due_ns)) figures().Answered(response.status(), now_ns - due_ns);
    ++stage.interval.scrapes;
    stage.interval.scrape.Record(now_ns - due_ns);
    Next();
  }

  void OnFailure(Failure failure, std::int64_t) override {
    if (stage.Measured(due_ns)) figures().Failed(failure);
    ++stage.interval.errors;
    Next();
  }

  // What is late already is sent at once, and its delay is part of its latency.
  void Next() {
    due_ns += interval_ns;
    if (due_ns < stop_ns) timer.Set(due_ns);
  }

  Stage& stage;
  bool gzip;
  std::string request;
  std::int64_t due_ns;
  std::int64_t interval_ns;
  std::int64_t stop_ns;
  std::uint64_t bytes = 0;
  Timer timer;
  Connection connection;
};

ScrapeDriver::ScrapeDriver(Stage& stage, const RequestTarget& target, bool gzip,
                           std::int64_t first_ns, std::int64_t interval_ns)
    : impl_(std::make_unique<Impl>(stage, target, gzip, first_ns, interval_ns)) {}

ScrapeDriver::~ScrapeDriver() = default;

void ScrapeDriver::Start() { impl_->timer.Set(impl_->due_ns); }

void ScrapeDriver::Stop(std::int64_t now_ns) {
  impl_->stop_ns = std::min(impl_->stop_ns, now_ns);
  impl_->timer.Cancel();
  for (; impl_->due_ns + impl_->interval_ns < impl_->stop_ns; impl_->due_ns += impl_->interval_ns) {
    if (impl_->stage.Measured(impl_->due_ns)) ++impl_->figures().not_sent;
  }
}

bool ScrapeDriver::Idle() const { return !impl_->connection.busy(); }

void ScrapeDriver::CheckTimeouts(std::int64_t now_ns) { impl_->connection.CheckTimeout(now_ns); }

}  // namespace pgw::load
