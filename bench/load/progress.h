// Running figures for whoever is looking: a bar on a terminal, else a line a second. Knows figures.
#pragma once

#include <cstdint>
#include <string>

#include "bench/load/figures.h"

namespace pgw::load {

// "12.3 ms", "870 µs": three digits, a fitting unit.
std::string ShowTime(std::int64_t ns);
// "1.25 M", "48.3 k".
std::string ShowCount(double count);
std::string ShowBytes(std::uint64_t bytes);

// Writes to stderr: stdout is for the result. Not thread-safe.
class Progress {
 public:
  explicit Progress(bool quiet);

  // A run begins that takes `total_s` seconds.
  void Begin(std::string title, double total_s);
  void Show(const Second& second, double elapsed_s);
  void End();

 private:
  bool quiet_;
  bool terminal_;
  bool shown_ = false;
  std::string title_;
  double total_s_ = 0;
};

}  // namespace pgw::load
