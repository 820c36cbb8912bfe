// A gateway with everything behind it, driven as an engine drives it but without one.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "server/routes/gateway.h"
#include "server/routes/own_metrics.h"
#include "store/command_log.h"
#include "store/metric_store.h"
#include "ttl/policy.h"

namespace pgw::testing {

class ManualClock final : public Clock {
 public:
  Instant Now() const override { return now_; }
  void Advance(std::chrono::nanoseconds time) {
    now_.boot += time;
    now_.wall += time;
  }
  void Set(Instant now) { now_ = now; }

 private:
  // 2020-03-10T00:54:08.025744841+05:30
  Instant now_{BootTime(std::chrono::hours(10)),
               WallTime(std::chrono::nanoseconds(1'583'781'848'025'744'841))};
};

struct Reply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool before_body = false;  // answered in OnHeader
  bool streamed = false;
  bool close = false;

  // Empty if absent.
  std::string Header(std::string_view name) const;
};

struct GatewaySetup {
  GatewayOptions options;
  std::chrono::nanoseconds ttl{0};
};

class GatewayFixture : public ::testing::Test {
 protected:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  explicit GatewayFixture(GatewaySetup setup = {});
  ~GatewayFixture() override;

  Reply Send(std::string_view method, std::string_view target, std::string_view body = {},
             const Headers& headers = {});
  Reply Get(std::string_view target, const Headers& headers = {}) {
    return Send("GET", target, {}, headers);
  }
  // The body of a scrape without the families that every scrape has.
  std::string ScrapePushed(const Headers& headers = {});
  // What has been logged since the last call.
  std::string Logged();

  ManualClock clock_;
  OwnMetrics own_metrics_;
  MetricStore store_;
  DirectLog commands_{store_};
  TtlPolicy ttl_;
  int quits_ = 0;

 private:
  std::array<int, 2> log_pipe_{};
  std::unique_ptr<Logger> log_;
  std::unique_ptr<Gateway> gateway_;
};

// The lines of families whose names do not start with process_, pushgateway_ or push_.
std::string WithoutOwnFamilies(std::string_view scrape);

}  // namespace pgw::testing
