#include "base/clock.h"

#include <ctime>
#include <fstream>

namespace pgw {
namespace {

std::chrono::nanoseconds Read(clockid_t id) {
  timespec ts{};
  if (clock_gettime(id, &ts) != 0 && id == CLOCK_BOOTTIME) clock_gettime(CLOCK_MONOTONIC, &ts);
  return std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec);
}

}  // namespace

Instant SystemClock::Now() const {
  return {BootTime(Read(CLOCK_BOOTTIME)), WallTime(Read(CLOCK_REALTIME))};
}

BootTime SystemClock::BootNow() const { return BootTime(Read(CLOCK_BOOTTIME)); }

std::string SystemBootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

double UnixSeconds(WallTime time) {
  return static_cast<double>(time.time_since_epoch().count()) / 1e9;
}

}  // namespace pgw
