#include "docker/interrupt.h"

#include <signal.h>

#include <array>
#include <atomic>

namespace pgw::image {
namespace {

constexpr std::array kSignals{SIGHUP, SIGINT, SIGTERM};

std::atomic<int> g_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free, "it is written in a signal handler");
std::array<struct sigaction, kSignals.size()> g_before;

void Note(int signal) {
  int none = 0;
  g_signal.compare_exchange_strong(none, signal);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  g_signal = 0;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], nullptr, &g_before[i]);
    if (g_before[i].sa_handler == SIG_IGN) continue;
    struct sigaction action{};
    action.sa_handler = &Note;
    // Whoever asks twice does not want to wait.
    action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
    ::sigemptyset(&action.sa_mask);
    ::sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &g_before[i], nullptr);
}

int InterruptGuard::signal() { return g_signal; }

Status CheckInterrupt() {
  if (g_signal == 0) return {};
  return Error{Code::kUnavailable, "interrupted"};
}

void PassInterruptOn() {
  const int signal = g_signal.exchange(0);
  if (signal == 0) return;
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace pgw::image
