#include <algorithm>

#include "bench/load/drivers.h"

namespace pgw::load {

class PushDriver::Slot final : public ExchangeListener {
 public:
  Slot(PushDriver& driver, const ConnectionOptions& options)
      : driver_(driver),
        connection_(driver.stage_.loop, driver.stage_.endpoint, *this,
                    driver.stage_.figures.traffic, options) {}

  void Push(const RequestTemplate& form, std::uint32_t index, std::int64_t due_ns,
            std::int64_t now_ns) {
    group_ = index;
    due_ns_ = due_ns;
    ExpiryLedger* const ledger = driver_.stage_.ledger;
    said_.clear();
    sequence_ = ledger != nullptr ? ledger->Sent(index, now_ns)
                                  : driver_.setup_.first_value + driver_.sent_;
    connection_.Send(buffer_.Render(form, driver_.setup_.first_group + index, sequence_));
  }

  // A push that is accepted is answered without a body.
  void OnBody(std::string_view piece) override {
    if (said_.size() < kSaidBytesMax) said_.append(piece.substr(0, kSaidBytesMax - said_.size()));
  }

  void OnResponse(const ResponseParser& response, std::int64_t now_ns) override {
    Stage& stage = driver_.stage_;
    const int status = response.status();
    const bool accepted = status == 200 || status == 202;
    const std::int64_t latency = now_ns - due_ns_;
    if (stage.ledger != nullptr) stage.ledger->Answered(group_, sequence_, now_ns, accepted);
    if (stage.Measured(due_ns_)) {
      stage.figures.push.Answered(status, latency);
    }
    // The rate is of what was answered in that time, not of what was due.
    if (accepted && stage.Measured(now_ns)) ++stage.figures.pushes;
    if (stage.figures.cliff && now_ns >= stage.cliff_from_ns && due_ns_ <= stage.cliff_to_ns) {
      stage.figures.cliff->push.Record(latency);
    }
    ++stage.interval.pushes;
    if (!accepted) {
      ++stage.interval.errors;
      if (stage.figures.push.first_refusal.empty()) stage.figures.push.first_refusal = said_;
    }
    stage.interval.push.Record(latency);
    driver_.OnFree(*this);
  }

  void OnFailure(Failure failure, std::int64_t now_ns) override {
    Stage& stage = driver_.stage_;
    if (stage.ledger != nullptr) stage.ledger->Answered(group_, sequence_, now_ns, false);
    if (stage.Measured(due_ns_)) stage.figures.push.Failed(failure);
    ++stage.interval.errors;
    // Nothing that fails at once may turn into a busy loop: it goes on with the next check.
    if (driver_.setup_.closed_loop) return driver_.paused_.push_back(this);
    driver_.OnFree(*this);
  }

  Connection& connection() { return connection_; }

 private:
  static constexpr std::size_t kSaidBytesMax = 300;

  PushDriver& driver_;
  RequestBuffer buffer_;
  std::string said_;
  std::uint32_t group_ = 0;
  std::uint64_t sequence_ = 0;
  std::int64_t due_ns_ = 0;
  Connection connection_;
};

PushDriver::PushDriver(Stage& stage, const Setup& setup)
    : stage_(stage),
      setup_(setup),
      schedule_(setup.schedule, setup.start_ns),
      timer_(stage.loop, [this] { Pump(); }),
      stop_ns_(stage.measured_to_ns) {
  if (setup.scatter) {
    // A prime that does not divide the number of groups visits all of them.
    constexpr std::uint64_t kStrides[] = {7919, 7907};
    stride_ = setup.groups % kStrides[0] == 0 ? kStrides[1] : kStrides[0];
  }
  ConnectionOptions options;
  options.reconnect = setup.reconnect;
  options.timeout_ns = stage.timeout_ns;
  for (std::size_t i = 0; i < setup.connections; ++i) {
    slots_.push_back(std::make_unique<Slot>(*this, options));
    idle_.push_back(slots_.back().get());
  }
}

PushDriver::~PushDriver() = default;

void PushDriver::Start() { timer_.Set(setup_.start_ns); }

void PushDriver::SendNext(Slot& slot, std::int64_t due_ns, std::int64_t now_ns) {
  const auto index = static_cast<std::uint32_t>(sent_ * stride_ % setup_.groups);
  const RequestTemplate& form = *setup_.forms[(setup_.first_group + index) % setup_.forms.size()];
  slot.Push(form, index, due_ns, now_ns);
  ++sent_;
}

void PushDriver::Pump() {
  if (pumping_) return;
  pumping_ = true;
  std::int64_t now = NowNs();
  // In open loop what was due before the end is sent, however late it got its turn.
  while (!idle_.empty() && (now < stop_ns_ || !setup_.closed_loop)) {
    std::int64_t due = now;
    if (!setup_.closed_loop) {
      due = schedule_.due_ns();
      if (due >= stop_ns_) break;
      if (due > now) {
        timer_.Set(due);
        break;
      }
      schedule_.Advance();
    }
    Slot& slot = *idle_.back();
    idle_.pop_back();
    SendNext(slot, due, now);
    now = NowNs();
  }
  pumping_ = false;
}

void PushDriver::OnFree(Slot& slot) {
  const std::int64_t now = NowNs();
  if (setup_.closed_loop && now < stop_ns_) return SendNext(slot, now, now);
  // What waited for a connection goes first; the timer cares for what is due later.
  if (!setup_.closed_loop && schedule_.due_ns() <= now && schedule_.due_ns() < stop_ns_) {
    const std::int64_t due = schedule_.due_ns();
    schedule_.Advance();
    return SendNext(slot, due, now);
  }
  const bool none_was_idle = idle_.empty();
  idle_.push_back(&slot);
  if (none_was_idle) Pump();
}

void PushDriver::Stop(std::int64_t now_ns) {
  stop_ns_ = std::min(stop_ns_, now_ns);
  timer_.Cancel();
  Pump();
}

void PushDriver::CheckTimeouts(std::int64_t now_ns) {
  for (const auto& slot : slots_) slot->connection().CheckTimeout(now_ns);
  std::vector<Slot*> paused;
  paused.swap(paused_);
  for (Slot* const slot : paused) OnFree(*slot);
}

void PushDriver::Abandon() {
  for (; !setup_.closed_loop && schedule_.due_ns() < stop_ns_; schedule_.Advance()) {
    if (stage_.Measured(schedule_.due_ns())) ++stage_.figures.push.not_sent;
  }
  for (const auto& slot : slots_) {
    if (slot->connection().busy()) {
      slot->connection().Drop();
      stage_.figures.push.Failed(Failure::kTimeout);
    }
  }
}

}  // namespace pgw::load
