#include "bench/load/engine.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "bench/load/drivers.h"
#include "bench/load/expiry_ledger.h"

namespace pgw::load {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kTickNs = 50'000'000;
// Answers that are still under way when the time is up are waited for so long.
constexpr std::int64_t kDrainNs = 5'000'000'000;

// A thread's share of `total`.
struct Share {
  std::size_t first;
  std::size_t count;
};

Share ShareOf(std::size_t total, std::size_t part, std::size_t parts) {
  const std::size_t first = total * part / parts;
  return {first, total * (part + 1) / parts - first};
}

class Engine {
 public:
  Engine(const EngineSetup& setup, Timeline& timeline, const std::atomic<bool>& stop);
  EngineOutcome Run();

 private:
  void MakeDrivers();
  void MakePushers();
  void MakeWatchers();
  void Tick();
  void FlushSeconds(std::int64_t now_ns);
  void FollowCliff();
  void StopSending(std::int64_t now_ns);
  bool Drained(std::int64_t now_ns) const;
  void Finish(std::int64_t now_ns);

  const EngineSetup& setup_;
  const Options& options_;
  Timeline& timeline_;
  const std::atomic<bool>& stop_;
  Share groups_;
  std::int64_t measured_from_ns_;
  std::int64_t measured_to_ns_;
  std::int64_t sending_ended_ns_ = 0;
  std::int64_t drained_ns_ = 0;  // all that was sent has been answered, or was waited for enough
  RunFigures figures_;
  Interval interval_;
  std::size_t second_ = 0;
  std::int64_t tick_ns_;
  bool cliff_followed_ = false;

  Loop loop_;
  std::unique_ptr<ExpiryLedger> ledger_;
  Stage stage_;
  Timer timer_;
  std::unique_ptr<PushDriver> pushers_;
  std::unique_ptr<CliffDriver> cliff_;
  std::vector<std::unique_ptr<ScrapeDriver>> scrapers_;
  std::vector<std::unique_ptr<WatchDriver>> watchers_;
  std::unique_ptr<StallDriver> stalled_;
};

Engine::Engine(const EngineSetup& setup, Timeline& timeline, const std::atomic<bool>& stop)
    : setup_(setup),
      options_(setup.options),
      timeline_(timeline),
      stop_(stop),
      groups_(ShareOf(setup.options.groups, setup.thread, setup.options.threads)),
      measured_from_ns_(setup.start_ns + setup.options.warm_up_ns),
      measured_to_ns_(measured_from_ns_ + setup.options.duration_ns),
      tick_ns_(setup.start_ns),
      ledger_(setup.options.watchers == 0 && setup.options.cliff_groups == 0
                  ? nullptr
                  : std::make_unique<ExpiryLedger>(groups_.count + setup.options.cliff_groups,
                                                   setup.options.ttl_ns, setup.sequence_base)),
      stage_{.loop = loop_,
             .endpoint = setup.endpoint,
             .ledger = ledger_.get(),
             .figures = figures_,
             .interval = interval_,
             .measured_from_ns = measured_from_ns_,
             .measured_to_ns = measured_to_ns_,
             .timeout_ns = setup.options.timeout_ns},
      timer_(loop_, [this] { Tick(); }) {
  MakeDrivers();
}

void Engine::MakePushers() {
  const std::size_t threads = options_.threads;
  PushDriver::Setup push;
  for (const RequestTemplate& form : setup_.requests.forms) push.forms.push_back(&form);
  push.first_group = static_cast<std::uint32_t>(groups_.first);
  push.groups = groups_.count;
  push.scatter = options_.scatter;
  push.first_value = options_.first_value;
  push.connections = ShareOf(options_.connections, setup_.thread, threads).count;
  push.reconnect = options_.reconnect;
  push.closed_loop = options_.closed_loop;
  push.schedule.arrivals = options_.arrivals;
  push.schedule.per_second = options_.rate / static_cast<double>(threads);
  push.schedule.burst = push.connections;
  push.schedule.burst_gap_ns = options_.interval_ns;
  push.schedule.seed = options_.seed + setup_.thread;
  push.start_ns = setup_.start_ns;
  if (!options_.closed_loop && options_.arrivals == Arrivals::kConstant) {
    // Between those of the other threads.
    push.start_ns += std::llround(static_cast<double>(setup_.thread) * 1e9 / options_.rate);
  }
  pushers_ = std::make_unique<PushDriver>(stage_, push);
  if (ledger_ == nullptr) return;
  for (std::size_t i = 0; i < groups_.count; ++i) {
    const RequestTemplate& form = *push.forms[(groups_.first + i) % push.forms.size()];
    ledger_->ExpectSeries(i, 1, form.series);
  }
}

void Engine::MakeWatchers() {
  for (std::size_t i = 0; i < options_.watchers; ++i) {
    const auto shift = static_cast<std::int64_t>(i) * options_.watch_interval_ns /
                       static_cast<std::int64_t>(options_.watchers);
    watchers_.push_back(std::make_unique<WatchDriver>(
        stage_, setup_.requests.target, static_cast<std::uint32_t>(groups_.first),
        groups_.count + options_.cliff_groups, setup_.start_ns + shift,
        options_.watch_interval_ns));
  }
}

void Engine::MakeDrivers() {
  MakePushers();
  MakeWatchers();
  if (options_.cliff_groups > 0) {
    figures_.cliff.emplace();
    ledger_->ExpectSeries(groups_.count, options_.cliff_groups, setup_.requests.cliff.series);
    cliff_ = std::make_unique<CliffDriver>(stage_, setup_.requests.cliff,
                                           static_cast<std::uint32_t>(groups_.count),
                                           options_.cliff_groups);
  }
  const Share scrapers = ShareOf(options_.scrapers, setup_.thread, options_.threads);
  for (std::size_t i = scrapers.first; i < scrapers.first + scrapers.count; ++i) {
    const auto shift = static_cast<std::int64_t>(i) * options_.scrape_interval_ns /
                       static_cast<std::int64_t>(options_.scrapers);
    scrapers_.push_back(std::make_unique<ScrapeDriver>(
        stage_, setup_.requests.target, options_.scrape_gzip && i % 2 == 0, setup_.start_ns + shift,
        options_.scrape_interval_ns));
  }
  const Share stalled = ShareOf(options_.stalled, setup_.thread, options_.threads);
  if (stalled.count > 0) {
    stalled_ = std::make_unique<StallDriver>(stage_, setup_.requests.target, stalled.count);
  }
}

EngineOutcome Engine::Run() {
  pushers_->Start();
  for (const auto& scraper : scrapers_) scraper->Start();
  if (cliff_ != nullptr) {
    cliff_->Start();
  } else {
    for (const auto& watcher : watchers_) watcher->Start();
  }
  timer_.Set(tick_ns_);
  loop_.Run();
  return {std::move(figures_), ledger_ == nullptr ? 0 : ledger_->highest_sequence()};
}

void Engine::Tick() {
  const std::int64_t now = NowNs();
  FlushSeconds(now);
  if (stalled_ != nullptr) stalled_->Tick(now);
  FollowCliff();
  pushers_->CheckTimeouts(now);
  if (cliff_ != nullptr) cliff_->CheckTimeouts(now);
  for (const auto& scraper : scrapers_) scraper->CheckTimeouts(now);
  for (const auto& watcher : watchers_) watcher->CheckTimeouts(now);

  const bool stopping = stop_.load(std::memory_order_relaxed);
  figures_.interrupted = figures_.interrupted || (stopping && now < measured_to_ns_);
  if (sending_ended_ns_ == 0 && (now >= measured_to_ns_ || stopping)) StopSending(now);
  if (drained_ns_ == 0 && sending_ended_ns_ != 0 && Drained(now)) drained_ns_ = now;
  if (drained_ns_ != 0) {
    // A server that fell behind took its last push late.
    const bool watched = stopping || watchers_.empty() || now >= drained_ns_ + options_.linger_ns ||
                         (options_.ttl_ns > 0 && ledger_->AllGone());
    if (watched) return Finish(now);
  }
  while (tick_ns_ <= now) tick_ns_ += kTickNs;
  timer_.Set(tick_ns_);
}

void Engine::FlushSeconds(std::int64_t now_ns) {
  const auto second = static_cast<std::size_t>((now_ns - setup_.start_ns) / kSecondNs);
  if (second == second_) return;
  timeline_.Add(second_, interval_);
  interval_.Clear();
  second_ = second;
}

void Engine::FollowCliff() {
  if (cliff_ == nullptr || cliff_followed_ || !cliff_->complete()) return;
  cliff_followed_ = true;
  CliffFigures& figures = *figures_.cliff;
  figures.complete = figures.accepted == options_.cliff_groups;
  figures.groups = options_.cliff_groups;
  figures.series = options_.cliff_groups * setup_.requests.cliff.series;
  if (cliff_->last_answered_ns() == 0) return;
  const std::int64_t from = cliff_->first_released_ns() + options_.ttl_ns;
  const std::int64_t to = cliff_->last_answered_ns() + options_.ttl_ns;
  figures.deadline_from_s = static_cast<double>(from - measured_from_ns_) / 1e9;
  figures.deadline_to_s = static_cast<double>(to - measured_from_ns_) / 1e9;
  stage_.cliff_from_ns = from - kSecondNs / 20;
  stage_.cliff_to_ns = to + kSecondNs;
  for (std::size_t i = 0; i < watchers_.size(); ++i) {
    const auto shift = static_cast<std::int64_t>(i) * options_.watch_interval_ns /
                       static_cast<std::int64_t>(watchers_.size());
    watchers_[i]->FollowCliff(*cliff_, groups_.count, options_.ttl_ns, shift);
  }
}

void Engine::StopSending(std::int64_t now_ns) {
  sending_ended_ns_ = std::min(now_ns, measured_to_ns_);
  pushers_->Stop(sending_ended_ns_);
  for (const auto& scraper : scrapers_) scraper->Stop(sending_ended_ns_);
}

bool Engine::Drained(std::int64_t now_ns) const {
  if (now_ns > sending_ended_ns_ + std::min(kDrainNs, options_.timeout_ns)) return true;
  return pushers_->Idle() && std::all_of(scrapers_.begin(), scrapers_.end(),
                                         [](const auto& scraper) { return scraper->Idle(); });
}

void Engine::Finish(std::int64_t now_ns) {
  timeline_.Add(second_, interval_);
  pushers_->Abandon();
  for (const auto& watcher : watchers_) watcher->Stop();
  if (stalled_ != nullptr) stalled_->Finish();
  if (ledger_ != nullptr) {
    ledger_->Finish(now_ns);
    figures_.expiry = ledger_->figures();
  }
  if (figures_.cliff) {
    CliffFigures& cliff = *figures_.cliff;
    cliff.complete = cliff.complete && cliff.scrapes_after > 0;
  }
  figures_.measured_s =
      static_cast<double>(std::max<std::int64_t>(sending_ended_ns_ - measured_from_ns_, 0)) / 1e9;
  loop_.Stop();
}

}  // namespace

EngineOutcome RunEngine(const EngineSetup& setup, Timeline& timeline,
                        const std::atomic<bool>& stop) {
  return Engine(setup, timeline, stop).Run();
}

}  // namespace pgw::load
