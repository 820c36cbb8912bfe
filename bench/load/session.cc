#include "bench/load/session.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "bench/load/engine.h"
#include "bench/load/memory_need.h"
#include "bench/load/process_sampler.h"
#include "bench/load/progress.h"
#include "bench/load/timeline.h"

namespace pgw::load {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
// Until all threads have handed in a second that is over.
constexpr std::int64_t kHandInNs = 150'000'000;
constexpr std::size_t kPayloadBytesMax = std::size_t{64} * 1024 * 1024;
constexpr std::size_t kSpareFiles = 64;

void SleepUntil(std::int64_t due_ns) {
  std::this_thread::sleep_for(
      std::chrono::nanoseconds(std::max<std::int64_t>(0, due_ns - NowNs())));
}

// A name of this run, so that the groups of another one are not taken for its own.
std::string RunTag() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  auto number =
      static_cast<std::uint64_t>(NowNs() / 1000) ^ (static_cast<std::uint64_t>(getpid()) << 20);
  std::string tag;
  for (int i = 0; i < 4; ++i, number /= kLetters.size()) tag += kLetters[number % kLetters.size()];
  return tag + "-";
}

std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Result<std::string> ReadPayload(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return InvalidArgument("cannot read " + path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) return InvalidArgument("cannot read " + path);
  if (text.size() > kPayloadBytesMax) return InvalidArgument(path + ": more than 64 MiB");
  return text;
}

// As many descriptors as may be had. Takes connections back, with a note, if these are too few.
void FitOpenFiles(Options& options, std::vector<std::string>& notes) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur == RLIM_INFINITY) return;
  const std::size_t others =
      kSpareFiles + options.scrapers + options.threads * (options.watchers + 4);
  const std::size_t files = limit.rlim_cur > others ? limit.rlim_cur - others : 1;
  const auto fit = [&](std::size_t& wanted, std::size_t room, const char* what) {
    if (wanted <= room) return;
    notes.push_back(std::string(what) + ": " + std::to_string(room) + " instead of " +
                    std::to_string(wanted) + ", this process may open " +
                    std::to_string(limit.rlim_cur) + " files");
    wanted = room;
  };
  std::size_t room = files;
  fit(options.connections, std::max<std::size_t>(options.threads, room), "connections");
  room -= std::min(room, options.connections);
  if (options.cliff_groups > 0)
    fit(options.cliff_groups, std::max<std::size_t>(1, room), "cliff groups");
  room -= std::min(room, options.cliff_groups);
  fit(options.stalled, room, "stalled clients");
}

// What is kept of a server from round to round.
struct Server {
  Endpoint endpoint;
  Requests requests;
  std::uint64_t sequence = 0;
};

Result<std::vector<RequestTemplate>> MakeForms(const Options& options,
                                               const RequestTarget& target) {
  std::vector<RequestTemplate> forms;
  if (options.files.empty()) {
    forms.push_back(SyntheticTemplate(target, options.series, options.families));
    return forms;
  }
  for (const std::string& path : options.files) {
    const Result<std::string> text = ReadPayload(path);
    if (!text) return text.error();
    Result<RequestTemplate> form = ReplayTemplate(target, path, *text, options.change_values);
    if (!form) return form.error();
    forms.push_back(*std::move(form));
  }
  return forms;
}

Result<std::unique_ptr<Server>> MakeServer(const Options& options, const Target& target,
                                           const std::string& tag) {
  auto server = std::make_unique<Server>();
  Result<Endpoint> endpoint = Endpoint::Resolve(target.url.host, target.url.port);
  if (!endpoint) return endpoint.error();
  server->endpoint = *endpoint;
  RequestTarget& to = server->requests.target;
  to = {target.url.Authority(), target.url.prefix, options.method, tag, options.reconnect};
  Result<std::vector<RequestTemplate>> forms = MakeForms(options, to);
  if (!forms) return forms.error();
  server->requests.forms = *std::move(forms);
  if (options.cliff_groups > 0) {
    RequestTarget cliff = to;
    cliff.close = true;  // each of its connections has done its work with one request
    server->requests.cliff = SyntheticTemplate(cliff, options.cliff_series,
                                               std::min<std::size_t>(options.cliff_series, 10));
  }
  return server;
}

// Runs the threads of one round and looks at the server's process meanwhile.
class Round {
 public:
  Round(const Options& options, const Target& target, Server& server, Progress& progress,
        const std::atomic<bool>& stop)
      : options_(options), server_(server), progress_(progress), stop_(stop) {
    if (target.pid != 0) sampler_ = std::make_unique<ProcessSampler>(target.pid);
  }

  RunFigures Run();

 private:
  void StartThreads();
  void Observe();
  void TakeSample();
  void CloseSecond(std::size_t second);
  ProcessFigures Process(const RunFigures& figures) const;

  const Options& options_;
  Server& server_;
  Progress& progress_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<ProcessSampler> sampler_;
  Timeline timeline_;
  std::vector<std::thread> threads_;
  std::vector<EngineOutcome> outcomes_;
  std::atomic<std::size_t> running_ = 0;
  std::int64_t start_ns_ = 0;
  std::int64_t measured_from_ns_ = 0;
  std::int64_t measured_to_ns_ = 0;
  std::vector<ProcessSample> samples_;
  std::vector<Second> seconds_;
  double own_cpu_from_s_ = 0;
  double own_cpu_to_s_ = -1;
};

void Round::StartThreads() {
  outcomes_.resize(options_.threads);
  running_ = options_.threads;
  for (std::size_t i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this, i] {
      const EngineSetup setup{options_, server_.endpoint, server_.requests,
                              i,        start_ns_,        server_.sequence};
      outcomes_[i] = RunEngine(setup, timeline_, stop_);
      running_.fetch_sub(1);
    });
  }
}

void Round::TakeSample() {
  if (sampler_ == nullptr) return;
  if (const auto sample = sampler_->Sample()) samples_.push_back(*sample);
}

void Round::CloseSecond(std::size_t second) {
  Second closed = timeline_.Close(second);
  const std::int64_t end = start_ns_ + static_cast<std::int64_t>(second + 1) * kSecondNs;
  closed.at_s = static_cast<double>(end - measured_from_ns_) / 1e9;
  if (!samples_.empty()) {
    closed.process = samples_.back();
    // The sample of a second before, not the ones at the ends of the measured time.
    const auto before =
        std::find_if(samples_.rbegin(), samples_.rend(), [&](const ProcessSample& sample) {
          return samples_.back().at_ns - sample.at_ns > kSecondNs / 2;
        });
    if (before != samples_.rend()) {
      const double span = static_cast<double>(samples_.back().at_ns - before->at_ns) / 1e9;
      closed.cpu_share = (samples_.back().cpu_s - before->cpu_s) / span;
      closed.wake_ups_per_s =
          static_cast<double>(samples_.back().wake_ups - before->wake_ups) / span;
    }
  }
  progress_.Show(closed, static_cast<double>(second + 1));
  seconds_.push_back(closed);
}

void Round::Observe() {
  std::size_t second = 0;
  bool sampled = false;  // the second that has ended, not closed yet
  bool from_seen = false;
  bool to_seen = false;
  SleepUntil(start_ns_);
  TakeSample();
  while (running_.load() > 0) {
    const std::int64_t now = NowNs();
    if (!from_seen && now >= measured_from_ns_) {
      from_seen = true;
      own_cpu_from_s_ = OwnCpuSeconds();
      TakeSample();
    }
    if (!to_seen && now >= measured_to_ns_) {
      to_seen = true;
      own_cpu_to_s_ = OwnCpuSeconds();
      TakeSample();
    }
    const std::int64_t end = start_ns_ + static_cast<std::int64_t>(second + 1) * kSecondNs;
    if (!sampled && now >= end) {
      sampled = true;
      TakeSample();
    }
    if (sampled && now >= end + kHandInNs) {
      CloseSecond(second++);
      sampled = false;
    }
    std::int64_t next = std::min(now + kSecondNs / 20, sampled ? end + kHandInNs : end);
    if (!from_seen) next = std::min(next, measured_from_ns_);
    if (!to_seen) next = std::min(next, measured_to_ns_);
    SleepUntil(next);
  }
  if (own_cpu_to_s_ < 0) own_cpu_to_s_ = OwnCpuSeconds();
  TakeSample();
  CloseSecond(second);
}

ProcessFigures Round::Process(const RunFigures& figures) const {
  ProcessFigures process;
  const ProcessSample* from = nullptr;
  const ProcessSample* to = nullptr;
  for (const ProcessSample& sample : samples_) {
    process.rss_bytes_max = std::max(process.rss_bytes_max, sample.rss_bytes);
    process.anonymous_bytes_max = std::max(process.anonymous_bytes_max, sample.anonymous_bytes);
    process.threads_max = std::max(process.threads_max, sample.threads);
    if (from == nullptr && sample.at_ns >= measured_from_ns_) from = &sample;
    if (to == nullptr || to->at_ns < measured_to_ns_) to = &sample;
  }
  process.rss_bytes_end = samples_.back().rss_bytes;
  process.anonymous_bytes_end = samples_.back().anonymous_bytes;
  if (from == nullptr || to == nullptr || to->at_ns <= from->at_ns) return process;
  const double span = static_cast<double>(to->at_ns - from->at_ns) / 1e9;
  process.cpu_s = to->cpu_s - from->cpu_s;
  process.cpu_share = process.cpu_s / span;
  process.wake_ups_per_s = static_cast<double>(to->wake_ups - from->wake_ups) / span;
  if (figures.pushes > 0) {
    process.cpu_us_per_push = process.cpu_s * 1e6 / static_cast<double>(figures.pushes);
  }
  return process;
}

RunFigures Round::Run() {
  start_ns_ = NowNs() + kSecondNs / 10;
  measured_from_ns_ = start_ns_ + options_.warm_up_ns;
  measured_to_ns_ = measured_from_ns_ + options_.duration_ns;
  StartThreads();
  Observe();
  for (std::thread& thread : threads_) thread.join();
  RunFigures figures = std::move(outcomes_[0].figures);
  for (std::size_t i = 1; i < outcomes_.size(); ++i) figures.Merge(outcomes_[i].figures);
  for (const EngineOutcome& outcome : outcomes_) {
    server_.sequence = std::max(server_.sequence, outcome.highest_sequence);
  }
  figures.seconds = std::move(seconds_);
  if (!samples_.empty()) figures.process = Process(figures);
  if (figures.measured_s > 0) {
    figures.generator_cpu_share = (own_cpu_to_s_ - own_cpu_from_s_) / figures.measured_s;
  }
  return figures;
}

Status CheckProcesses(const Options& options) {
  for (const Target& target : options.targets) {
    if (target.pid != 0 && !ProcessSampler(target.pid).Sample()) {
      return Error{Code::kUnavailable, "--pid=" + std::to_string(target.pid) +
                                           ": no such process that may be looked at"};
    }
  }
  return {};
}

// Says beforehand how much it will be, where that is much.
Status CheckMemoryOf(const Options& options, const Requests& requests) {
  RequestSizes sizes;
  for (const RequestTemplate& form : requests.forms) {
    sizes.push_bytes = std::max<std::uint64_t>(sizes.push_bytes, form.bytes.size());
  }
  sizes.cliff_bytes = requests.cliff.bytes.size();
  const std::uint64_t need = MemoryNeed(options, sizes);
  const std::optional<std::uint64_t> available = MemoryAvailable();
  if (Status status = CheckMemory(need, available); !status) return status;
  constexpr std::uint64_t kMuchBytes = 500'000'000;
  if (need >= kMuchBytes && !options.quiet) {
    std::fprintf(stderr, "pushgateway-load: up to %s of memory for this run, %s available\n",
                 ShowMemory(need).c_str(), available ? ShowMemory(*available).c_str() : "unknown");
  }
  return {};
}

}  // namespace

Result<LoadResult> RunSession(const Options& given, const std::atomic<bool>& stop) {
  LoadResult result;
  result.options = given;
  result.notes = given.warnings;
  Options& options = result.options;
  FitOpenFiles(options, result.notes);
  if (const Status seen = CheckProcesses(options); !seen) return seen.error();
  const std::string tag = options.tag.empty() ? RunTag() : options.tag;
  std::vector<std::unique_ptr<Server>> servers;
  for (const Target& target : options.targets) {
    Result<std::unique_ptr<Server>> server = MakeServer(options, target, tag);
    if (!server) return server.error();
    if (servers.empty()) {
      if (Status status = CheckMemoryOf(options, (*server)->requests); !status) {
        return status.error();
      }
    }
    servers.push_back(*std::move(server));
    result.targets.push_back({target, {}});
  }
  result.started = UtcNow();
  Progress progress(options.quiet);
  for (std::size_t round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < servers.size() && !stop.load(); ++i) {
      std::string title = options.targets[i].name;
      if (options.rounds > 1) {
        title += ", round " + std::to_string(round + 1) + " of " + std::to_string(options.rounds);
      }
      progress.Begin(
          title,
          static_cast<double>(options.warm_up_ns + options.duration_ns + options.linger_ns) / 1e9);
      result.targets[i].rounds.push_back(
          Round(options, options.targets[i], *servers[i], progress, stop).Run());
      progress.End();
    }
  }
  return result;
}

}  // namespace pgw::load
