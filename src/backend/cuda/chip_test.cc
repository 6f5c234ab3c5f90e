#include "backend/cuda/chip.h"

#include <gtest/gtest.h>

namespace tenon::cuda {
namespace {

TEST(Chip, TargetsNameChips) {
  auto hopper = chip_of_target("cuda:sm_90a");
  ASSERT_TRUE(hopper.ok());
  EXPECT_TRUE(hopper->wgmma);
  EXPECT_EQ(hopper->shared_per_block, 232448);
  for (const Chip& c : chips()) EXPECT_TRUE(chip_of_target(cat("cuda:", c.name)).ok());
}

TEST(Chip, UnknownTargetsAreAnsweredWithTheKnownOnes) {
  for (const char* t : {"", "cuda", "cuda:", "cuda:sm_90", "sm_90a", "cuda:sm_90a "}) {
    auto chip = chip_of_target(t);
    ASSERT_FALSE(chip.ok()) << t;
    EXPECT_EQ(chip.status().code(), Code::invalid_argument);
    EXPECT_NE(chip.status().message().find("cuda:sm_90a"), std::string::npos);
  }
}

TEST(Chip, CodeRunsOnLaterChipsOfItsMajorNumberOnly) {
  const Chip ampere = *chip_of_target("cuda:sm_80"), hopper = *chip_of_target("cuda:sm_90a");
  EXPECT_TRUE(runs_on(ampere, 8, 0));
  EXPECT_TRUE(runs_on(ampere, 8, 9));
  EXPECT_FALSE(runs_on(ampere, 9, 0));
  EXPECT_FALSE(runs_on(ampere, 7, 5));
  EXPECT_TRUE(runs_on(hopper, 9, 0));
  EXPECT_FALSE(runs_on(hopper, 9, 1));  // code that uses what only this chip has
}

TEST(Chip, ADeviceGetsTheNearestChipBelow) {
  EXPECT_STREQ(chip_of_capability(8, 0)->name, "sm_80");
  EXPECT_STREQ(chip_of_capability(8, 7)->name, "sm_86");
  EXPECT_STREQ(chip_of_capability(9, 0)->name, "sm_90a");
  EXPECT_STREQ(chip_of_capability(10, 3)->name, "sm_100");
  EXPECT_STREQ(chip_of_capability(12, 1)->name, "sm_120");
  EXPECT_EQ(chip_of_capability(7, 5), nullptr);
  EXPECT_EQ(chip_of_capability(13, 0), nullptr);
}

}  // namespace
}  // namespace tenon::cuda
