#include "server/termination.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <system_error>

namespace pgw {
namespace {

volatile std::sig_atomic_t interrupts_seen = 0;

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

// What a Go program takes no notice of, though it would end others. Go's runtime does so with each
// signal that it delivers to those who ask for it and that is none to end or stop a program.
void IgnoreSignalsAsGoDoes() {
  for (const int number :
       {SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO, SIGPWR}) {
    std::signal(number, SIG_IGN);
  }
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) std::signal(number, SIG_IGN);
}

void OnFurtherInterrupt(int) {
  interrupts_seen = interrupts_seen + 1;
  if (interrupts_seen > 1) _exit(1);
}

}  // namespace

Termination::Termination() {
  IgnoreSignalsAsGoDoes();
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC);
  if (signals_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
  requests_ = eventfd(0, EFD_CLOEXEC);
  if (requests_ >= 0) return;
  const int error = errno;
  close(signals_);
  throw std::system_error(error, std::generic_category(), "eventfd");
}

Termination::~Termination() {
  close(signals_);
  close(requests_);
}

void Termination::Request() {
  const std::uint64_t one = 1;
  if (write(requests_, &one, sizeof(one)) < 0) return;  // full: it has been said often enough
}

Termination::Reason Termination::Wait() {
  std::array<pollfd, 2> entries = {{{.fd = signals_, .events = POLLIN, .revents = 0},
                                    {.fd = requests_, .events = POLLIN, .revents = 0}}};
  while (poll(entries.data(), entries.size(), -1) < 0 && errno == EINTR) {
  }
  Reason reason = Reason::kRequest;
  signalfd_siginfo info{};
  if (entries[0].revents != 0 && read(signals_, &info, sizeof(info)) > 0) {
    interrupts_seen = 1;
    reason = Reason::kSignal;
  }
  struct sigaction action{};
  action.sa_handler = OnFurtherInterrupt;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);  // SIGTERM stays blocked
  return reason;
}

}  // namespace pgw
