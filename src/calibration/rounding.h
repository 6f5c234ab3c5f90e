// rounding: how far a graph's answers move when nodes round their operands and results to a narrower type, all of them
// together and each alone; and which of them have to stay as they are so that the answers do not move far.
#pragma once

#include "ir/graph.h"

namespace tenon {

struct RoundingOptions {
  int threads = 0;  // 0: one for each core
  // The most work, all runs together, in multiplications of the fast kernels: estimated and not timed, so that the same
  // build gives the same answer on a busy machine.
  double most_work = 5e10;
};

struct RoundingChoice {
  // By node of the graph: how far the node alone moves the answers, where it has to stay; else 0.
  std::vector<double> stays;
  double all = 0;   // how far they move when all candidates round
  double left = 0;  // when those that stay do not
};

// Answers are the graph's float outputs; they move by the largest difference in parts of the output's largest magnitude, or
// by 1 where even the shape or what is finite changes. Where all candidates (by node) together move them by more than
// `allowed`, each is asked alone, or in groups of neighbours where there are many; errors of single roundings are nearly
// independent, so those with the largest stay until the squares of the others sum up to little enough. `low` is f16 or bf16.
// Errors: unavailable, where running the graph often enough is too much work; those of running it.
Result<RoundingChoice> choose_by_rounding(const Graph& graph, DType low, const std::vector<bool>& candidates,
                                          std::span<const std::vector<Tensor>> samples, double allowed,
                                          const RoundingOptions& options = {});

}  // namespace tenon
