#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace pgw {
namespace {

TEST(ResultTest, HoldsAValueThatCanBeMovedOut) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  ASSERT_TRUE(result);
  EXPECT_EQ(**result, 7);
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 7);
}

TEST(ResultTest, HoldsAnErrorInstead) {
  const Result<std::string> result = InvalidArgument("no");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), (Error{Code::kInvalidArgument, "no"}));
}

TEST(StatusTest, IsSuccessUnlessMadeFromAnError) {
  EXPECT_TRUE(Status().ok());
  const Status failed = Error{Code::kTooLarge, "much"};
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace pgw
