#include "server/http/await.h"

#include <condition_variable>
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"

namespace pgw::http {
namespace {

// Shared by both sides: whoever waits may be gone before the other one has finished telling.
struct Slot {
  Mutex mutex;
  std::condition_variable_any filled;
  std::optional<Response> response PGW_GUARDED_BY(mutex);
};

class SlotSink final : public Responder::Sink {
 public:
  explicit SlotSink(std::shared_ptr<Slot> slot) : slot_(std::move(slot)) {}

  void Take(std::unique_ptr<Sink> /*self*/, Response response) noexcept override {
    {
      const MutexLock lock(slot_->mutex);
      slot_->response = std::move(response);
    }
    slot_->filled.notify_one();
  }

 private:
  const std::shared_ptr<Slot> slot_;
};

void Start(const std::unique_ptr<PendingResponse> later, Responder responder) {
  try {
    later->Start(std::move(responder));
  } catch (...) {
    return;  // the responder answered when it was destroyed, or somebody else has it
  }
}

}  // namespace

Response Await(Response response) {
  if (response.later == nullptr) return response;
  const auto slot = std::make_shared<Slot>();
  Start(std::move(response.later), Responder(std::make_unique<SlotSink>(slot)));
  slot->mutex.Lock();
  while (!slot->response) slot->filled.wait(slot->mutex);
  Response answer = std::move(*slot->response);
  slot->mutex.Unlock();
  return answer;
}

}  // namespace pgw::http
