#include "server/http/mailbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace pgw::http {
namespace {

// A mailbox only passes it on.
class NobodyInParticular final : public Recipient {
 public:
  void TakeLateResponse(std::unique_ptr<LateResponse> /*late*/) override { ADD_FAILURE(); }
};

class MailboxTest : public ::testing::Test {
 protected:
  Responder NewResponder() {
    return Responder(std::make_unique<LateResponse>(mailbox_, recipient_));
  }
  void Send(std::string body) {
    Response response;
    response.body = std::move(body);
    NewResponder().Send(std::move(response));
  }
  std::vector<std::string> TakeBodies() {
    std::vector<std::string> bodies;
    for (auto late = mailbox_->TakeAll(); late != nullptr; late = std::move(late->next)) {
      EXPECT_EQ(&late->recipient(), &recipient_);
      bodies.push_back(late->response.body);
    }
    return bodies;
  }

  NobodyInParticular recipient_;
  int wakes_ = 0;
  bool wake_fails_ = false;
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>([this] {
    if (wake_fails_) throw std::bad_alloc();
    ++wakes_;
  });
};

using Bodies = std::vector<std::string>;

TEST_F(MailboxTest, KeepsTheOrderAndWakesOnceForAllThatCameTogether) {
  for (const char* body : {"a", "b", "c"}) Send(body);
  EXPECT_EQ(wakes_, 1);
  EXPECT_EQ(TakeBodies(), (Bodies{"a", "b", "c"}));
  EXPECT_EQ(TakeBodies(), Bodies{});
  Send("d");
  EXPECT_EQ(wakes_, 2);
  EXPECT_EQ(TakeBodies(), Bodies{"d"});
}

TEST_F(MailboxTest, TriesAgainWhenWakingFailed) {
  wake_fails_ = true;
  Send("a");
  wake_fails_ = false;
  Send("b");
  EXPECT_EQ(wakes_, 1);
  EXPECT_EQ(TakeBodies(), (Bodies{"a", "b"}));
}

TEST_F(MailboxTest, DropsEverythingOnceItIsClosed) {
  constexpr int kMany = 300'000;  // would overflow the stack if each destroyed the next one
  Responder early = NewResponder();
  for (int i = 0; i < kMany; ++i) Send({});
  mailbox_->Close();
  early.Send({});
  Send({});
  EXPECT_EQ(wakes_, 1);
  EXPECT_EQ(mailbox_->TakeAll(), nullptr);
}

TEST_F(MailboxTest, LivesNoLongerThanItsLastResponder) {
  const std::weak_ptr<Mailbox> observed = mailbox_;
  Responder late = NewResponder();
  mailbox_->Close();
  mailbox_.reset();
  EXPECT_FALSE(observed.expired());
  late.Send({});
  EXPECT_TRUE(observed.expired());
}

TEST_F(MailboxTest, LosesNothingBetweenThreads) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kEach = 1000;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (std::size_t j = 0; j < kEach; ++j) Send("x");
    });
  }
  std::size_t taken = 0;
  while (taken < kThreads * kEach) taken += TakeBodies().size();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(TakeBodies(), Bodies{});
}

TEST_F(MailboxTest, ResponderAnswersOnceAndForOthersThatForget) {
  {
    Responder sent = NewResponder();
    Response response;
    response.status = 202;
    sent.Send(std::move(response));
    sent.Send({});
    Responder replaced = NewResponder();
    replaced = NewResponder();
    replaced.Send(Response::Later([](Responder) {}));
  }
  std::vector<int> statuses;
  for (auto late = mailbox_->TakeAll(); late != nullptr; late = std::move(late->next)) {
    statuses.push_back(late->response.status);
    EXPECT_EQ(late->response.later, nullptr);
  }
  EXPECT_EQ(statuses, (std::vector<int>{202, 500, 500}));
}

}  // namespace
}  // namespace pgw::http
