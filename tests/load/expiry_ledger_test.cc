#include "bench/load/expiry_ledger.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <utility>

namespace pgw::load {
namespace {

constexpr std::int64_t kTtl = 1000;

class ExpiryLedgerTest : public testing::Test {
 protected:
  // An accepted push, under way from `sent` to `answered`.
  std::uint64_t Push(std::uint32_t group, std::int64_t sent, std::int64_t answered) {
    const std::uint64_t sequence = ledger_.Sent(group, sent);
    ledger_.Answered(group, sequence, answered, true);
    return sequence;
  }

  using Shown = std::pair<std::uint32_t, std::uint64_t>;  // group, sequence
  void Look(std::int64_t asked, std::int64_t complete, std::initializer_list<Shown> shown) {
    view_.Begin(asked);
    for (const auto& [group, sequence] : shown) view_.Saw(group, sequence);
    view_.End(complete);
    while (!ledger_.Judge(view_, 1)) {
    }
  }

  const ExpiryFigures& figures() const { return ledger_.figures(); }

  ExpiryLedger ledger_{4, kTtl, 0};
  ScrapeView view_{4};
};

TEST_F(ExpiryLedgerTest, FindsNothingWrongWithAnExactServer) {
  const std::uint64_t sequence = Push(0, 100, 110);
  Look(120, 130, {{0, sequence}});
  Look(1090, 1105, {{0, sequence}});
  Look(1111, 1115, {});
  EXPECT_EQ(figures().violations(), 0u);
  EXPECT_EQ(figures().expired, 1u);
  EXPECT_EQ(figures().late_at_least.max(), 0);
  EXPECT_EQ(figures().late_at_most.max(), 15);  // complete at 1115, sent at 100
  EXPECT_EQ(figures().resolution.max(), 25);    // asked for at 1090 and shown, gone at 1115
  EXPECT_TRUE(ledger_.AllGone());
}

TEST_F(ExpiryLedgerTest, ProvesLatenessFromTheAnswerToTheAsking) {
  const std::uint64_t sequence = Push(0, 100, 110);
  Look(1110, 1200, {{0, sequence}});  // asked for at the very last deadline: proves nothing
  EXPECT_EQ(figures().late, 0u);
  Look(1150, 1160, {{0, sequence}});
  Look(1180, 1190, {{0, sequence}});
  EXPECT_EQ(figures().late, 1u);  // once per push
  EXPECT_EQ(figures().late_max_ns, 70);
  Look(1200, 1210, {});
  EXPECT_EQ(figures().late_at_least.max(), 70);
  EXPECT_EQ(figures().late_at_most.max(), 110);
}

TEST_F(ExpiryLedgerTest, ProvesEarlinessFromTheCompletionToTheSending) {
  Push(0, 100, 110);
  Look(1050, 1099, {});
  Look(1060, 1090, {});
  EXPECT_EQ(figures().early, 1u);
  EXPECT_EQ(figures().early_max_ns, 10);
  EXPECT_EQ(figures().expired, 0u);
  Look(1095, 1100, {});  // complete at the first possible deadline: it may be gone
  EXPECT_EQ(figures().early, 1u);
  EXPECT_EQ(figures().expired, 1u);
}

TEST_F(ExpiryLedgerTest, ARenewalMovesTheDeadline) {
  Push(0, 100, 110);
  const std::uint64_t second = Push(0, 900, 910);
  Look(1500, 1510, {{0, second}});
  EXPECT_EQ(figures().violations(), 0u);
  Look(1600, 1610, {});
  EXPECT_EQ(figures().early, 1u);
  EXPECT_EQ(figures().early_max_ns, 290);
  Look(1911, 1912, {});
  EXPECT_EQ(figures().expired, 1u);  // the renewed push is no expiry
}

TEST_F(ExpiryLedgerTest, APushThatIsUnderWayMayBeShownOrNot) {
  const std::uint64_t sequence = ledger_.Sent(0, 100);
  Look(90, 95, {});
  Look(101, 105, {});
  Look(106, 109, {{0, sequence}});
  ledger_.Answered(0, sequence, 200, true);
  EXPECT_EQ(figures().violations(), 0u);
  EXPECT_EQ(figures().expired, 0u);
  EXPECT_FALSE(ledger_.AllGone());
}

TEST_F(ExpiryLedgerTest, AnExpiryWaitsForAPushThatMayHaveCome) {
  Push(0, 100, 110);
  const std::uint64_t second = ledger_.Sent(0, 1105);
  Look(1120, 1130, {});  // the first has expired, the second may be there
  EXPECT_EQ(figures().expired, 0u);
  ledger_.Answered(0, second, 1140, true);
  Look(1150, 1160, {{0, second}});
  EXPECT_EQ(figures().violations(), 0u);
}

TEST_F(ExpiryLedgerTest, AnAnsweredPushThatAnOlderOneHidesIsStale) {
  const std::uint64_t first = Push(0, 100, 110);
  Push(0, 200, 210);
  Look(205, 220, {{0, first}});  // asked for before the answer
  EXPECT_EQ(figures().stale, 0u);
  Look(211, 220, {{0, first}});
  Look(221, 230, {{0, first}});
  EXPECT_EQ(figures().stale, 1u);
}

TEST_F(ExpiryLedgerTest, PushesUnderWayTogetherMayBeAppliedInAnyOrder) {
  const std::uint64_t first = ledger_.Sent(0, 100);
  const std::uint64_t second = ledger_.Sent(0, 105);
  ledger_.Answered(0, second, 110, true);
  ledger_.Answered(0, first, 120, true);
  Look(130, 140, {{0, first}});
  Look(150, 160, {{0, second}});
  EXPECT_EQ(figures().violations(), 0u);
}

TEST_F(ExpiryLedgerTest, JudgesPushesThatItHasForgottenByTheLatestOfThem) {
  const std::uint64_t first = ledger_.Sent(0, 100);
  const std::uint64_t second = ledger_.Sent(0, 101);
  ledger_.Answered(0, second, 110, true);
  ledger_.Answered(0, first, 120, true);
  // The scrape shows the first; before it is judged, others push the first out of memory.
  for (std::int64_t i = 0; i < 3; ++i) Push(0, 200 + 10 * i, 205 + 10 * i);
  Look(130, 140, {{0, first}});
  EXPECT_EQ(figures().stale, 0u);
  Look(250, 260, {{0, first}});
  EXPECT_EQ(figures().stale, 1u);
}

TEST_F(ExpiryLedgerTest, APushThatFailedProvesNothing) {
  const std::uint64_t sequence = ledger_.Sent(0, 100);
  ledger_.Answered(0, sequence, 110, false);
  Look(5000, 5010, {{0, sequence}});
  EXPECT_EQ(figures().violations(), 0u);
  Look(5020, 5030, {});
  EXPECT_EQ(figures().violations(), 0u);
  EXPECT_EQ(figures().expired, 0u);
  EXPECT_TRUE(ledger_.AllGone());
}

TEST_F(ExpiryLedgerTest, SeesGroupsThatAreTornOrIncomplete) {
  ledger_.ExpectSeries(0, 1, 2);
  const std::uint64_t first = Push(0, 100, 110);
  const std::uint64_t second = Push(0, 120, 130);
  Look(140, 150, {{0, second}, {0, second}});
  EXPECT_EQ(figures().violations(), 0u);
  Look(140, 150, {{0, second}});
  EXPECT_EQ(figures().partial, 1u);
  Look(140, 150, {{0, second}, {0, first}});
  EXPECT_EQ(figures().torn, 1u);
  EXPECT_EQ(figures().series_seen, 5u);
}

TEST_F(ExpiryLedgerTest, IgnoresGroupsThatItDoesNotKnow) {
  Look(10, 20, {{3, 7}, {400, 1}});
  Push(0, 100, 110);
  Look(120, 130, {{0, 1}, {3, 7}});
  EXPECT_EQ(figures().violations(), 0u);
}

TEST_F(ExpiryLedgerTest, WithoutATtlOnlyVanishingIsWrong) {
  ExpiryLedger ledger(1, 0, 0);
  const std::uint64_t sequence = ledger.Sent(0, 100);
  ledger.Answered(0, sequence, 110, true);
  ScrapeView view(1);
  view.Begin(1'000'000);
  view.Saw(0, sequence);
  view.End(1'000'010);
  ASSERT_TRUE(ledger.Judge(view, 10));
  EXPECT_EQ(ledger.figures().violations(), 0u);
  view.Begin(2'000'000);
  view.End(2'000'010);
  ASSERT_TRUE(ledger.Judge(view, 10));
  EXPECT_EQ(ledger.figures().early, 1u);
}

TEST_F(ExpiryLedgerTest, CountsWhatNobodyLookedAtInTime) {
  Push(0, 100, 110);
  Push(0, 5000, 5010);  // came back before anybody had looked
  Push(1, 100, 110);
  ledger_.Finish(5020);
  EXPECT_EQ(figures().unresolved, 2u);
}

TEST_F(ExpiryLedgerTest, TheReleaseOfTheLastByteIsTheSending) {
  const std::uint64_t sequence = ledger_.Sent(0, 100);
  ledger_.Released(0, sequence, 400);
  ledger_.Answered(0, sequence, 410, true);
  Look(1200, 1210, {});
  EXPECT_EQ(figures().early_max_ns, 190);
}

TEST_F(ExpiryLedgerTest, NumbersGoOnBehindTheBase) {
  ExpiryLedger ledger(2, kTtl, 50);
  EXPECT_EQ(ledger.Sent(0, 1), 51u);
  EXPECT_EQ(ledger.Sent(0, 2), 52u);
  EXPECT_EQ(ledger.Sent(1, 3), 51u);
  EXPECT_EQ(ledger.highest_sequence(), 52u);
}

}  // namespace
}  // namespace pgw::load
