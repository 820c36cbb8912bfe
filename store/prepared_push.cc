#include "store/prepared_push.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <optional>

#include "exposition/debug_string.h"
#include "exposition/family_table.h"
#include "exposition/keyed_hash.h"
#include "exposition/names.h"
#include "exposition/protobuf_reader.h"
#include "exposition/protobuf_writer.h"
#include "exposition/quote.h"
#include "exposition/text_parser.h"
#include "exposition/text_writer.h"

namespace pgw {
namespace {

// More samples are told apart by hashes, which takes longer than a few comparisons.
constexpr std::uint32_t kComparedMax = 8;
constexpr std::string_view kInstance = "instance";

// Of a family in a record.
enum RecordFlag : std::uint8_t {
  kRecordHelp = 1,
  kRecordSamples = 2,
  kRecordMessage = 4,
  kRecordError = 8,
  kRecordRefused = 16,
  kRecordFlags = 31,
};

bool NameLess(const Label& a, const Label& b) { return a.name < b.name; }

bool HasSum(MetricType type) {
  return type == MetricType::kSummary || type == MetricType::kHistogram ||
         type == MetricType::kGaugeHistogram;
}

std::string Both(std::string_view first, std::string_view second, std::string_view exposed) {
  std::string text(GoQuote(first));
  text.append(" and ").append(GoQuote(second));
  text.append(", both exposed as ").append(GoQuote(exposed));
  return text;
}

std::string TwinText(const PreparedFamily& family, std::string_view other) {
  return "collected metrics named " + Both(family.name, other, family.exposed);
}

Error TooLargeAt(const Family& family) {
  return {Code::kTooLarge,
          "pushed metrics exceed " + std::to_string(PreparedPush::kRenderedBytesMax) +
              " bytes with their grouping labels, at metric " + GoQuote(family.name)};
}

bool HasTimestamp(const FamilySet& set) {
  // By family: metrics of an overwritten family stay in the set, unreachable.
  for (const Family& family : set.families) {
    for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set.metrics[m].next) {
      if (set.metrics[m].has_timestamp) return true;
    }
  }
  return false;
}

std::uint64_t HashLabels(const Label* labels, std::size_t count) {
  HashKey key = ProcessHashKey();
  for (std::size_t i = 0; i < count; ++i) {
    key.low ^= SipHash13(labels[i].name, key);
    key.low ^= SipHash13(labels[i].value, key);
  }
  return key.low;
}

}  // namespace

std::string AboutMetric(const FamilySet& set, const Family& family, const Metric& metric,
                        std::string_view complaint) {
  return "collected metric " + GoQuote(family.name) + " { " +
         MetricDebugString(set, family, metric) + "} " + std::string(complaint);
}

void AppendExposedLabels(std::span<const Label> labels, std::string& out) {
  char separator = '{';
  for (const auto& [name, value] : labels) {
    out.push_back(separator);
    separator = ',';
    out.append(name).append("=\"");
    AppendEscapedLabelValue(value, out);
    out.push_back('"');
  }
  out.append("} ");
}

Status PreparedPush::Prepare(const GroupingLabels& grouping, FamilySet& set,
                             const OwnFamilyTable& own) {
  Clear();
  set_ = &set;
  grouping_ = &grouping;
  sanitized_ = false;
  plain_ = set.labels_valid && set.names_plain && !grouping.needs_escaping();
  refused_ = HasTimestamp(set);
  if (refused_) return {};
  if (!plain_) SanitizeAll();
  for (std::uint32_t i = 0; i < set.families.size(); ++i) {
    const std::string_view name = set.families[i].name;
    if (name == kPushTimeName || name == kPushFailureTimeName) continue;
    PrepareFamily(i);
    if (!plain_) continue;
    if (const Status status = RenderPlain(families_.back()); !status) return status;
  }
  IndexNames();
  for (std::uint32_t i = 0; i < families_.size(); ++i) {
    CheckName(families_[i], i, own);
    families_[i].refused = families_[i].refused || families_[i].error;
    if (families_[i].error) continue;
    // One complaint a family is told; unchecked mode has to know of the samples all the same.
    const ErrorList told = families_[i].refused ? errors_ : ErrorList();
    CheckSamples(families_[i]);
    if (families_[i].refused) errors_ = told;
  }
  for (PreparedFamily& prepared : families_) {
    if (const Status status = Render(prepared); !status) return status;
  }
  return {};
}

void PreparedPush::Clear() {
  set_ = nullptr;
  read_back_.reset();
  sanitized_ = true;
  record_.reset();
  text_size_ = 0;
  form_.Clear();
  families_.clear();
  names_.clear();
  errors_.Clear();
  refused_ = false;
}

void PreparedPush::Refuse() {
  Clear();
  refused_ = true;
}

void PreparedPush::AppendRecord(std::string& out) const {
  assert(!refused_);
  AppendVarint(families_.size(), out);
  for (const PreparedFamily& family : families_) {
    std::uint8_t flags = family.has_help ? kRecordHelp : 0;
    if (family.has_samples) flags |= kRecordSamples;
    if (family.message) flags |= kRecordMessage;
    if (family.error) flags |= kRecordError;
    if (family.refused) flags |= kRecordRefused;
    AppendByte(flags, out);
    AppendByte(static_cast<std::uint8_t>(family.type), out);
    AppendCounted(family.name, out);
    if (family.has_help) AppendCounted(family.help, out);
    AppendCounted(text(family), out);
    if (family.message) AppendCounted(family.message.view(), out);
    if (family.error) AppendCounted(family.error.view(), out);
  }
}

Status PreparedPush::ReadRecord(std::string_view record) {
  Clear();
  record_ = record;
  ByteReader reader(record);
  const std::uint64_t count = reader.Varint();
  bool fine = reader.ok() && count <= record.size();
  for (std::uint64_t i = 0; fine && i < count; ++i) fine = ReadFamily(reader, record);
  if (!fine || !reader.AtEnd()) {
    return Error{Code::kInternal,
                 "no push: family " + std::to_string(families_.size()) + " is not as it should be"};
  }
  IndexNames();
  if (RepeatsName()) return Error{Code::kInternal, "no push: a family comes twice"};
  return {};
}

bool PreparedPush::RepeatsName() const {
  std::vector<std::string_view> others;  // whose name need not be in the index
  for (std::uint32_t i = 0; i < families_.size(); ++i) {
    const PreparedFamily& family = families_[i];
    const std::uint32_t found = FindIndex(HashedView(family.hash, family.exposed));
    if (found == i) continue;
    if (found != kNoIndex && families_[found].name == family.name) return true;
    others.push_back(family.name);
  }
  std::ranges::sort(others);
  return std::ranges::adjacent_find(others) != others.end();
}

bool PreparedPush::ReadFamily(ByteReader& reader, std::string_view record) {
  PreparedFamily family;
  const std::uint8_t flags = reader.Byte();
  const std::uint8_t type = reader.Byte();
  family.name = reader.Counted();
  family.exposed = family.name;
  family.has_help = (flags & kRecordHelp) != 0;
  if (family.has_help) family.help = reader.Counted();
  const std::string_view lines = reader.Counted();
  if ((flags & kRecordMessage) != 0) family.message = SharedText(std::string(reader.Counted()));
  if ((flags & kRecordError) != 0) family.error = SharedText(std::string(reader.Counted()));
  family.has_samples = (flags & kRecordSamples) != 0;
  family.refused = (flags & kRecordRefused) != 0;
  if (!reader.ok() || (flags & ~kRecordFlags) != 0 || type >= kMetricTypeCount) return false;
  family.type = static_cast<MetricType>(type);
  if (family.name == kPushTimeName || family.name == kPushFailureTimeName) return false;
  if (!IsValidUtf8(family.name)) return false;
  // A sample of an unknown value, which unchecked mode keeps, has no line.
  if ((!lines.empty() && lines.back() != '\n') || (!family.has_samples && !lines.empty())) {
    return false;
  }
  if (NeedsEscaping(family.name)) {
    family.exposed = names_.emplace_back(EscapeName(family.name, Escaping::kUnderscores));
    family.beyond_lines = true;
  }
  family.text_offset = static_cast<std::size_t>(lines.data() - record.data());
  family.text_size = lines.size();
  family.family = static_cast<std::uint32_t>(families_.size());
  family.hash = KeyedHash(family.exposed);
  families_.push_back(std::move(family));
  return true;
}

// Samples are asked for where families of one name are in groups of different shapes: rarely.
void PreparedPush::ReadBack() const {
  read_back_ = std::make_unique<FamilySet>();
  for (const PreparedFamily& family : families_) {
    const std::size_t place = read_back_->families.size();
    const Status status =
        family.message ? ParseFamilyMessage(family.message.view(), *read_back_)
                       : ParseStoredLines(family.name, family.type, text(family), *read_back_);
    // What does not read back (no record of ours) has no samples to compare.
    read_back_->families.resize(place + 1);
    if (!status) read_back_->families[place] = Family();
    read_back_->families[place].name = family.name;
  }
  set_ = read_back_.get();
}

void PreparedPush::Trim() {
  constexpr std::size_t kUsual = 1u << 20;
  if (text_.capacity() > kUsual) std::string().swap(text_);
  if (families_.capacity() * sizeof(PreparedFamily) > kUsual) {
    std::vector<PreparedFamily>().swap(families_);
  }
  if (unique_.capacity() * sizeof(unique_[0]) > kUsual) decltype(unique_)().swap(unique_);
  Clear();
}

template <typename Word>
void PreparedPush::Complain(PreparedFamily& prepared, const Word& word) {
  errors_.Add(word);
  if (!prepared.error) prepared.error = SharedText(word());
}

// Grouping labels win; a sample without instance gets an empty one, so that a scrape with
// honor_labels does not attach the gateway's own.
void PreparedPush::SanitizeAll() const {
  sanitized_ = true;
  for (const Family& family : set_->families) {
    for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set_->metrics[m].next) {
      Sanitize(set_->metrics[m]);
    }
  }
}

void PreparedPush::Sanitize(Metric& metric) const {
  std::vector<Label>& labels = set_->labels;
  const std::size_t first = metric.first_label;
  const std::size_t last = first + metric.label_count;
  bool sorted = true;
  bool has_instance = false;
  for (std::size_t i = first; i < last; ++i) {
    sorted = sorted && (i == first || labels[i - 1].name <= labels[i].name);
    has_instance = has_instance || labels[i].name == kInstance;
  }
  if (!sorted) {
    std::sort(labels.begin() + static_cast<std::ptrdiff_t>(first),
              labels.begin() + static_cast<std::ptrdiff_t>(last), std::less<>());
  }
  const std::span<const Label> forced =
      has_instance ? grouping_->labels() : grouping_->with_instance();
  const std::size_t start = labels.size();
  labels.resize(start + (last - first) + forced.size());
  Label* out = labels.data() + start;
  const Label* pushed = labels.data() + first;
  const Label* const pushed_end = labels.data() + last;
  for (const Label& label : forced) {
    while (pushed != pushed_end && pushed->name < label.name) *out++ = *pushed++;
    // Only one is overwritten: a second label of that name stays and is refused later.
    if (pushed != pushed_end && pushed->name == label.name) ++pushed;
    *out++ = label;
  }
  out = std::copy(pushed, pushed_end, out);
  metric.first_label = static_cast<std::uint32_t>(start);
  metric.label_count = static_cast<std::uint32_t>(out - (labels.data() + start));
  labels.resize(start + metric.label_count);
}

void PreparedPush::PrepareFamily(std::uint32_t index) {
  const Family& family = set_->families[index];
  PreparedFamily& prepared = families_.emplace_back();
  prepared.name = family.name;
  prepared.help = family.help;
  prepared.has_help = family.has_help;
  prepared.type = family.type;
  prepared.family = index;
  prepared.has_samples = family.metric_count > 0;
  prepared.exposed = family.name;
  if (!plain_ && NeedsEscaping(family.name)) {
    prepared.exposed = set_->Intern(EscapeName(family.name, Escaping::kUnderscores));
    prepared.beyond_lines = true;
  }
  const bool hashed = family.name_hash != 0 && prepared.exposed.data() == family.name.data();
  prepared.hash = hashed ? family.name_hash : KeyedHash(prepared.exposed);
  if (plain_) return;  // the rest comes with the lines
  for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set_->metrics[m].next) {
    const Metric& metric = set_->metrics[m];
    if (metric.beyond_lines) prepared.beyond_lines = true;
    const Label* const labels = set_->labels.data() + metric.first_label;
    if (std::any_of(labels, labels + metric.label_count,
                    [](const Label& label) { return NeedsEscaping(label.name); })) {
      prepared.beyond_lines = true;
    }
  }
}

// `bytes` at the end of the text.
char* PreparedPush::Room(std::size_t bytes) {
  const std::size_t needed = text_size_ + bytes;
  if (needed > text_.size()) text_.resize(std::max(needed, 2 * text_.size()));
  return text_.data() + text_size_;
}

// Looks at the samples as they were pushed.
Status PreparedPush::RenderPlain(PreparedFamily& prepared) {
  const Family& family = set_->families[prepared.family];
  prepared.text_offset = text_size_;
  prepared.names_fine = true;
  prepared.names_same = true;
  prepared.meets_grouping = false;
  form_.Enter(family);
  for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set_->metrics[m].next) {
    const Metric& metric = set_->metrics[m];
    const std::span<const Label> pushed = Pushed(metric);
    if (!form_.Fits(pushed)) {
      prepared.names_same = m == family.first_metric;
      form_.Make(*grouping_, pushed);
    }
    prepared.names_fine = prepared.names_fine && form_.names_fine();
    prepared.meets_grouping = prepared.meets_grouping || form_.meets_grouping();
    prepared.beyond_lines = prepared.beyond_lines || metric.beyond_lines;
    const std::size_t bytes_max = form_.BytesMax(metric, pushed);
    if (bytes_max > kRenderedBytesMax - text_size_) return TooLargeAt(family);
    const char* const end = form_.Write(*set_, metric, pushed, Room(bytes_max));
    text_size_ = static_cast<std::size_t>(end - text_.data());
  }
  prepared.text_size = text_size_ - prepared.text_offset;
  return {};
}

void PreparedPush::CheckSamples(PreparedFamily& prepared) {
  const Family& family = set_->families[prepared.family];
  if (plain_ && prepared.names_fine) {
    if (family.metric_count > 1 && !PlainlyUnique(prepared)) CheckUnique(prepared);
    return;
  }
  if (!sanitized_) SanitizeAll();
  std::string why;
  for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set_->metrics[m].next) {
    const Metric& metric = set_->metrics[m];
    if (!CheckMetric(family, metric, &why)) {
      Complain(prepared, [&] { return AboutMetric(*set_, family, metric, why); });
    }
  }
  if (!prepared.error && family.metric_count > 1) CheckUnique(prepared);
}

bool PreparedPush::CheckMetric(const Family& family, const Metric& metric, std::string* why) const {
  // Of gauge histograms upstream accepts anything.
  if (family.type != MetricType::kGaugeHistogram &&
      (metric.kinds & ValueKindOf(family.type)) == 0) {
    *why = "is not a " + std::string(UpperName(family.type));
    return false;
  }
  return CheckLabels(metric, why);
}

bool PreparedPush::CheckLabels(const Metric& metric, std::string* why) const {
  const Label* const labels = set_->labels.data() + metric.first_label;
  const bool valid = set_->labels_valid;
  std::string_view previous;
  bool escape = false;
  for (std::uint32_t i = 0; i < metric.label_count; ++i) {
    const auto& [name, value] = labels[i];
    if (name == previous) {
      *why = "has two or more labels with the same name: " + std::string(name);
      return false;
    }
    if (name.starts_with("__") || (!valid && (name.empty() || !IsValidUtf8(name)))) {
      *why = "has a label with an invalid name: " + std::string(name);
      return false;
    }
    if (((metric.kinds & kHasSummary) != 0 && name == "quantile") ||
        ((metric.kinds & kHasHistogram) != 0 && name == "le")) {
      *why = "must not have an explicit " + GoQuote(name) + " label";
      return false;
    }
    if (!valid && !IsValidUtf8(value)) {
      *why = "has a label named " + GoQuote(name) + " whose value is not utf8: " + GoQuote(value);
      return false;
    }
    previous = name;
    escape = escape || NeedsEscaping(name);
  }
  if (!escape) return true;
  const std::vector<Label> exposed = ExposedLabels(metric);
  const auto twin = std::ranges::adjacent_find(exposed, {}, &Label::name);
  if (twin == exposed.end()) return true;
  std::vector<std::string_view> names;
  for (std::uint32_t i = 0; i < metric.label_count; ++i) {
    if (EscapeName(labels[i].name, Escaping::kUnderscores) == twin->name) {
      names.push_back(labels[i].name);
    }
  }
  *why = "has labels " + Both(names[0], names[1], twin->name);
  return false;
}

std::vector<Label> PreparedPush::ExposedLabels(const Metric& metric) const {
  const Label* const labels = set().labels.data() + metric.first_label;
  std::vector<Label> exposed(labels, labels + metric.label_count);
  bool changed = false;
  for (Label& label : exposed) {
    if (!NeedsEscaping(label.name)) continue;
    label.name = set_->Intern(EscapeName(label.name, Escaping::kUnderscores));
    changed = true;
  }
  if (changed) std::ranges::sort(exposed, NameLess);
  return exposed;
}

bool PreparedPush::InAscendingOrder(const Family& family) const {
  const Metric* previous = nullptr;
  for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set_->metrics[m].next) {
    const Metric& metric = set_->metrics[m];
    if (previous != nullptr) {
      const Label* const a = set_->labels.data() + previous->first_label;
      const Label* const b = set_->labels.data() + metric.first_label;
      if (!std::lexicographical_compare(a, a + previous->label_count, b, b + metric.label_count)) {
        return false;
      }
    }
    previous = &metric;
  }
  return true;
}

// REQUIRES: the label names are the same in all of them.
bool PreparedPush::DifferPairwise(const Family& family) const {
  const auto same_values = [this](std::uint32_t a, std::uint32_t b) {
    return std::ranges::equal(Pushed(set_->metrics[a]), Pushed(set_->metrics[b]), {}, &Label::value,
                              &Label::value);
  };
  for (std::uint32_t a = family.first_metric; a != kNoIndex; a = set_->metrics[a].next) {
    for (std::uint32_t b = set_->metrics[a].next; b != kNoIndex; b = set_->metrics[b].next) {
      if (same_values(a, b)) return false;
    }
  }
  return true;
}

bool PreparedPush::PlainlyUnique(const PreparedFamily& prepared) {
  if (prepared.meets_grouping) return false;
  // The parser has put together what has the same labels.
  if (!BoundLabel(prepared.type).empty()) return true;
  if (!prepared.names_same) return false;
  const Family& family = set_->families[prepared.family];
  // The names are the same in all of them, so values tell.
  const auto same_or_less = [this](std::uint32_t a, std::uint32_t b) {
    return !std::ranges::lexicographical_compare(Pushed(set_->metrics[a]), Pushed(set_->metrics[b]),
                                                 {}, &Label::value, &Label::value);
  };
  std::uint32_t m = family.first_metric;
  while (set_->metrics[m].next != kNoIndex && !same_or_less(m, set_->metrics[m].next)) {
    m = set_->metrics[m].next;
  }
  if (set_->metrics[m].next == kNoIndex) return true;
  if (family.metric_count <= kComparedMax) return DifferPairwise(family);

  unique_.clear();
  for (m = family.first_metric; m != kNoIndex; m = set_->metrics[m].next) {
    values_.clear();
    for (const Label& label : Pushed(set_->metrics[m])) {
      values_.append(label.value).push_back('\xff');  // which is in no UTF-8 text
    }
    unique_.emplace_back(KeyedHash(values_), m);
  }
  std::ranges::sort(unique_);
  return std::ranges::adjacent_find(unique_, {}, &std::pair<std::uint64_t, std::uint32_t>::first) ==
         unique_.end();
}

// Two samples of one family must differ in a label, as the default escaping exposes them.
void PreparedPush::CheckUnique(PreparedFamily& prepared) {
  if (!sanitized_) SanitizeAll();
  const Family& family = set_->families[prepared.family];
  if (!prepared.beyond_lines && InAscendingOrder(family)) return;
  const auto labels_of = [this, &prepared](std::uint32_t m) {
    const Metric& metric = set_->metrics[m];
    if (prepared.beyond_lines) return ExposedLabels(metric);
    const Label* const labels = set_->labels.data() + metric.first_label;
    return std::vector<Label>(labels, labels + metric.label_count);
  };
  unique_.clear();
  for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set_->metrics[m].next) {
    const Metric& metric = set_->metrics[m];
    if (prepared.beyond_lines) {
      const std::vector<Label> exposed = ExposedLabels(metric);
      unique_.emplace_back(HashLabels(exposed.data(), exposed.size()), m);
    } else {
      unique_.emplace_back(HashLabels(set_->labels.data() + metric.first_label, metric.label_count),
                           m);
    }
  }
  std::ranges::sort(unique_);  // equal hashes side by side, in pushed order
  for (std::size_t i = 1; i < unique_.size(); ++i) {
    if (unique_[i].first != unique_[i - 1].first) continue;
    if (labels_of(unique_[i].second) != labels_of(unique_[i - 1].second)) continue;
    Complain(prepared, [&] {
      return AboutMetric(*set_, family, set_->metrics[unique_[i].second], kCollectedBefore);
    });
  }
}

void PreparedPush::CheckAgainstOwn(PreparedFamily& prepared, const OwnFamily& own) {
  const std::string which = "gathered metric family " + own.name;
  if (!own.replaces_help && prepared.help != own.help) {
    Complain(prepared, [&] {
      return which + " has help " + GoQuote(prepared.help) + " but should have " +
             GoQuote(own.help);
    });
  } else if (prepared.type != own.type) {
    Complain(prepared, [&] {
      return which + " has type " + std::string(UpperName(prepared.type)) + " but should have " +
             std::string(UpperName(own.type));
    });
  }
}

void PreparedPush::CheckName(PreparedFamily& prepared, std::uint32_t index,
                             const OwnFamilyTable& own) {
  if (!prepared.has_samples) return;
  const auto complain_twin = [this, &prepared](std::string_view other) {
    Complain(prepared, [&] { return TwinText(prepared, other); });
  };
  const bool escaped = prepared.exposed != prepared.name;
  if (escaped && (prepared.exposed == kPushTimeName || prepared.exposed == kPushFailureTimeName)) {
    return complain_twin(prepared.exposed);
  }
  const HashedView name(prepared.hash, prepared.exposed);
  if (const OwnFamily* const family = own.Find(name)) {
    if (escaped) return complain_twin(family->name);
    return CheckAgainstOwn(prepared, *family);
  }
  // Of two pushed families that exclude each other the later one is told. In unchecked mode both
  // are stored, and who reads them judges whether they still do.
  const auto refuse_beside = [this, &prepared](const auto& word) {
    errors_.Add(word);
    prepared.refused = true;
  };
  const std::uint32_t first = FindIndex(name);
  if (first < index) {
    return refuse_beside([&] { return TwinText(prepared, families_[first].name); });
  }
  bool against_own = false;
  const auto find = [this, index, &own, &against_own](std::string_view exposed) -> ExposedFamily {
    const HashedView other(exposed);
    if (const OwnFamily* const family = own.Find(other)) {
      against_own = true;
      return {family->name, MaskOf(family->type)};
    }
    const std::uint32_t found = FindIndex(other);
    if (found >= index) return {};
    return {families_[found].name, MaskOf(families_[found].type)};
  };
  if (auto why =
          FindSuffixCollision(prepared.name, prepared.exposed, prepared.type, std::cref(find))) {
    const auto word = [&why] { return *why; };
    return against_own ? Complain(prepared, word) : refuse_beside(word);
  }
}

void PreparedPush::IndexNames() {
  name_index_.Clear();
  for (std::uint32_t i = 0; i < families_.size(); ++i) {
    // Of several families exposed alike the first stays in the index.
    if (!families_[i].has_samples) continue;
    const HashedView name(families_[i].hash, families_[i].exposed);
    if (FindIndex(name) == kNoIndex) name_index_.Insert(name.hash, i);
  }
}

std::uint32_t PreparedPush::FindIndex(const HashedView& exposed) const {
  return name_index_.Find(exposed.hash, [this, &exposed](std::uint32_t i) {
    return families_[i].exposed == exposed.text;
  });
}

ExposedFamily PreparedPush::FindExposed(std::string_view exposed) const {
  const std::uint32_t found = FindIndex(HashedView(exposed));
  if (found == kNoIndex) return {};
  return {families_[found].name, MaskOf(families_[found].type)};
}

Status PreparedPush::Render(PreparedFamily& prepared) {
  const Family& family = set_->families[prepared.family];
  if (!plain_) {
    if (const Status status = RenderSanitized(prepared, family); !status) return status;
  }
  // What is wrong in itself (unchecked mode) may not read back from lines either.
  if (prepared.beyond_lines || prepared.error) {
    prepared.message = SharedText(SerializeFamily(set(), family, Escaping::kAllowUtf8));
  }
  return {};
}

Status PreparedPush::RenderSanitized(PreparedFamily& prepared, const Family& family) {
  text_.resize(text_size_);
  prepared.text_offset = text_size_;
  for (std::uint32_t m = family.first_metric; m != kNoIndex; m = set_->metrics[m].next) {
    Metric metric = set_->metrics[m];
    const std::size_t bytes_max =
        MetricLinesBytesMax(*set_, family, metric, Escaping::kUnderscores);
    if (bytes_max > kRenderedBytesMax - text_.size()) {
      return TooLargeAt(family);
    }
    if (prepared.beyond_lines) {
      const std::vector<Label> exposed = ExposedLabels(metric);
      metric.first_label = static_cast<std::uint32_t>(set_->labels.size());
      metric.label_count = static_cast<std::uint32_t>(exposed.size());
      set_->labels.insert(set_->labels.end(), exposed.begin(), exposed.end());
    }
    AppendMetricLines(*set_, family, metric, Escaping::kUnderscores, text_);
  }
  text_size_ = text_.size();
  prepared.text_size = text_size_ - prepared.text_offset;
  return {};
}

std::string PreparedPush::LinePrefix(const PreparedFamily& family, const Metric& metric) const {
  std::string prefix(family.exposed);
  if (HasSum(family.type)) prefix.append("_sum");
  AppendExposedLabels(ExposedLabels(metric), prefix);
  return prefix;
}

}  // namespace pgw
