// GET /api/v1/metrics: all groups as JSON, written while it is sent. Knows store and exposition.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/family_set.h"
#include "server/routes/reader_body.h"
#include "store/metric_store.h"

namespace pgw {

// Appends one sample as the JSON object that the type gets.
void AppendMetricJson(const FamilySet& set, const Metric& metric, MetricType type,
                      std::string& out);

// The answer's body. Holds one batch of groups and one group's parsed family at a time; the store
// must outlive it.
class MetricsJson final : public ReaderBody {
 public:
  MetricsJson(MetricStore& store, Instant now);

  void Next(std::vector<std::string_view>& pieces) override;

  std::size_t buffered_bytes() const noexcept override;
  // By batches.
  std::uint64_t refreshes() const noexcept override { return batches_; }

  // Appends about `bytes` more of the body, or the rest. False: that was all.
  bool Write(std::size_t bytes, std::string& out);

  // Sends `text`, which Write() gave, before everything else.
  void PutBack(std::string text);

 private:
  enum class State : unsigned char { kStart, kBetweenGroups, kInGroup, kInFamily, kEnd };

  // A key of a group's object.
  struct Member {
    // The family kind comes last: of equal keys the last counts.
    enum class Kind : unsigned char { kLabels, kLastPush, kFailureTime, kSuccessTime, kFamily };
    std::string_view key;
    Kind kind = Kind::kFamily;
    std::size_t family = 0;
  };

  void TakeBatch();
  void Step(std::string& out);
  void StartGroup(std::string& out);
  void WriteMember(std::string& out);
  void StartFamily(const GroupView::FamilyEntry& family, std::string& out);
  void WriteSamples(std::string& out);
  void WriteExpiry(BootTime deadline, std::string& out) const;
  void WritePushTime(bool success, std::string& out) const;

  MetricStore& store_;
  const Instant now_;
  State state_ = State::kStart;
  std::size_t cursor_ = 0;
  bool more_batches_ = true;
  bool first_group_ = true;
  std::vector<GroupView> batch_;
  std::uint64_t batches_ = 0;    // taken so far
  std::size_t batch_bytes_ = 0;  // of the views, without blocks
  std::size_t group_ = 0;        // in batch_
  std::vector<std::pair<std::string_view, std::string_view>> labels_;
  std::vector<Member> members_;
  std::size_t member_ = 0;
  FamilySet samples_;
  std::uint32_t sample_ = kNoIndex;  // the next one to be written
  bool first_sample_ = true;
  std::string buffer_;
  bool buffer_pending_ = false;
};

}  // namespace pgw
