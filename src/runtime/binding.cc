#include "runtime/binding.h"

#include <algorithm>

#include "base/memory_limit.h"
#include "ir/interpreter.h"
#include "runtime/executor.h"

namespace tenon {

// ---- inference on concrete shapes ----------------------------------------------------------------------------------

Status name_node(const Node& node, const Status& s) {
  if (s.ok()) return s;
  const std::string label = describe(node);
  return starts_with(s.message(), label) ? s : s.with_prefix(label + ": ");
}

Status wrong_graph(const Node& node, const std::string& says, const std::string& is) {
  return Status(Code::data_loss, cat("the engine's graph is damaged: it gives ", describe(node), " the result ", says, " where its inputs make it ", is),
                "build the engine again");
}

Result<std::vector<std::optional<Shape>>> infer_concrete(const Graph& g, const Node& node, const std::vector<ValueInfo>& inputs) {
  InferArgs a{*node.op, node.attrs, inputs, std::vector<ValueInfo>(node.outputs.size()), nullptr, body_inference(node.attrs)};
  int made_up = 0;
  a.fresh = [&made_up](const char*) { return Dim::symbol(cat("_unknown_", ++made_up)); };
  Status s = infer_op(a);
  if (!s.ok()) return s.with_prefix(describe(node) + ": ");
  std::vector<std::optional<Shape>> out;
  for (size_t i = 0; i < a.out.size(); ++i) {
    const ValueInfo& v = a.out[i];
    out.push_back(v.ranked ? to_concrete(v.shape) : std::nullopt);
    if (node.outputs[i] == kNoValue) continue;
    const DType declared = g.info(node.outputs[i]).dtype;
    if (v.dtype != declared) return wrong_graph(node, name(declared), name(v.dtype));
    if (out[i] && num_elements(*out[i]) < 0) return invalid_argument(describe(node), ": these input shapes give it output shape ", *out[i]);
  }
  return out;
}

ValueInfo concrete_info(DType t, const Shape& shape, const void* value) {
  if (!value) return {t, true, to_sym(shape), Tensor(), std::nullopt};
  return constant_info(Tensor(t, shape, Buffer::borrow(value, byte_size(t, num_elements(shape)), nullptr)));
}

// A value that the host knows before the run.
static const void* host_value(const Graph& g, const std::vector<Tensor>& held, ValueId v) {
  if (g.is_constant(v)) return g.constant(v).data();
  return held[size_t(v)] ? held[size_t(v)].data() : nullptr;
}

// The same for inference; weights that a kernel has absorbed are not there to be read.
static const void* inference_value(const Graph& g, const std::vector<Tensor>& held, ValueId v) {
  if (g.is_constant(v) && g.constant(v).buffer()->is_zeros()) return nullptr;
  return host_value(g, held, v);
}

// Whether what binding this step has to see is known before the run.
static bool values_seen(const Binding& b, const Graph& g, const LoadedStep& step) {
  const std::vector<ValueId>& in = step.node->inputs;
  for (size_t i = 0; i < in.size(); ++i)
    if (step.wants_value(i) && in[i] != kNoValue && !host_value(g, b.held, in[i])) return false;
  return true;
}

static std::vector<TensorDesc> known_inputs(const Binding& b, const Graph& g, const Node& node) {
  std::vector<TensorDesc> in;
  for (ValueId v : node.inputs)
    in.push_back(v == kNoValue ? TensorDesc{} : TensorDesc{g.info(v).dtype, b.shape[size_t(v)], host_value(g, b.held, v)});
  return in;
}

// ---- binding -------------------------------------------------------------------------------------------------------

// The binding for these shapes, made if none of the last few fits; it becomes the front one.
Result<Binding*> Executor::binding_for(const std::vector<Tensor>& inputs) {
  auto same = [&](const std::unique_ptr<Binding>& b) {
    for (size_t i = 0; i < inputs.size(); ++i)
      if (b->input_shapes[i] != inputs[i].shape()) return false;
    return true;
  };
  auto it = std::find_if(bindings_.begin(), bindings_.end(), same);
  if (it != bindings_.end()) {
    if (it != bindings_.begin()) bindings_.splice(bindings_.begin(), bindings_, it);
  } else {
    constexpr size_t kMostBindings = 8;
    bindings_.push_front(TRY(bind(inputs)));
    if (bindings_.size() > kMostBindings) {
      TRY(stream_.synchronize());  // what it recorded may still be running
      bindings_.pop_back();
    }
  }
  return bindings_.front().get();
}

Result<std::unique_ptr<Binding>> Executor::bind(const std::vector<Tensor>& inputs) {
  const Graph& g = plan_.graph;
  auto b = std::make_unique<Binding>();
  const size_t n_values = g.values.size();
  b->known.assign(n_values, false);
  b->shape.resize(n_values);
  b->spot.resize(n_values);
  b->output_of.assign(n_values, -1);
  b->data.assign(n_values, nullptr);
  b->held.resize(n_values);
  b->uncounted.assign(n_values, false);
  b->steps.resize(g.nodes.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueId v = g.inputs[i];
    b->input_shapes.push_back(inputs[i].shape());
    TRY(b->symbols.match(g.info(v), inputs[i].shape()).with_prefix(cat("input '", escape(g.value(v).name), "': ")));
    b->known[size_t(v)] = true;
    b->shape[size_t(v)] = inputs[i].shape();
  }
  for (size_t v = 0; v < n_values; ++v)
    if (g.values[v].is_constant()) {
      b->known[v] = true;
      b->shape[v] = g.values[v].info.constant.shape();
    }
  for (size_t n = 0; n < g.nodes.size(); ++n) TRY(name_node(g.nodes[n], catch_bad_alloc([&] { return bind_step(*b, n); })));
  find_places(*b);
  for (size_t n = 0; n < g.nodes.size(); ++n) TRY(name_node(g.nodes[n], catch_bad_alloc([&] { return bind_kernel(*b, n); })));
  TRY(make_room_for_counts(*b));
  plan_arenas(*b);
  find_recorded(*b);
  return b;
}

// Where values stand within each other at these shapes.
void Executor::find_places(Binding& b) {
  const Graph& g = plan_.graph;
  const auto ints = [&](ValueId v) -> std::optional<Ints> {
    const void* p = inference_value(g, b.held, v);
    if (!p) return std::nullopt;
    return concrete_info(g.info(v).dtype, b.shape[size_t(v)], p).constant.to_ints();
  };
  b.live = find_liveness(g, {[&](ValueId v) { return b.known[size_t(v)] ? &b.shape[size_t(v)] : nullptr; }, ints,
                             [&](size_t n) { return plan_.steps[n].strides_output && !b.steps[n].late; }, !plan_.split});
}

// The steps in front of the first that is late, runs on the host or copies: all of them, or enough to be worth a recording.
void Executor::find_recorded(Binding& b) {
  const Graph& g = plan_.graph;
  const auto is_input = [&](ValueId v) { return std::find(g.inputs.begin(), g.inputs.end(), v) != g.inputs.end(); };
  while (b.inputs_end < plan_.steps.size() && plan_.steps[b.inputs_end].kind == StepKind::copy &&
         is_input(plan_.steps[b.inputs_end].node->inputs[0]))
    ++b.inputs_end;
  b.recorded_end = b.inputs_end;
  if (!stream_.can_record()) return;
  size_t end = b.inputs_end, kernels = 0;
  for (; end < plan_.steps.size() && !b.steps[end].late; ++end) {
    const LoadedStep& step = plan_.steps[end];
    if (step.kind == StepKind::copy || (step.kind == StepKind::kernel && step.place == Place::host)) break;
    kernels += step.kind == StepKind::kernel;
  }
  constexpr size_t kFewest = 4;
  if (end == plan_.steps.size() || kernels >= kFewest) b.recorded_end = end;
}

Status Executor::make_room_for_counts(Binding& b) {
  int64_t counts = 0;
  for (size_t n = 0; n < b.steps.size(); ++n)
    if (plan_.steps[n].kernel_ptr && plan_.steps[n].kernel_ptr->counts()) b.steps[n].count = int(counts++);
  if (!counts) return {};
  b.counts = TRY(allocate(DType::i64, {counts}, Place::device));
  auto here = plan_.device->allocate_staging(b.counts.bytes());
  if (!here) return make_status(Code::out_of_memory, "no memory for the sizes that the data decides");
  b.counts_here = Tensor(DType::i64, {counts}, here);
  return {};
}

// Memory for roots of known shape that steps write, and for scratch. Those that are outputs stand in the outputs' buffers; on a
// device with memory of its own, which is dear, the others stand there too until the output is written.
void Executor::plan_arenas(Binding& b) {
  const Graph& g = plan_.graph;
  for (size_t j = 0; j < g.outputs.size(); ++j) {
    const auto r = size_t(b.live.root[size_t(g.outputs[j])]);
    if (b.live.whole[size_t(g.outputs[j])] && b.live.defined_at[r] >= 0 && b.known[r] && b.known[size_t(g.outputs[j])] && !b.held[r] && b.output_of[r] < 0)
      b.output_of[r] = int(j);
  }
  b.lends.assign(g.outputs.size(), false);
  std::vector<size_t> lenders;
  std::vector<Room> rooms;
  for (size_t v = 0; v < g.values.size() && plan_.split; ++v)
    if (b.output_of[v] >= 0 && plan_.place[v] == Place::device) {
      lenders.push_back(size_t(b.output_of[v]));
      rooms.push_back({byte_size(g.values[v].info.dtype, num_elements(b.shape[v])), b.live.defined_at[v]});
    }
  for (const Place p : {Place::device, Place::host}) {
    std::vector<size_t> roots;
    std::vector<Lifetime> lifetimes;
    for (size_t v = 0; v < g.values.size(); ++v)
      if (plan_.place[v] == p && b.live.root[v] == ValueId(v) && b.live.defined_at[v] >= 0 && (b.known[v] || b.uncounted[v]) && !b.held[v] && b.output_of[v] < 0) {
        roots.push_back(v);
        lifetimes.push_back({byte_size(g.values[v].info.dtype, num_elements(b.shape[v])), b.live.defined_at[v], b.live.last_use[v]});
      }
    std::vector<size_t> steps;  // that want scratch, which lives as long as the step
    for (size_t n = 0; n < b.steps.size(); ++n)
      if (plan_.steps[n].place == p && b.steps[n].launch && b.steps[n].launch->scratch_bytes() > 0) {
        steps.push_back(n);
        lifetimes.push_back({b.steps[n].launch->scratch_bytes(), int(n), int(n)});
      }
    const MemoryPlan& plan = b.memory[int(p)] = plan_memory(lifetimes, p == Place::device ? rooms : std::vector<Room>());
    for (size_t k = 0; k < lifetimes.size(); ++k) {
      const int lender = plan.rooms[k] < 0 ? -1 : int(lenders[size_t(plan.rooms[k])]);
      (k < roots.size() ? b.spot[roots[k]] : b.steps[steps[k - roots.size()]].scratch) = {lender, plan.offsets[k]};
      if (lender >= 0) b.lends[size_t(lender)] = true;
    }
  }
}

Status Executor::bind_step(Binding& b, size_t n) {
  const Graph& g = plan_.graph;
  const LoadedStep& step = plan_.steps[n];
  const Node& node = *step.node;
  BoundStep& bound = b.steps[n];
  const auto late = [&] { return bound.late = b.any_late = true, Status(); };
  if (step.kind == StepKind::dims) {
    Ints values;
    for (const Dim& d : step.dims) {
      auto v = b.symbols.eval(d);
      if (!v) bound.late = true;
      values.push_back(v.value_or(0));
    }
    if (bound.late) return b.any_late = true, Status();
    Tensor t = Tensor::of_ints(values);
    const auto out = size_t(node.outputs[0]);
    b.held[out] = node.attrs.i("scalar") ? t.reshaped({}) : t;
    b.known[out] = true;
    b.shape[out] = b.held[out].shape();
    return {};
  }

  bool inputs_known = true, outputs_known = true;
  for (ValueId v : node.inputs) inputs_known = inputs_known && (v == kNoValue || b.known[size_t(v)]);
  // Symbols tell most shapes; inference tells others, and that the file's graph is true.
  std::vector<std::optional<Shape>> shapes(node.outputs.size());
  if (inputs_known && step.bodies.empty()) {
    std::vector<ValueInfo> in;
    for (ValueId v : node.inputs)
      in.push_back(v == kNoValue ? ValueInfo{} : concrete_info(g.info(v).dtype, b.shape[size_t(v)], inference_value(g, b.held, v)));
    shapes = TRY(infer_concrete(g, node, in));
  }
  if (step.kernel_ptr && step.kernel_ptr->counts()) return inputs_known ? size_counted(b, n) : late();
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNoValue) continue;
    auto shape = b.symbols.eval(g.info(v));
    if (shape && num_elements(*shape) < 0) return invalid_argument(describe(node), ": these input shapes give it output shape ", *shape);
    if (shape && shapes[i] && *shape != *shapes[i]) return wrong_graph(node, cat(*shape), cat(*shapes[i]));
    if (!shape) shape = shapes[i];
    if (!shape) {
      outputs_known = false;
      continue;
    }
    b.known[size_t(v)] = true;
    b.shape[size_t(v)] = *shape;
    if (shapes[i]) TRY(b.symbols.match(g.info(v), *shape).with_prefix(describe(node) + ": "));
  }
  // A view of what is late is late itself, whatever is known of its shape: its memory is not known.
  if (step.kind == StepKind::view && !inputs_known) b.known[size_t(node.outputs[0])] = outputs_known = false;
  if (!inputs_known || !outputs_known || !values_seen(b, g, step) || !step.bodies.empty()) return late();
  if (step.kind == StepKind::view || step.kind == StepKind::copy) {
    const Shape &from = b.shape[size_t(node.inputs[0])], &to = b.shape[size_t(node.outputs[0])];
    if (num_elements(from) != num_elements(to))
      return invalid_argument(describe(node), ": cannot show shape ", from, " as ", to);
  }
  return {};
}

// The largest that the results of a kernel can be whose size the data decides: so much memory they have. Its inputs' shapes are
// known before the run.
Status Executor::size_counted(Binding& b, size_t n) {
  const LoadedStep& step = plan_.steps[n];
  const Node& node = *step.node;
  b.any_late = true;
  if (!values_seen(b, plan_.graph, step)) return b.steps[n].late = true, Status();
  const std::vector<Shape> shapes = TRY(step.kernel_ptr->largest(known_inputs(b, plan_.graph, node)));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNoValue) continue;
    if (num_elements(shapes[i]) < 0) return invalid_argument("these inputs may give it output shape ", shapes[i]);
    b.uncounted[size_t(v)] = true;
    b.shape[size_t(v)] = shapes[i];
  }
  return {};
}

Status Executor::bind_kernel(Binding& b, size_t n) {
  const Graph& g = plan_.graph;
  const LoadedStep& step = plan_.steps[n];
  const Node& node = *step.node;
  BoundStep& bound = b.steps[n];
  if (bound.late || step.kind != StepKind::kernel) return {};
  bound.in.resize(node.inputs.size());
  bound.out.resize(node.outputs.size());
  if (b.live.placed[n]) return {};
  const std::vector<TensorDesc> in = known_inputs(b, g, node);
  std::vector<TensorDesc> out;
  for (ValueId v : node.outputs)
    out.push_back(v == kNoValue ? TensorDesc{} : TensorDesc{g.info(v).dtype, b.shape[size_t(v)], nullptr, b.live.pitch[size_t(v)] * 8 / std::max(bits(g.info(v).dtype), 1)});
  bound.launch = TRY(step.kernel_ptr->bind(in, out, stream_of(step)));
  return {};
}

}  // namespace tenon
