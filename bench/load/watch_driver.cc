#include <algorithm>

#include "bench/load/drivers.h"

namespace pgw::load {

struct WatchDriver::Impl final : ExchangeListener {
  static constexpr std::size_t kReadBytes = std::size_t{64} * 1024;
  // So many groups are judged before pushes get their turn: some 50 µs.
  static constexpr std::size_t kGroupsAtOnce = 2000;

  Impl(Stage& shared, const RequestTarget& target, std::uint32_t first, std::size_t groups,
       std::int64_t first_ns, std::int64_t every_ns)
      : stage(shared),
        request(ScrapeRequest(target, false)),
        first_group(first),
        scanner(target.tag),
        view(groups),
        due_ns(first_ns),
        interval_ns(every_ns),
        timer(shared.loop, [this] { Look(); }),
        connection(shared.loop, shared.endpoint, *this, shared.figures.traffic,
                   {.read_bytes = kReadBytes, .timeout_ns = shared.timeout_ns}) {}

  void Look() {
    if (stopped || connection.busy()) return;
    scanner.Reset();
    asked_ns = NowNs();
    view.Begin(asked_ns);
    connection.Send(request);
  }

  void OnBody(std::string_view piece) override {
    scanner.Feed(piece, [this](const SeenSeries& seen) {
      if (seen.group >= first_group) view.Saw(seen.group - first_group, seen.sequence);
    });
  }

  void OnResponse(const ResponseParser& response, std::int64_t now_ns) override {
    stage.figures.watch.Answered(response.status(), now_ns - asked_ns);
    if (response.status() != 200 || response.gzip()) return Plan(now_ns);
    view.End(now_ns);
    last_took_ns = now_ns - asked_ns;
    NoteCliff(now_ns);
    Judge();
  }

  void OnFailure(Failure failure, std::int64_t now_ns) override {
    stage.figures.watch.Failed(failure);
    Plan(now_ns);
  }

  void Judge() {
    if (stopped) return;
    if (stage.ledger->Judge(view, kGroupsAtOnce)) return Plan(NowNs());
    stage.loop.Post([this] { Judge(); });
  }

  void NoteCliff(std::int64_t now_ns) {
    if (cliff == nullptr || !stage.figures.cliff) return;
    CliffFigures& figures = *stage.figures.cliff;
    const std::uint64_t shown = view.Series(cliff_first, view.size());
    if (now_ns < deadline_from_ns) {
      figures.shown_before = shown;
    } else if (asked_ns > deadline_to_ns) {
      ++figures.scrapes_after;
      figures.shown_after += shown;
      const std::int64_t after = asked_ns - deadline_to_ns;
      if (figures.first_after_ns < 0 || after < figures.first_after_ns) {
        figures.first_after_ns = after;
      }
    }
  }

  void Plan(std::int64_t now_ns) {
    if (cliff != nullptr && asked_ns <= deadline_to_ns) {
      // One look that is over before the deadline, with room for one that takes longer.
      const std::int64_t before = deadline_from_ns - 3 * last_took_ns - kMarginNs;
      due_ns = now_ns < before && !looked_before ? before : deadline_to_ns + 1 + shift_ns;
      looked_before = looked_before || due_ns == before;
    } else {
      due_ns = std::max(due_ns + interval_ns, now_ns);
    }
    timer.Set(due_ns);
  }

  static constexpr std::int64_t kMarginNs = 100'000'000;

  Stage& stage;
  std::string request;
  std::uint32_t first_group;
  ScrapeScanner scanner;
  ScrapeView view;
  std::int64_t due_ns;
  std::int64_t interval_ns;
  std::int64_t asked_ns = 0;
  std::int64_t last_took_ns = 0;
  bool stopped = false;
  const CliffDriver* cliff = nullptr;
  std::size_t cliff_first = 0;
  std::int64_t deadline_from_ns = 0;
  std::int64_t deadline_to_ns = 0;
  std::int64_t shift_ns = 0;
  bool looked_before = false;
  Timer timer;
  Connection connection;
};

WatchDriver::WatchDriver(Stage& stage, const RequestTarget& target, std::uint32_t first_group,
                         std::size_t groups, std::int64_t first_ns, std::int64_t interval_ns)
    : impl_(std::make_unique<Impl>(stage, target, first_group, groups, first_ns, interval_ns)) {}

WatchDriver::~WatchDriver() { impl_->stopped = true; }

void WatchDriver::Start() { impl_->timer.Set(impl_->due_ns); }

void WatchDriver::Stop() {
  impl_->stopped = true;
  impl_->timer.Cancel();
  impl_->connection.Drop();
}

void WatchDriver::CheckTimeouts(std::int64_t now_ns) { impl_->connection.CheckTimeout(now_ns); }

void WatchDriver::FollowCliff(const CliffDriver& cliff, std::size_t cliff_first,
                              std::int64_t ttl_ns, std::int64_t shift_ns) {
  impl_->cliff = &cliff;
  impl_->cliff_first = cliff_first;
  impl_->deadline_from_ns = cliff.first_released_ns() + ttl_ns;
  impl_->deadline_to_ns = cliff.last_answered_ns() + ttl_ns;
  impl_->shift_ns = shift_ns;
  if (!impl_->connection.busy()) Start();
}

}  // namespace pgw::load
