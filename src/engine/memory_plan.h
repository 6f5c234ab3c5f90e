// The memory plan: where each intermediate tensor stands, from its size and lifetime: in one arena, or in memory that is there
// anyway and free for a while.
#pragma once

#include <cstdint>
#include <vector>

namespace tenon {

// A tensor that lives from step `first` to step `last`, both included.
struct Lifetime {
  int64_t bytes;
  int first, last;
};

// Memory beside the arena, as that of an output, which is free until step `until` writes it.
struct Room {
  int64_t bytes;
  int until;
};

struct MemoryPlan {
  std::vector<int> rooms;        // one a lifetime: the room that it is in; -1: the arena
  std::vector<int64_t> offsets;  // within that, multiples of 64
  int64_t peak = 0;              // bytes of the arena
  int64_t lower_bound = 0;       // the most bytes alive in it at one step: no plan of the same tensors needs less
};

// Largest first, each in the first room that takes it, else in the arena, at the lowest place that is free during its life.
// Deterministic.
// Source: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020 (greedy by size).
MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes, const std::vector<Room>& rooms = {});

}  // namespace tenon
