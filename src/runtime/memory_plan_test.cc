// The memory plan: no two tensors that live at once share bytes, and the peak is near the lower bound.
#include "engine/memory_plan.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace tenon {
namespace {

void check(const std::vector<Lifetime>& l, const MemoryPlan& p) {
  ASSERT_EQ(p.offsets.size(), l.size());
  EXPECT_GE(p.peak, p.lower_bound);
  for (size_t i = 0; i < l.size(); ++i) {
    EXPECT_EQ(p.offsets[i] % 64, 0);
    EXPECT_GE(p.offsets[i], 0);
    EXPECT_LE(p.offsets[i] + l[i].bytes, p.peak);
    for (size_t j = 0; j < i; ++j) {
      if (l[j].last < l[i].first || l[i].last < l[j].first || !l[i].bytes || !l[j].bytes) continue;
      EXPECT_TRUE(p.offsets[i] + l[i].bytes <= p.offsets[j] || p.offsets[j] + l[j].bytes <= p.offsets[i]) << i << " and " << j;
    }
  }
}

TEST(MemoryPlan, Empty) {
  const MemoryPlan p = plan_memory({});
  EXPECT_EQ(p.peak, 0);
  EXPECT_EQ(p.lower_bound, 0);
}

TEST(MemoryPlan, AChainNeedsTwoTensors) {
  std::vector<Lifetime> l;
  for (int i = 0; i < 100; ++i) l.push_back({6400, i, i + 1});
  const MemoryPlan p = plan_memory(l);
  check(l, p);
  EXPECT_EQ(p.lower_bound, 12800);
  EXPECT_EQ(p.peak, 12800);
}

TEST(MemoryPlan, ZeroBytesTakeNoPlace) {
  const std::vector<Lifetime> l = {{0, 0, 9}, {64, 0, 9}, {0, 3, 4}, {1, 2, 2}};
  const MemoryPlan p = plan_memory(l);
  check(l, p);
  EXPECT_EQ(p.peak, 128);
}

TEST(MemoryPlan, RandomLifetimesNeverOverlap) {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> l;
    for (int i = 0; i < 60; ++i) {
      const int first = int(random.next() % 50);
      l.push_back({int64_t(random.next() % 5000), first, first + int(random.next() % 12)});
    }
    const MemoryPlan p = plan_memory(l);
    check(l, p);
    EXPECT_LE(p.peak, 2 * p.lower_bound);
    EXPECT_EQ(plan_memory(l).offsets, p.offsets);
  }
}

}  // namespace
}  // namespace tenon
