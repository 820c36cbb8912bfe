#include "server/http/mailbox.h"

#include <utility>

namespace pgw::http {

void LateResponse::Take(std::unique_ptr<Sink> self, Response the_response) noexcept {
  response = std::move(the_response);
  // What lies in a mailbox must not keep it alive.
  const std::shared_ptr<Mailbox> mailbox = std::move(mailbox_);
  mailbox->Put(std::unique_ptr<LateResponse>(static_cast<LateResponse*>(self.release())));
}

void Mailbox::Put(std::unique_ptr<LateResponse> late) noexcept {
  const MutexLock lock(mutex_);
  if (closed_) return;
  *end_ = std::move(late);
  end_ = &(*end_)->next;
  if (std::exchange(woken_, true)) return;
  try {
    wake_();  // under the lock: after Close() there may be nobody to wake
  } catch (...) {
    woken_ = false;
  }
}

std::unique_ptr<LateResponse> Mailbox::TakeAll() {
  const MutexLock lock(mutex_);
  woken_ = false;
  end_ = &first_;
  return std::move(first_);
}

void Mailbox::Close() {
  std::unique_ptr<LateResponse> dropped;
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    dropped = std::move(first_);
    end_ = &first_;
  }
  // One by one: a long list would destroy itself recursively.
  while (dropped != nullptr) dropped = std::move(dropped->next);
}

}  // namespace pgw::http
