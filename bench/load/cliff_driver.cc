#include <algorithm>

#include "bench/load/drivers.h"

namespace pgw::load {

class CliffDriver::Slot final : public ExchangeListener {
 public:
  Slot(CliffDriver& driver, std::uint32_t index, std::uint32_t name)
      : driver_(driver),
        group_(index),
        connection_(driver.stage_.loop, driver.stage_.endpoint, *this,
                    driver.stage_.figures.traffic, {.timeout_ns = kTimeoutNs}) {
    sequence_ = driver.stage_.ledger->Sent(group_, NowNs());
    request_ = buffer_.Render(driver.form_, name, sequence_);
  }

  void Send() { connection_.Send(request_, 1); }

  void Release(std::int64_t now_ns) {
    if (failed_) return;
    driver_.stage_.ledger->Released(group_, sequence_, now_ns);
    connection_.Release();
  }

  void OnSent() override {
    waiting_ = true;
    driver_.OnReady();
  }

  void OnResponse(const ResponseParser& response, std::int64_t now_ns) override {
    const bool accepted = response.status() == 200 || response.status() == 202;
    CliffFigures& figures = *driver_.stage_.figures.cliff;
    ++(accepted ? figures.accepted : figures.refused);
    driver_.last_answered_ns_ = std::max(driver_.last_answered_ns_, now_ns);
    driver_.stage_.ledger->Answered(group_, sequence_, now_ns, accepted);
    End();
  }

  void OnFailure(Failure, std::int64_t now_ns) override {
    failed_ = true;
    ++driver_.stage_.figures.cliff->failed;
    driver_.stage_.ledger->Answered(group_, sequence_, now_ns, false);
    End();
  }

  Connection& connection() { return connection_; }

 private:
  // Much more than one push gets: they wait for each other.
  static constexpr std::int64_t kTimeoutNs = 60'000'000'000;

  void End() {
    failed_ = true;
    // An answer may come to what is not complete: nothing is released then.
    if (!waiting_) driver_.OnReady();
    waiting_ = true;
    // The socket is told later that nobody needs it; its memory goes now.
    buffer_.Free();
    driver_.OnEnd();
  }

  CliffDriver& driver_;
  std::uint32_t group_;
  std::uint64_t sequence_ = 0;
  RequestBuffer buffer_;
  std::string_view request_;
  bool waiting_ = false;
  bool failed_ = false;
  Connection connection_;
};

CliffDriver::CliffDriver(Stage& stage, const RequestTemplate& form, std::uint32_t first_group,
                         std::size_t groups)
    : stage_(stage), form_(form) {
  for (std::size_t i = 0; i < groups; ++i) {
    const auto group = static_cast<std::uint32_t>(first_group + i);
    slots_.push_back(std::make_unique<Slot>(*this, group, group));
  }
}

CliffDriver::~CliffDriver() = default;

void CliffDriver::Start() {
  for (const auto& slot : slots_) slot->Send();
}

void CliffDriver::OnReady() {
  if (++ready_ == slots_.size()) stage_.loop.Post([this] { Release(); });
}

void CliffDriver::Release() {
  if (released_) return;
  released_ = true;
  first_released_ns_ = NowNs();
  for (const auto& slot : slots_) slot->Release(NowNs());
}

void CliffDriver::OnEnd() { ++ended_; }

void CliffDriver::CheckTimeouts(std::int64_t now_ns) {
  for (const auto& slot : slots_) slot->connection().CheckTimeout(now_ns);
}

}  // namespace pgw::load
