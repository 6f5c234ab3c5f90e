// What an engine holds, in memory: the optimised graph, a kernel for each node, and the evidence for both.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/kernel_image.h"
#include "ir/graph.h"

namespace tenon {

// The range of one symbolic dimension. Kernels are chosen at `opt` and valid in [min, max]; memory is planned for max.
struct DimRange {
  int64_t min = 1, opt = 1, max = 1;
};
constexpr int64_t kUnbounded = INT64_MAX;

// An optimisation profile: what each symbol of the inputs' shapes may be.
struct OptimizationProfile {
  std::map<std::string, DimRange> dims;
};

// A kernel that a step could have, and what is known of its time: the evidence for the choice.
struct Tactic {
  std::string variant;    // "matmul.mma.128x128x32.s4"
  double estimate = 0;    // seconds by the compiler's cost model; 0: it has none
  double seconds = 0;     // the median of what was measured; 0: nothing was
  double spread = 0;      // seconds between the quartiles of it
  std::string failure;    // why it cannot run; empty where it can, or nobody tried
  enum Source : uint8_t { model, measured, database } source = model;  // database: measured by an earlier build
  bool chosen = false;
};

// One node's part of the plan, in the order of graph.nodes.
struct StepPlan {
  KernelImage image;   // image.backend is empty where no kernel is needed (views, shape arithmetic)
  std::string reason;  // why this kernel, or why not a faster one
  std::vector<Tactic> tactics;  // the kernels that were compared, the model's choice first; empty where there was no choice
  bool fallback = false;  // runs on the reference because the device has no kernel; the build report names it
  std::vector<std::pair<std::string, std::vector<StepPlan>>> bodies;  // of control flow, by attribute
};

struct GoldenRecord {
  std::string source;                // what computed the outputs: "reference" or the device
  std::vector<Tensor> inputs, outputs;
};

struct EngineContent {
  std::string target;                // "cpu:avx512"
  std::string precision = "fp32";
  std::string model_name, producer;
  int64_t opset = 0;
  std::string model_hash;            // of the ONNX file's bytes
  std::map<std::string, std::string> metadata;  // what the model's author attached to it
  Graph graph;
  std::vector<StepPlan> steps;
  std::vector<OptimizationProfile> profiles;
  std::string report;                // JSON: passes, kernels, fallbacks, memory
  GoldenRecord golden;
};

}  // namespace tenon
