#include "store/expiry_calendar.h"

#include <cassert>
#include <limits>

namespace pgw {
namespace {

constexpr Deadline kMax = std::numeric_limits<Deadline>::max();

}  // namespace

Deadline ExpiryCalendar::PageOf(Deadline deadline) {
  const Deadline page = deadline - deadline % kPage;
  if (page >= deadline) return page;
  return page > kMax - kPage ? kMax : page + kPage;
}

void ExpiryCalendar::File(CalendarEntry& entry, Deadline deadline) {
  const Deadline page = PageOf(deadline);
  if (entry.filed) {
    if (entry.page <= page) return;
    Remove(entry);
  }
  CalendarEntry*& head = pages_[page];
  entry.previous = nullptr;
  entry.next = head;
  if (head != nullptr) head->previous = &entry;
  head = &entry;
  entry.page = page;
  entry.filed = true;
}

void ExpiryCalendar::Remove(CalendarEntry& entry) {
  if (!entry.filed) return;
  if (entry.next != nullptr) entry.next->previous = entry.previous;
  if (entry.previous != nullptr) {
    entry.previous->next = entry.next;
  } else {
    const auto page = pages_.find(entry.page);
    assert(page != pages_.end() && page->second == &entry);
    if (entry.next != nullptr) {
      page->second = entry.next;
    } else {
      pages_.erase(page);
    }
  }
  entry = CalendarEntry();
}

CalendarEntry* ExpiryCalendar::FindDue(Deadline now) const {
  if (pages_.empty() || pages_.begin()->first > now) return nullptr;
  return pages_.begin()->second;
}

Deadline ExpiryCalendar::Next() const { return pages_.empty() ? kMax : pages_.begin()->first; }

}  // namespace pgw
