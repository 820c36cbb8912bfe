// What a run measures, as plain data that can be merged. Knows the histogram and the ledger's
// figures.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/load/expiry_ledger.h"
#include "bench/load/histogram.h"
#include "bench/load/network.h"

namespace pgw::load {

// Requests of one kind.
struct RequestFigures {
  Histogram latency;  // of all that were answered, whatever the status
  std::map<int, std::uint64_t> statuses;
  std::array<std::uint64_t, kFailures> failures = {};
  std::string first_refusal;   // the beginning of what the server said to it
  std::uint64_t not_sent = 0;  // due, but the run ended while they waited for a connection

  void Answered(int status, std::int64_t latency_ns) {
    ++statuses[status];
    latency.Record(latency_ns);
  }
  void Failed(Failure failure) { ++failures[static_cast<std::size_t>(failure)]; }
  std::uint64_t failed() const;
  // Answered with anything but 2xx.
  std::uint64_t refused() const;
  void Merge(const RequestFigures& other);
};

// One second, or the part of one, as a thread of the generator saw it.
struct Interval {
  std::uint64_t pushes = 0;
  std::uint64_t errors = 0;
  std::uint64_t scrapes = 0;
  Histogram push;
  Histogram scrape;

  void Merge(const Interval& other);
  void Clear();
};

struct ProcessSample {
  std::int64_t at_ns = 0;
  double cpu_s = 0;
  std::uint64_t rss_bytes = 0;
  std::uint64_t anonymous_bytes = 0;
  std::uint64_t threads = 0;
  std::uint64_t wake_ups = 0;  // voluntary context switches of all its threads
};

// A second of the report.
struct Second {
  double at_s = 0;  // its end, from the start of the measured time
  std::uint64_t pushes = 0;
  std::uint64_t errors = 0;
  std::uint64_t scrapes = 0;
  std::int64_t push_p50_ns = 0;
  std::int64_t push_p99_ns = 0;
  std::int64_t push_max_ns = 0;
  std::int64_t scrape_p50_ns = 0;
  std::int64_t scrape_max_ns = 0;
  std::optional<ProcessSample> process;  // at its end
  double cpu_share = 0;                  // of one core, in this second
  double wake_ups_per_s = 0;
};

struct CliffFigures {
  bool complete = false;  // all of it was pushed, and the run went beyond the deadline
  std::uint64_t groups = 0;
  std::uint64_t series = 0;
  std::uint64_t accepted = 0;  // of its pushes, which are no part of the other figures
  std::uint64_t refused = 0;
  std::uint64_t failed = 0;
  double deadline_from_s = 0;  // from the start of the measured time
  double deadline_to_s = 0;
  std::uint64_t shown_before = 0;  // series of the last scrape that was complete before it
  std::uint64_t shown_after = 0;   // series in all scrapes that were asked for after it
  std::uint64_t scrapes_after = 0;
  std::int64_t first_after_ns = -1;  // from the deadline to the asking of the first of these
  Histogram push;                    // of requests under way around the deadline
};

struct StalledFigures {
  std::uint64_t open = 0;  // at the end
  std::uint64_t closed_by_server = 0;
  std::uint64_t failed = 0;
};

struct ProcessFigures {
  double cpu_s = 0;  // in the measured time
  double cpu_share = 0;
  double cpu_us_per_push = 0;
  std::uint64_t rss_bytes_end = 0;
  std::uint64_t rss_bytes_max = 0;
  std::uint64_t anonymous_bytes_end = 0;
  std::uint64_t anonymous_bytes_max = 0;
  std::uint64_t threads_max = 0;
  double wake_ups_per_s = 0;
};

// One run against one server.
struct RunFigures {
  double measured_s = 0;
  std::uint64_t pushes = 0;  // accepted ones in that time
  RequestFigures push;
  RequestFigures scrape_plain;
  RequestFigures scrape_gzip;
  RequestFigures watch;
  ExpiryFigures expiry;
  std::uint64_t scrape_bytes_plain = 0;  // of the last one, as sent
  std::uint64_t scrape_bytes_gzip = 0;
  Traffic traffic;
  std::optional<CliffFigures> cliff;
  std::optional<StalledFigures> stalled;
  std::optional<ProcessFigures> process;
  double generator_cpu_share = 0;
  std::vector<Second> seconds;
  bool interrupted = false;

  double pushes_per_s() const;
  // Of another thread of the generator, or of another round.
  void Merge(const RunFigures& other);
};

}  // namespace pgw::load
