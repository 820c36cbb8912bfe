#include "bench/load/figures.h"

#include <algorithm>
#include <numeric>

namespace pgw::load {

std::uint64_t RequestFigures::failed() const {
  return std::accumulate(failures.begin(), failures.end(), std::uint64_t{0});
}

std::uint64_t RequestFigures::refused() const {
  std::uint64_t count = 0;
  for (const auto& [status, times] : statuses) {
    if (status < 200 || status > 299) count += times;
  }
  return count;
}

void RequestFigures::Merge(const RequestFigures& other) {
  latency.Merge(other.latency);
  for (const auto& [status, times] : other.statuses) statuses[status] += times;
  for (std::size_t i = 0; i < kFailures; ++i) failures[i] += other.failures[i];
  if (first_refusal.empty()) first_refusal = other.first_refusal;
  not_sent += other.not_sent;
}

void Interval::Merge(const Interval& other) {
  pushes += other.pushes;
  errors += other.errors;
  scrapes += other.scrapes;
  push.Merge(other.push);
  scrape.Merge(other.scrape);
}

void Interval::Clear() {
  pushes = errors = scrapes = 0;
  push.Clear();
  scrape.Clear();
}

double RunFigures::pushes_per_s() const {
  return measured_s > 0 ? static_cast<double>(pushes) / measured_s : 0;
}

void RunFigures::Merge(const RunFigures& other) {
  pushes += other.pushes;
  push.Merge(other.push);
  scrape_plain.Merge(other.scrape_plain);
  scrape_gzip.Merge(other.scrape_gzip);
  watch.Merge(other.watch);
  expiry.Merge(other.expiry);
  scrape_bytes_plain = std::max(scrape_bytes_plain, other.scrape_bytes_plain);
  scrape_bytes_gzip = std::max(scrape_bytes_gzip, other.scrape_bytes_gzip);
  traffic.bytes_sent += other.traffic.bytes_sent;
  traffic.bytes_received += other.traffic.bytes_received;
  traffic.connects += other.traffic.connects;
  if (other.cliff && !cliff) cliff = other.cliff;
  if (other.stalled) {
    if (!stalled) stalled.emplace();
    stalled->open += other.stalled->open;
    stalled->closed_by_server += other.stalled->closed_by_server;
    stalled->failed += other.stalled->failed;
  }
  interrupted = interrupted || other.interrupted;
}

}  // namespace pgw::load
