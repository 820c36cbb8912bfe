#include "bench/load/expiry_ledger.h"

#include <algorithm>

namespace pgw::load {

void ExpiryFigures::Merge(const ExpiryFigures& other) {
  scrapes += other.scrapes;
  series_seen += other.series_seen;
  expired += other.expired;
  unresolved += other.unresolved;
  late += other.late;
  early += other.early;
  stale += other.stale;
  partial += other.partial;
  torn += other.torn;
  late_max_ns = std::max(late_max_ns, other.late_max_ns);
  early_max_ns = std::max(early_max_ns, other.early_max_ns);
  late_at_least.Merge(other.late_at_least);
  late_at_most.Merge(other.late_at_most);
  resolution.Merge(other.resolution);
}

void ScrapeView::Begin(std::int64_t asked_ns) {
  ++scrape_;
  series_ = 0;
  asked_ns_ = asked_ns;
  cursor_ = 0;
}

void ScrapeView::Saw(std::uint32_t group, std::uint64_t sequence) {
  if (group >= seen_.size()) return;
  Seen& seen = seen_[group];
  if (seen.scrape != scrape_) seen = {scrape_, 0, sequence, sequence};
  ++seen.lines;
  ++series_;
  seen.lowest = std::min(seen.lowest, sequence);
  seen.highest = std::max(seen.highest, sequence);
}

std::uint64_t ScrapeView::Series(std::size_t first, std::size_t end) const {
  std::uint64_t series = 0;
  for (std::size_t i = first; i < std::min(end, seen_.size()); ++i) {
    if (seen_[i].scrape == scrape_) series += seen_[i].lines;
  }
  return series;
}

void ScrapeView::End(std::int64_t complete_ns) { complete_ns_ = complete_ns; }

ExpiryLedger::ExpiryLedger(std::size_t groups, std::int64_t ttl_ns, std::uint64_t sequence_base)
    : groups_(groups),
      ttl_ns_(ttl_ns),
      sequence_base_(sequence_base),
      highest_sequence_(sequence_base) {}

void ExpiryLedger::ExpectSeries(std::size_t first, std::size_t count, std::uint32_t series) {
  const std::size_t end = std::min(groups_.size(), first + count);
  for (std::size_t i = first; i < end; ++i) groups_[i].series = series;
}

std::uint64_t ExpiryLedger::Sent(std::uint32_t group, std::int64_t now_ns) {
  Group& state = groups_[group];
  used_ = std::max<std::size_t>(used_, group + 1);
  const std::uint64_t sequence = std::max(state.newest, sequence_base_) + 1;
  if (state.live) {
    // A push that follows an expired one too soon for anybody to have looked.
    const Push* const last = Find(state, state.newest);
    if (ttl_ns_ > 0 && last != nullptr && last->accepted && now_ns - ttl_ns_ > last->answered_ns) {
      ++figures_.unresolved;
    }
  } else {
    state.live = true;
    state.last_shown_ns = -1;
    ++live_;
  }
  state.newest = sequence;
  highest_sequence_ = std::max(highest_sequence_, sequence);
  Push& push = state.pushes[sequence % kRemembered];
  if (push.sequence != 0) state.forgotten_ns = std::max(state.forgotten_ns, push.answered_ns);
  push = {sequence, now_ns, kUnknown, true, false};
  return sequence;
}

ExpiryLedger::Push* ExpiryLedger::Find(Group& group, std::uint64_t sequence) {
  Push& push = group.pushes[sequence % kRemembered];
  return sequence != 0 && push.sequence == sequence ? &push : nullptr;
}

void ExpiryLedger::Released(std::uint32_t group, std::uint64_t sequence, std::int64_t now_ns) {
  if (Push* const push = Find(groups_[group], sequence)) push->sent_ns = now_ns;
}

void ExpiryLedger::Answered(std::uint32_t group, std::uint64_t sequence, std::int64_t now_ns,
                            bool accepted) {
  Push* const push = Find(groups_[group], sequence);
  if (push == nullptr) return;
  push->pending = false;
  push->accepted = accepted;
  if (accepted) push->answered_ns = now_ns;
}

bool ExpiryLedger::Judge(ScrapeView& view, std::size_t groups_max) {
  if (view.cursor_ == 0) {
    ++figures_.scrapes;
    figures_.series_seen += view.series_;
  }
  const std::size_t end = std::min(used_, view.cursor_ + groups_max);
  for (; view.cursor_ < end; ++view.cursor_) {
    Group& group = groups_[view.cursor_];
    if (group.newest == 0) continue;
    const ScrapeView::Seen& seen = view.seen_[view.cursor_];
    if (seen.scrape == view.scrape_) {
      JudgeShown(group, seen, view);
    } else if (group.live) {
      JudgeAbsent(group, view);
    }
  }
  return view.cursor_ >= used_;
}

void ExpiryLedger::JudgeShown(Group& group, const ScrapeView::Seen& seen, const ScrapeView& view) {
  if (seen.lowest != seen.highest) ++figures_.torn;
  if (seen.lines < group.series) ++figures_.partial;
  const std::uint64_t shown = seen.highest;
  group.last_shown_ns = view.asked_ns_;
  const Push* const push = Find(group, shown);

  if (push != nullptr && push->accepted && ttl_ns_ > 0) {
    const std::int64_t late = view.asked_ns_ - (push->answered_ns + ttl_ns_);
    if (late > 0) {
      if (group.late_sequence != shown) ++figures_.late;
      group.late_ns = group.late_sequence == shown ? std::max(group.late_ns, late) : late;
      group.late_sequence = shown;
      figures_.late_max_ns = std::max(figures_.late_max_ns, late);
    }
  }
  std::uint64_t missing = 0;
  for (const Push& newer : group.pushes) {
    if (newer.sequence <= shown || !newer.accepted || newer.answered_ns > view.asked_ns_) continue;
    // Pushes that were under way together may have been applied in either order.
    const std::int64_t shown_answered_ns = push != nullptr ? push->answered_ns : group.forgotten_ns;
    if (shown_answered_ns <= newer.sent_ns) missing = std::max(missing, newer.sequence);
  }
  if (missing > group.stale_sequence) {
    ++figures_.stale;
    group.stale_sequence = missing;
  }
}

void ExpiryLedger::JudgeAbsent(Group& group, const ScrapeView& view) {
  const Push* last = nullptr;  // of those that had been answered, the one that lives longest
  bool undecided = false;
  for (const Push& push : group.pushes) {
    if (push.sequence == 0) continue;
    // Sent before the scrape ended, but not known to be part of what it showed.
    if (push.sent_ns <= view.complete_ns_ &&
        (push.pending || (push.accepted && push.answered_ns > view.asked_ns_))) {
      undecided = true;
    }
    if (!push.accepted || push.answered_ns > view.asked_ns_) continue;
    if (last == nullptr || push.sent_ns > last->sent_ns) last = &push;
  }
  if (last == nullptr) {
    const Push* const newest = Find(group, group.newest);
    if (newest != nullptr && !newest->pending && !newest->accepted) {  // it never was there
      group.live = false;
      --live_;
    }
    return;
  }
  const std::int64_t earliest = ttl_ns_ > 0 ? last->sent_ns + ttl_ns_ : kUnknown;
  if (view.complete_ns_ < earliest) {
    if (group.early_sequence < last->sequence) ++figures_.early;
    group.early_sequence = std::max(group.early_sequence, last->sequence);
    if (ttl_ns_ > 0) {
      figures_.early_max_ns = std::max(figures_.early_max_ns, earliest - view.complete_ns_);
    }
    return;
  }
  if (undecided || last->sequence != group.newest) {
    const Push* const newest = Find(group, group.newest);
    // A newer push that failed changes nothing; any other decides later.
    if (undecided || newest == nullptr || newest->pending || newest->accepted) return;
  }
  ++figures_.expired;
  figures_.late_at_least.Record(group.late_sequence == last->sequence ? group.late_ns : 0);
  figures_.late_at_most.Record(view.complete_ns_ - earliest);
  if (group.last_shown_ns >= 0) {
    figures_.resolution.Record(view.complete_ns_ - group.last_shown_ns);
  }
  group.live = false;
  --live_;
}

void ExpiryLedger::Finish(std::int64_t now_ns) {
  for (std::size_t i = 0; i < used_; ++i) {
    Group& group = groups_[i];
    if (!group.live) continue;
    const Push* const last = Find(group, group.newest);
    if (ttl_ns_ > 0 && last != nullptr && last->accepted && now_ns - ttl_ns_ > last->answered_ns) {
      ++figures_.unresolved;
    }
  }
}

}  // namespace pgw::load
