#include "bench/load/progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>
#include <utility>

namespace pgw::load {
namespace {

std::string Digits(double value, std::string_view unit) {
  std::array<char, 48> text{};
  const int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return std::string(text.data()) + std::string(unit);
}

}  // namespace

std::string ShowTime(std::int64_t ns) {
  const auto value = static_cast<double>(ns);
  if (ns < 1000) return std::to_string(ns) + " ns";
  if (value < 999.5e3) return Digits(value / 1e3, " µs");
  if (value < 999.5e6) return Digits(value / 1e6, " ms");
  return Digits(value / 1e9, " s");
}

std::string ShowCount(double count) {
  if (count < 999.5)
    return count == std::floor(count) ? std::to_string(std::lround(count)) : Digits(count, "");
  if (count < 999.5e3) return Digits(count / 1e3, " k");
  return Digits(count / 1e6, " M");
}

std::string ShowBytes(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value < 1e3) return std::to_string(bytes) + " B";
  if (value < 999.5e3) return Digits(value / 1e3, " kB");
  if (value < 999.5e6) return Digits(value / 1e6, " MB");
  return Digits(value / 1e9, " GB");
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

void Progress::Begin(std::string title, double total_s) {
  title_ = std::move(title);
  total_s_ = total_s;
  if (!quiet_ && !terminal_) std::fprintf(stderr, "%s\n", title_.c_str());
}

void Progress::Show(const Second& second, double elapsed_s) {
  if (quiet_) return;
  std::string text;
  if (second.pushes == 0 && second.errors == 0) {
    text = "no pushes";
  } else {
    text = ShowCount(static_cast<double>(second.pushes)) + " pushes/s, p50 " +
           ShowTime(second.push_p50_ns) + ", p99 " + ShowTime(second.push_p99_ns) + ", max " +
           ShowTime(second.push_max_ns);
  }
  if (second.scrapes > 0) text += ", scrape p50 " + ShowTime(second.scrape_p50_ns);
  if (second.errors > 0) text += ", " + std::to_string(second.errors) + " ERRORS";
  if (second.process) {
    text += ", " + std::to_string(std::lround(second.cpu_share * 100)) + " % CPU, " +
            ShowBytes(second.process->rss_bytes);
  }
  if (!terminal_) {
    std::fprintf(stderr, "%5.0f s  %s\n", elapsed_s, text.c_str());
    return;
  }
  constexpr int kCells = 20;
  const double part = total_s_ > 0 ? std::clamp(elapsed_s / total_s_, 0.0, 1.0) : 1;
  const int full = static_cast<int>(std::lround(part * kCells));
  std::string bar;
  for (int i = 0; i < kCells; ++i) bar += i < full ? "█" : "░";
  std::fprintf(stderr, "\r\033[K%s %s %s", title_.c_str(), bar.c_str(), text.c_str());
  std::fflush(stderr);
  shown_ = true;
}

void Progress::End() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

}  // namespace pgw::load
