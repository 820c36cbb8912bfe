// A push made ready before the store is locked: labels sanitised, checked in itself and against
// the own metrics, rendered. Knows exposition, store/grouping_labels.
//
// Text bodies with plain names, which is nearly all there is, are rendered straight from what was
// parsed (store/line_form.h); their labels are sanitised only if somebody asks for single samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/family_set.h"
#include "exposition/hash_index.h"
#include "exposition/metric_type.h"
#include "store/byte_format.h"
#include "store/error_list.h"
#include "store/grouping_labels.h"
#include "store/hashed_view.h"
#include "store/line_form.h"
#include "store/own_families.h"
#include "store/shared_text.h"
#include "store/suffix_rules.h"

namespace pgw {

inline constexpr std::string_view kPushTimeName = "push_time_seconds";
inline constexpr std::string_view kPushTimeHelp =
    "Last Unix time when changing this group in the Pushgateway succeeded.";
inline constexpr std::string_view kPushFailureTimeName = "push_failure_time_seconds";
inline constexpr std::string_view kPushFailureTimeHelp =
    "Last Unix time when changing this group in the Pushgateway failed.";

inline constexpr std::string_view kCollectedBefore =
    "was collected before with the same name and label values";

// `collected metric "NAME" { <the sample> } <complaint>`: upstream's form.
std::string AboutMetric(const FamilySet& set, const Family& family, const Metric& metric,
                        std::string_view complaint);

// Appends `{a="b",c="d"} `: what stands between the name and the value of a line. The labels are
// in the default escaping and in the order of the line. REQUIRES: at least one, as job always is.
void AppendExposedLabels(std::span<const Label> labels, std::string& out);

struct PreparedFamily {
  std::string_view name;     // as pushed
  std::string_view exposed;  // in the default escaping
  std::string_view help;
  bool has_help = false;
  MetricType type = MetricType::kUntyped;
  std::uint32_t family = 0;  // in the set
  std::uint64_t hash = 0;    // of `exposed`
  HashedView HashedName() const {
    return exposed.data() == name.data() ? HashedView(hash, name) : HashedView(name);
  }
  std::size_t text_offset = 0;
  std::size_t text_size = 0;
  bool has_samples = false;
  bool beyond_lines = false;  // needs `message`
  bool refused = false;       // for its name, type or help; its samples are not looked at then
  // What is known of plainly rendered samples: their label names are fine, are the same ones in all
  // of them, and one of them meets one that the group adds.
  bool names_fine = false;
  bool names_same = false;
  bool meets_grouping = true;
  SharedText message;  // where lines do not carry everything
  // The first reason why this family is inconsistent in itself or with an own metric. None if it
  // only contradicts another family of the push.
  SharedText error;
};

class PreparedPush {
 public:
  // Sanitises `set` in place, at once or when it is asked for, and fills this object, whose memory
  // is reused. `set` and `grouping` must outlive what is prepared. kTooLarge: the rendered text
  // would exceed kRenderedBytesMax.
  Status Prepare(const GroupingLabels& grouping, FamilySet& set, const OwnFamilyTable& own);

  // The same from what AppendRecord wrote, which must outlive this object's use. Nothing is parsed
  // before somebody asks for single samples.
  // kInternal: these bytes are no such record.
  Status ReadRecord(std::string_view record);
  // A push of which only the refusal is known.
  void Refuse();
  // REQUIRES: prepared, not refused.
  void AppendRecord(std::string& out) const;

  // Gives back memory beyond what usual pushes need.
  void Trim();

  // What was pushed, sanitised: made when first asked for.
  const FamilySet& set() const {
    if (set_ == nullptr) ReadBack();
    if (!sanitized_) SanitizeAll();
    return *set_;
  }
  const std::vector<PreparedFamily>& families() const { return families_; }
  std::string_view text(const PreparedFamily& family) const {
    return (record_ ? *record_ : std::string_view(text_.data(), text_size_))
        .substr(family.text_offset, family.text_size);
  }
  // The push has a sample with a timestamp, or is known to be refused for whatever reason; nothing
  // else is prepared then.
  bool refused() const { return refused_; }
  const ErrorList& errors() const { return errors_; }

  // The pushed family exposed under that name and its type, if it has samples.
  ExposedFamily FindExposed(std::string_view exposed) const;

  // The labels of a metric in the default escaping, sorted by exposed name.
  std::vector<Label> ExposedLabels(const Metric& metric) const;

  // `name{a="b",c="d"} `: what a line of this series begins with, for histograms and summaries
  // the line of the sum.
  std::string LinePrefix(const PreparedFamily& family, const Metric& metric) const;

  // A rendered push may not be larger: short samples times long grouping labels multiply.
  static constexpr std::size_t kRenderedBytesMax = 256u << 20;

 private:
  void Clear();
  bool ReadFamily(ByteReader& reader, std::string_view record);
  bool RepeatsName() const;
  void ReadBack() const;
  void SanitizeAll() const;
  void Sanitize(Metric& metric) const;
  void PrepareFamily(std::uint32_t index);
  Status RenderPlain(PreparedFamily& prepared);
  char* Room(std::size_t bytes);
  std::span<const Label> Pushed(const Metric& metric) const {
    return std::span<const Label>(set_->labels).subspan(metric.first_label, metric.label_count);
  }
  void CheckSamples(PreparedFamily& prepared);
  // The first thing wrong with a sample in itself; false if there is none.
  bool CheckMetric(const Family& family, const Metric& metric, std::string* why) const;
  bool CheckLabels(const Metric& metric, std::string* why) const;
  // True if the samples stand in ascending order of their labels: then no two are alike.
  bool InAscendingOrder(const Family& family) const;
  // The same of plainly rendered ones, without sanitising them; where that does not say it, true if
  // their values differ, of many if the values' hashes do.
  bool PlainlyUnique(const PreparedFamily& prepared);
  bool DifferPairwise(const Family& family) const;
  void CheckUnique(PreparedFamily& prepared);
  void CheckName(PreparedFamily& prepared, std::uint32_t index, const OwnFamilyTable& own);
  void CheckAgainstOwn(PreparedFamily& prepared, const OwnFamily& own);
  Status Render(PreparedFamily& prepared);
  Status RenderSanitized(PreparedFamily& prepared, const Family& family);
  void IndexNames();
  // Where `exposed` stands in families_; kNoIndex if it was not pushed.
  std::uint32_t FindIndex(const HashedView& exposed) const;
  // `word` makes the text; it is called only where somebody will read it.
  template <typename Word>
  void Complain(PreparedFamily& prepared, const Word& word);

  mutable FamilySet* set_ = nullptr;
  mutable std::unique_ptr<FamilySet> read_back_;  // what set_ is after ReadBack()
  mutable bool sanitized_ = true;
  const GroupingLabels* grouping_ = nullptr;
  bool plain_ = false;                      // no name in the set or the grouping needs escaping
  std::optional<std::string_view> record_;  // where the text is, if not in text_
  // Grows and keeps its size: to clear it for each push would cost as much as to write it.
  std::string text_;
  std::size_t text_size_ = 0;
  LineForm form_;
  std::string values_;  // of one sample, to be hashed
  std::vector<PreparedFamily> families_;
  std::deque<std::string> names_;                                // escaped, of a record
  HashIndex name_index_;                                         // into families_, by exposed name
  std::vector<std::pair<std::uint64_t, std::uint32_t>> unique_;  // hash and metric
  ErrorList errors_;
  bool refused_ = false;
};

}  // namespace pgw
