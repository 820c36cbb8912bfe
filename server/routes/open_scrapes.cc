#include "server/routes/open_scrapes.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pgw {
namespace {

// Between two lines in the log.
constexpr std::chrono::seconds kReportInterval{10};

}  // namespace

class OpenScrapes::Watched final : public http::BodySource {
 public:
  Watched(std::shared_ptr<OpenScrapes> list, std::unique_ptr<ReaderBody> body,
          std::string_view remote)
      : list_(std::move(list)), body_(std::move(body)), charge_(list_->account_), remote_(remote) {
    {
      const MutexLock lock(list_->mutex_);
      place_ = list_->open_.insert(list_->open_.end(), this);
    }
    charge_.Set(body_->buffered_bytes());
  }
  ~Watched() override {
    body_.reset();
    charge_.Set(0);
    list_->Forget(*this);
  }

  void Next(std::vector<std::string_view>& pieces) override {
    body_->Next(pieces);
    if (const std::uint64_t refreshes = body_->refreshes(); refreshes != refreshes_) {
      refreshes_ = refreshes;
      const MutexLock lock(list_->mutex_);
      list_->open_.splice(list_->open_.end(), list_->open_, place_);
    }
    charge_.Set(body_->buffered_bytes());
  }
  bool abandoned() const noexcept override { return abandoned_.load(std::memory_order_acquire); }

 private:
  friend class OpenScrapes;

  const std::shared_ptr<OpenScrapes> list_;
  std::unique_ptr<ReaderBody> body_;
  ReaderCharge charge_;
  const std::string remote_;
  std::uint64_t refreshes_ = 0;
  std::list<Watched*>::iterator place_;
  std::atomic<bool> abandoned_ = false;
};

OpenScrapes::OpenScrapes(std::shared_ptr<MemoryAccount> account, Options options,
                         const Clock& clock, Logger& log)
    : account_(std::move(account)), options_(std::move(options)), clock_(clock), log_(log) {}

OpenScrapes::~OpenScrapes() = default;

void OpenScrapes::Open() {
  if (options_.held_bytes_max == 0) return;
  constexpr std::uint64_t kMax = std::numeric_limits<std::size_t>::max() - 1;
  account_->SetLimit(static_cast<std::size_t>(std::min(options_.held_bytes_max, kMax)),
                     [this] { CutOffOldest(); });
}

void OpenScrapes::Close() {
  if (options_.held_bytes_max != 0) account_->SetLimit(0, nullptr);
}

std::unique_ptr<http::BodySource> OpenScrapes::Watch(std::unique_ptr<ReaderBody> body,
                                                     std::string_view remote_address) {
  return std::make_unique<Watched>(shared_from_this(), std::move(body), remote_address);
}

// One after the other: how much memory comes free with it is not known before.
void OpenScrapes::CutOffOldest() {
  std::optional<std::string> remote;
  {
    const MutexLock lock(mutex_);
    if (!leaving_) {
      if (open_.empty()) return;
      Watched& oldest = *open_.front();
      remote = oldest.remote_;
      leaving_ = true;
      oldest.abandoned_.store(true, std::memory_order_release);
    }
  }
  if (remote) {
    cut_off_.fetch_add(1, std::memory_order_relaxed);
    Report(*remote, account_->held());
  }
  if (options_.look) options_.look();
}

void OpenScrapes::Report(const std::string& remote_address, std::size_t held) {
  const BootTime now = clock_.BootNow();
  std::uint64_t count = 0;
  {
    const MutexLock lock(mutex_);
    ++unreported_;
    if (now < next_report_) return;
    next_report_ = now + kReportInterval;
    count = std::exchange(unreported_, 0);
  }
  log_.Warn(
      "cut off a scrape whose client is slow: together they hold more memory than "
      "--web.max-scrape-bytes allows",
      {{"remote_address", std::string_view(remote_address)},
       {"held_bytes", static_cast<std::int64_t>(held)},
       {"cut_off", static_cast<std::int64_t>(count)}});
}

void OpenScrapes::Forget(Watched& watched) {
  {
    const MutexLock lock(mutex_);
    open_.erase(watched.place_);
    if (watched.abandoned_.load(std::memory_order_relaxed)) leaving_ = false;
  }
  account_->CheckLimit();
}

}  // namespace pgw
