#include "server/routes/own_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <iterator>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "server/routes/process_metrics.h"
#include "server/routes/push_summary.h"

namespace pgw {
namespace {

using ReadLabels = std::vector<std::pair<std::string_view, std::string_view>>;

struct Description {
  std::string_view name;
  std::string_view help;
  MetricType type;
  bool replaces_help;
};

// Names, helps and types of upstream's families are part of the interface: pushes are judged by
// them. Upstream replaces a pushed help only for those that had samples when it started.
constexpr std::array kFamilies = std::to_array<Description>({
    {"process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
     MetricType::kCounter, true},
    {"process_max_fds", "Maximum number of open file descriptors.", MetricType::kGauge, true},
    {"process_network_receive_bytes_total",
     "Number of bytes received by the process over the network.", MetricType::kCounter, true},
    {"process_network_transmit_bytes_total",
     "Number of bytes sent by the process over the network.", MetricType::kCounter, true},
    {"process_open_fds", "Number of open file descriptors.", MetricType::kGauge, true},
    {"process_resident_memory_bytes", "Resident memory size in bytes.", MetricType::kGauge, true},
    {"process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
     MetricType::kGauge, true},
    {"process_virtual_memory_bytes", "Virtual memory size in bytes.", MetricType::kGauge, true},
    {"process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.",
     MetricType::kGauge, true},
    {"pushgateway_build_info",
     "A metric with a constant '1' value labeled by version, revision, branch, goversion from "
     "which pushgateway was built, and the goos and goarch for the build.",
     MetricType::kGauge, true},
    {"pushgateway_expired_families_total",
     "Metric families that reached the end of their time to live.", MetricType::kCounter, true},
    {"pushgateway_expired_groups_total", "Groups that reached the end of their time to live.",
     MetricType::kCounter, true},
    {"pushgateway_expiry_lag_seconds",
     "Time from the deadline of a metric family, when it became invisible, to the release of its "
     "memory.",
     MetricType::kHistogram, true},
    {"pushgateway_groups", "Groups that hold pushed metrics.", MetricType::kGauge, true},
    {"pushgateway_http_push_duration_seconds",
     "HTTP request duration for pushes to the Pushgateway.", MetricType::kSummary, false},
    {"pushgateway_http_push_size_bytes", "HTTP request size for pushes to the Pushgateway.",
     MetricType::kSummary, false},
    {"pushgateway_http_requests_total",
     "Total HTTP requests processed by the Pushgateway, excluding scrapes.", MetricType::kCounter,
     false},
    {"pushgateway_persistence_errors_total",
     "Attempts to write or sync the journal or a snapshot that failed.", MetricType::kCounter,
     true},
    {"pushgateway_persistence_failing",
     "1 while pushes are refused because they cannot be stored, otherwise 0.", MetricType::kGauge,
     true},
    {"pushgateway_persistence_journal_bytes", "Size of the journals on disk.", MetricType::kGauge,
     true},
    {"pushgateway_persistence_last_success_timestamp_seconds",
     "Unix time of the last write, sync or snapshot that succeeded.", MetricType::kGauge, true},
    {"pushgateway_persistence_recovered_records",
     "Journal records that were applied again when this process started.", MetricType::kGauge,
     true},
    {"pushgateway_persistence_snapshot_bytes", "Size of the snapshot on disk.", MetricType::kGauge,
     true},
    {"pushgateway_persistence_snapshots_total", "Snapshots written.", MetricType::kCounter, true},
    {"pushgateway_persistence_sync_duration_seconds",
     "Time from the write of a batch to the journal until it was on the disk.",
     MetricType::kHistogram, true},
    {"pushgateway_scrape_held_bytes",
     "Memory that scrapes and API requests hold whose answers are still being sent: what was "
     "replaced or deleted since they began, and what they have prepared to send.",
     MetricType::kGauge, true},
    {"pushgateway_scrapes_cut_off_total",
     "Scrapes and API requests that were cut off because slow clients held more memory than "
     "--web.max-scrape-bytes.",
     MetricType::kCounter, true},
    {"pushgateway_series", "Pushed sample lines that a scrape shows.", MetricType::kGauge, true},
    {"pushgateway_store_bytes", "Memory that holds pushed metrics.", MetricType::kGauge, true},
});

const Description& Describe(std::string_view name) {
  const auto* const found = std::ranges::find(kFamilies, name, &Description::name);
  assert(found != kFamilies.end());
  return *found;
}

constexpr std::array<std::string_view, 10> kHandlerNames = {
    "push",  "delete",        "status",         "static",         "healthy",
    "ready", "api/v1/status", "api/v1/metrics", "api/v1/options", "wipe"};

// Methods that have routes, so that reach a handler.
constexpr std::array<std::string_view, 5> kMethods = {"GET", "POST", "PUT", "DELETE", "OPTIONS"};
constexpr std::array<std::string_view, 5> kMethodLabels = {"get", "post", "put", "delete",
                                                           "options"};
constexpr std::array<int, 10> kStatuses = {200, 202, 304, 400, 403, 404, 405, 413, 500, 503};

constexpr std::array<std::string_view, 2> kPushMethods = {"POST", "PUT"};
constexpr std::array<std::string_view, 2> kPushMethodLabels = {"post", "put"};
const std::vector<double>& Quantiles() {
  static const std::vector<double> kQuantiles = {0.1, 0.5, 0.9};
  return kQuantiles;
}

template <typename Array, typename Value>
std::optional<std::size_t> IndexIn(const Array& array, const Value& value) {
  const auto found = std::ranges::find(array, value);
  if (found == array.end()) return std::nullopt;
  return static_cast<std::size_t>(found - array.begin());
}

// Fills a set with described families. Interns every text: what it is given may be temporary.
class Filler {
 public:
  explicit Filler(FamilySet& out) : out_(out) {}

  void StartFamily(std::string_view name) {
    const Description& description = Describe(name);
    Family family;
    family.name = description.name;
    family.help = description.help;
    family.has_help = true;
    family.type = description.type;
    out_.families.push_back(family);
  }

  Metric& AddMetric(const ReadLabels& labels, ValueKind kind) {
    const auto family = static_cast<std::uint32_t>(out_.families.size() - 1);
    const std::uint32_t index = out_.AddMetric(family);
    Metric& metric = out_.metrics[index];
    metric.first_label = static_cast<std::uint32_t>(out_.labels.size());
    metric.label_count = static_cast<std::uint32_t>(labels.size());
    metric.kinds = kind;
    for (const auto& [name, value] : labels) {
      out_.labels.push_back({out_.Intern(name), out_.Intern(value)});
    }
    return metric;
  }

  void AddPoint(double bound, double value) {
    out_.AddPoint(static_cast<std::uint32_t>(out_.metrics.size() - 1), Number(bound),
                  Number(value));
  }

  // A family of one sample without labels.
  void AddSingle(std::string_view name, std::optional<double> value) {
    if (!value) return;
    StartFamily(name);
    const bool counter = Describe(name).type == MetricType::kCounter;
    AddMetric({}, counter ? kHasCounter : kHasGauge).value = Number(*value);
  }

 private:
  FamilySet& out_;
};

void AddCollected(prometheus::MetricFamily& family, Filler& filler) {
  if (family.metric.empty()) return;
  std::ranges::sort(family.metric, {}, &prometheus::ClientMetric::label);
  filler.StartFamily(family.name);
  for (const prometheus::ClientMetric& metric : family.metric) {
    ReadLabels labels;
    for (const auto& label : metric.label) labels.emplace_back(label.name, label.value);
    if (family.type == prometheus::MetricType::Histogram) {
      Metric& added = filler.AddMetric(labels, kHasHistogram);
      added.count = Number(static_cast<double>(metric.histogram.sample_count));
      added.sum = Number(metric.histogram.sample_sum);
      for (const auto& bucket : metric.histogram.bucket) {
        filler.AddPoint(bucket.upper_bound, static_cast<double>(bucket.cumulative_count));
      }
    } else if (family.type == prometheus::MetricType::Counter) {
      filler.AddMetric(labels, kHasCounter).value = Number(metric.counter.value);
    } else {
      filler.AddMetric(labels, kHasGauge).value = Number(metric.gauge.value);
    }
  }
}

void AddProcess(const ProcessReading& reading, Filler& filler) {
  filler.AddSingle("process_cpu_seconds_total", reading.cpu_seconds);
  filler.AddSingle("process_max_fds", reading.max_fds);
  filler.AddSingle("process_network_receive_bytes_total", reading.network_receive_bytes);
  filler.AddSingle("process_network_transmit_bytes_total", reading.network_transmit_bytes);
  filler.AddSingle("process_open_fds", reading.open_fds);
  filler.AddSingle("process_resident_memory_bytes", reading.resident_bytes);
  filler.AddSingle("process_start_time_seconds", reading.start_time_seconds);
  filler.AddSingle("process_virtual_memory_bytes", reading.virtual_bytes);
  filler.AddSingle("process_virtual_memory_max_bytes", reading.virtual_bytes_max);
}

template <typename Builder>
auto& Registered(Builder builder, std::string_view name, prometheus::Registry& registry) {
  return builder.Name(std::string(name)).Help(std::string(Describe(name).help)).Register(registry);
}

}  // namespace

struct OwnMetrics::Impl {
  static constexpr std::size_t kStripes = 4;

  template <typename Count>
  using CountTable = std::array<std::array<std::array<Count, kStatuses.size()>, kMethods.size()>,
                                kHandlerNames.size()>;

  // What the threads of one stripe have counted. prometheus-cpp's counters are shared by all
  // threads and would cost more than the push itself notices.
  struct alignas(64) Stripe {
    CountTable<std::atomic<std::uint64_t>> counts{};
  };

  explicit Impl(BootTime start)
      : sizes{SlidingSummary(start), SlidingSummary(start)},
        durations{SlidingSummary(start), SlidingSummary(start)} {}

  // Adds `summaries`, by push method, under `name`; whole numbers are divided by `unit`.
  static void AddSummaries(std::string_view name, const std::array<SlidingSummary, 2>& summaries,
                           double unit, BootTime now, Filler& filler) {
    bool started = false;
    for (std::size_t i = 0; i < summaries.size(); ++i) {
      if (!summaries[i].touched()) continue;
      if (!std::exchange(started, true)) filler.StartFamily(name);
      const SlidingSummary::Reading reading = summaries[i].Read(now, Quantiles());
      Metric& metric = filler.AddMetric({{"method", kPushMethodLabels[i]}}, kHasSummary);
      metric.sum = Number(reading.sum / unit);
      metric.count = Number(static_cast<double>(reading.count));
      for (std::size_t q = 0; q < reading.quantiles.size(); ++q) {
        filler.AddPoint(Quantiles()[q], reading.quantiles[q] / unit);
      }
    }
  }

  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
      Registered(prometheus::BuildCounter(), "pushgateway_http_requests_total", registry);
  prometheus::Counter& expired_families =
      Registered(prometheus::BuildCounter(), "pushgateway_expired_families_total", registry)
          .Add({});
  prometheus::Counter& expired_groups =
      Registered(prometheus::BuildCounter(), "pushgateway_expired_groups_total", registry).Add({});
  prometheus::Histogram& expiry_lag =
      Registered(prometheus::BuildHistogram(), "pushgateway_expiry_lag_seconds", registry)
          .Add({}, prometheus::Histogram::BucketBoundaries{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                           0.1, 0.25, 0.5, 1, 2.5, 5, 10});
  // Empty without persistence, and then not shown.
  prometheus::Family<prometheus::Histogram>& sync_durations = Registered(
      prometheus::BuildHistogram(), "pushgateway_persistence_sync_duration_seconds", registry);
  prometheus::Histogram& SyncDuration() {
    return sync_durations.Add({}, prometheus::Histogram::BucketBoundaries{
                                      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                      0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10});
  }
  std::atomic<prometheus::Histogram*> sync_duration{nullptr};
  std::atomic<std::uint64_t> persistence_errors{0};
  std::atomic<std::uint64_t> snapshots{0};

  // Hands what the stripes have counted since the last time to the registry.
  void FlushRequests();
  prometheus::Counter& RequestCounter(std::size_t handler, std::string_view method, int status);

  std::array<Stripe, kStripes> stripes{};
  Mutex flushing;
  CountTable<std::uint64_t> flushed PGW_GUARDED_BY(flushing){};
  std::array<SlidingSummary, 2> sizes;
  std::array<SlidingSummary, 2> durations;  // nanoseconds
};

OwnMetrics::OwnMetrics(const BuildLabels& build, Instant start)
    : impl_(std::make_unique<Impl>(start.boot)) {
  Registered(prometheus::BuildGauge(), "pushgateway_build_info", impl_->registry)
      .Add({{"branch", build.branch},
            {"goarch", build.goarch},
            {"goos", build.goos},
            {"goversion", build.goversion},
            {"revision", build.revision},
            {"tags", build.tags},
            {"version", build.version}})
      .Set(1);
}

OwnMetrics::~OwnMetrics() = default;

std::vector<OwnFamily> OwnMetrics::Families() {
  std::vector<OwnFamily> families;
  families.reserve(std::size(kFamilies));
  for (const Description& description : kFamilies) {
    families.push_back({std::string(description.name), std::string(description.help),
                        description.type, description.replaces_help});
  }
  return families;
}

prometheus::Counter& OwnMetrics::Impl::RequestCounter(std::size_t handler, std::string_view method,
                                                      int status) {
  return requests.Add({{"code", std::to_string(status)},
                       {"handler", std::string(kHandlerNames[handler])},
                       {"method", std::string(method)}});
}

void OwnMetrics::Impl::FlushRequests() {
  const MutexLock lock(flushing);
  for (std::size_t h = 0; h < kHandlerNames.size(); ++h) {
    for (std::size_t m = 0; m < kMethods.size(); ++m) {
      for (std::size_t s = 0; s < kStatuses.size(); ++s) {
        std::uint64_t count = 0;
        for (const Stripe& stripe : stripes) {
          count += stripe.counts[h][m][s].load(std::memory_order_relaxed);
        }
        std::uint64_t& known = flushed[h][m][s];
        if (count == known) continue;
        RequestCounter(h, kMethodLabels[m], kStatuses[s])
            .Increment(static_cast<double>(count - known));
        known = count;
      }
    }
  }
}

void OwnMetrics::CountRequest(HandlerName handler, std::string_view method, int status) {
  const auto handler_index = static_cast<std::size_t>(handler);
  const std::optional<std::size_t> method_index = IndexIn(kMethods, method);
  const std::optional<std::size_t> status_index = IndexIn(kStatuses, status);
  if (!method_index || !status_index) {
    const std::string_view label = method_index ? kMethodLabels[*method_index] : "unknown";
    impl_->RequestCounter(handler_index, label, status).Increment();
    return;
  }
  Impl::Stripe& stripe = impl_->stripes[ThreadNumber() % Impl::kStripes];
  stripe.counts[handler_index][*method_index][*status_index].fetch_add(1,
                                                                       std::memory_order_relaxed);
}

void OwnMetrics::ObservePush(std::string_view method, std::uint64_t request_bytes,
                             std::chrono::nanoseconds duration, BootTime now) {
  const std::optional<std::size_t> index = IndexIn(kPushMethods, method);
  if (!index) return;
  impl_->sizes[*index].Observe(request_bytes, now);
  impl_->durations[*index].Observe(
      static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)), now);
}

void OwnMetrics::OnExpired(std::size_t families, std::size_t groups,
                           std::span<const std::chrono::nanoseconds> lags) {
  impl_->expired_families.Increment(static_cast<double>(families));
  impl_->expired_groups.Increment(static_cast<double>(groups));
  for (const std::chrono::nanoseconds lag : lags) {
    impl_->expiry_lag.Observe(std::chrono::duration<double>(lag).count());
  }
}

void OwnMetrics::OnSync(std::chrono::nanoseconds duration) {
  prometheus::Histogram* histogram = impl_->sync_duration.load(std::memory_order_acquire);
  if (histogram == nullptr) {  // the same one, whoever asks
    histogram = &impl_->SyncDuration();
    impl_->sync_duration.store(histogram, std::memory_order_release);
  }
  histogram->Observe(std::chrono::duration<double>(duration).count());
}

void OwnMetrics::OnPersistenceError() {
  impl_->persistence_errors.fetch_add(1, std::memory_order_relaxed);
}

void OwnMetrics::OnSnapshot() { impl_->snapshots.fetch_add(1, std::memory_order_relaxed); }

void OwnMetrics::Collect(const StoreFacts& store, const std::optional<DurabilityFacts>& durability,
                         BootTime now, FamilySet& out) const {
  impl_->FlushRequests();
  Filler filler(out);
  AddProcess(ReadProcess(), filler);
  for (prometheus::MetricFamily& family : impl_->registry.Collect()) AddCollected(family, filler);
  filler.AddSingle("pushgateway_groups", static_cast<double>(store.groups));
  filler.AddSingle("pushgateway_scrape_held_bytes", static_cast<double>(store.held_bytes));
  filler.AddSingle("pushgateway_scrapes_cut_off_total", static_cast<double>(store.cut_off));
  filler.AddSingle("pushgateway_series", static_cast<double>(store.series));
  filler.AddSingle("pushgateway_store_bytes", static_cast<double>(store.bytes));
  if (durability) {
    const auto number = [](std::uint64_t value) { return static_cast<double>(value); };
    const std::string_view prefix = "pushgateway_persistence_";
    const auto add = [&](std::string_view name, std::optional<double> value) {
      filler.AddSingle(std::string(prefix).append(name), value);
    };
    std::optional<double> last_success;
    if (durability->last_success) last_success = UnixSeconds(*durability->last_success);
    add("errors_total", number(impl_->persistence_errors.load(std::memory_order_relaxed)));
    add("failing", durability->failing ? 1 : 0);
    add("journal_bytes", number(durability->journal_bytes));
    add("last_success_timestamp_seconds", last_success);
    add("recovered_records", number(durability->recovered_records));
    add("snapshot_bytes", number(durability->snapshot_bytes));
    add("snapshots_total", number(impl_->snapshots.load(std::memory_order_relaxed)));
  }
  Impl::AddSummaries("pushgateway_http_push_size_bytes", impl_->sizes, 1, now, filler);
  Impl::AddSummaries("pushgateway_http_push_duration_seconds", impl_->durations, 1e9, now, filler);
  std::ranges::sort(out.families, {}, &Family::name);
}

}  // namespace pgw
