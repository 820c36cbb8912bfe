#include "server/routes/open_scrapes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"

namespace pgw {
namespace {

class StillClock final : public Clock {
 public:
  Instant Now() const override { return {BootTime(std::chrono::hours(1)), WallTime()}; }
};

// Keeps so many bytes of its own, and takes what is there now with each call of Next().
class Reader final : public ReaderBody {
 public:
  explicit Reader(std::size_t bytes) : bytes_(bytes) {}
  void Next(std::vector<std::string_view>& /*pieces*/) override { ++refreshes_; }
  std::size_t buffered_bytes() const noexcept override { return bytes_; }
  std::uint64_t refreshes() const noexcept override { return refreshes_; }

 private:
  const std::size_t bytes_;
  std::uint64_t refreshes_ = 0;
};

class OpenScrapesTest : public ::testing::Test {
 protected:
  OpenScrapesTest() { scrapes_->Open(); }
  ~OpenScrapesTest() override {
    scrapes_->Close();
    close(pipe_[0]);
    close(pipe_[1]);
  }

  std::unique_ptr<http::BodySource> Watch(std::size_t bytes,
                                          std::string_view remote = "1.2.3.4:5") {
    return scrapes_->Watch(std::make_unique<Reader>(bytes), remote);
  }
  std::string Logged() {
    std::string text(4096, '\0');
    const ssize_t size = read(pipe_[0], text.data(), text.size());
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }

  static std::array<int, 2> MakePipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_NONBLOCK), 0);
    return ends;
  }

  const std::array<int, 2> pipe_ = MakePipe();
  int looks_ = 0;
  StillClock clock_;
  Logger log_{clock_, pipe_[1], LogLevel::kInfo, LogFormat::kLogfmt};
  const std::shared_ptr<MemoryAccount> account_ = std::make_shared<MemoryAccount>();
  const std::shared_ptr<OpenScrapes> scrapes_ = std::make_shared<OpenScrapes>(
      account_, OpenScrapes::Options{1000, [this] { ++looks_; }}, clock_, log_);
};

TEST_F(OpenScrapesTest, TheOldestIsAbandonedAndOneAtATime) {
  auto first = Watch(400);
  auto second = Watch(400);
  EXPECT_FALSE(first->abandoned());
  auto third = Watch(900);
  EXPECT_TRUE(first->abandoned());
  EXPECT_FALSE(second->abandoned());
  EXPECT_EQ(looks_, 1);
  account_->CheckLimit();
  EXPECT_FALSE(second->abandoned()) << "the first one is yet to go";
  EXPECT_EQ(scrapes_->cut_off(), 1u);
  first.reset();
  EXPECT_TRUE(second->abandoned()) << "it was not enough";
  second.reset();
  EXPECT_FALSE(third->abandoned());
  EXPECT_EQ(scrapes_->cut_off(), 2u);
  third.reset();
  EXPECT_EQ(scrapes_->held_bytes(), 0u);
}

TEST_F(OpenScrapesTest, WhoHasTakenWhatIsThereNowIsTheYoungest) {
  auto first = Watch(400);
  auto second = Watch(400);
  std::vector<std::string_view> pieces;
  first->Next(pieces);
  auto third = Watch(400);
  EXPECT_FALSE(first->abandoned());
  EXPECT_TRUE(second->abandoned());
}

TEST_F(OpenScrapesTest, OneLineNamesTheClient) {
  auto first = Watch(600, "10.0.0.7:1234");
  auto second = Watch(600, "10.0.0.8:1234");
  auto third = Watch(600, "10.0.0.9:1234");
  first.reset();
  second.reset();
  const std::string logged = Logged();
  EXPECT_NE(logged.find("remote_address=10.0.0.7:1234"), std::string::npos) << logged;
  EXPECT_EQ(logged.find("10.0.0.8"), std::string::npos) << "that soon there is no second line";
}

TEST_F(OpenScrapesTest, NobodyIsAbandonedAfterwards) {
  auto first = Watch(600);
  scrapes_->Close();
  auto second = Watch(600);
  EXPECT_FALSE(first->abandoned());
}

}  // namespace
}  // namespace pgw
