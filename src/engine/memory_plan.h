// The memory plan: where each intermediate tensor stands in one arena, from its size and lifetime.
#pragma once

#include <cstdint>
#include <vector>

namespace tenon {

// A tensor that lives from step `first` to step `last`, both included.
struct Lifetime {
  int64_t bytes;
  int first, last;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  // one a lifetime, multiples of 64
  int64_t peak = 0;              // bytes of the arena
  int64_t lower_bound = 0;       // the most bytes alive at one step: no plan needs less
};

// Largest first, each at the lowest place that is free during its life. Deterministic.
// Source: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020 (greedy by size).
MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes);

}  // namespace tenon
