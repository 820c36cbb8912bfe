// The answers to readers that are still leaving, and the bound of what they may hold in memory.
// Knows store/memory_account and server/http's messages.
//
// A scrape shows the state at its beginning. What is pushed anew while it is being sent is there
// twice: the store has the new version, and the scrape the old one, until its client has taken all
// of it. Where all readers together hold more than they may, the one goes whose versions are the
// oldest: it holds all that has been replaced since, some of which nobody else has. Neither can a
// client that takes a byte now and then put itself behind those that began later.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "server/http/message.h"
#include "server/routes/reader_body.h"
#include "store/memory_account.h"

namespace pgw {

// Thread-safe.
class OpenScrapes : public std::enable_shared_from_this<OpenScrapes> {
 public:
  struct Options {
    std::uint64_t held_bytes_max = 0;  // 0: no limit
    std::function<void()> look = {};   // has the engine look for abandoned bodies; any thread
  };

  // `clock` and `log` must outlive Close(), the account this.
  OpenScrapes(std::shared_ptr<MemoryAccount> account, Options options, const Clock& clock,
              Logger& log);
  ~OpenScrapes();
  OpenScrapes(const OpenScrapes&) = delete;
  OpenScrapes& operator=(const OpenScrapes&) = delete;

  // Begins to enforce the limit; until Close().
  void Open();
  void Close();

  // The same body, which is counted until it is destroyed and may be abandoned. It may outlive
  // Close().
  std::unique_ptr<http::BodySource> Watch(std::unique_ptr<ReaderBody> body,
                                          std::string_view remote_address);

  // How many were abandoned.
  std::uint64_t cut_off() const { return cut_off_.load(std::memory_order_relaxed); }
  std::size_t held_bytes() const { return account_->held(); }

 private:
  class Watched;

  // Abandons the oldest, unless one that was abandoned is still there.
  void CutOffOldest();
  void Report(const std::string& remote_address, std::size_t held);
  void Forget(Watched& watched);

  const std::shared_ptr<MemoryAccount> account_;
  const Options options_;
  const Clock& clock_;
  Logger& log_;
  std::atomic<std::uint64_t> cut_off_ = 0;
  Mutex mutex_;
  std::list<Watched*> open_ PGW_GUARDED_BY(mutex_);  // by the age of what they hold, oldest first
  bool leaving_ PGW_GUARDED_BY(mutex_) = false;      // an abandoned one is still there
  std::uint64_t unreported_ PGW_GUARDED_BY(mutex_) = 0;
  BootTime next_report_ PGW_GUARDED_BY(mutex_){};
};

}  // namespace pgw
