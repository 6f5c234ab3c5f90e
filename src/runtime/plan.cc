#include "runtime/plan.h"

#include <algorithm>
#include <set>

#include "base/memory_limit.h"

namespace tenon {

static Status damaged(const Node& node, const std::string& what) {
  return Status(Code::data_loss, cat(describe(node), ": ", what), "build the engine again");
}

static Status load_kernel(LoadedPlan& plan, LoadedStep& step, const StepPlan& from, const Devices& devices) {
  const Node& node = *step.node;
  const auto owner = std::find_if(devices.begin(), devices.end(), [&](auto& d) { return d.backend == from.image.backend; });
  if (owner == devices.end())
    return Status(Code::incompatible, cat(describe(node), ": its kernel is of the backend '", escape(from.image.backend), "', which this engine's device does not fall back to"),
                  "build the engine again with this Tenon");
  step.place = owner == devices.begin() || !plan.split ? Place::device : Place::host;
  // A branch that cannot work may have any types; only the last of the chain, the reference, takes such nodes.
  std::vector<DType> types;
  for (ValueId v : node.inputs) types.push_back(v == kNoValue ? DType::none : plan.graph.info(v).dtype);
  if (owner + 1 != devices.end()) TRY(check_inputs(*node.op, types).with_prefix(describe(node) + ": "));
  auto kernel = catch_bad_alloc([&] { return owner->device->load({plan.graph, node, from.image}); });
  if (!kernel.ok()) return kernel.status().with_prefix(describe(node) + ": ");
  step.kernel_ptr = std::move(kernel).value();
  step.strides_output = from.image.strides_output;
  return {};
}

static Status load_bodies(LoadedStep& step, const StepPlan& from, const Devices& devices) {
  const Node& node = *step.node;
  if (node.op->domain != "tenon")
    for (const auto& [attr, value] : node.attrs)
      if (std::holds_alternative<GraphPtr>(value) &&
          std::none_of(from.bodies.begin(), from.bodies.end(), [&, &a = attr](const auto& b) { return b.first == a; }))
        return damaged(node, cat("the plan has no steps for its '", attr, "'"));
  for (const auto& [attr, body] : from.bodies) {
    GraphPtr inner = node.attrs.graph(attr);
    if (!inner) return internal_error(describe(node), " has no body '", attr, "'");
    step.bodies.emplace_back(attr, TRY(load_plan(*inner, body, devices)));
  }
  return {};
}

static Status load_step(LoadedPlan& plan, size_t n, const StepPlan& from, const Devices& devices) {
  LoadedStep& step = plan.steps[n];
  step.node = &plan.graph.nodes[n];
  step.kind = step_kind(*step.node);
  for (ValueId v : step.node->outputs)
    if (step.kind != StepKind::kernel && v == kNoValue) return invalid_model(describe(*step.node), " gives nothing");
  if (step.kind == StepKind::kernel) {
    TRY(load_kernel(plan, step, from, devices));
    return load_bodies(step, from, devices);
  }
  if (step.kind == StepKind::dims) {
    step.place = plan.split ? Place::host : Place::device;
    for (const std::string& text : step.node->attrs.strings("dims")) step.dims.push_back(TRY(Dim::parse(text)));
  }
  if (step.kind == StepKind::copy && plan.split) step.place = step.node->attrs.s("to") == "host" ? Place::host : Place::device;
  if (step.kind == StepKind::view && step.node->inputs[0] != kNoValue) step.place = plan.place[size_t(step.node->inputs[0])];
  return {};
}

static Place place_of_result(const LoadedPlan& plan, const LoadedStep& step, size_t i) {
  if (plan.split && passes_through(*step.node))
    for (const auto& [attr, body] : step.bodies)
      if (i < body->graph.outputs.size() && body->place[size_t(body->graph.outputs[i])] == Place::device) return Place::device;
  return step.place;
}

// Each step must find its inputs where it runs: a damaged engine could make it read foreign memory.
static Status check_places(const LoadedPlan& plan, const LoadedStep& step) {
  for (size_t i = 0; i < step.node->inputs.size(); ++i) {
    const ValueId v = step.node->inputs[i];
    if (v == kNoValue || plan.graph.is_constant(v) || step.ignores_value(i) || (i > 0 && passes_through(*step.node))) continue;
    const Place is = plan.place[size_t(v)];
    const bool copy = step.kind == StepKind::copy, wants_host = step.place == Place::host || step.wants_value(i);
    if (copy ? is == step.place : (is == Place::host) != wants_host)
      return damaged(*step.node, cat("its input ", i, " is in the wrong memory"));
  }
  return {};
}

// Constants that kernels of the device read in its memory, all together.
static Status upload_constants(LoadedPlan& plan) {
  std::vector<ValueId> values;
  std::vector<Tensor> constants;
  std::set<ValueId> listed;
  for (const LoadedStep& step : plan.steps)
    for (size_t i = 0; i < step.node->inputs.size(); ++i) {
      const ValueId v = step.node->inputs[i];
      if (step.place != Place::device || step.kind != StepKind::kernel || !plan.graph.is_constant(v) || step.wants_value(i) || step.ignores_value(i)) continue;
      if (plan.graph.constant(v).buffer()->is_zeros() || !listed.insert(v).second) continue;  // absorbed by its kernels, or there already
      values.push_back(v);
      constants.push_back(plan.graph.constant(v));
    }
  const auto there = TRY(plan.device->upload_all(constants));
  for (size_t i = 0; i < values.size(); ++i) plan.constants[size_t(values[i])] = Tensor(constants[i].dtype(), constants[i].shape(), there[i]);
  return {};
}

static void list_images(const std::vector<StepPlan>& steps, const std::string& backend, std::vector<const KernelImage*>& out) {
  for (const StepPlan& step : steps) {
    if (step.image.backend == backend) out.push_back(&step.image);
    for (const auto& [attr, body] : step.bodies) list_images(body, backend, out);
  }
}

Result<std::unique_ptr<LoadedPlan>> load_plan(Graph graph, const std::vector<StepPlan>& steps, const Devices& devices) {
  std::vector<const KernelImage*> images;
  list_images(steps, devices[0].backend, images);
  const auto prepared = TRY(devices[0].device->prepare_load(images));  // of bodies too
  auto plan = std::make_unique<LoadedPlan>();
  plan->graph = std::move(graph);
  plan->device = devices[0].device.get();
  plan->split = plan->device->memory() != kHostMemory;
  const Graph& g = plan->graph;
  if (g.nodes.size() != steps.size()) return internal_error("the plan does not fit the graph");
  plan->steps.resize(steps.size());
  plan->place.assign(g.values.size(), plan->split ? Place::host : Place::device);
  plan->constants.resize(g.values.size());
  for (size_t n = 0; n < steps.size(); ++n) {
    TRY(load_step(*plan, n, steps[n], devices));
    const std::vector<ValueId>& results = g.nodes[n].outputs;
    for (size_t i = 0; i < results.size(); ++i)
      if (results[i] != kNoValue) plan->place[size_t(results[i])] = place_of_result(*plan, plan->steps[n], i);
    if (plan->split) TRY(check_places(*plan, plan->steps[n]));
  }
  if (plan->split) TRY(upload_constants(*plan));
  static_cast<Liveness&>(*plan) = find_liveness(g);
  return plan;
}

static void list_memory(const LoadedPlan& plan, HeldMemory& out) {
  if (!plan.split) return;
  for (const Tensor& t : plan.constants)
    if (t) plan.device->list_memory(*t.buffer(), out);
  for (const LoadedStep& step : plan.steps) {
    if (step.kernel_ptr) step.kernel_ptr->list_memory(out);
    for (const auto& [name, body] : step.bodies) list_memory(*body, out);
  }
}

int64_t held_bytes(const LoadedPlan& plan) {
  HeldMemory held;
  list_memory(plan, held);
  int64_t sum = 0;
  for (const auto& [address, bytes] : held) sum += bytes;
  return sum;
}

}  // namespace tenon
