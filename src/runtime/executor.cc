#include "runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/memory_limit.h"
#include "ir/interpreter.h"

namespace tenon {

// A step ready to run with known shapes, or one whose shapes are only known when it is reached ("late").
struct Executor::BoundStep {
  std::unique_ptr<Launch> launch;
  std::vector<const void*> in;
  std::vector<void*> out;
  bool late = false;
  std::vector<TensorDesc> bound_in, bound_out;  // late: what `launch` was bound to
};

struct Executor::Binding {
  std::vector<Shape> input_shapes;
  SymbolValues symbols;
  std::vector<bool> known;                 // is the shape of a value known before the run
  std::vector<Shape> shape;                // where known, and of late values during a run
  std::vector<int64_t> offset;             // of a root in the arena; -1: it stands elsewhere
  std::vector<int> output_of;              // of a root: the graph output whose buffer it is written to; -1: none
  std::vector<const void*> data;           // of a value; null while unknown
  std::vector<Tensor> held;                // late values and shape arithmetic
  std::vector<BoundStep> steps;
  MemoryPlan memory;
  int64_t scratch = 0;
  bool any_late = false;
  const void* placed_arena = nullptr;
  std::vector<const void*> placed_in, placed_out;
};

Executor::Executor(const LoadedPlan& plan, Device& device, Stream& stream) : plan_(plan), device_(device), stream_(stream) {}
Executor::~Executor() = default;

int64_t Executor::planned_peak() const { return bindings_.empty() ? 0 : bindings_.front()->memory.peak + bindings_.front()->scratch; }
int64_t Executor::planned_lower_bound() const {
  return bindings_.empty() ? 0 : bindings_.front()->memory.lower_bound + bindings_.front()->scratch;
}

// ---- binding -----------------------------------------------------------------------------------------------------

static const void* host_value(const Graph& g, const std::vector<Tensor>& held, ValueId v) {
  if (g.is_constant(v)) return g.constant(v).data();
  return held[size_t(v)] ? held[size_t(v)].data() : nullptr;
}

// The same for inference; weights that a kernel has absorbed are not there to be read.
static const void* inference_value(const Graph& g, const std::vector<Tensor>& held, ValueId v) {
  if (g.is_constant(v) && g.constant(v).buffer()->is_zeros()) return nullptr;
  return host_value(g, held, v);
}

static Status wrong_graph(const Node& node, const std::string& says, const std::string& is) {
  return Status(Code::data_loss, cat("the engine's graph is damaged: it gives ", describe(node), " the result ", says, " where its inputs make it ", is),
                "build the engine again");
}

// Puts the node in front of a message that does not begin with it.
static Status name_node(const Node& node, const Status& s) {
  if (s.ok()) return s;
  const std::string label = describe(node);
  return starts_with(s.message(), label) ? s : s.with_prefix(label + ": ");
}

// Output shapes by inference on concrete inputs. Nothing where even those do not tell. Errors: inference's own; what the
// graph says of types differs, so that kernels chosen for it would read or write beyond their memory.
static Result<std::vector<std::optional<Shape>>> infer_concrete(const Graph& g, const Node& node, const std::vector<ValueInfo>& inputs) {
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

static ValueInfo concrete_info(DType t, const Shape& shape, const void* value) {
  if (!value) return {t, true, to_sym(shape), Tensor(), std::nullopt};
  return constant_info(Tensor(t, shape, Buffer::borrow(value, byte_size(t, num_elements(shape)), nullptr)));
}

Result<std::unique_ptr<Executor::Binding>> Executor::bind(const std::vector<Tensor>& inputs) {
  const Graph& g = plan_.graph;
  auto b = std::make_unique<Binding>();
  const size_t n_values = g.values.size();
  b->known.assign(n_values, false);
  b->shape.resize(n_values);
  b->offset.assign(n_values, -1);
  b->output_of.assign(n_values, -1);
  b->data.assign(n_values, nullptr);
  b->held.resize(n_values);
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

  // Memory: roots of known shape that kernels write and that are not outputs.
  std::vector<size_t> roots;
  std::vector<Lifetime> lifetimes;
  for (size_t j = 0; j < g.outputs.size(); ++j) {
    const auto r = size_t(plan_.root[size_t(g.outputs[j])]);
    if (plan_.defined_at[r] >= 0 && b->known[r] && b->known[size_t(g.outputs[j])] && !b->held[r] && b->output_of[r] < 0)
      b->output_of[r] = int(j);
  }
  for (size_t v = 0; v < n_values; ++v)
    if (plan_.root[v] == ValueId(v) && plan_.defined_at[v] >= 0 && b->known[v] && !b->held[v] && b->output_of[v] < 0) {
      roots.push_back(v);
      lifetimes.push_back({byte_size(g.values[v].info.dtype, num_elements(b->shape[v])), plan_.defined_at[v], plan_.last_use[v]});
    }
  b->memory = plan_memory(lifetimes);
  for (size_t k = 0; k < roots.size(); ++k) b->offset[roots[k]] = b->memory.offsets[k];
  return b;
}

Status Executor::bind_step(Binding& b, size_t n) {
  const Graph& g = plan_.graph;
  const LoadedStep& step = plan_.steps[n];
  const Node& node = *step.node;
  BoundStep& bound = b.steps[n];
  if (step.kind == StepKind::dims) {
    Ints values;
    for (const std::string& text : node.attrs.strings("dims")) {
      auto v = b.symbols.eval(TRY(Dim::parse(text)));
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
  bool values_seen = true;
  if (step.kernel_ptr)
    for (size_t i = 0; i < node.inputs.size() && i < 32; ++i)
      if (step.kernel_ptr->value_inputs() >> i & 1 && node.inputs[i] != kNoValue)
        values_seen = values_seen && host_value(g, b.held, node.inputs[i]) != nullptr;
  if (!inputs_known || !outputs_known || !values_seen || !step.bodies.empty()) {
    bound.late = b.any_late = true;
    return {};
  }
  if (step.kind == StepKind::view) {
    const Shape &from = b.shape[size_t(node.inputs[0])], &to = b.shape[size_t(node.outputs[0])];
    if (num_elements(from) != num_elements(to))
      return invalid_argument(describe(node), ": cannot show shape ", from, " as ", to);
    return {};
  }

  std::vector<TensorDesc> in, out;
  for (ValueId v : node.inputs)
    in.push_back(v == kNoValue ? TensorDesc{} : TensorDesc{g.info(v).dtype, b.shape[size_t(v)], host_value(g, b.held, v)});
  for (ValueId v : node.outputs)
    out.push_back(v == kNoValue ? TensorDesc{} : TensorDesc{g.info(v).dtype, b.shape[size_t(v)]});
  bound.launch = TRY(step.kernel_ptr->bind(in, out, stream_));
  bound.in.resize(in.size());
  bound.out.resize(out.size());
  b.scratch = std::max(b.scratch, bound.launch->scratch_bytes());
  return {};
}

// ---- running -----------------------------------------------------------------------------------------------------

// Gives each value its address: arena, input and output buffers. Cheap when nothing has moved since the last run.
Status Executor::place(Binding& b, const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs) {
  const Graph& g = plan_.graph;
  const int64_t need = b.memory.peak + b.scratch;
  if (!arena_ || arena_->size() < need) {
    if (workspace_limit_ > 0 && need > workspace_limit_)
      return Status(Code::out_of_memory, cat("these shapes need ", human_bytes(uint64_t(need)), " of workspace, the limit is ",
                                             human_bytes(uint64_t(workspace_limit_))), "a smaller batch, or a larger --workspace");
    arena_.reset();
    arena_ = device_.allocate(std::max<int64_t>(need, 64));
    if (!arena_) return Status(Code::out_of_memory, cat("no memory for a workspace of ", human_bytes(uint64_t(need))), "a smaller batch or shape");
  }
  bool moved = b.placed_arena != arena_->data() || b.placed_in.size() != inputs.size();
  for (size_t i = 0; !moved && i < inputs.size(); ++i) moved = b.placed_in[i] != inputs[i].data();
  for (size_t v = 0; v < g.values.size(); ++v)
    if (int j = b.output_of[v]; j >= 0 && !outputs[size_t(j)])
      outputs[size_t(j)] = TRY(Tensor::allocate(g.values[v].info.dtype, b.shape[size_t(g.outputs[size_t(j)])]));
  b.placed_out.resize(outputs.size());
  for (size_t j = 0; j < outputs.size(); ++j) {
    const void* p = outputs[j] ? outputs[j].data() : nullptr;
    moved = moved || b.placed_out[j] != p;
    b.placed_out[j] = p;
  }
  if (!moved) return {};
  b.placed_arena = arena_->data();
  b.placed_in.clear();
  for (const Tensor& t : inputs) b.placed_in.push_back(t.data());

  auto* base = static_cast<char*>(arena_->data());
  for (size_t v = 0; v < g.values.size(); ++v) {
    const auto r = size_t(plan_.root[v]);
    b.data[v] = g.values[r].is_constant() ? g.values[r].info.constant.data()
                : b.held[r]               ? b.held[r].data()
                : b.output_of[r] >= 0     ? outputs[size_t(b.output_of[r])].data()
                : b.offset[r] >= 0        ? base + b.offset[r]
                                          : nullptr;
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    for (size_t v = 0; v < g.values.size(); ++v)
      if (plan_.root[v] == g.inputs[i]) b.data[v] = inputs[i].data();
  for (size_t n = 0; n < b.steps.size(); ++n) {
    BoundStep& s = b.steps[n];
    const Node& node = *plan_.steps[n].node;
    if (!s.launch || s.late) continue;
    for (size_t i = 0; i < s.in.size(); ++i) s.in[i] = node.inputs[i] == kNoValue ? nullptr : b.data[size_t(node.inputs[i])];
    for (size_t i = 0; i < s.out.size(); ++i)
      s.out[i] = node.outputs[i] == kNoValue ? nullptr : const_cast<void*>(b.data[size_t(node.outputs[i])]);
    for (ValueId v : node.inputs)
      if (v != kNoValue && !b.data[size_t(v)]) return internal_error(describe(node), ": '", g.value(v).name, "' has no address");
  }
  return {};
}

// The binding for these shapes, made if none of the last few fits; it becomes the front one.
Result<Executor::Binding*> Executor::binding_for(const std::vector<Tensor>& inputs) {
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
    if (bindings_.size() > kMostBindings) bindings_.pop_back();
  }
  return bindings_.front().get();
}

Status Executor::prepare(const std::vector<Shape>& input_shapes) {
  const Graph& g = plan_.graph;
  if (input_shapes.size() != g.inputs.size()) return invalid_argument("takes ", g.inputs.size(), " inputs, ", input_shapes.size(), " shapes are given");
  std::vector<Tensor> inputs;  // only their shapes are looked at
  for (size_t i = 0; i < input_shapes.size(); ++i)
    inputs.emplace_back(g.info(g.inputs[i]).dtype, input_shapes[i], Buffer::borrow(nullptr, 0, nullptr));
  return binding_for(inputs).status();
}

Status Executor::run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs) {
  const Graph& g = plan_.graph;
  if (inputs.size() != g.inputs.size()) return invalid_argument("takes ", g.inputs.size(), " inputs, ", inputs.size(), " are given");
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].dtype() != g.info(g.inputs[i]).dtype)
      return invalid_argument("input '", escape(g.value(g.inputs[i]).name), "' is ", name(inputs[i].dtype()), ", expected ",
                              name(g.info(g.inputs[i]).dtype));
  outputs.resize(g.outputs.size());

  Binding& b = *TRY(binding_for(inputs));
  for (size_t j = 0; j < outputs.size(); ++j) {
    if (!outputs[j]) continue;
    const ValueId v = g.outputs[j];
    if (outputs[j].dtype() != g.info(v).dtype || (b.known[size_t(v)] && outputs[j].shape() != b.shape[size_t(v)]))
      return invalid_argument("output '", escape(g.output_names[j]), "' is bound to a ", name(outputs[j].dtype()), outputs[j].shape(),
                              ", it is ", name(g.info(v).dtype), b.shape[size_t(v)]);
  }
  TRY(place(b, inputs, outputs));

  SymbolValues symbols;
  if (b.any_late) symbols = b.symbols;
  void* scratch = static_cast<char*>(arena_->data()) + b.memory.peak;
  using Clock = std::chrono::steady_clock;
  for (size_t n = 0; n < b.steps.size(); ++n) {
    BoundStep& s = b.steps[n];
    if (!s.launch && !s.late) continue;
    const auto begin = times_ ? Clock::now() : Clock::time_point();
    TRY(name_node(*plan_.steps[n].node, catch_bad_alloc([&] {
      return s.late ? run_late(b, n, symbols) : s.launch->run({s.in.data(), s.out.data(), scratch, stream_});
    })));
    if (times_) {
      TRY(stream_.synchronize());
      const std::chrono::duration<double> since = begin.time_since_epoch(), took = Clock::now() - begin;
      times_->push_back({plan_.steps[n].node, since.count(), took.count(), depth_});
    }
  }
  return finish_outputs(b, inputs, outputs, symbols);
}

// ---- late steps --------------------------------------------------------------------------------------------------

Tensor Executor::tensor_of(const Binding& b, ValueId v) const {
  if (v == kNoValue) return {};
  if (plan_.graph.is_constant(v)) return plan_.graph.constant(v);
  if (b.held[size_t(v)]) return b.held[size_t(v)];
  const DType t = plan_.graph.info(v).dtype;
  return Tensor(t, b.shape[size_t(v)], Buffer::borrow(b.data[size_t(v)], byte_size(t, num_elements(b.shape[size_t(v)])), nullptr));
}

// Symbols that the shapes of a late step's results decide.
Status Executor::learn(const Binding& b, const Node& node, SymbolValues& symbols) {
  for (ValueId v : node.outputs)
    if (v != kNoValue) TRY(symbols.match(plan_.graph.info(v), b.shape[size_t(v)]));
  return {};
}

// Output shapes of a late step whose inputs are there.
Result<std::vector<std::optional<Shape>>> Executor::infer_late(const Binding& b, const Node& node) {
  TRY(stream_.synchronize());
  std::vector<ValueInfo> in;
  for (ValueId v : node.inputs) {
    Tensor t = tensor_of(b, v);
    in.push_back(t ? concrete_info(t.dtype(), t.shape(), t.buffer()->is_zeros() ? nullptr : t.data()) : ValueInfo{});
  }
  return infer_concrete(plan_.graph, node, in);
}

Status Executor::run_late(Binding& b, size_t n, SymbolValues& symbols) {
  const Graph& g = plan_.graph;
  const LoadedStep& step = plan_.steps[n];
  const Node& node = *step.node;
  if (step.kind == StepKind::dims) {
    Ints values;
    for (const std::string& text : node.attrs.strings("dims")) {
      auto v = symbols.eval(TRY(Dim::parse(text)));
      if (!v) return internal_error("the size ", text, " is not known");
      values.push_back(*v);
    }
    Tensor t = Tensor::of_ints(values);
    const auto out = size_t(node.outputs[0]);
    b.held[out] = node.attrs.i("scalar") ? t.reshaped({}) : t;
    b.shape[out] = b.held[out].shape();
    return {};
  }
  if (!step.bodies.empty()) {
    TRY(run_dynamic(b, n));
    return learn(b, node, symbols);
  }

  // Shapes first: from symbols that are bound by now, else by inference on the inputs' values.
  std::vector<std::optional<Shape>> shapes;
  bool all = true;
  for (ValueId v : node.outputs) {
    shapes.push_back(v == kNoValue         ? std::optional<Shape>(Shape{})
                     : b.known[size_t(v)] ? std::optional<Shape>(b.shape[size_t(v)])
                                          : symbols.eval(g.info(v)));
    if (shapes.back() && num_elements(*shapes.back()) < 0)
      return invalid_argument("these inputs give it output shape ", *shapes.back());
    all = all && shapes.back();
  }
  if (!all) {
    auto inferred = TRY(infer_late(b, node));
    all = true;
    for (size_t i = 0; i < shapes.size(); ++i) {
      if (!shapes[i]) shapes[i] = inferred[i];
      all = all && shapes[i];
    }
  }
  if (!all) {
    TRY(run_dynamic(b, n));
    return learn(b, node, symbols);
  }

  if (step.kind == StepKind::view) {
    Tensor in = tensor_of(b, node.inputs[0]);
    if (in.dtype() != g.info(node.outputs[0]).dtype) return wrong_graph(node, name(g.info(node.outputs[0]).dtype), name(in.dtype()));
    if (num_elements(*shapes[0]) != in.size()) return invalid_argument("cannot show shape ", in.shape(), " as ", *shapes[0]);
    const auto out = size_t(node.outputs[0]);
    b.shape[out] = *shapes[0];
    if (!b.known[out] || !b.known[size_t(plan_.root[out])]) b.held[out] = in.reshaped(*shapes[0]);
    return learn(b, node, symbols);
  }
  for (size_t i = 0; i < shapes.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNoValue || b.known[size_t(v)]) continue;
    b.shape[size_t(v)] = *shapes[i];
    b.held[size_t(v)] = TRY(Tensor::allocate(g.info(v).dtype, *shapes[i]));
  }
  BoundStep& s = b.steps[n];
  std::vector<TensorDesc> in, out;
  s.in.clear();
  s.out.clear();
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    Tensor t = tensor_of(b, node.inputs[i]);
    const bool wants_value = i < 32 && step.kernel_ptr->value_inputs() >> i & 1;
    s.in.push_back(t ? t.data() : nullptr);
    in.push_back(t ? TensorDesc{t.dtype(), t.shape(), wants_value ? t.data() : nullptr} : TensorDesc{});
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
  if (!s.launch || values || !equal(in, s.bound_in) || !equal(out, s.bound_out)) {
    auto inferred = TRY(infer_late(b, node));
    for (size_t i = 0; i < inferred.size(); ++i)
      if (node.outputs[i] != kNoValue && inferred[i] && *inferred[i] != out[i].shape)
        return wrong_graph(node, cat(out[i].shape), cat(*inferred[i]));
    s.launch = TRY(step.kernel_ptr->bind(in, out, stream_));
    s.bound_in = in;
    s.bound_out = out;
  }
  std::shared_ptr<Buffer> scratch;
  if (s.launch->scratch_bytes() > 0) {
    scratch = device_.allocate(s.launch->scratch_bytes());
    if (!scratch) return make_status(Code::out_of_memory, "no memory for scratch");
  }
  TRY(s.launch->run({s.in.data(), s.out.data(), scratch ? scratch->data() : nullptr, stream_}));
  TRY(learn(b, node, symbols));
  for (ValueId v : node.inputs)  // free what nobody reads any more
    if (v != kNoValue && b.held[size_t(v)] && !b.known[size_t(v)] && plan_.last_use[size_t(plan_.root[size_t(v)])] == int(n))
      b.held[size_t(v)] = Tensor();
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
  if (!step.kernel_ptr->can_run_dynamic())
    return Status(Code::no_kernel, "its output shape depends on data, which its kernel cannot handle", "build with --device reference");
  TRY(stream_.synchronize());
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
    if (out[i].dtype() != plan_.graph.info(v).dtype) return wrong_graph(node, name(plan_.graph.info(v).dtype), name(out[i].dtype()));
    if (b.known[size_t(v)]) {
      if (out[i].shape() != b.shape[size_t(v)]) return internal_error("output ", i, " has shape ", out[i].shape(), ", expected ", b.shape[size_t(v)]);
      if (out[i].bytes() && out[i].data() != b.data[size_t(v)]) std::memcpy(const_cast<void*>(b.data[size_t(v)]), out[i].data(), size_t(out[i].bytes()));
    } else {
      // A Loop of no rounds gives back what it was given, whose memory may be the caller's or become another value's.
      for (size_t k = 0; k < in.size(); ++k)
        if (in[k] && in[k].data() == out[i].data() && !b.held[size_t(node.inputs[k])]) out[i] = TRY(copy_of(out[i]));
      b.shape[size_t(v)] = out[i].shape();
      b.held[size_t(v)] = std::move(out[i]);
    }
  }
  return {};
}

Result<std::vector<Tensor>> Executor::run_body(size_t n, const std::string& attr, std::vector<Tensor> inputs) {
  auto& executor = bodies_[{n, attr}];
  if (!executor) {
    for (const auto& [name, body] : plan_.steps[n].bodies)
      if (name == attr) executor = std::make_unique<Executor>(*body, device_, stream_);
    if (!executor) return internal_error("no body '", attr, "'");
  }
  executor->set_profile(times_, depth_ + 1);
  std::vector<Tensor> outputs;
  TRY(executor->run(inputs, outputs));
  return outputs;
}

// Outputs that no kernel wrote in place: views, inputs and constants passed on, results of late steps.
Status Executor::finish_outputs(Binding& b, const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, SymbolValues&) {
  const Graph& g = plan_.graph;
  TRY(stream_.synchronize());
  for (size_t j = 0; j < outputs.size(); ++j) {
    const ValueId v = g.outputs[j];
    const auto r = size_t(plan_.root[size_t(v)]);
    if (b.output_of[r] == int(j)) continue;
    Tensor from = tensor_of(b, v);
    if (!outputs[j] && b.held[size_t(v)] && b.held[size_t(v)].buffer().use_count() <= 2 && plan_.defined_at[r] >= 0 && !b.known[size_t(v)]) {
      outputs[j] = from;  // made for this run alone
      continue;
    }
    if (!outputs[j]) outputs[j] = TRY(Tensor::allocate(from.dtype(), from.shape()));
    if (outputs[j].shape() != from.shape()) return invalid_argument("output '", escape(g.output_names[j]), "' is bound to shape ", outputs[j].shape(), ", it has ", from.shape());
    if (from.bytes()) std::memcpy(outputs[j].data(), from.data(), size_t(from.bytes()));
  }
  if (b.any_late)
    for (size_t v = 0; v < b.held.size(); ++v)
      if (!b.known[v]) b.held[v] = Tensor();
  return {};
}

}  // namespace tenon
