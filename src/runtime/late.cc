// Late steps: those whose shapes, or the values that binding needs, only the run tells; and control flow.
#include <algorithm>
#include <cstring>

#include "runtime/binding.h"
#include "runtime/executor.h"

namespace tenon {

// Symbols that the shapes of a late step's results decide.
static Status learn(const LoadedPlan& plan, const Binding& b, const Node& node, SymbolValues& symbols) {
  for (ValueId v : node.outputs)
    if (v != kNoValue) TRY(symbols.match(plan.graph.info(v), b.shape[size_t(v)]));
  return {};
}

static Status run_dims(Binding& b, const LoadedStep& step, const SymbolValues& symbols) {
  const Node& node = *step.node;
  Ints values;
  for (const Dim& d : step.dims) {
    auto v = symbols.eval(d);
    if (!v) return internal_error("the size ", d.to_string(), " is not known");
    values.push_back(*v);
  }
  Tensor t = Tensor::of_ints(values);
  const auto out = size_t(node.outputs[0]);
  b.held[out] = node.attrs.i("scalar") ? t.reshaped({}) : t;
  b.shape[out] = b.held[out].shape();
  return {};
}

// Output shapes of a late step whose inputs are there. What is on the device is brought back only `with_values`, and where
// inference could need it: no operator takes sizes from anything but few numbers.
Result<std::vector<std::optional<Shape>>> Executor::infer_late(const Binding& b, const Node& node, bool with_values) {
  TRY(settle());
  constexpr int64_t kMostBytes = 4096;
  std::vector<ValueInfo> in;
  std::vector<Tensor> alive;
  for (ValueId v : node.inputs) {
    Tensor t = tensor_of(b, v);
    if (with_values && t && t.memory() != kHostMemory && t.bytes() <= kMostBytes) t = TRY(host_copy(t));
    alive.push_back(t);
    in.push_back(t ? concrete_info(t.dtype(), t.shape(), t.memory() != kHostMemory || t.buffer()->is_zeros() ? nullptr : t.data()) : ValueInfo{});
  }
  if (!plan_.split) TRY(stream_.synchronize());
  return infer_concrete(plan_.graph, node, in);
}

Status Executor::run_late(Binding& b, size_t n, SymbolValues& symbols) {
  const Graph& g = plan_.graph;
  const LoadedStep& step = plan_.steps[n];
  const Node& node = *step.node;
  const bool counts = b.steps[n].count >= 0;
  // One wait is for the sizes of all results so far.
  if (!counts || reads_uncounted(node)) TRY(learn_counts(b, symbols));
  if (step.kind == StepKind::dims) return run_dims(b, step, symbols);
  if (!step.bodies.empty()) {
    TRY(run_dynamic(b, n));
    return learn(plan_, b, node, symbols);
  }

  // Shapes first: from symbols that are bound by now, else by inference on the inputs' values.
  std::vector<std::optional<Shape>> shapes;
  bool all = true;
  if (counts) {
    TRY(settle());  // it may look at values
    for (const Shape& s : TRY(step.kernel_ptr->largest(late_inputs(b, step)))) shapes.push_back(s);
  }
  for (size_t i = shapes.size(); i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    shapes.push_back(v == kNoValue         ? std::optional<Shape>(Shape{})
                     : b.known[size_t(v)] ? std::optional<Shape>(b.shape[size_t(v)])
                                          : symbols.eval(g.info(v)));
    if (shapes.back() && num_elements(*shapes.back()) < 0)
      return invalid_argument("these inputs give it output shape ", *shapes.back());
    all = all && shapes.back();
  }
  if (!all) {
    auto inferred = TRY(infer_late(b, node, true));
    all = true;
    for (size_t i = 0; i < shapes.size(); ++i) {
      if (!shapes[i]) shapes[i] = inferred[i];
      all = all && shapes[i];
    }
  }
  if (!all) {
    TRY(run_dynamic(b, n));
    return learn(plan_, b, node, symbols);
  }

  if (step.kind == StepKind::view) {
    Tensor in = tensor_of(b, node.inputs[0]);
    if (in.dtype() != g.info(node.outputs[0]).dtype) return wrong_graph(node, name(g.info(node.outputs[0]).dtype), name(in.dtype()));
    if (num_elements(*shapes[0]) != in.size()) return invalid_argument("cannot show shape ", in.shape(), " as ", *shapes[0]);
    const auto out = size_t(node.outputs[0]);
    b.shape[out] = *shapes[0];
    if (!b.known[out] || !b.known[size_t(plan_.root[out])]) b.held[out] = in.reshaped(*shapes[0]);
    return learn(plan_, b, node, symbols);
  }
  for (size_t i = 0; i < shapes.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNoValue || b.known[size_t(v)]) continue;
    b.shape[size_t(v)] = *shapes[i];
    b.held[size_t(v)] = TRY(allocate(g.info(v).dtype, *shapes[i], step.place));
  }
  if (step.kind == StepKind::copy) {
    Tensor to = tensor_of(b, node.outputs[0]);
    if (timer_) TRY(timer_->begin_again());
    TRY(copy(to, tensor_of(b, node.inputs[0])));
  } else {
    TRY(bind_late(b, n));
    BoundStep& s = b.steps[n];
    std::shared_ptr<Buffer> scratch;
    if (const int64_t bytes = s.launch->scratch_bytes(); bytes > 0) {
      scratch = plan_.memory(step.place) == kHostMemory ? Buffer::allocate(bytes) : plan_.device->allocate(bytes);
      if (!scratch) return make_status(Code::out_of_memory, "no memory for scratch");
    }
    if (timer_) TRY(timer_->begin_again());
    TRY(launch(b, n, scratch ? scratch->data() : nullptr));
  }
  if (!counts) TRY(learn(plan_, b, node, symbols));
  for (ValueId v : node.inputs)  // free what nobody reads any more
    if (v != kNoValue && b.held[size_t(v)] && !b.known[size_t(v)] && plan_.last_use[size_t(plan_.root[size_t(v)])] == int(n))
      b.held[size_t(v)] = Tensor();
  return {};
}

std::vector<TensorDesc> Executor::late_inputs(const Binding& b, const LoadedStep& step) const {
  std::vector<TensorDesc> in;
  for (size_t i = 0; i < step.node->inputs.size(); ++i) {
    const Tensor t = tensor_of(b, step.node->inputs[i]);
    in.push_back(t ? TensorDesc{t.dtype(), t.shape(), step.wants_value(i) ? t.data() : nullptr} : TensorDesc{});
  }
  return in;
}

// ---- sizes that kernels count ------------------------------------------------------------------------------------

// Whether an input is the result of a kernel that counts, whose shape has not been learned yet.
bool Executor::reads_uncounted(const Node& node) const {
  for (size_t n : uncounted_)
    for (ValueId v : plan_.steps[n].node->outputs)
      if (v != kNoValue && std::find(node.inputs.begin(), node.inputs.end(), v) != node.inputs.end()) return true;
  return false;
}

// Waits for the steps that have counted since the last call, and gives their results their shapes.
Status Executor::learn_counts(Binding& b, SymbolValues& symbols) {
  if (uncounted_.empty()) return {};
  if (b.counts.memory() != kHostMemory) TRY(copy(b.counts_here, b.counts)), TRY(settle());
  else TRY(stream_.synchronize()), TRY(copy(b.counts_here, b.counts));
  std::vector<size_t> steps;
  steps.swap(uncounted_);
  for (size_t n : steps) {
    const Node& node = *plan_.steps[n].node;
    auto shapes = b.steps[n].launch->counted(b.counts_here.as<int64_t>()[b.steps[n].count]);
    TRY(name_node(node, shapes.status()));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId v = node.outputs[i];
      if (v == kNoValue) continue;
      b.shape[size_t(v)] = (*shapes)[i];
      if (Tensor& t = b.held[size_t(v)]) t = Tensor(t.dtype(), (*shapes)[i], t.buffer());
    }
    TRY(name_node(node, learn(plan_, b, node, symbols)));
  }
  return {};
}

// Addresses and a launch for a step whose operands stand. Binds anew only where something differs from the last time.
Status Executor::bind_late(Binding& b, size_t n) {
  const LoadedStep& step = plan_.steps[n];
  const Node& node = *step.node;
  BoundStep& s = b.steps[n];
  std::vector<TensorDesc> in = late_inputs(b, step), out;
  s.in.clear();
  s.out.clear();
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId v = node.inputs[i];
    Tensor t = tensor_of(b, v);
    const bool on_device = plan_.split && step.place == Place::device;
    if (t && on_device && step.wants_value(i)) TRY(settle());
    if (t && on_device && plan_.constants[size_t(v)]) s.in.push_back(plan_.constants[size_t(v)].data());
    else s.in.push_back(t && !(on_device && step.wants_value(i)) ? t.data() : nullptr);
  }
  for (ValueId v : node.outputs) {
    Tensor t = tensor_of(b, v);
    s.out.push_back(t ? t.data() : nullptr);
    out.push_back(t ? TensorDesc{t.dtype(), t.shape()} : TensorDesc{});
  }
  auto equal = [](const std::vector<TensorDesc>& x, const std::vector<TensorDesc>& y) {
    return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin(), [](auto& p, auto& q) {
             return p.dtype == q.dtype && p.shape == q.shape && p.value == q.value;
           });
  };
  // A value may change between runs while its address stays, so launches that depend on one are bound anew.
  const bool values = std::any_of(in.begin(), in.end(), [](auto& d) { return d.value != nullptr; });
  if (s.launch && !values && equal(in, s.bound_in) && equal(out, s.bound_out)) return {};
  auto inferred = TRY(infer_late(b, node, false));
  for (size_t i = 0; i < inferred.size(); ++i)
    if (node.outputs[i] != kNoValue && inferred[i] && *inferred[i] != out[i].shape)
      return wrong_graph(node, cat(out[i].shape), cat(*inferred[i]));
  s.launch = TRY(step.kernel_ptr->bind(in, out, stream_of(step)));
  s.bound_in = in;
  s.bound_out = out;
  return {};
}

static Result<Tensor> copy_of(const Tensor& t) {
  Tensor out = TRY(Tensor::allocate(t.dtype(), t.shape()));
  if (t.bytes()) std::memcpy(out.data(), t.data(), size_t(t.bytes()));
  return out;
}

Status Executor::run_dynamic(Binding& b, size_t n) {
  const LoadedStep& step = plan_.steps[n];
  const Node& node = *step.node;
  if (!step.kernel_ptr->can_run_dynamic() || plan_.memory(step.place) != kHostMemory)
    return Status(Code::no_kernel, "its output shape depends on data, which its kernel cannot handle", "build with --device reference");
  TRY(stream_of(step).synchronize());
  TRY(settle());
  std::vector<Tensor> in, out(node.outputs.size());
  for (ValueId v : node.inputs) in.push_back(tensor_of(b, v));
  for (size_t i = 0; i < out.size(); ++i)
    if (node.outputs[i] != kNoValue && b.known[size_t(node.outputs[i])]) out[i] = tensor_of(b, node.outputs[i]);
  RunSubgraph run;
  if (!step.bodies.empty())
    run = [this, n](const std::string& attr, std::vector<Tensor> inputs) { return run_body(n, attr, std::move(inputs)); };
  TRY(step.kernel_ptr->run_dynamic(in, out, run));
  for (size_t i = 0; i < out.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNoValue) continue;
    if (!out[i]) return internal_error("output ", i, " was not computed");
    // A Loop of no rounds gives back what it was given, whose memory may be the caller's or become another value's.
    for (size_t k = 0; k < in.size(); ++k)
      if (in[k] && in[k].memory() == kHostMemory && in[k].data() == out[i].data() && !b.held[size_t(node.inputs[k])]) out[i] = TRY(copy_of(out[i]));
    if (out[i].dtype() != plan_.graph.info(v).dtype) return wrong_graph(node, name(plan_.graph.info(v).dtype), name(out[i].dtype()));
    if (b.known[size_t(v)]) {
      if (out[i].shape() != b.shape[size_t(v)]) return internal_error("output ", i, " has shape ", out[i].shape(), ", expected ", b.shape[size_t(v)]);
      Tensor to = tensor_of(b, v);
      if (out[i].bytes() && out[i].data() != to.data()) TRY(copy(to, out[i]));
    } else {
      b.shape[size_t(v)] = out[i].shape();
      b.held[size_t(v)] = TRY(bring(out[i], plan_.place[size_t(v)]));
    }
  }
  return {};
}

Result<std::vector<Tensor>> Executor::run_body(size_t n, const std::string& attr, std::vector<Tensor> inputs) {
  auto& executor = bodies_[{n, attr}];
  if (!executor) {
    for (const auto& [name, body] : plan_.steps[n].bodies)
      if (name == attr) executor = std::make_unique<Executor>(*body, stream_, host_);
    if (!executor) return internal_error("no body '", attr, "'");
  }
  executor->set_profile(times_, depth_ + 1);
  std::vector<Tensor> outputs;
  const bool stay = passes_through(*plan_.steps[n].node);
  TRY(executor->run(inputs, outputs, {.outputs_on_device = stay, .wait = !stay}));
  return outputs;
}

}  // namespace tenon
