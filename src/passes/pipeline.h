// The passes and their order: from the graph as imported to the graph that kernels are chosen for.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "stats/value_range.h"

namespace tenon {

// A node that stays float32 where the precision is a smaller one; in tf32 a product whose factors are not rounded.
struct KeptFloat {
  std::string value;                 // that the reason is about
  std::string op;
  std::vector<std::string> origins;  // the ONNX nodes
  std::string rule;                  // of passes/precision/float_needs.h: pinned, range, …
  std::string why;                   // "reached 1e+06 on golden inputs"
};

// Whether a node rounds its numbers to a narrower type: it does not, it may where the answers allow it, or it does in any case.
enum class Rounds : uint8_t { no, may, must };

struct PassOptions {
  std::vector<std::string> skip;  // names of passes that are left out
  // Weights that are stored quantised become floats at build time. Off: DequantizeLinear of weights stays.
  bool fold_dequantize = true;
  // What float32 arithmetic is done in: fp32, tf32 (the factors of products only), fp16 or bf16.
  std::string precision = "fp32";
  // Patterns ("*" and "?"): nodes of these names, operators or results stay float32 all the same.
  std::vector<std::string> pin_fp32;
  // Likewise: nodes that move to the precision whatever the rules say, where they can and pin_fp32 does not name them.
  std::vector<std::string> pin_low;
  // Tells what numbers the float values of the graph take on examples. Asked once, with precision fp16, if at all.
  std::function<ValueRanges(const Graph& g)> observe;
  // Tells which of the nodes that may round have to stay float32 so that rounding the others as the precision does it does not
  // move the graph's outputs far: how far the node alone moves them, 0 for those that need not stay. Asked last, if at all.
  std::function<std::vector<double>(const Graph& g, const std::vector<Rounds>& candidates)> rounding;
  // Called with each node that stays float32.
  std::function<void(const KeptFloat& kept)> kept;
  // Whether the device has a kernel for a node, of a graph that may hold nothing else: asked before several nodes become one
  // that not every device knows. Empty: yes.
  std::function<bool(const Graph& g, const Node& node)> has_kernel;
  // Called after each pass.
  std::function<void(const std::string& pass, const Graph& g)> dump;
};

struct PassReport {
  struct Entry {
    std::string name;
    size_t nodes_before, nodes_after;
    double seconds;  // inference and verification included
  };
  std::vector<Entry> passes;
  std::vector<KeptFloat> kept;
  std::string observed;  // what the numbers of values were seen on, or why they were not; empty: nobody asked
  std::string rounding;  // how far rounding moves the outputs, or why that is not known; empty: nobody asked
};

struct Pass {
  const char* name;
  const char* summary;
  Result<Graph> (*run)(Graph g, const PassOptions& options);
};

// In alphabetical order.
const std::vector<Pass>& all_passes();
// Null when there is none.
const Pass* find_pass(std::string_view name);
// One pass, then inference and the verifier. Errors: internal, naming the pass that broke the graph.
Result<Graph> run_pass(const Pass& pass, Graph g, const PassOptions& options);

// All passes in their order. Errors: invalid_argument for a name in `skip` that is no pass.
Result<Graph> optimize(Graph g, const PassOptions& options = {}, PassReport* report = nullptr);

}  // namespace tenon
