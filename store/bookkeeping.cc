#include "store/bookkeeping.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "exposition/names.h"
#include "exposition/number.h"
#include "exposition/protobuf_writer.h"

namespace pgw {

double BookkeepingValue(std::int64_t last) { return last != 0 ? UnixSeconds(ToWallTime(last)) : 0; }

void FillBookkeeping(const GroupingLabels& labels, Bookkeeping which, double value,
                     FamilySet& set) {
  Family& family = set.families.emplace_back();
  family.name = which == kSuccess ? kPushTimeName : kPushFailureTimeName;
  family.help = which == kSuccess ? kPushTimeHelp : kPushFailureTimeHelp;
  family.has_help = true;
  family.type = MetricType::kGauge;
  Metric& metric = set.metrics[set.AddMetric(0)];
  metric.first_label = static_cast<std::uint32_t>(set.labels.size());
  metric.label_count = static_cast<std::uint32_t>(labels.with_instance().size());
  metric.value = Number(value);
  metric.kinds = kHasGauge;
  set.labels.insert(set.labels.end(), labels.with_instance().begin(), labels.with_instance().end());
}

SharedText BookkeepingMessage(const GroupingLabels& labels, Bookkeeping which, double value) {
  if (!labels.needs_escaping()) return {};
  FamilySet set;
  FillBookkeeping(labels, which, value, set);
  return SharedText(SerializeFamily(set, set.families[0], Escaping::kAllowUtf8));
}

std::string BookkeepingLine(const GroupingLabels& labels, Bookkeeping which, double value) {
  std::string line(which == kSuccess ? kPushTimeName : kPushFailureTimeName);
  if (labels.needs_escaping()) {
    std::vector<std::string> names;
    names.reserve(labels.with_instance().size());
    std::vector<Label> exposed;
    for (const Label& label : labels.with_instance()) {
      names.push_back(EscapeName(label.name, Escaping::kUnderscores));
      exposed.push_back({names.back(), label.value});
    }
    std::ranges::sort(exposed);
    AppendExposedLabels(exposed, line);
  } else {
    AppendExposedLabels(labels.with_instance(), line);
  }
  AppendFloat(value, line);
  line.push_back('\n');
  return line;
}

void Restamp(std::string_view old, std::int64_t& last, std::string& line) {
  constexpr std::int64_t kNextDouble = 256;  // between doubles of nanoseconds, from 2006 to 2043
  const std::size_t prefix = old.rfind(' ') + 1;
  line.assign(old.substr(0, prefix));
  const auto put = [&line, prefix](std::int64_t value) {
    line.resize(prefix);
    AppendFloat(BookkeepingValue(value), line);
    line.push_back('\n');
  };
  put(last);
  const bool shorter = line.size() < old.size() && line.size() + 2 >= old.size();
  const bool has_next = last <= std::numeric_limits<std::int64_t>::max() - kNextDouble;
  if (!shorter || last == 0 || !has_next) return;
  put(last + kNextDouble);
  if (line.size() != old.size()) return put(last);
  last += kNextDouble;
}

}  // namespace pgw
