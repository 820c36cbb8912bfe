// Answers that come later, on their way to the connections of one I/O thread. Knows message.
#pragma once

#include <functional>
#include <memory>

#include "base/mutex.h"
#include "server/http/message.h"

namespace pgw::http {

class LateResponse;
class Mailbox;

// A connection, as a mailbox knows it.
class Recipient {
 public:
  virtual void TakeLateResponse(std::unique_ptr<LateResponse> late) = 0;

 protected:
  ~Recipient() = default;
};

// One answer: first where it goes, then what it is. Giving it needs no memory.
class LateResponse final : public Responder::Sink {
 public:
  LateResponse(std::shared_ptr<Mailbox> mailbox, Recipient& recipient)
      : mailbox_(std::move(mailbox)), recipient_(recipient) {}

  void Take(std::unique_ptr<Sink> self, Response response) noexcept override;

  Recipient& recipient() const { return recipient_; }
  Response response;
  std::unique_ptr<LateResponse> next;

 private:
  std::shared_ptr<Mailbox> mailbox_;
  Recipient& recipient_;
};

// Thread-safe. Shared by the I/O thread and all responders of its connections, so that those can
// outlive the server.
class Mailbox {
 public:
  // `wake` makes the I/O thread call TakeAll() soon. Called under a lock, at most once between two
  // calls of TakeAll(), however much arrives.
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}
  ~Mailbox() { Close(); }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Should `wake` throw, the answer waits for the next one.
  void Put(std::unique_ptr<LateResponse> late) noexcept PGW_EXCLUDES(mutex_);
  // What has arrived, in that order, as a list; null if nothing has.
  std::unique_ptr<LateResponse> TakeAll() PGW_EXCLUDES(mutex_);
  // `wake` is not called any more, and whatever is here or still arrives is dropped.
  void Close() PGW_EXCLUDES(mutex_);

 private:
  const std::function<void()> wake_;
  Mutex mutex_;
  std::unique_ptr<LateResponse> first_ PGW_GUARDED_BY(mutex_);
  std::unique_ptr<LateResponse>* end_ PGW_GUARDED_BY(mutex_) = &first_;
  bool woken_ PGW_GUARDED_BY(mutex_) = false;
  bool closed_ PGW_GUARDED_BY(mutex_) = false;
};

}  // namespace pgw::http
