// The whole machine of pushes, scrapes, deletes and expiry against the naive model: the input's
// bytes make the choices that a history consists of.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tests/store/model_player.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A comparison that fails ends the process, which is what the fuzzer looks for.
  testing::GTEST_FLAG(throw_on_failure) = false;
  testing::GTEST_FLAG(break_on_failure) = true;
  if (size == 0) return 0;
  const std::uint8_t kind = data[0];
  std::size_t at = 1;
  const auto choose = [&]() -> std::uint64_t { return at < size ? data[at++] : 0; };
  pgw::testing::History history;
  history.check = (kind & 1) != 0;
  history.utf8 = (kind & 2) != 0;
  history.ttl_ms = (kind & 4) != 0 ? 1500 : 0;
  history.recorded = (kind & 8) != 0;
  pgw::testing::ModelPlayer player(history, choose);
  while (at < size) player.Play(1);
  return 0;
}
