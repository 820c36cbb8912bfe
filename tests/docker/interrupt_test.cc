#include "docker/interrupt.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "docker/pack/staged_folder.h"
#include "tests/docker/support.h"

namespace pgw::image {
namespace {

using testing::SampleImage;
using testing::TemporaryFolder;

// Each in a process of its own: signals belong to all of it.
TEST(InterruptDeathTest, GivesUpBuildingAndWriting) {
  const SampleImage sample;
  const Image image = sample.Build();
  const TemporaryFolder folder;
  const auto interrupted = [&] {
    const InterruptGuard guard;
    auto staged = StagedFolder::Create(folder / "out", "mark");
    if (!CheckInterrupt() || ::raise(SIGTERM) != 0 || CheckInterrupt()) ::_exit(1);
    if (BuildImage(*sample.Parse(SampleImage::Text()))) ::_exit(2);
    if (WriteOutputs(image, staged->path())) ::_exit(3);
    if (staged->Commit()) ::_exit(4);
    ::_exit(InterruptGuard::signal() == SIGTERM ? 0 : 5);
  };
  EXPECT_EXIT(interrupted(), ::testing::ExitedWithCode(0), "");
}

TEST(InterruptDeathTest, IsPassedOn) {
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) {
    const auto interrupted = [signal] {
      {
        const InterruptGuard guard;
        ::raise(signal);
      }
      PassInterruptOn();
      ::_exit(0);
    };
    EXPECT_EXIT(interrupted(), ::testing::KilledBySignal(signal), "");
  }
}

TEST(InterruptDeathTest, EndsTheProgramTheSecondTime) {
  const auto interrupted = [] {
    const InterruptGuard guard;
    ::raise(SIGINT);
    ::raise(SIGINT);
    ::_exit(0);
  };
  EXPECT_EXIT(interrupted(), ::testing::KilledBySignal(SIGINT), "");
}

TEST(InterruptDeathTest, LeavesIgnoredSignalsIgnored) {
  const auto interrupted = [] {
    ::signal(SIGHUP, SIG_IGN);
    {
      const InterruptGuard guard;
      ::raise(SIGHUP);
      if (!CheckInterrupt()) ::_exit(1);
    }
    PassInterruptOn();
    ::_exit(0);
  };
  EXPECT_EXIT(interrupted(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pgw::image
