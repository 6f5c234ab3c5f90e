// rounding: how far a graph's answers move when nodes round their numbers to a narrower type, all of them together and each
// alone; and which of them have to stay as they are so that the answers do not move far.
#pragma once

#include "ir/graph.h"
#include "passes/pipeline.h"

namespace tenon {

// What a node that rounds does: in f16 and bf16 its operands and results are rounded to that type, in tf32 only the factors of
// products (product_factors() of passes/known.h), to ten bits of fraction.
enum class Narrow : uint8_t { tf32, f16, bf16 };

struct RoundingOptions {
  int threads = 0;  // 0: one for each core
  // The most work, all runs together, in multiplications of the fast kernels: estimated and not timed, so that the same
  // build gives the same answer on a busy machine. A part is for asking which nodes matter, the rest for samples.
  double most_work = 6e10;
  // By sample: how much of what it moves counts; empty: all of it. Less for samples that are more like real inputs, where a
  // margin is for those that are not.
  std::vector<double> weights = {};
};

struct RoundingChoice {
  // By node of the graph: how far the node alone moves the answers, where it has to stay; else 0.
  std::vector<double> stays;
  double all = 0;      // how far they move when all candidates round
  double left = 0;     // when those that stay do not
  size_t samples = 0;  // how many of the samples were affordable
};

// Answers are the graph's float outputs; they move by the largest difference in parts of the output's largest magnitude, or
// by 1 where even the shape or what is finite changes; those of a Sigmoid or Softmax also by what they could move by where these
// are steepest. The worst of all samples counts. Where all candidates (by node) together
// move them by more than `allowed`, each that may stay is asked alone, or in groups of neighbours where there are many; errors of single
// roundings are nearly independent, so nodes stay, those first that move the answers far for the work that they do, until the
// squares of the others sum up to little enough. Samples behind the first are left out where they would take too long or cannot
// be run.
// Errors: unavailable, where running the graph often enough is too much work; those of running it.
Result<RoundingChoice> choose_by_rounding(const Graph& graph, Narrow to, const std::vector<Rounds>& candidates,
                                          std::span<const std::vector<Tensor>> samples, double allowed,
                                          const RoundingOptions& options = {});

}  // namespace tenon
