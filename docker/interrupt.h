// Ends a piece of work in good order when somebody asks the program to end. Knows base.
#pragma once

#include "base/result.h"

namespace pgw::image {

// While it lives, SIGHUP, SIGINT and SIGTERM are noted instead of ending the program; each a second
// time does end it. Those that are ignored (nohup) stay so. One at a time in a process.
class InterruptGuard {
 public:
  InterruptGuard();
  // The signals are as before.
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // Which signal came first; 0: none.
  static int signal();
};

// kUnavailable after such a signal: work in progress shall be given up. From any thread.
Status CheckInterrupt();

// Ends the program as the noted signal would have, once all is cleaned up; nothing where none came.
void PassInterruptOn();

}  // namespace pgw::image
