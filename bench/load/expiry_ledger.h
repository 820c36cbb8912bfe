// What was pushed and when, what scrapes showed of it, and what follows about expiry. Knows no
// sockets; all times are arguments, on one clock, in nanoseconds.
//
// A push that was sent at s (its last byte not before) and answered at r came into being between
// the two; with a time to live T its deadline lies in [s+T, r+T]. A scrape asked for at a and
// complete at b shows one instant between a and b. Hence
//   - shown, with a > r+T: it was visible at least a-(r+T) after its deadline;
//   - not shown, answered before a, with b < s+T: it vanished at least (s+T)-b before it;
//   - an older value shown although a newer push was answered before a: that push was lost.
// Nothing here is an estimate: a violation that is counted is proven.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "bench/load/histogram.h"

namespace pgw::load {

struct ExpiryFigures {
  std::uint64_t scrapes = 0;      // looked at
  std::uint64_t series_seen = 0;  // in all of them
  std::uint64_t expired = 0;      // pushes that were not renewed and were seen to be gone
  std::uint64_t unresolved = 0;   // pushes past their deadline that nobody looked for in time
  // Violations, each counted once per push.
  std::uint64_t late = 0;     // shown after the deadline
  std::uint64_t early = 0;    // gone before it
  std::uint64_t stale = 0;    // an answered push that a later scrape did not show yet
  std::uint64_t partial = 0;  // scrapes that showed a group without some of its series
  std::uint64_t torn = 0;     // scrapes that showed series of two pushes of a group
  std::int64_t late_max_ns = 0;
  std::int64_t early_max_ns = 0;
  // Per expired push: the proven lateness, 0 if none; an upper bound for it, from the first scrape
  // that did not show it; and between which scrapes the truth lies.
  Histogram late_at_least;
  Histogram late_at_most;
  Histogram resolution;

  std::uint64_t violations() const { return late + early + stale + partial + torn; }
  void Merge(const ExpiryFigures& other);
};

// What one scrape showed. A watcher keeps one and uses it again.
class ScrapeView {
 public:
  explicit ScrapeView(std::size_t groups) : seen_(groups) {}

  void Begin(std::int64_t asked_ns);
  void Saw(std::uint32_t group, std::uint64_t sequence);
  void End(std::int64_t complete_ns);
  std::uint64_t series() const { return series_; }
  // Of the groups from `first` to before `end`.
  std::uint64_t Series(std::size_t first, std::size_t end) const;
  std::size_t size() const { return seen_.size(); }

 private:
  friend class ExpiryLedger;

  struct Seen {
    std::uint32_t scrape = 0;
    std::uint32_t lines = 0;
    std::uint64_t lowest = 0;
    std::uint64_t highest = 0;
  };

  std::vector<Seen> seen_;
  std::uint32_t scrape_ = 0;
  std::uint64_t series_ = 0;
  std::int64_t asked_ns_ = 0;
  std::int64_t complete_ns_ = 0;
  std::size_t cursor_ = 0;  // the group that is judged next
};

// Not thread-safe. Bounded memory: about 170 bytes for a group.
class ExpiryLedger {
 public:
  // `ttl_ns` 0: nothing expires. Sequence numbers begin after `sequence_base`.
  ExpiryLedger(std::size_t groups, std::int64_t ttl_ns, std::uint64_t sequence_base);

  // How many series each push of the groups from `first` on has.
  void ExpectSeries(std::size_t first, std::size_t count, std::uint32_t series);

  // A push is about to be sent; returns the number that it has to carry as its value.
  std::uint64_t Sent(std::uint32_t group, std::int64_t now_ns);
  // Its last bytes are only sent now.
  void Released(std::uint32_t group, std::uint64_t sequence, std::int64_t now_ns);
  // `accepted`: the server said that it took it. Otherwise it may or may not have.
  void Answered(std::uint32_t group, std::uint64_t sequence, std::int64_t now_ns, bool accepted);

  // Judges at most `groups_max` groups by a scrape that has ended; true when it is through with it.
  bool Judge(ScrapeView& view, std::size_t groups_max);

  // Pushes that nobody looked for are counted as unresolved.
  void Finish(std::int64_t now_ns);

  // Whether a push is still shown or could be: the watchers have something to wait for.
  bool AllGone() const { return live_ == 0; }
  std::uint64_t highest_sequence() const { return highest_sequence_; }
  const ExpiryFigures& figures() const { return figures_; }

 private:
  static constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::max();
  static constexpr std::size_t kRemembered = 4;

  struct Push {
    std::uint64_t sequence = 0;  // 0: none
    std::int64_t sent_ns = 0;
    std::int64_t answered_ns = kUnknown;
    bool pending = false;
    bool accepted = false;
  };
  struct Group {
    std::array<Push, kRemembered> pushes;  // sequence % kRemembered
    std::uint32_t series = 1;
    bool live = false;                // the newest push has not been seen to be gone
    std::int64_t last_shown_ns = -1;  // when the last scrape that showed something was asked for
    std::int64_t late_ns = 0;         // proven of the newest push shown
    std::uint64_t late_sequence = 0;  // counted already, of each kind
    std::uint64_t early_sequence = 0;
    std::uint64_t stale_sequence = 0;
    std::uint64_t newest = 0;
    // When the last of the pushes that are no longer remembered was answered; kUnknown if one of
    // them was not.
    std::int64_t forgotten_ns = 0;
  };

  void JudgeShown(Group& group, const ScrapeView::Seen& seen, const ScrapeView& view);
  void JudgeAbsent(Group& group, const ScrapeView& view);
  Push* Find(Group& group, std::uint64_t sequence);

  std::vector<Group> groups_;
  std::int64_t ttl_ns_;
  std::uint64_t sequence_base_;
  std::uint64_t highest_sequence_;
  std::size_t used_ = 0;  // groups below have been pushed
  std::size_t live_ = 0;
  ExpiryFigures figures_;
};

}  // namespace pgw::load
