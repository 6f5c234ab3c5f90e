#include "fuzz_util.h"

#include "base/memory_limit.h"
#include "compiler/compile.h"
#include "compiler/shapes.h"
#include "ir/infer.h"
#include "ir/interpreter.h"
#include "ir/random_input.h"
#include "runtime/engine.h"

// No single tensor of a fuzzed model may be larger, so that memory stays within libFuzzer's limit.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  tenon::set_buffer_limit(int64_t(1) << 24);
  return 0;
}

namespace tenon {

static bool small(const Graph& g, int depth) {
  if (g.nodes.size() > 64 || depth > 3) return false;
  for (const Value& v : g.values) {
    if (v.info.dtype == DType::none || !v.info.ranked) continue;
    auto shape = to_concrete(v.info.shape);
    if (!shape) continue;  // only the data decides: bounded by what is read
    const int64_t n = num_elements(*shape);
    if (n < 0 || n > 1024) return false;
  }
  for (const Node& n : g.nodes) {
    // These take their number of rounds from the data.
    if (n.op->name == "Loop" || n.op->name == "Scan" || n.op->name == "NonMaxSuppression" || n.op->name == "Range") return false;
    for (const auto& [name, value] : n.attrs) {
      if (const auto* body = std::get_if<GraphPtr>(&value); body && *body && !small(**body, depth + 1)) return false;
      // Windows, groups and the like may be far larger than the tensors.
      if (const auto* i = std::get_if<int64_t>(&value); i && n.op->name != "Constant" && (*i > 4096 && *i != INT64_MAX)) return false;
      if (const auto* list = std::get_if<Ints>(&value))
        for (int64_t i : *list)
          if (i > 4096 || i < -4096) return false;
    }
  }
  return true;
}

bool is_quick(Graph& g) {
  OptimizationProfile none;
  const std::vector<Shape> shapes = optimum_shapes(g, none);
  for (size_t i = 0; i < shapes.size(); ++i) {
    ValueInfo& info = g.value(g.inputs[i]).info;
    info.ranked = true;
    info.shape = to_sym(shapes[i]);
  }
  return small(g, 0) && infer_graph(g).ok() && small(g, 0);
}

void compile_and_run(Graph graph) {
  BuildOptions options;
  options.device = "reference";
  options.golden = false;
  auto built = compile_model({graph, 21, "fuzz"}, "0", options);
  Graph quick = graph;
  if (!is_quick(quick)) return;
  std::vector<Tensor> inputs, outputs;
  for (ValueId v : quick.inputs) {
    auto t = random_input(quick.info(v).dtype, *to_concrete(quick.info(v).shape), uint64_t(v));
    if (!t.ok()) return;
    inputs.push_back(std::move(t).value());
  }
  (void)interpret(graph, inputs).ok();
  if (!built.ok()) return;
  auto engine = LoadedEngine::load_bytes(built->bytes, nullptr);
  if (!engine.ok()) __builtin_trap();  // what we wrote, we must read
  auto context = Context::create(*engine, {1});
  if (context.ok()) (void)(*context)->run(inputs, outputs).ok();
}

}  // namespace tenon
