// observe: runs data through a graph and tells how large the numbers of its values are. What decides on precisions and
// scales builds on it.
#pragma once

#include "calibration/host_kernels.h"
#include "stats/value_range.h"

namespace tenon {

struct ObserveOptions {
  int threads = 0;  // 0: one for each core
  // The most work that is done, all samples together, in multiplications of the fast kernels. It is estimated beforehand
  // and not timed, so that the same build gives the same answer on a busy machine.
  double most_work = 2e10;
};

// Runs the graph on each sample (tensors as in graph.inputs) with the host's fast kernels, node by node; what these have no
// kernel for runs on the references. Gives the ranges of the float inputs and of each float value that a node makes; what
// the bodies of control flow make inside is not seen. Samples that would take too long are left out. Errors: unavailable where
// that leaves none; those of running the graph.
Result<ValueRanges> observe(const Graph& graph, std::span<const std::vector<Tensor>> samples, const ObserveOptions& options = {});

// The work of one run on a sample, in multiplications of the fast kernels: what there is none for counts many times.
double run_work(const Graph& graph, const HostKernels& kernels, const std::vector<Tensor>& sample);

}  // namespace tenon
