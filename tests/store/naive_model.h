// Upstream's rules for groups, written down as literally as possible: maps of strings, everything
// gathered anew for each decision. Slow and obviously right; the store is compared with it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/metric_type.h"

namespace pgw::testing {

using Labels = std::map<std::string, std::string>;

struct ModelSample {
  Labels labels;
  std::string value;  // as printed; of a histogram or summary: of all its lines

  friend bool operator==(const ModelSample&, const ModelSample&) = default;
};

struct ModelFamily {
  std::string name;
  MetricType type = MetricType::kUntyped;
  std::optional<std::string> help;
  std::vector<ModelSample> samples;
};

// The text body of some families. Names may need quoting.
std::string ModelBody(const std::vector<ModelFamily>& families);

class NaiveModel {
 public:
  NaiveModel(bool check, std::int64_t ttl) : check_(check), ttl_(ttl) {}

  // True if the push is accepted. Times are milliseconds.
  bool Push(const Labels& group, bool replace, std::vector<ModelFamily> families, std::int64_t now);
  void Delete(const Labels& group, std::int64_t now);
  void Wipe() { groups_.clear(); }

  // All lines of a scrape but bookkeeping's, HELP and TYPE included; nullopt: 500.
  std::optional<std::multiset<std::string>> Scrape(std::int64_t now);
  // Group labels → name → lines (or none, where those of inconsistent data are of no interest),
  // with failure and success times under the names of bookkeeping.
  std::map<Labels, std::map<std::string, std::multiset<std::string>>> Groups(std::int64_t now,
                                                                             bool with_lines);

 private:
  struct Stored {
    ModelFamily family;
    std::int64_t deadline;
    std::uint64_t order;  // of the push
  };
  struct Group {
    std::map<std::string, Stored> families;
    std::int64_t success = 0;
    std::int64_t failure = 0;
    std::int64_t deadline = 0;
  };
  using State = std::map<Labels, Group>;

  void DropExpired(std::int64_t now);
  static bool Consistent(const State& state);
  static void Sanitize(const Labels& group, ModelFamily& family);

  const bool check_;
  const std::int64_t ttl_;  // 0: off
  std::uint64_t pushes_ = 0;
  State groups_;
  // What was shown last for names that still exist: HELP text.
  std::map<std::string, std::string> shown_help_;
};

}  // namespace pgw::testing
