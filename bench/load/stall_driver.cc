#include <algorithm>

#include "bench/load/drivers.h"

namespace pgw::load {

class StallDriver::Client final : public ExchangeListener {
 public:
  Client(StallDriver& driver, const std::string& half)
      : driver_(driver),
        half_(half),
        connection_(driver.stage_.loop, driver.stage_.endpoint, *this,
                    driver.stage_.figures.traffic, {.read_bytes = 512}) {}

  void Open() { connection_.Send(half_, 1); }
  void Reopen(std::int64_t now_ns) {
    if (closed_ns_ != 0 && now_ns - closed_ns_ >= kPauseNs) {
      closed_ns_ = 0;
      Open();
    }
  }
  bool open() const { return connection_.busy(); }

  void OnResponse(const ResponseParser&, std::int64_t now_ns) override { OnClosed(now_ns); }

  void OnFailure(Failure failure, std::int64_t now_ns) override {
    if (failure == Failure::kClosed || failure == Failure::kReset) return OnClosed(now_ns);
    ++driver_.stage_.figures.stalled->failed;
    closed_ns_ = now_ns;
  }

 private:
  static constexpr std::int64_t kPauseNs = 1'000'000'000;

  void OnClosed(std::int64_t now_ns) {
    ++driver_.stage_.figures.stalled->closed_by_server;
    closed_ns_ = now_ns;
    connection_.Drop();
  }

  StallDriver& driver_;
  const std::string& half_;
  std::int64_t closed_ns_ = 0;
  Connection connection_;
};

StallDriver::StallDriver(Stage& stage, const RequestTarget& target, std::size_t clients)
    : stage_(stage), clients_max_(clients) {
  stage.figures.stalled.emplace();
  const std::string line =
      "POST " + target.prefix + "/metrics/job/pgw_load_stalled HTTP/1.1\r\nHost: " + target.host;
  // Where a request can stop: in its line, its headers, before, in and between parts of its body.
  // The last byte of each is the one that never comes.
  halves_ = {
      "POS",
      line + "\r\nX",
      line + "\r\nX-Long: " + std::string(2000, 'a'),
      line + "\r\nContent-Length: 100000\r\n\r\ns",
      line + "\r\nContent-Length: 100000\r\n\r\nstalled 1\ns",
      line + "\r\nTransfer-Encoding: chunked\r\n\r\na",
      line + "\r\nTransfer-Encoding: chunked\r\n\r\na\r\nstalle",
  };
}

StallDriver::~StallDriver() = default;

void StallDriver::Tick(std::int64_t now_ns) {
  for (const auto& client : clients_) client->Reopen(now_ns);
  constexpr std::size_t kAtOnce = 500;
  for (std::size_t i = 0; i < kAtOnce && clients_.size() < clients_max_; ++i) {
    clients_.push_back(std::make_unique<Client>(*this, halves_[clients_.size() % halves_.size()]));
    clients_.back()->Open();
  }
}

void StallDriver::Finish() {
  stage_.figures.stalled->open = static_cast<std::uint64_t>(std::count_if(
      clients_.begin(), clients_.end(), [](const auto& client) { return client->open(); }));
}

}  // namespace pgw::load
