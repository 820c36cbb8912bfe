#include "bench/payload.h"

#include <cstdio>
#include <iterator>

namespace pgw::bench {
namespace {

constexpr const char* kVerbs[] = {"GET", "LIST", "PATCH", "POST", "PUT", "WATCH"};
constexpr const char* kBounds[] = {"0.001", "0.002", "0.004", "0.008", "0.016",
                                   "0.032", "0.064", "0.128", "0.256", "0.512",
                                   "1.024", "2.048", "4.096", "8.192", "+Inf"};

template <typename... Values>
void Append(std::string& body, const char* format, Values... values) {
  char line[512];
  const int size = std::snprintf(line, sizeof line, format, values...);
  body.append(line, static_cast<std::size_t>(size));
}

void AppendHistogram(std::string& body, int family, std::uint64_t round) {
  Append(body,
         "# HELP component_request_duration_seconds_%d [BETA] Request latency in seconds, by verb "
         "and host.\n# TYPE component_request_duration_seconds_%d histogram\n",
         family, family);
  const int samples = 1 + family % 6;
  for (int s = 0; s < samples; ++s) {
    char labels[160];
    std::snprintf(
        labels, sizeof labels,
        "host=\"10.0.0.1:6443\",resource=\"endpointslices\",scope=\"cluster\",verb=\"%s\"",
        kVerbs[s % std::size(kVerbs)]);
    std::uint64_t count = 0;
    for (std::size_t b = 0; b < std::size(kBounds); ++b) {
      count += (round + b * 7 + static_cast<std::uint64_t>(family)) % 90;
      Append(body, "component_request_duration_seconds_%d_bucket{%s,le=\"%s\"} %llu\n", family,
             labels, kBounds[b], static_cast<unsigned long long>(count));
    }
    Append(body, "component_request_duration_seconds_%d_sum{%s} %.17g\n", family, labels,
           static_cast<double>(round % 1000 + 1) * 0.123456789012345);
    Append(body, "component_request_duration_seconds_%d_count{%s} %llu\n", family, labels,
           static_cast<unsigned long long>(count));
  }
}

void AppendPlain(std::string& body, int family, std::uint64_t round) {
  const char* const type = family % 2 == 0 ? "counter" : "gauge";
  Append(body, "# HELP component_items_%d [ALPHA] Number of items seen, by queue.\n", family);
  Append(body, "# TYPE component_items_%d %s\n", family, type);
  const int samples = family % 4 == 0 ? 8 : 1;
  for (int s = 0; s < samples; ++s) {
    if (family % 5 == 0) {
      const auto number = static_cast<unsigned long long>(family);
      Append(body, "component_items_%d %llu\n", family, round + number);
      break;
    }
    Append(body, "component_items_%d{name=\"queue_%d\",priority=\"high\"} %.10g\n", family, s,
           static_cast<double>(round + static_cast<std::uint64_t>(s)) * 1.0625);
  }
}

}  // namespace

std::string OneSeriesBody(std::size_t metric, std::uint64_t value) {
  std::string body;
  Append(body, "batch_metric_%zu{stage=\"load\"} %llu\n", metric,
         static_cast<unsigned long long>(value));
  return body;
}

std::string ControlPlaneBody(std::uint64_t round) {
  std::string body;
  body.reserve(300'000);
  for (int family = 0; family < 155; ++family) {
    if (family % 5 == 3) {
      AppendHistogram(body, family, round);
    } else {
      AppendPlain(body, family, round);
    }
  }
  return body;
}

}  // namespace pgw::bench
