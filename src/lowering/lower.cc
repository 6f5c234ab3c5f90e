#include "lowering/lower.h"

#include "base/memory_limit.h"
#include "engine/step_kind.h"
#include "ir/infer.h"

namespace tenon {

// Whether a result's size depends on more than the shapes of the inputs.
static bool data_decides(const Graph& g, const Node& node) {
  std::set<std::string> in, out;
  for (ValueId v : node.inputs)
    if (v != kNoValue)
      for (const Dim& d : g.info(v).shape) d.collect_symbols(in);
  for (ValueId v : node.inputs)
    if (v != kNoValue && g.info(v).value)
      for (const Dim& d : *g.info(v).value) d.collect_symbols(in);
  for (ValueId v : node.outputs) {
    if (v == kNoValue) continue;
    if (!g.info(v).ranked) return true;
    for (const Dim& d : g.info(v).shape) d.collect_symbols(out);
  }
  for (const std::string& s : out)
    if (!in.contains(s)) return true;
  return false;
}

static bool has_body(const Node& node) {
  if (node.op->domain == "tenon") return false;  // a fused node's body is one kernel, no control flow
  for (const auto& [name, value] : node.attrs)
    if (std::holds_alternative<GraphPtr>(value)) return true;
  return false;
}

static Result<std::vector<StepPlan>> lower_body(const Graph& g, KernelCompiler& compiler);

static Result<StepPlan> lower_node(const Graph& g, const Node& node, KernelCompiler& compiler) {
  StepPlan step;
  if (step_kind(node) != StepKind::kernel) return step;
  const KernelImage fallback{"reference", "reference", "", {}, {}};
  if (has_body(node)) {
    step.image = fallback;
    step.reason = "control flow: the host decides, the bodies have kernels of their own";
    for (const auto& [name, value] : node.attrs)
      if (const auto* body = std::get_if<GraphPtr>(&value); body && *body)
        step.bodies.emplace_back(name, TRY(lower_body(**body, compiler)));
    return step;
  }
  const KernelAnswer answer = compiler.supports({g, node});
  if (answer.yes) {
    step.image = TRY(compiler.compile({g, node}));
    step.reason = answer.reason;
    return step;
  }
  step.image = fallback;
  step.fallback = true;
  step.reason = data_decides(g, node) ? cat("its result's size depends on data; ", answer.reason) : answer.reason;
  return step;
}

// A node of a branch that contradicts itself has no sizes or types to choose a kernel by; the reference says what is
// wrong if the branch is ever taken.
static Result<std::vector<StepPlan>> lower_body(const Graph& g, KernelCompiler& compiler) {
  Graph inferred = g;
  std::vector<Status> wrong;
  bool any = false;
  for (Node& node : inferred.nodes) {
    wrong.push_back(infer_node(inferred, node));
    any = any || !wrong.back().ok();
  }
  if (!any) return lower(g, compiler);
  std::vector<StepPlan> steps;
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    if (wrong[n].ok() || has_body(node)) {
      steps.push_back(TRY(lower_node(g, node, compiler)));
      continue;
    }
    StepPlan& step = steps.emplace_back();
    if (step_kind(node) != StepKind::kernel) continue;
    step.image = {"reference", "reference", "", {}, {}};
    step.fallback = true;
    step.reason = cat("cannot work if it is ever reached: ", wrong[n].message());
  }
  return steps;
}

Result<std::vector<StepPlan>> lower(const Graph& g, KernelCompiler& compiler, const LowerOptions& options) {
  std::vector<StepPlan> steps;
  for (const Node& node : g.nodes) {
    if (options.progress) options.progress(int64_t(steps.size()), int64_t(g.nodes.size()));
    auto step = catch_bad_alloc([&] { return lower_node(g, node, compiler); });
    if (!step.ok()) return step.status().with_prefix(describe(node) + ": ");
    steps.push_back(std::move(step).value());
  }
  return steps;
}

}  // namespace tenon
