#include "compiler/golden.h"

#include "compiler/shapes.h"
#include "ir/infer.h"
#include "ir/interpreter.h"
#include "ir/random_input.h"

namespace tenon {

// Multiplications that the references would do, roughly: for each node, its outputs times the size of one row of its
// weights or of its right operand.
static double reference_work(const Graph& g) {
  double work = 0;
  for (const Node& n : g.nodes) {
    if (n.outputs.empty() || n.outputs[0] == kNoValue) continue;
    auto out = to_concrete(g.info(n.outputs[0]).shape);
    if (!g.info(n.outputs[0]).ranked || !out) return 1e30;
    double per_output = 1;
    if (n.op->fusion == Fusion::out_elementwise_fusable && n.inputs.size() > 1 && n.inputs[1] != kNoValue) {
      auto w = to_concrete(g.info(n.inputs[1]).shape);
      if (!w) return 1e30;
      const int64_t elements = num_elements(*w), columns = w->empty() ? 1 : w->size() == 2 ? out->back() : (*w)[0];
      per_output = double(elements) / double(std::max<int64_t>(columns, 1));
    }
    work += double(num_elements(*out)) * per_output;
  }
  return work;
}

GoldenRecord make_golden(const Graph& imported, const OptimizationProfile& profile) {
  constexpr double kMostWork = 5e8;
  constexpr int64_t kMostBytes = 1 << 20;
  GoldenRecord golden;
  Graph g = imported;
  const std::vector<Shape> shapes = optimum_shapes(g, profile);
  for (size_t i = 0; i < shapes.size(); ++i) {
    g.value(g.inputs[i]).info.ranked = true;
    g.value(g.inputs[i]).info.shape = to_sym(shapes[i]);
  }
  if (Status s = infer_graph(g); !s.ok()) return {"none: " + s.message(), {}, {}};
  if (reference_work(g) > kMostWork) {
    golden.source = "none: the references would take long";
    return golden;
  }
  int64_t bytes = 0;
  for (size_t i = 0; i < shapes.size(); ++i) {
    auto t = random_input(g.info(g.inputs[i]).dtype, shapes[i], i + 1);
    if (!t.ok()) return {"none: " + t.status().message(), {}, {}};
    bytes += t->bytes();
    golden.inputs.push_back(std::move(t).value());
  }
  auto outputs = interpret(imported, golden.inputs);
  if (!outputs.ok()) return {"none: " + outputs.status().message(), {}, {}};
  for (const Tensor& t : *outputs) bytes += t.bytes();
  if (bytes > kMostBytes) return {"none: the data would be large", {}, {}};
  golden.outputs = std::move(outputs).value();
  golden.source = "reference";
  return golden;
}

}  // namespace tenon
