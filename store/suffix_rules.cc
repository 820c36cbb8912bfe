#include "store/suffix_rules.h"

#include "exposition/quote.h"

namespace pgw {
namespace {

std::string Collides(std::string_view kind, std::string_view name, std::string_view other_kind,
                     std::string_view other) {
  std::string text = "collected ";
  text.append(kind).append(" named ").append(GoQuote(name));
  text.append(" collides with previously collected ").append(other_kind);
  text.append(" named ").append(GoQuote(other));
  return text;
}

// The name without _count, _sum or _bucket; empty if it has none of them.
std::string_view WithoutSuffix(std::string_view name) {
  for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
    if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
  }
  return {};
}

}  // namespace

std::optional<std::string> FindSuffixCollision(
    std::string_view pushed, std::string_view exposed, MetricType type,
    const std::function<ExposedFamily(std::string_view exposed)>& find) {
  if (const std::string_view stem = WithoutSuffix(exposed); !stem.empty()) {
    const ExposedFamily other = find(stem);
    if ((other.types & MaskOf(MetricType::kSummary)) != 0 && !exposed.ends_with("_bucket")) {
      return Collides("metric", pushed, "summary", other.name);
    }
    if ((other.types & MaskOf(MetricType::kHistogram)) != 0) {
      return Collides("metric", pushed, "histogram", other.name);
    }
  }
  if (type != MetricType::kSummary && type != MetricType::kHistogram) return std::nullopt;
  std::string suffixed(exposed);
  for (const std::string_view suffix : {"_count", "_sum"}) {
    suffixed.resize(exposed.size());
    suffixed.append(suffix);
    const ExposedFamily other = find(suffixed);
    if (other.types != 0) return Collides("histogram or summary", pushed, "metric", other.name);
  }
  if (type == MetricType::kHistogram) {
    suffixed.resize(exposed.size());
    suffixed.append("_bucket");
    const ExposedFamily other = find(suffixed);
    if (other.types != 0) return Collides("histogram", pushed, "metric", other.name);
  }
  return std::nullopt;
}

}  // namespace pgw
