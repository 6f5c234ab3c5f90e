#include "runtime/plan.h"

#include <algorithm>

#include "backend/reference/reference.h"
#include "base/memory_limit.h"

namespace tenon {

static Status load_step(LoadedPlan& plan, size_t n, const StepPlan& from, Device& device) {
  LoadedStep& step = plan.steps[n];
  step.node = &plan.graph.nodes[n];
  step.kind = step_kind(*step.node);
  for (ValueId v : step.node->outputs)
    if (step.kind != StepKind::kernel && v == kNoValue) return invalid_model(describe(*step.node), " gives nothing");
  if (step.kind != StepKind::kernel) return {};
  // A branch that cannot work may have any types; kernels of a device are only made for right ones.
  std::vector<DType> types;
  for (ValueId v : step.node->inputs) types.push_back(v == kNoValue ? DType::none : plan.graph.info(v).dtype);
  if (from.image.backend != "reference") TRY(check_inputs(*step.node->op, types).with_prefix(describe(*step.node) + ": "));
  auto kernel = catch_bad_alloc([&] {
    return from.image.backend == "reference" ? Result<std::unique_ptr<Kernel>>(reference::make_kernel(*step.node))
                                             : device.load({plan.graph, *step.node, from.image});
  });
  if (!kernel.ok()) return kernel.status().with_prefix(describe(*step.node) + ": ");
  step.kernel_ptr = std::move(kernel).value();
  for (const auto& [attr, value] : step.node->attrs)
    if (std::holds_alternative<GraphPtr>(value) && step.node->op->domain != "tenon" &&
        std::none_of(from.bodies.begin(), from.bodies.end(), [&, &a = attr](const auto& b) { return b.first == a; }))
      return Status(Code::data_loss, cat(describe(*step.node), ": the plan has no steps for its '", attr, "'"), "build the engine again");
  for (const auto& [attr, body] : from.bodies) {
    GraphPtr inner = step.node->attrs.graph(attr);
    if (!inner) return internal_error(describe(*step.node), " has no body '", attr, "'");
    step.bodies.emplace_back(attr, TRY(load_plan(*inner, body, device)));
  }
  return {};
}

Result<std::unique_ptr<LoadedPlan>> load_plan(Graph graph, const std::vector<StepPlan>& steps, Device& device) {
  auto plan = std::make_unique<LoadedPlan>();
  plan->graph = std::move(graph);
  const Graph& g = plan->graph;
  if (g.nodes.size() != steps.size()) return internal_error("the plan does not fit the graph");
  plan->steps.resize(steps.size());
  for (size_t n = 0; n < steps.size(); ++n) TRY(load_step(*plan, n, steps[n], device));
  static_cast<Liveness&>(*plan) = find_liveness(g);
  return plan;
}

}  // namespace tenon
