#include "docker/registry/subprocess.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace pgw::image {
namespace {

using namespace std::chrono_literals;

// What a shell's script comes to: its exit code and output, or the error.
std::string Outcome(const std::string& script, std::chrono::milliseconds timeout = 60s,
                    std::string_view input = "") {
  const Result<ProcessOutput> output = RunProcess({"/bin/sh", "-c", script}, input, timeout);
  return output ? std::to_string(output->exit_code) + " " + output->text : output.error().message;
}

TEST(RunProcessTest, GivesOutputAndExitCode) {
  EXPECT_EQ(Outcome("read line; echo \"got $line\"; exit 3", 60s, "words\n"), "3 got words\n");
  EXPECT_EQ(Outcome("kill -9 $$"), "-1 ");
}

TEST(RunProcessTest, WaitsForAProgramThatHasClosedItsOutput) {
  EXPECT_EQ(
      Outcome("echo early; exec >&-; i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; exit 4"),
      "4 early\n");
}

TEST(RunProcessTest, EndsWhatTakesTooLong) {
  EXPECT_EQ(Outcome("exec sleep 600", 20ms), "/bin/sh: takes too long");
}

TEST(RunProcessTest, EndsWhatClosesItsOutputAndLivesOn) {
  EXPECT_EQ(Outcome("exec >&-; exec sleep 600", 200ms), "/bin/sh: does not end");
}

TEST(RunProcessTest, SaysWhatCannotBeStarted) {
  const Result<ProcessOutput> output = RunProcess({"/none/such"}, "", 60s);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().message, "/none/such: No such file or directory");
}

}  // namespace
}  // namespace pgw::image
