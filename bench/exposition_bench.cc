// What it costs to read and write the text format.
//
// The bodies have the shape of what a Kubernetes control plane exposes: some two hundred families,
// most lines histogram buckets, a fifth of the sums with all their digits. Own bodies are measured
// as well: PGW_BENCH_BODIES=file:file:… exposition_bench
//
// Each benchmark first checks its result, then takes the time.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/allocations.h"
#include "exposition/family_set.h"
#include "exposition/names.h"
#include "exposition/number.h"
#include "exposition/text_parser.h"
#include "exposition/text_writer.h"

namespace pgw {
namespace {

// A generator of control-plane bodies; the same seed gives the same body.
class ControlPlane {
 public:
  explicit ControlPlane(std::uint64_t seed) : random_(seed) {}

  std::string Body(std::size_t bytes_min) {
    out_.clear();
    for (int family = 0; out_.size() < bytes_min; ++family) {
      const std::string name = FamilyName(family);
      switch (Below(10)) {
        case 0:
        case 1:
        case 2:
          Histogram(name);
          break;
        case 3:
          Summary(name);
          break;
        case 4:
        case 5:
        case 6:
          Plain(name, "gauge");
          break;
        default:
          Plain(name + "_total", "counter");
      }
    }
    return out_;
  }

 private:
  std::uint64_t Below(std::uint64_t bound) { return random_() % bound; }

  std::string Word() {
    static constexpr std::string_view kWords[] = {
        "apiserver", "request",  "duration",  "workqueue", "etcd",      "storage", "admission",
        "client",    "rest",     "scheduler", "pod",       "node",      "volume",  "controller",
        "latency",   "queue",    "depth",     "cache",     "lookups",   "leader",  "election",
        "webhook",   "endpoint", "slice",     "audit",     "validation"};
    return std::string(kWords[Below(std::size(kWords))]);
  }

  std::string FamilyName(int family) {
    return Word() + "_" + Word() + "_" + Word() + "_" + Word() + std::to_string(family);
  }

  void Header(const std::string& name, std::string_view type) {
    out_ += "# HELP " + name + " [ALPHA] Time in seconds of the " + Word() + " of a " + Word() +
            ", broken down by " + Word() + " and " + Word() + ".\n";
    out_ += "# TYPE " + name + " ";
    out_ += type;
    out_ += '\n';
  }

  // The same names for all label sets of a family.
  std::vector<std::string> LabelNames() {
    std::vector<std::string> names;
    for (std::uint64_t i = Below(6); i > 0; --i) names.push_back(Word() + std::to_string(i));
    return names;
  }

  std::string Labels(const std::vector<std::string>& names, int serial) {
    std::string text;
    for (const std::string& name : names) {
      text += text.empty() ? "" : ",";
      text += name + "=\"" + Word() + "." + Word() + "-" + std::to_string(serial) + "\"";
    }
    return text;
  }

  void Line(const std::string& name, std::string labels, std::string_view bound, double value) {
    if (!bound.empty()) {
      labels += labels.empty() ? "" : ",";
      labels += bound;
    }
    out_ += name;
    if (!labels.empty()) out_ += "{" + labels + "}";
    out_ += ' ';
    AppendFloat(value, out_);
    out_ += '\n';
  }

  double Sum() {
    const double sum = static_cast<double>(Below(1000000)) / 1000;
    return Below(5) == 0 ? sum / 7 : sum;
  }

  void Histogram(const std::string& name) {
    static constexpr std::string_view kBounds[] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                                                   "0.5",   "1",    "2.5",   "5",    "10"};
    Header(name, "histogram");
    const std::vector<std::string> names = LabelNames();
    const int metrics = names.empty() ? 1 : 1 + static_cast<int>(Below(12));
    for (int i = 0; i < metrics; ++i) {
      const std::string labels = Labels(names, i);
      double count = 0;
      for (const std::string_view bound : kBounds) {
        if (Below(4) == 0) count += static_cast<double>(Below(100));
        Line(name + "_bucket", labels, "le=\"" + std::string(bound) + "\"", count);
      }
      Line(name + "_bucket", labels, "le=\"+Inf\"", count);
      Line(name + "_sum", labels, "", Sum());
      Line(name + "_count", labels, "", count);
    }
  }

  void Summary(const std::string& name) {
    Header(name, "summary");
    for (const std::string_view quantile : {"0.5", "0.9", "0.99"}) {
      Line(name, "", "quantile=\"" + std::string(quantile) + "\"", Sum());
    }
    Line(name + "_sum", "", "", Sum());
    Line(name + "_count", "", "", static_cast<double>(Below(1000)));
  }

  void Plain(const std::string& name, std::string_view type) {
    Header(name, type);
    const std::vector<std::string> names = LabelNames();
    const int metrics = names.empty() ? 1 : 1 + static_cast<int>(Below(16));
    for (int i = 0; i < metrics; ++i) {
      Line(name, Labels(names, i), "", static_cast<double>(Below(Below(3) == 0 ? 1000000000 : 50)));
    }
  }

  std::mt19937_64 random_;
  std::string out_;
};

void Write(const FamilySet& set, std::string& out) {
  for (const Family& family : set.families) {
    AppendFamilyHeader(family.name, family.has_help ? &family.help : nullptr, family.type,
                       Escaping::kUnderscores, out);
    for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set.metrics[m].next) {
      AppendMetricLines(set, family, set.metrics[m], Escaping::kUnderscores, out);
    }
  }
}

// What a push does to labels: the group's are added, then all are sorted.
void Sanitise(FamilySet& set) {
  for (Metric& metric : set.metrics) {
    const auto first = static_cast<std::uint32_t>(set.labels.size());
    for (std::uint32_t i = 0; i < metric.label_count; ++i) {
      const Label label = set.labels[metric.first_label + i];
      set.labels.push_back(label);
    }
    set.labels.push_back({"job", "kube-controller-manager"});
    set.labels.push_back({"instance", "10.0.0.1"});
    metric.first_label = first;
    metric.label_count += 2;
    std::sort(set.labels.begin() + first, set.labels.end(),
              [](const Label& a, const Label& b) { return a.name < b.name; });
  }
}

// False, and the benchmark is failed, if the set is not what `body` says or does not write back.
bool Check(benchmark::State& state, const std::string& body) {
  FamilySet set;
  std::string once;
  if (const Status status = ParseText(body, NameValidation::kLegacy, set); !status) {
    state.SkipWithError(status.error().message.c_str());
    return false;
  }
  Write(set, once);
  FamilySet again;
  std::string twice;
  if (ParseText(once, NameValidation::kLegacy, again)) Write(again, twice);
  const auto lines = std::count(body.begin(), body.end(), '\n');
  if (once != twice || std::count(once.begin(), once.end(), '\n') != lines) {
    state.SkipWithError("not the same text after reading and writing");
    return false;
  }
  return true;
}

void Report(benchmark::State& state, const std::string& text) {
  const auto lines = static_cast<double>(std::count(text.begin(), text.end(), '\n'));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
  state.counters["per_line"] = benchmark::Counter(
      lines, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void BM_Parse(benchmark::State& state, const std::string& body) {
  if (!Check(state, body)) return;
  FamilySet set;
  for (auto _ : bench::CountingAllocations(state)) {
    set.Clear();
    benchmark::DoNotOptimize(ParseText(body, NameValidation::kLegacy, set).ok());
  }
  Report(state, body);
}

void BM_Write(benchmark::State& state, const std::string& body) {
  if (!Check(state, body)) return;
  FamilySet set;
  if (!ParseText(body, NameValidation::kLegacy, set)) return;
  std::string out;
  for (auto _ : bench::CountingAllocations(state)) {
    out.clear();
    Write(set, out);
    benchmark::DoNotOptimize(out.data());
  }
  Report(state, out);
}

void BM_ParseSanitiseWrite(benchmark::State& state, const std::string& body) {
  if (!Check(state, body)) return;
  FamilySet set;
  std::string out;
  for (auto _ : bench::CountingAllocations(state)) {
    set.Clear();
    out.clear();
    benchmark::DoNotOptimize(ParseText(body, NameValidation::kLegacy, set).ok());
    Sanitise(set);
    Write(set, out);
    benchmark::DoNotOptimize(out.data());
  }
  Report(state, body);
}

void BM_ParseStoredLines(benchmark::State& state, const std::string& body) {
  struct Stored {
    std::string_view name;
    MetricType type;
    std::string lines;
  };
  if (!Check(state, body)) return;
  FamilySet set;
  if (!ParseText(body, NameValidation::kLegacy, set)) return;
  std::vector<Stored> families;
  std::string all;
  for (const Family& family : set.families) {
    Stored& stored = families.emplace_back(Stored{family.name, family.type, ""});
    for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set.metrics[m].next) {
      AppendMetricLines(set, family, set.metrics[m], Escaping::kUnderscores, stored.lines);
    }
    all += stored.lines;
  }
  FamilySet read;
  for (auto _ : bench::CountingAllocations(state)) {
    read.Clear();
    for (const Stored& stored : families) {
      if (!ParseStoredLines(stored.name, stored.type, stored.lines, read)) {
        state.SkipWithError("stored lines not read back");
        return;
      }
    }
  }
  if (read.metrics.size() != set.metrics.size()) state.SkipWithError("metrics lost");
  Report(state, all);
}

void Register(const std::string& label, const std::string& body) {
  using Function = void (*)(benchmark::State&, const std::string&);
  static constexpr struct {
    const char* name;
    Function function;
  } kBenchmarks[] = {{"Parse/", BM_Parse},
                     {"Write/", BM_Write},
                     {"ParseSanitiseWrite/", BM_ParseSanitiseWrite},
                     {"ParseStoredLines/", BM_ParseStoredLines}};
  for (const auto& b : kBenchmarks) {
    benchmark::RegisterBenchmark((b.name + label).c_str(), b.function, body);
  }
}

const bool registered = [] {
  Register("control_plane_280k", ControlPlane(1).Body(280'000));
  Register("control_plane_4M", ControlPlane(2).Body(4'000'000));
  const char* const files = std::getenv("PGW_BENCH_BODIES");
  std::istringstream names(files == nullptr ? "" : files);
  for (std::string name; std::getline(names, name, ':');) {
    std::ifstream file(name, std::ios::binary);
    Register(name.substr(name.rfind('/') + 1),
             std::string(std::istreambuf_iterator<char>(file), {}));
  }
  return true;
}();

// The conversions that lines with unusual numbers pay for.
void BM_ParseFloat(benchmark::State& state) {
  std::mt19937_64 random(3);
  std::vector<std::string> texts(1024);
  for (std::string& text : texts) AppendFloat(static_cast<double>(random()) / 1e12, text);
  for (auto _ : bench::CountingAllocations(state)) {
    for (const std::string& text : texts) benchmark::DoNotOptimize(ParseFloat(text));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(texts.size()));
}
BENCHMARK(BM_ParseFloat);

void BM_WriteFloat(benchmark::State& state) {
  std::mt19937_64 random(3);
  std::vector<double> values(1024);
  for (double& value : values) value = static_cast<double>(random()) / 1e12;
  char out[kFloatBytesMax];
  for (auto _ : bench::CountingAllocations(state)) {
    for (const double value : values) benchmark::DoNotOptimize(WriteFloat(value, out));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(values.size()));
}
BENCHMARK(BM_WriteFloat);

}  // namespace
}  // namespace pgw
