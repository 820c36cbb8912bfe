// How commands get into the store: through a log, which puts them in one order. Knows store.
//
// The direct log applies them at once. One that keeps them (store/durable) answers later, once
// nothing can take the command back; one that is replicated could stand in the same place.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "store/group_key.h"
#include "store/metric_store.h"

namespace pgw {

// Takes what came of a command. Called once, on any thread, which it must not hold up.
class CommandSink {
 public:
  virtual ~CommandSink() = default;
  virtual void Take(Status status) = 0;
};

// A command on its way into the log. Knows nothing any more of what it was made from.
class PendingCommand {
 public:
  virtual ~PendingCommand() = default;
  // Called once. `sink` may be served before this returns.
  virtual void Submit(std::unique_ptr<CommandSink> sink) = 0;
};

struct Outcome {
  Status status;                            // if nothing is pending
  std::unique_ptr<PendingCommand> pending;  // else: what it comes to is told later
};

// Thread-safe. Commands of one caller of which each is submitted when the one before has been
// answered take effect in that order.
class CommandLog {
 public:
  virtual ~CommandLog() = default;

  // As MetricStore's. Beside its errors, kUnavailable: the log does not take commands now, and why;
  // nothing has changed then. kOverloaded: too much is waiting.
  virtual Outcome Push(const PushCommand& command) = 0;
  virtual Outcome Delete(const GroupKey& group, Instant received) = 0;
  virtual Outcome Wipe(Instant received) = 0;

  // As MetricStore's. A log that writes pushes down needs their bodies: it takes none.
  virtual bool TakesRepeats() const { return false; }
  virtual bool Repeat(const RepeatedPush& /*push*/) { return false; }

  // Why commands would be refused, if so.
  virtual Status Ready() const = 0;
};

// Without a memory of its own: what the store holds is all there is.
class DirectLog final : public CommandLog {
 public:
  explicit DirectLog(MetricStore& store) : store_(store) {}

  Outcome Push(const PushCommand& command) override { return {store_.Push(command), nullptr}; }
  Outcome Delete(const GroupKey& group, Instant received) override {
    return {store_.Delete(group, received), nullptr};
  }
  Outcome Wipe(Instant received) override {
    store_.Wipe(received);
    return {};
  }
  bool TakesRepeats() const override { return store_.TakesRepeats(); }
  bool Repeat(const RepeatedPush& push) override { return store_.Repeat(push); }
  Status Ready() const override { return {}; }

 private:
  MetricStore& store_;
};

}  // namespace pgw
