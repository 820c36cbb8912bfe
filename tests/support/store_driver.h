// Drives a MetricStore with text bodies at given times. For tests of store and ttl.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/metric_store.h"

namespace pgw::testing {

// `milliseconds` after an arbitrary start, on both clocks; wall time is 1,000,000,000 s later.
Instant At(std::int64_t milliseconds);

class StoreDriver {
 public:
  using LabelList = std::vector<std::pair<std::string, std::string>>;

  explicit StoreDriver(StoreOptions options = {},
                       std::chrono::nanoseconds ttl = std::chrono::nanoseconds(0))
      : store_(std::move(options)), ttl_(ttl) {}

  MetricStore& store() { return store_; }

  Status Post(const LabelList& group, std::string_view body, std::int64_t now_ms);
  Status Put(const LabelList& group, std::string_view body, std::int64_t now_ms);
  // The same with a delimited protobuf body.
  Status PostMessages(const LabelList& group, std::string_view body, std::int64_t now_ms);
  Status Delete(const LabelList& group, std::int64_t now_ms);

  // A scrape's text at that time, without the bookkeeping families unless asked for.
  std::string Scrape(std::int64_t now_ms, bool bookkeeping = false);
  // Its lines, without comments.
  std::multiset<std::string> Lines(std::int64_t now_ms, bool bookkeeping = false);
  // Why a scrape would fail; empty if it would not.
  std::string Inconsistency(std::int64_t now_ms);
  std::vector<GroupView> Groups(std::int64_t now_ms);

 private:
  Status Push(const LabelList& group, PushMode mode, FamilySet& set, std::int64_t now_ms);

  MetricStore store_;
  const std::chrono::nanoseconds ttl_;
};

}  // namespace pgw::testing
