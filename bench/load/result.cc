#include "bench/load/result.h"

#include <algorithm>
#include <boost/json/src.hpp>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "bench/load/progress.h"

namespace pgw::load {
namespace {

namespace json = boost::json;

double Ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }
// Figures are no more exact than that, and shorter.
double Rounded(double value, double digits) {
  const double scale = std::pow(10, digits);
  return std::round(value * scale) / scale;
}
double Ms3(std::int64_t ns) { return Rounded(Ms(ns), 4); }

// The curve of a percentile plot: closer and closer to 100 %, as far as there are values.
json::array Curve(const Histogram& histogram) {
  json::array points;
  const auto count = static_cast<double>(histogram.count());
  for (int step = 0; step <= 60; ++step) {  // ten for each nine
    const double share = 1 - std::pow(10, -step / 10.0);
    if (step > 0 && (1 - share) * count < 0.5) break;
    points.push_back(json::array{Rounded(share * 100, 7), Ms3(histogram.Quantile(share))});
  }
  return points;
}

json::object LatencyJson(const Histogram& histogram, bool curve) {
  json::object out;
  out["count"] = histogram.count();
  out["mean_ms"] = Rounded(histogram.Mean() / 1e6, 4);
  out["min_ms"] = Ms3(histogram.min());
  out["p50_ms"] = Ms3(histogram.Quantile(0.5));
  out["p90_ms"] = Ms3(histogram.Quantile(0.9));
  out["p99_ms"] = Ms3(histogram.Quantile(0.99));
  out["p99_9_ms"] = Ms3(histogram.Quantile(0.999));
  out["max_ms"] = Ms3(histogram.max());
  if (curve) out["curve"] = Curve(histogram);
  return out;
}

// Few buckets: [upper bound in ms, count], four for each doubling, the first for nothing at all.
json::array BucketsJson(const Histogram& histogram) {
  std::vector<std::pair<double, std::uint64_t>> buckets;
  histogram.ForEach([&](std::int64_t value, std::uint64_t times) {
    const double bound =
        value <= 0 ? 0 : std::exp2(std::ceil(std::log2(static_cast<double>(value)) * 4) / 4);
    if (buckets.empty() || buckets.back().first != bound) buckets.emplace_back(bound, 0);
    buckets.back().second += times;
  });
  json::array out;
  for (const auto& [bound, times] : buckets) {
    out.push_back(json::array{Rounded(bound / 1e6, 6), times});
  }
  return out;
}

// A server may say anything, also to a terminal.
std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  for (const char c : text) out += c >= ' ' && c < 0x7f ? c : '?';
  return out;
}

json::object RequestsJson(const RequestFigures& figures, bool curve) {
  json::object out = LatencyJson(figures.latency, curve);
  json::object statuses;
  for (const auto& [status, times] : figures.statuses) statuses[std::to_string(status)] = times;
  out["statuses"] = std::move(statuses);
  json::object failures;
  for (std::size_t i = 0; i < kFailures; ++i) {
    if (figures.failures[i] != 0) {
      failures[FailureName(static_cast<Failure>(i))] = figures.failures[i];
    }
  }
  out["failures"] = std::move(failures);
  out["not_sent"] = figures.not_sent;
  if (!figures.first_refusal.empty()) out["first_refusal"] = Printable(figures.first_refusal);
  return out;
}

json::object ExpiryJson(const ExpiryFigures& figures) {
  json::object out;
  out["scrapes"] = figures.scrapes;
  out["series_seen"] = figures.series_seen;
  out["expired"] = figures.expired;
  out["unresolved"] = figures.unresolved;
  out["late"] = figures.late;
  out["early"] = figures.early;
  out["stale"] = figures.stale;
  out["partial"] = figures.partial;
  out["torn"] = figures.torn;
  out["late_max_ms"] = Ms3(figures.late_max_ns);
  out["early_max_ms"] = Ms3(figures.early_max_ns);
  out["late_at_least"] = LatencyJson(figures.late_at_least, false);
  out["late_at_least"].as_object()["buckets"] = BucketsJson(figures.late_at_least);
  out["late_at_most"] = LatencyJson(figures.late_at_most, false);
  out["late_at_most"].as_object()["buckets"] = BucketsJson(figures.late_at_most);
  out["resolution"] = LatencyJson(figures.resolution, false);
  return out;
}

json::object CliffJson(const CliffFigures& figures) {
  json::object out;
  out["complete"] = figures.complete;
  out["groups"] = figures.groups;
  out["series"] = figures.series;
  out["accepted"] = figures.accepted;
  out["refused"] = figures.refused;
  out["failed"] = figures.failed;
  out["deadline_from_s"] = Rounded(figures.deadline_from_s, 6);
  out["deadline_to_s"] = Rounded(figures.deadline_to_s, 6);
  out["shown_before"] = figures.shown_before;
  out["shown_after"] = figures.shown_after;
  out["scrapes_after"] = figures.scrapes_after;
  out["first_scrape_after_ms"] =
      figures.first_after_ns < 0 ? json::value() : json::value(Ms3(figures.first_after_ns));
  out["push"] = LatencyJson(figures.push, false);
  return out;
}

json::object ProcessJson(const ProcessFigures& figures) {
  json::object out;
  out["cpu_s"] = Rounded(figures.cpu_s, 3);
  out["cpu_percent"] = Rounded(figures.cpu_share * 100, 2);
  out["cpu_us_per_push"] = Rounded(figures.cpu_us_per_push, 3);
  out["rss_bytes_end"] = figures.rss_bytes_end;
  out["rss_bytes_max"] = figures.rss_bytes_max;
  out["anonymous_bytes_end"] = figures.anonymous_bytes_end;
  out["anonymous_bytes_max"] = figures.anonymous_bytes_max;
  out["threads_max"] = figures.threads_max;
  out["wake_ups_per_s"] = Rounded(figures.wake_ups_per_s, 2);
  return out;
}

json::array SecondsJson(const std::vector<Second>& seconds) {
  json::array out;
  for (const Second& second : seconds) {
    json::object each;
    each["at_s"] = Rounded(second.at_s, 3);
    each["pushes"] = second.pushes;
    each["errors"] = second.errors;
    each["push_p50_ms"] = Ms3(second.push_p50_ns);
    each["push_p99_ms"] = Ms3(second.push_p99_ns);
    each["push_max_ms"] = Ms3(second.push_max_ns);
    each["scrapes"] = second.scrapes;
    each["scrape_p50_ms"] = Ms3(second.scrape_p50_ns);
    each["scrape_max_ms"] = Ms3(second.scrape_max_ns);
    if (second.process) {
      each["rss_bytes"] = second.process->rss_bytes;
      each["anonymous_bytes"] = second.process->anonymous_bytes;
      each["threads"] = second.process->threads;
      each["cpu_percent"] = Rounded(second.cpu_share * 100, 1);
      each["wake_ups_per_s"] = Rounded(second.wake_ups_per_s, 1);
    }
    out.push_back(std::move(each));
  }
  return out;
}

json::object FiguresJson(const RunFigures& figures, bool whole) {
  json::object out;
  out["measured_s"] = Rounded(figures.measured_s, 3);
  out["interrupted"] = figures.interrupted;
  out["pushes"] = figures.pushes;
  out["pushes_per_s"] = Rounded(figures.pushes_per_s(), 1);
  out["push"] = RequestsJson(figures.push, whole);
  out["scrape_plain"] = RequestsJson(figures.scrape_plain, whole);
  out["scrape_gzip"] = RequestsJson(figures.scrape_gzip, whole);
  out["watch"] = RequestsJson(figures.watch, false);
  out["scrape_bytes_plain"] = figures.scrape_bytes_plain;
  out["scrape_bytes_gzip"] = figures.scrape_bytes_gzip;
  out["expiry"] = ExpiryJson(figures.expiry);
  out["bytes_sent"] = figures.traffic.bytes_sent;
  out["bytes_received"] = figures.traffic.bytes_received;
  out["connects"] = figures.traffic.connects;
  out["generator_cpu_percent"] = Rounded(figures.generator_cpu_share * 100, 1);
  if (figures.cliff) out["cliff"] = CliffJson(*figures.cliff);
  if (figures.stalled) {
    out["stalled"] = json::object{{"open", figures.stalled->open},
                                  {"closed_by_server", figures.stalled->closed_by_server},
                                  {"failed", figures.stalled->failed}};
  }
  if (figures.process) out["process"] = ProcessJson(*figures.process);
  if (!figures.seconds.empty()) out["seconds"] = SecondsJson(figures.seconds);
  return out;
}

double Seconds(std::int64_t ns) { return Rounded(static_cast<double>(ns) / 1e9, 6); }

json::object OptionsJson(const Options& options) {
  json::object out;
  out["loop"] = options.closed_loop ? "closed" : "open";
  out["rate"] = options.closed_loop ? json::value("max") : json::value(Rounded(options.rate, 3));
  out["arrivals"] = options.closed_loop                       ? "when answered"
                    : options.arrivals == Arrivals::kConstant ? "constant"
                    : options.arrivals == Arrivals::kPoisson  ? "poisson"
                                                              : "bursts";
  out["ttl_s"] = Seconds(options.ttl_ns);
  out["duration_s"] = Seconds(options.duration_ns);
  out["warm_up_s"] = Seconds(options.warm_up_ns);
  out["linger_s"] = Seconds(options.linger_ns);
  out["timeout_s"] = Seconds(options.timeout_ns);
  out["interval_s"] =
      options.closed_loop ? json::value() : json::value(Seconds(options.interval_ns));
  out["threads"] = options.threads;
  out["connections"] = options.connections;
  out["reconnect"] = options.reconnect;
  out["method"] = options.method;
  out["groups"] = options.groups;
  out["series"] = options.series;
  out["families"] = options.families;
  out["tag"] = options.tag;
  out["scatter"] = options.scatter;
  out["first_value"] = options.first_value;
  out["cliff_groups"] = options.cliff_groups;
  out["cliff_series"] = options.cliff_series;
  out["scrapers"] = options.scrapers;
  out["scrape_interval_s"] = Seconds(options.scrape_interval_ns);
  out["scrape_gzip"] = options.scrape_gzip;
  out["watchers"] = options.watchers;
  out["watch_interval_s"] = Seconds(options.watch_interval_ns);
  out["stalled"] = options.stalled;
  out["rounds"] = options.rounds;
  out["seed"] = options.seed;
  out["values"] = options.change_values ? "change" : "keep";
  out["files"] = json::array(options.files.begin(), options.files.end());
  return out;
}

struct Measure {
  const char* name;
  std::function<double(const RunFigures&)> of;  // 0: not measured
};

const std::vector<Measure>& Measures() {
  static const std::vector<Measure> measures = {
      {"pushes_per_s", [](const RunFigures& f) { return f.pushes_per_s(); }},
      {"push_p50", [](const RunFigures& f) { return Ms(f.push.latency.Quantile(0.5)); }},
      {"push_p99", [](const RunFigures& f) { return Ms(f.push.latency.Quantile(0.99)); }},
      {"push_p99_9", [](const RunFigures& f) { return Ms(f.push.latency.Quantile(0.999)); }},
      {"push_max", [](const RunFigures& f) { return Ms(f.push.latency.max()); }},
      {"scrape_p50", [](const RunFigures& f) { return Ms(f.scrape_plain.latency.Quantile(0.5)); }},
      {"scrape_max", [](const RunFigures& f) { return Ms(f.scrape_plain.latency.max()); }},
      {"scrape_gzip_p50",
       [](const RunFigures& f) { return Ms(f.scrape_gzip.latency.Quantile(0.5)); }},
      {"watch_p50", [](const RunFigures& f) { return Ms(f.watch.latency.Quantile(0.5)); }},
      {"cpu_us_per_push",
       [](const RunFigures& f) { return f.process ? f.process->cpu_us_per_push : 0; }},
      {"rss_max",
       [](const RunFigures& f) {
         return f.process ? static_cast<double>(f.process->rss_bytes_max) : 0;
       }},
  };
  return measures;
}

std::string Line(std::string_view name, const std::string& value) {
  std::string line = "  " + std::string(name);
  line.resize(std::max<std::size_t>(line.size() + 2, 22), ' ');
  return line + value + "\n";
}

std::string RequestsText(std::string_view name, const RequestFigures& figures) {
  const Histogram& latency = figures.latency;
  if (latency.count() == 0 && figures.failed() == 0) return {};
  std::string text = "no answers";
  if (latency.count() > 0) {
    text = "p50 " + ShowTime(latency.Quantile(0.5)) + ", p90 " + ShowTime(latency.Quantile(0.9)) +
           ", p99 " + ShowTime(latency.Quantile(0.99)) + ", p99.9 " +
           ShowTime(latency.Quantile(0.999)) + ", max " + ShowTime(latency.max());
  }
  text = Line(name, text);
  std::string answers;
  for (const auto& [status, times] : figures.statuses) {
    answers +=
        (answers.empty() ? "" : ", ") + std::to_string(times) + " × " + std::to_string(status);
  }
  for (std::size_t i = 0; i < kFailures; ++i) {
    if (figures.failures[i] == 0) continue;
    answers += (answers.empty() ? "" : ", ") + std::to_string(figures.failures[i]) + " " +
               std::string(FailureName(static_cast<Failure>(i)));
  }
  if (figures.not_sent > 0)
    answers += ", " + std::to_string(figures.not_sent) + " not sent in time";
  text += Line("", answers);
  if (!figures.first_refusal.empty()) {
    text += Line("", "first refusal: " + Printable(figures.first_refusal));
  }
  return text;
}

std::string ExpiryText(const ExpiryFigures& figures, std::int64_t ttl_ns) {
  if (figures.scrapes == 0) return {};
  std::string text = std::to_string(figures.late) + " late";
  if (figures.late > 0) text += " (by " + ShowTime(figures.late_max_ns) + " or more)";
  text += ", " + std::to_string(figures.early) + " early";
  if (figures.early_max_ns > 0) text += " (by " + ShowTime(figures.early_max_ns) + " or more)";
  text += ", " + std::to_string(figures.stale) + " stale, " + std::to_string(figures.partial) +
          " partial, " + std::to_string(figures.torn) + " torn";
  text = Line("expiry", text);
  if (ttl_ns > 0 && figures.expired > 0) {
    text += Line("", std::to_string(figures.expired) + " pushes seen to expire in " +
                         std::to_string(figures.scrapes) + " looks, gone at most " +
                         ShowTime(figures.late_at_most.Quantile(0.5)) + " (p50), " +
                         ShowTime(figures.late_at_most.max()) + " (max) after the deadline");
  }
  return text;
}

std::string FiguresText(const RunFigures& figures, const Options& options) {
  std::string text;
  text += Line("pushes/s", ShowCount(figures.pushes_per_s()) +
                               (options.closed_loop ? " (closed loop, " : " (open loop, ") +
                               std::to_string(options.connections) + " connections)");
  text += RequestsText(options.closed_loop ? "push, service time" : "push", figures.push);
  text += RequestsText("scrape, plain", figures.scrape_plain);
  text += RequestsText("scrape, gzip", figures.scrape_gzip);
  text += RequestsText("watch", figures.watch);
  text += ExpiryText(figures.expiry, options.ttl_ns);
  if (figures.cliff) {
    const CliffFigures& cliff = *figures.cliff;
    text += Line("cliff", ShowCount(static_cast<double>(cliff.series)) + " series, " +
                              std::to_string(cliff.shown_before) + " shown before, " +
                              std::to_string(cliff.shown_after) + " in " +
                              std::to_string(cliff.scrapes_after) + " looks after" +
                              (cliff.complete ? "" : " (INCOMPLETE)"));
    text +=
        Line("", "pushes meanwhile: p50 " + ShowTime(cliff.push.Quantile(0.5)) + ", p99 " +
                     ShowTime(cliff.push.Quantile(0.99)) + ", max " + ShowTime(cliff.push.max()));
  }
  if (figures.stalled) {
    text += Line("stalled clients", std::to_string(figures.stalled->open) + " open, " +
                                        std::to_string(figures.stalled->closed_by_server) +
                                        " closed by the server, " +
                                        std::to_string(figures.stalled->failed) + " failed");
  }
  if (figures.process) {
    const ProcessFigures& process = *figures.process;
    text += Line("server", Rounded(process.cpu_share, 3) > 0 || process.cpu_s > 0
                               ? ShowCount(Rounded(process.cpu_share * 100, 1)) + " % of a core, " +
                                     ShowTime(std::llround(process.cpu_us_per_push * 1e3)) +
                                     " CPU a push"
                               : "idle");
    text += Line("", "RSS " + ShowBytes(process.rss_bytes_max) + " at most, " +
                         ShowBytes(process.anonymous_bytes_max) + " anonymous, " +
                         ShowBytes(process.rss_bytes_end) + " at the end; " +
                         std::to_string(process.threads_max) + " threads, " +
                         ShowCount(Rounded(process.wake_ups_per_s, 1)) + " wake-ups/s");
  }
  text += Line("traffic",
               ShowBytes(figures.traffic.bytes_sent) + " sent, " +
                   ShowBytes(figures.traffic.bytes_received) + " received, " +
                   std::to_string(figures.traffic.connects) + " connections; generator " +
                   ShowCount(Rounded(figures.generator_cpu_share * 100, 1)) + " % of a core");
  return text;
}

std::string Factor(double value) {
  std::string text = std::to_string(value);
  return text.substr(0, text.find('.') + 4);
}

}  // namespace

std::vector<Ratio> RatiosTo(const TargetResult& first, const TargetResult& other) {
  std::vector<Ratio> ratios;
  const std::size_t rounds = std::min(first.rounds.size(), other.rounds.size());
  for (const Measure& measure : Measures()) {
    std::vector<double> values;
    for (std::size_t i = 0; i < rounds; ++i) {
      const double base = measure.of(first.rounds[i]);
      const double value = measure.of(other.rounds[i]);
      if (base > 0 && value > 0) values.push_back(value / base);
    }
    if (values.empty()) continue;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    const double median =
        values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    ratios.push_back({measure.name, median, values.front(), values.back()});
  }
  return ratios;
}

RunFigures TotalOf(const TargetResult& target) {
  RunFigures total;
  ProcessFigures process;
  std::size_t processes = 0;
  for (const RunFigures& round : target.rounds) {
    total.Merge(round);
    total.measured_s += round.measured_s;
    total.generator_cpu_share +=
        round.generator_cpu_share / static_cast<double>(target.rounds.size());
    if (!round.process) continue;
    ++processes;
    const ProcessFigures& p = *round.process;
    process.cpu_s += p.cpu_s;
    process.wake_ups_per_s += p.wake_ups_per_s;
    process.rss_bytes_end = p.rss_bytes_end;
    process.anonymous_bytes_end = p.anonymous_bytes_end;
    process.rss_bytes_max = std::max(process.rss_bytes_max, p.rss_bytes_max);
    process.anonymous_bytes_max = std::max(process.anonymous_bytes_max, p.anonymous_bytes_max);
    process.threads_max = std::max(process.threads_max, p.threads_max);
  }
  if (processes > 0) {
    process.wake_ups_per_s /= static_cast<double>(processes);
    if (total.measured_s > 0) process.cpu_share = process.cpu_s / total.measured_s;
    if (total.pushes > 0) {
      process.cpu_us_per_push = process.cpu_s * 1e6 / static_cast<double>(total.pushes);
    }
    total.process = process;
  }
  return total;
}

int ExitCode(const LoadResult& result) {
  constexpr int kViolations = 2;
  constexpr int kRequestsFailed = 3;
  bool failed = false;
  for (const TargetResult& target : result.targets) {
    const RunFigures total = TotalOf(target);
    const bool shown_after = total.cliff && total.cliff->complete && total.cliff->shown_after > 0;
    if (total.expiry.violations() > 0 || shown_after) return kViolations;
    for (const RequestFigures* requests :
         {&total.push, &total.scrape_plain, &total.scrape_gzip, &total.watch}) {
      failed = failed || requests->failed() + requests->refused() + requests->not_sent > 0;
    }
    if (total.cliff) failed = failed || total.cliff->failed + total.cliff->refused > 0;
  }
  return failed ? kRequestsFailed : 0;
}

std::string ToJson(const LoadResult& result) {
  json::object out;
  out["schema"] = "pushgateway-load";
  out["version"] = kSchemaVersion;
  out["program_version"] = result.program_version;
  out["started"] = result.started;
  out["scenario"] = ScenarioName(result.options.scenario);
  out["options"] = OptionsJson(result.options);
  out["notes"] = json::array(result.notes.begin(), result.notes.end());
  json::array targets;
  for (const TargetResult& target : result.targets) {
    json::object each;
    each["name"] = target.target.name;
    each["url"] = target.target.url.text;
    each["total"] = FiguresJson(TotalOf(target), true);
    json::array rounds;
    for (const RunFigures& round : target.rounds) rounds.push_back(FiguresJson(round, false));
    each["rounds"] = std::move(rounds);
    if (&target != &result.targets.front()) {
      json::object ratios;
      for (const Ratio& ratio : RatiosTo(result.targets.front(), target)) {
        ratios[ratio.name] = json::object{{"median", Rounded(ratio.median, 4)},
                                          {"min", Rounded(ratio.least, 4)},
                                          {"max", Rounded(ratio.most, 4)}};
      }
      each["ratios_to_first"] = std::move(ratios);
    }
    targets.push_back(std::move(each));
  }
  out["targets"] = std::move(targets);
  return json::serialize(out);
}

std::string ToText(const LoadResult& result) {
  std::string text;
  for (const TargetResult& target : result.targets) {
    text += target.target.name + ": " + std::string(ScenarioName(result.options.scenario));
    if (target.rounds.size() > 1) text += ", " + std::to_string(target.rounds.size()) + " rounds";
    text += "\n" + FiguresText(TotalOf(target), result.options);
    if (&target == &result.targets.front()) continue;
    text += "  relative to " + result.targets.front().target.name + " (median, min to max):\n";
    for (const Ratio& ratio : RatiosTo(result.targets.front(), target)) {
      text += Line("  " + ratio.name,
                   Factor(ratio.median) + "  " + Factor(ratio.least) + " to " + Factor(ratio.most));
    }
  }
  for (const std::string& note : result.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace pgw::load
