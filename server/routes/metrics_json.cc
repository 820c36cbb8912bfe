#include "server/routes/metrics_json.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "exposition/number.h"
#include "server/routes/json_text.h"

namespace pgw {
namespace {

constexpr std::size_t kGroupsPerBatch = 64;
constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::size_t kSamplesPerStep = 64;

constexpr std::string_view kSuccessTime = "push_time_seconds";
constexpr std::string_view kFailureTime = "push_failure_time_seconds";
constexpr std::string_view kSuccessHelp =
    "Last Unix time when changing this group in the Pushgateway succeeded.";
constexpr std::string_view kFailureHelp =
    "Last Unix time when changing this group in the Pushgateway failed.";

using LabelPairs = std::vector<std::pair<std::string_view, std::string_view>>;

// Sorted, as the group's key has them.
void AppendLabelObject(const LabelPairs& labels, std::string& out) {
  out.push_back('{');
  bool first = true;
  for (const auto& [name, value] : labels) {
    if (!std::exchange(first, false)) out.push_back(',');
    AppendJsonString(name, out);
    out.push_back(':');
    AppendJsonString(value, out);
  }
  out.push_back('}');
}

void AppendFamilyStart(WallTime time, MetricType type, std::string_view help, std::string& out) {
  out.append("{\"time_stamp\":");
  AppendJsonTime(time, out);
  out.append(",\"type\":");
  AppendJsonString(UpperName(type), out);
  if (!help.empty()) {
    out.append(",\"help\":");
    AppendJsonString(help, out);
  }
  out.append(",\"metrics\":[");
}

}  // namespace

MetricsJson::MetricsJson(MetricStore& store, Instant now) : store_(store), now_(now) {}

void MetricsJson::PutBack(std::string text) {
  buffer_ = std::move(text);
  buffer_pending_ = !buffer_.empty();
}

void MetricsJson::Next(std::vector<std::string_view>& pieces) {
  if (!std::exchange(buffer_pending_, false)) {
    buffer_.clear();
    Write(kPieceBytes, buffer_);
  }
  if (!buffer_.empty()) pieces.push_back(buffer_);
}

bool MetricsJson::Write(std::size_t bytes, std::string& out) {
  const std::size_t enough = out.size() + bytes;
  while (state_ != State::kEnd && out.size() < enough) Step(out);
  return state_ != State::kEnd;
}

void MetricsJson::Step(std::string& out) {
  switch (state_) {
    case State::kStart:
      out.append("{\"status\":\"success\",\"data\":[");
      state_ = State::kBetweenGroups;
      break;
    case State::kBetweenGroups:
      if (group_ < batch_.size()) return StartGroup(out);
      if (!more_batches_) {
        out.append("]}");
        batch_.clear();
        state_ = State::kEnd;
        return;
      }
      TakeBatch();
      break;
    case State::kInGroup:
      if (member_ < members_.size()) return WriteMember(out);
      out.push_back('}');
      ++group_;
      state_ = State::kBetweenGroups;
      break;
    case State::kInFamily:
      WriteSamples(out);
      break;
    case State::kEnd:
      break;
  }
}

void MetricsJson::TakeBatch() {
  batch_.clear();
  group_ = 0;
  cursor_ = store_.ListGroups(now_, cursor_, kGroupsPerBatch, batch_);
  more_batches_ = cursor_ != 0;
  ++batches_;
  batch_bytes_ = batch_.capacity() * sizeof(GroupView);
  for (const GroupView& group : batch_) {
    batch_bytes_ += group.key.capacity() +
                    group.families.capacity() * sizeof(GroupView::FamilyEntry) +
                    group.texts.capacity() * sizeof(SharedText);
    for (const SharedText& text : group.texts) batch_bytes_ += text.view().size();
  }
}

std::size_t MetricsJson::buffered_bytes() const noexcept {
  return sizeof(MetricsJson) + batch_bytes_ + samples_.footprint() + buffer_.capacity() +
         members_.capacity() * sizeof(Member) + labels_.capacity() * sizeof(labels_[0]);
}

void MetricsJson::StartGroup(std::string& out) {
  const GroupView& group = batch_[group_];
  labels_ = SplitGroupKey(group.key);
  using Kind = Member::Kind;
  members_ = {{"labels", Kind::kLabels, 0},
              {"last_push_successful", Kind::kLastPush, 0},
              {kFailureTime, Kind::kFailureTime, 0},
              {kSuccessTime, Kind::kSuccessTime, 0}};
  for (std::size_t i = 0; i < group.families.size(); ++i) {
    members_.push_back({group.families[i].name, Kind::kFamily, i});
  }
  // A family of the name of an attribute takes its place: in upstream's map it is written later.
  std::ranges::sort(members_, [](const Member& a, const Member& b) {
    return std::tie(a.key, a.kind) < std::tie(b.key, b.kind);
  });
  const auto shadowed = [&](const Member& member) {
    const std::size_t next = static_cast<std::size_t>(&member - members_.data()) + 1;
    return next < members_.size() && members_[next].key == member.key;
  };
  std::vector<Member> kept;
  for (const Member& member : members_) {
    if (!shadowed(member)) kept.push_back(member);
  }
  members_ = std::move(kept);
  member_ = 0;
  if (!std::exchange(first_group_, false)) out.push_back(',');
  out.push_back('{');
  state_ = State::kInGroup;
}

void MetricsJson::WriteMember(std::string& out) {
  const Member& member = members_[member_];
  const GroupView& group = batch_[group_];
  if (member_++ > 0) out.push_back(',');
  AppendJsonString(member.key, out);
  out.push_back(':');
  switch (member.kind) {
    case Member::Kind::kLabels:
      AppendLabelObject(labels_, out);
      break;
    case Member::Kind::kLastPush:
      out.append(group.last_push_successful() ? "true" : "false");
      break;
    case Member::Kind::kFailureTime:
      WritePushTime(false, out);
      break;
    case Member::Kind::kSuccessTime:
      WritePushTime(true, out);
      break;
    case Member::Kind::kFamily:
      StartFamily(group.families[member.family], out);
      break;
  }
}

void MetricsJson::WritePushTime(bool success, std::string& out) const {
  const GroupView& group = batch_[group_];
  const std::optional<WallTime> time = success ? group.last_success : group.last_failure;
  AppendFamilyStart(success ? group.success_entry_time : group.failure_entry_time,
                    MetricType::kGauge, success ? kSuccessHelp : kFailureHelp, out);
  LabelPairs labels = labels_;
  const auto place =
      std::ranges::lower_bound(labels, "instance", {}, &LabelPairs::value_type::first);
  if (place == labels.end() || place->first != "instance") {
    labels.insert(place, {"instance", ""});
  }
  out.append("{\"labels\":");
  AppendLabelObject(labels, out);
  out.append(",\"value\":\"");
  AppendFloatKeepingZeroSign(time ? UnixSeconds(*time) : 0, out);
  out.append("\"}]}");
}

// Nothing for what lives for ever, or longer than times can say (until 2262).
void MetricsJson::WriteExpiry(BootTime deadline, std::string& out) const {
  // Whole milliseconds: the two clocks are not read at the very same nanosecond.
  using std::chrono::milliseconds;
  const WallTime expires = SaturatingAdd(now_.wall, SaturatingDifference(deadline, now_.boot));
  if (deadline == kNever || expires >= WallTime::max() - milliseconds(1)) return;
  out.append(",\"expires_at\":");
  AppendJsonTime(std::chrono::round<milliseconds>(expires), out);
}

void MetricsJson::StartFamily(const GroupView::FamilyEntry& family, std::string& out) {
  AppendFamilyStart(family.pushed, family.type, family.has_help ? family.help : "", out);
  samples_.Clear();
  // The store wrote what is read here; if it cannot be read, the family shows no samples.
  const Status read = ReadStoredSamples(family.name, family.type, family.samples, samples_);
  const bool any = read.ok() && !samples_.families.empty();
  sample_ = any ? samples_.families.front().first_metric : kNoIndex;
  first_sample_ = true;
  state_ = State::kInFamily;
}

void MetricsJson::WriteSamples(std::string& out) {
  const std::size_t family_index = members_[member_ - 1].family;
  const GroupView::FamilyEntry& family = batch_[group_].families[family_index];
  for (std::size_t i = 0; i < kSamplesPerStep && sample_ != kNoIndex; ++i) {
    const Metric& metric = samples_.metrics[sample_];
    if (!std::exchange(first_sample_, false)) out.push_back(',');
    AppendMetricJson(samples_, metric, family.type, out);
    sample_ = metric.next;
  }
  if (sample_ != kNoIndex) return;
  out.push_back(']');
  WriteExpiry(family.deadline, out);
  out.push_back('}');
  state_ = State::kInGroup;
}

}  // namespace pgw
