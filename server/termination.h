// Waits for the reason to stop: a signal, or a request from within. Knows nothing.
#pragma once

namespace pgw {

// One per process. Construct it before the first thread: threads inherit the blocked signals.
class Termination {
 public:
  enum class Reason : unsigned char { kSignal, kRequest };

  // Blocks SIGINT and SIGTERM; ignores SIGPIPE, SIGUSR1, SIGALRM and what else Go programs ignore.
  // Throws std::system_error where there are no descriptors.
  Termination();
  ~Termination();
  Termination(const Termination&) = delete;
  Termination& operator=(const Termination&) = delete;

  // Makes Wait() return. Thread-safe; returns at once; further requests change nothing.
  void Request();

  // Blocks until there is a reason. From then on SIGTERM changes nothing: whoever sends it again, a
  // supervisor say, must not cut off what the stop waits for, which has its own bounds. A second
  // SIGINT is a person who does not want to wait: it ends the process at once, with status 1.
  Reason Wait();

 private:
  int signals_ = -1;   // signalfd
  int requests_ = -1;  // eventfd
};

}  // namespace pgw
