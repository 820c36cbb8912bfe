// Who sends what and when: pushers, the cliff, scrapers, watchers, stalled clients. Knows network,
// workload, schedule and the ledger. One thread, that of the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/expiry_ledger.h"
#include "bench/load/figures.h"
#include "bench/load/network.h"
#include "bench/load/schedule.h"
#include "bench/load/scrape_scanner.h"
#include "bench/load/workload.h"

namespace pgw::load {

// What all drivers of a thread share. Outlives them.
struct Stage {
  Loop& loop;
  const Endpoint& endpoint;
  ExpiryLedger* ledger = nullptr;  // none: nobody watches
  RunFigures& figures;
  Interval& interval;             // the second that runs
  std::int64_t measured_from_ns;  // only what is due within is part of the figures
  std::int64_t measured_to_ns;
  std::int64_t timeout_ns;
  // Around the deadline of the cliff, once it is known.
  std::int64_t cliff_from_ns = 0;
  std::int64_t cliff_to_ns = 0;

  bool Measured(std::int64_t due_ns) const {
    return due_ns >= measured_from_ns && due_ns < measured_to_ns;
  }
};

// Pushes to groups in turns, by a schedule or as fast as they are answered.
class PushDriver {
 public:
  struct Setup {
    std::vector<const RequestTemplate*> forms;  // group % size
    std::uint32_t first_group = 0;              // in the names of groups
    std::size_t groups = 1;
    bool scatter = false;           // not one after the other, but each before any comes again
    std::uint64_t first_value = 1;  // without a ledger: of the samples of the first push
    std::size_t connections = 1;
    bool reconnect = false;
    bool closed_loop = false;
    ScheduleOptions schedule;
    std::int64_t start_ns = 0;
  };

  PushDriver(Stage& stage, const Setup& setup);
  ~PushDriver();

  void Start();
  // What is due by now is still sent, nothing else.
  void Stop(std::int64_t now_ns);
  bool Idle() const { return idle_.size() == slots_.size(); }
  void CheckTimeouts(std::int64_t now_ns);
  // Counts what is still under way as failed.
  void Abandon();

 private:
  class Slot;

  void Pump();
  void SendNext(Slot& slot, std::int64_t due_ns, std::int64_t now_ns);
  void OnFree(Slot& slot);

  Stage& stage_;
  Setup setup_;
  Schedule schedule_;
  Timer timer_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> idle_;
  std::vector<Slot*> paused_;
  std::uint64_t sent_ = 0;
  std::uint64_t stride_ = 1;
  std::int64_t stop_ns_;
  bool pumping_ = false;
};

// Groups that are pushed once and completed in the same instant: all their bytes but the last are
// sent before, on a connection for each.
class CliffDriver {
 public:
  CliffDriver(Stage& stage, const RequestTemplate& form, std::uint32_t first_group,
              std::size_t groups);
  ~CliffDriver();

  void Start();
  void CheckTimeouts(std::int64_t now_ns);
  // All have been answered, or have failed.
  bool complete() const { return ended_ == slots_.size(); }
  std::int64_t first_released_ns() const { return first_released_ns_; }
  std::int64_t last_answered_ns() const { return last_answered_ns_; }

 private:
  class Slot;

  void OnReady();
  void Release();
  void OnEnd();

  Stage& stage_;
  const RequestTemplate& form_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::size_t ready_ = 0;  // have only their last byte to send, or have failed
  std::size_t ended_ = 0;
  bool released_ = false;
  std::int64_t first_released_ns_ = 0;
  std::int64_t last_answered_ns_ = 0;
};

// A connection that scrapes at fixed times, as Prometheus does.
class ScrapeDriver {
 public:
  ScrapeDriver(Stage& stage, const RequestTarget& target, bool gzip, std::int64_t first_ns,
               std::int64_t interval_ns);
  ~ScrapeDriver();

  void Start();
  void Stop(std::int64_t now_ns);
  bool Idle() const;
  void CheckTimeouts(std::int64_t now_ns);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A connection that scrapes to see what is shown, and tells the ledger.
class WatchDriver {
 public:
  WatchDriver(Stage& stage, const RequestTarget& target, std::uint32_t first_group,
              std::size_t groups, std::int64_t first_ns, std::int64_t interval_ns);
  ~WatchDriver();

  void Start();
  void Stop();
  void CheckTimeouts(std::int64_t now_ns);
  // To be called instead of Start when the cliff, of the groups from `cliff_first` on, stands:
  // looks once, then shortly before its deadline, and from the deadline on in its interval.
  // `shift_ns` keeps several watchers apart.
  void FollowCliff(const CliffDriver& cliff, std::size_t cliff_first, std::int64_t ttl_ns,
                   std::int64_t shift_ns);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Clients that send the beginning of a request and stall; a new one comes for each that is closed.
class StallDriver {
 public:
  StallDriver(Stage& stage, const RequestTarget& target, std::size_t clients);
  ~StallDriver();

  // Opens some more.
  void Tick(std::int64_t now_ns);
  void Finish();

 private:
  class Client;

  Stage& stage_;
  std::vector<std::string> halves_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::size_t clients_max_;
};

}  // namespace pgw::load
