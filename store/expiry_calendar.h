// When which group needs a look. Knows base. Guarded by the store's lock.
//
// A group is filed once, at its earliest deadline, rounded up to a coarse step. Pushes that move
// the deadline later do not touch the calendar: the group comes up too early and is filed again.
#pragma once

#include <cstdint>
#include <map>

#include "store/block.h"

namespace pgw {

// The place of one object in the calendar; a member of that object. Unfiled when constructed.
struct CalendarEntry {
  CalendarEntry* previous = nullptr;
  CalendarEntry* next = nullptr;
  Deadline page = 0;
  bool filed = false;
};

class ExpiryCalendar {
 public:
  ExpiryCalendar() = default;
  ExpiryCalendar(const ExpiryCalendar&) = delete;
  ExpiryCalendar& operator=(const ExpiryCalendar&) = delete;

  // Files the entry, or moves it if it is filed for later. O(log pages).
  void File(CalendarEntry& entry, Deadline deadline);
  void Remove(CalendarEntry& entry);

  // An entry whose page has come; null if there is none.
  CalendarEntry* FindDue(Deadline now) const;

  // Whether the entry comes up no later than the page of that deadline. REQUIRES: it is filed.
  static bool IsInTime(const CalendarEntry& entry, Deadline deadline) {
    return entry.page <= PageOf(deadline);
  }

  // When FindDue will next have something; the maximum if nothing is filed.
  Deadline Next() const;

 private:
  // Coarse enough to keep pages few, fine enough that memory does not linger.
  static constexpr Deadline kPage = 100'000'000;  // nanoseconds
  static Deadline PageOf(Deadline deadline);

  std::map<Deadline, CalendarEntry*> pages_;  // by the instant when all on it are due
};

}  // namespace pgw
