// The memory plan: no two tensors that live at once share bytes, and the peak is near the lower bound.
#include "engine/memory_plan.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace tenon {
namespace {

void check(const std::vector<Lifetime>& l, const MemoryPlan& p, const std::vector<Room>& rooms = {}) {
  ASSERT_EQ(p.offsets.size(), l.size());
  ASSERT_EQ(p.rooms.size(), l.size());
  EXPECT_GE(p.peak, p.lower_bound);
  for (size_t i = 0; i < l.size(); ++i) {
    EXPECT_EQ(p.offsets[i] % 64, 0);
    EXPECT_GE(p.offsets[i], 0);
    EXPECT_LE(p.offsets[i] + l[i].bytes, p.rooms[i] < 0 ? p.peak : rooms[size_t(p.rooms[i])].bytes);
    if (p.rooms[i] >= 0) EXPECT_LT(l[i].last, rooms[size_t(p.rooms[i])].until);
    for (size_t j = 0; j < i; ++j) {
      if (p.rooms[i] != p.rooms[j] || l[j].last < l[i].first || l[i].last < l[j].first || !l[i].bytes || !l[j].bytes) continue;
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
    const std::vector<Room> rooms = {{int64_t(random.next() % 9000), int(random.next() % 60)}, {int64_t(random.next() % 9000), int(random.next() % 60)}};
    const MemoryPlan beside = plan_memory(l, rooms);
    check(l, beside, rooms);
  }
}

TEST(MemoryPlan, ARoomTakesWhatIsGoneBeforeItIsWritten) {
  const std::vector<Lifetime> l = {{640, 0, 1}, {640, 1, 2}, {64, 2, 3}};
  const std::vector<Room> rooms = {{1000, 3}};  // not both of the large ones, and not what is read when it is written
  const MemoryPlan p = plan_memory(l, rooms);
  check(l, p, rooms);
  EXPECT_EQ(p.rooms, (std::vector<int>{0, -1, -1}));
  EXPECT_EQ(p.peak, 704);
  EXPECT_EQ(plan_memory(l, {{2000, 3}}).peak, 64);
  EXPECT_EQ(plan_memory(l, {{2000, 3}}).lower_bound, 64);
}

TEST(MemoryPlan, NothingIsWrittenBeyondARoom) {
  const MemoryPlan p = plan_memory({{100, 0, 0}, {28, 0, 0}, {1, 0, 0}}, {{156, 9}});  // 100 bytes end at 128 of 64s
  EXPECT_EQ(p.rooms, (std::vector<int>{0, 0, -1}));
}

}  // namespace
}  // namespace tenon
