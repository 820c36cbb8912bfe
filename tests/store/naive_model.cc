#include "tests/store/naive_model.h"

#include <algorithm>
#include <limits>

namespace pgw::testing {
namespace {

bool Legacy(const std::string& name) {
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return !name.empty();
}

// The default escaping, for the ASCII names of these tests.
std::string Exposed(std::string name) {
  if (Legacy(name)) return name;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (!Legacy(std::string(i > 0 ? "a" : "") + name[i])) name[i] = '_';
  }
  return name;
}

Labels ExposedLabels(const Labels& labels) {
  Labels exposed;
  for (const auto& [name, value] : labels) exposed.emplace(Exposed(name), value);
  return exposed;
}

std::string Braces(const Labels& labels, const std::string& last) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text += (text.empty() ? "" : ",") + name + "=\"" + value + "\"";
  }
  if (!last.empty()) text += (text.empty() ? "" : ",") + last;
  return text.empty() ? "" : "{" + text + "}";
}

std::vector<std::string> Lines(const std::string& name, MetricType type, const Labels& labels,
                               const std::string& value) {
  const std::string plain = Braces(labels, "");
  const auto line = [&](const std::string& suffix, const std::string& last) {
    return name + suffix + (last.empty() ? plain : Braces(labels, last)) + " " + value;
  };
  switch (type) {
    case MetricType::kSummary:
      return {line("", "quantile=\"0.5\""), line("_sum", ""), line("_count", "")};
    case MetricType::kHistogram:
      return {line("_bucket", "le=\"1\""), line("_bucket", "le=\"+Inf\""), line("_sum", ""),
              line("_count", "")};
    default:
      return {line("", "")};
  }
}

std::string Quoted(const std::string& name) { return "\"" + name + "\""; }

// A line of a body: names in the quoted form, which also plain names may have.
std::string BodyLine(const std::string& name, const Labels& labels, const std::string& last,
                     const std::string& value) {
  std::string text = "{" + Quoted(name);
  for (const auto& [label, label_value] : labels) {
    text += "," + Quoted(label) + "=\"" + label_value + "\"";
  }
  if (!last.empty()) text += "," + last;
  return text + "} " + value + "\n";
}

// The two names cannot both be exposed, whatever the second one's type is.
bool SuffixCollision(const std::string& stem, MetricType stem_type, const std::string& name) {
  const bool histogram = stem_type == MetricType::kHistogram;
  if (!histogram && stem_type != MetricType::kSummary) return false;
  return name == stem + "_count" || name == stem + "_sum" ||
         (histogram && name == stem + "_bucket");
}

}  // namespace

std::string ModelBody(const std::vector<ModelFamily>& families) {
  std::string body;
  for (const ModelFamily& family : families) {
    if (family.help) body += "# HELP " + Quoted(family.name) + " " + *family.help + "\n";
    if (family.type != MetricType::kUntyped) {
      body += "# TYPE " + Quoted(family.name) + " " + std::string(TypeLineName(family.type)) + "\n";
    }
    for (const ModelSample& sample : family.samples) {
      const auto line = [&](const std::string& suffix, const std::string& last) {
        body += BodyLine(family.name + suffix, sample.labels, last, sample.value);
      };
      if (family.type == MetricType::kSummary) {
        line("", "quantile=\"0.5\"");
      } else if (family.type == MetricType::kHistogram) {
        line("_bucket", "le=\"1\"");
        line("_bucket", "le=\"+Inf\"");
      } else {
        line("", "");
        continue;
      }
      line("_sum", "");
      line("_count", "");
    }
  }
  return body;
}

void NaiveModel::DropExpired(std::int64_t now) {
  for (auto& [labels, group] : groups_) {
    std::erase_if(group.families, [now](const auto& e) { return e.second.deadline <= now; });
  }
  std::erase_if(groups_, [now](const auto& e) { return e.second.deadline <= now; });
  std::set<std::string> names;
  for (const auto& [labels, group] : groups_) {
    for (const auto& [name, stored] : group.families) names.insert(name);
  }
  std::erase_if(shown_help_, [&names](const auto& e) { return !names.contains(e.first); });
}

void NaiveModel::Sanitize(const Labels& group, ModelFamily& family) {
  for (ModelSample& sample : family.samples) {
    for (const auto& [name, value] : group) sample.labels[name] = value;
    sample.labels.emplace("instance", "");
  }
}

bool NaiveModel::Consistent(const State& state) {
  std::map<std::string, std::set<std::pair<std::string, MetricType>>> exposed;
  std::set<std::pair<std::string, Labels>> series;
  for (const auto& [labels, group] : state) {
    Labels own = labels;
    own.emplace("instance", "");
    if (!series.emplace("push_time_seconds", ExposedLabels(own)).second) return false;
    if (ExposedLabels(own).size() != own.size()) return false;
    for (const auto& [name, stored] : group.families) {
      if (stored.family.samples.empty()) continue;
      exposed[Exposed(name)].emplace(name, stored.family.type);
      for (const ModelSample& sample : stored.family.samples) {
        const Labels shown = ExposedLabels(sample.labels);
        if (shown.size() != sample.labels.size()) return false;
        if (!series.emplace(Exposed(name), shown).second) return false;
        for (const auto& [label, value] : sample.labels) {
          if (label.starts_with("__")) return false;
          if (label == "le" && stored.family.type == MetricType::kHistogram) return false;
          if (label == "quantile" && stored.family.type == MetricType::kSummary) return false;
        }
      }
    }
  }
  for (const auto& [name, variants] : exposed) {
    if (variants.size() > 1) return false;
    for (const auto& [other, other_variants] : exposed) {
      if (SuffixCollision(name, variants.begin()->second, other)) return false;
    }
  }
  return true;
}

bool NaiveModel::Push(const Labels& labels, bool replace, std::vector<ModelFamily> families,
                      std::int64_t now) {
  DropExpired(now);
  ++pushes_;
  const std::int64_t deadline = ttl_ > 0 ? now + ttl_ : std::numeric_limits<std::int64_t>::max();
  std::erase_if(families, [](const ModelFamily& family) {
    return family.name == "push_time_seconds" || family.name == "push_failure_time_seconds";
  });
  State next = groups_;
  if (replace) next[labels].families.clear();
  for (ModelFamily& family : families) {
    Sanitize(labels, family);
    next[labels].families[family.name] = {family, deadline, pushes_};
  }
  next[labels].deadline = deadline;
  next[labels].success = now;
  if (check_ && !Consistent(next)) {
    // The failure is recorded, unless the group itself could not be shown.
    State failed = groups_;
    failed[labels].failure = now;
    failed[labels].deadline = deadline;
    if (Consistent(failed)) groups_ = failed;
    return false;
  }
  groups_ = next;
  for (const ModelFamily& family : families) {
    if (family.help && !family.samples.empty()) shown_help_[family.name] = *family.help;
  }
  DropExpired(now);
  return true;
}

void NaiveModel::Delete(const Labels& labels, std::int64_t now) {
  DropExpired(now);
  groups_.erase(labels);
  DropExpired(now);
}

std::optional<std::multiset<std::string>> NaiveModel::Scrape(std::int64_t now) {
  DropExpired(now);
  if (!Consistent(groups_)) return std::nullopt;
  std::multiset<std::string> lines;
  std::set<std::string> headers;
  for (const auto& [labels, group] : groups_) {
    for (const auto& [name, stored] : group.families) {
      const std::string exposed = Exposed(name);
      if (stored.family.samples.empty()) continue;
      if (const auto help = shown_help_.find(name); help != shown_help_.end()) {
        headers.insert("# HELP " + exposed + " " + help->second);
      }
      headers.insert("# TYPE " + exposed + " " + std::string(TypeLineName(stored.family.type)));
      for (const ModelSample& sample : stored.family.samples) {
        for (std::string& line :
             Lines(exposed, stored.family.type, ExposedLabels(sample.labels), sample.value)) {
          lines.insert(std::move(line));
        }
      }
    }
  }
  lines.insert(headers.begin(), headers.end());
  return lines;
}

std::map<Labels, std::map<std::string, std::multiset<std::string>>> NaiveModel::Groups(
    std::int64_t now, bool with_lines) {
  DropExpired(now);
  std::map<Labels, std::map<std::string, std::multiset<std::string>>> groups;
  for (const auto& [labels, group] : groups_) {
    auto& shown = groups[labels];
    shown["push_time_seconds"] = {std::to_string(group.success)};
    shown["push_failure_time_seconds"] = {std::to_string(group.failure)};
    for (const auto& [name, stored] : group.families) {
      auto& lines = shown[name];
      if (!with_lines) continue;
      for (const ModelSample& sample : stored.family.samples) {
        for (std::string& line :
             Lines(Exposed(name), stored.family.type, ExposedLabels(sample.labels), sample.value)) {
          lines.insert(std::move(line));
        }
      }
    }
  }
  return groups;
}

}  // namespace pgw::testing
