#include "runtime/executor.h"

#include <algorithm>

#include "base/memory_limit.h"
#include "runtime/binding.h"

namespace tenon {

Executor::Executor(const LoadedPlan& plan, Stream& stream, Stream& host) : plan_(plan), stream_(stream), host_(host) {
  const Graph& g = plan_.graph;
  read_on_host_.assign(g.inputs.size(), false);
  std::vector<bool> read(g.values.size());
  for (const LoadedStep& step : plan_.steps)
    for (size_t i = 0; i < step.node->inputs.size(); ++i) {
      const ValueId v = step.node->inputs[i];
      if (v == kNoValue || step.kind != StepKind::kernel) continue;
      // Of what a kernel ignores, inference may read what can be sizes.
      if (!step.ignores_value(i) || g.info(v).shape.size() <= 1) read[size_t(plan_.root[size_t(v)])] = true;
    }
  for (ValueId v : g.outputs) read[size_t(plan_.root[size_t(v)])] = true;
  for (size_t i = 0; i < g.inputs.size(); ++i) read_on_host_[i] = read[size_t(g.inputs[i])];
}

// Recordings and memory may be in use by work that nobody waited for.
Executor::~Executor() { (void)stream_.synchronize(); }

int64_t Executor::arena_bytes() const { return arena_[0] ? arena_[0]->size() : 0; }
int64_t Executor::planned_peak() const { return bindings_.empty() ? 0 : bindings_.front()->memory[0].peak; }
int64_t Executor::planned_lower_bound() const {
  return bindings_.empty() ? 0 : bindings_.front()->memory[0].lower_bound;
}

Status Executor::prepare(const std::vector<Shape>& input_shapes) {
  const Graph& g = plan_.graph;
  if (input_shapes.size() != g.inputs.size()) return invalid_argument("takes ", g.inputs.size(), " inputs, ", input_shapes.size(), " shapes are given");
  std::vector<Tensor> inputs;  // only their shapes are looked at
  for (size_t i = 0; i < input_shapes.size(); ++i)
    inputs.emplace_back(g.info(g.inputs[i]).dtype, input_shapes[i], Buffer::borrow(nullptr, 0, nullptr));
  return binding_for(inputs).status();
}

Result<MemoryUse> Executor::memory_for(const std::vector<Shape>& input_shapes, const std::vector<bool>& outputs_there) {
  TRY(prepare(input_shapes));
  const Binding& b = *bindings_.front();
  const auto arena = [&](Place p) {
    const int64_t need = std::max<int64_t>(b.memory[int(p)].peak, 64);
    return arena_[int(p)] ? std::max(need, arena_[int(p)]->size()) : need;
  };
  if (!plan_.split) return MemoryUse{0, arena(Place::device)};
  MemoryUse use{plan_.device->allocation_bytes(arena(Place::device)), arena(Place::host)};
  for (size_t j = 0; j < outputs_there.size(); ++j) {
    const ValueId v = plan_.graph.outputs[j];
    const auto r = size_t(b.live.root[size_t(v)]);
    if (outputs_there[j] || b.output_of[r] != int(j) || plan_.place[r] != Place::device) continue;
    use.device += plan_.device->allocation_bytes(std::max<int64_t>(byte_size(plan_.graph.info(v).dtype, num_elements(b.shape[size_t(v)])), 1));
  }
  return use;
}

Status Executor::run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, const RunOptions& options) {
  const Graph& g = plan_.graph;
  if (inputs.size() != g.inputs.size()) return invalid_argument("takes ", g.inputs.size(), " inputs, ", inputs.size(), " are given");
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].dtype() != g.info(g.inputs[i]).dtype)
      return invalid_argument("input '", escape(g.value(g.inputs[i]).name), "' is ", name(inputs[i].dtype()), ", expected ",
                              name(g.info(g.inputs[i]).dtype));
  outputs.resize(g.outputs.size());
  Binding& b = *TRY(binding_for(inputs));
  TRY(check_operands(b, inputs, outputs));
  inputs_ = &inputs;
  std::vector<Tensor> on_host;
  TRY(bring_inputs_to_host(inputs, on_host));
  TRY(choose_targets(b, outputs, options));
  TRY(place(b, inputs, on_host));
  SymbolValues symbols;
  if (b.any_late) symbols = b.symbols;
  if (!timer_) {
    TRY(run_bound(b, symbols));
    return finish_outputs(b, outputs, options);
  }
  Status status = run_bound(b, symbols);
  if (status.ok() && plan_.split) {
    TRY(timer_->begin(true, false));
    status = finish_outputs(b, outputs, options);
    if (status.ok()) status = timer_->end(nullptr).status();
  }
  const Status read = timer_->finish();
  TRY(status.ok() ? read : status);
  return plan_.split ? Status() : finish_outputs(b, outputs, options);
}

// Whether kernels take a caller's memory where it is. Those of a device with memory of its own count on 16 bytes, as allocations
// have them; a slice of one may lie anywhere.
static bool usable(const Tensor& t) { return t.memory() == kHostMemory || reinterpret_cast<uintptr_t>(t.data()) % 16 == 0; }

// ---- operands ----------------------------------------------------------------------------------------------------

Status Executor::check_operands(const Binding& b, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs) const {
  const Graph& g = plan_.graph;
  const auto known_memory = [&](const Tensor& t) { return t.memory() == kHostMemory || t.memory() == plan_.device->memory(); };
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!known_memory(inputs[i]))
      return invalid_argument("input '", escape(g.value(g.inputs[i]).name), "' is in the memory of another device than the engine's")
          .with_remedy("copy it to the engine's device or to the host");
  for (size_t j = 0; j < outputs.size(); ++j) {
    if (!outputs[j]) continue;
    if (!known_memory(outputs[j])) return invalid_argument("output '", escape(g.output_names[j]), "' is bound to memory of another device than the engine's");
    const ValueId v = g.outputs[j];
    if (outputs[j].dtype() != g.info(v).dtype || (b.known[size_t(v)] && outputs[j].shape() != b.shape[size_t(v)]))
      return invalid_argument("output '", escape(g.output_names[j]), "' is bound to a ", name(outputs[j].dtype()), outputs[j].shape(),
                              ", it is ", name(g.info(v).dtype), b.shape[size_t(v)]);
  }
  return {};
}

// Inputs as steps of the host see them; null where none does.
Status Executor::bring_inputs_to_host(const std::vector<Tensor>& inputs, std::vector<Tensor>& on_host) {
  for (size_t i = 0; i < inputs.size(); ++i)
    on_host.push_back(inputs[i].memory() == kHostMemory ? inputs[i] : read_on_host_[i] ? TRY(host_copy(inputs[i])) : Tensor());
  return {};
}

// Whether other values may stand first in memory that the caller gives an output: no input of this run lies there, and it is
// aligned as an arena is.
static bool can_lend(const Tensor& output, const std::vector<Tensor>& inputs) {
  const auto begin = [](const Tensor& t) { return reinterpret_cast<uintptr_t>(t.data()); };
  const auto end = [&](const Tensor& t) { return begin(t) + uintptr_t(t.bytes()); };
  return begin(output) % 64 == 0 && std::all_of(inputs.begin(), inputs.end(), [&](const Tensor& t) {
           return t.memory() != output.memory() || end(t) <= begin(output) || end(output) <= begin(t);
         });
}

// What the kernels write for each output of known shape: the caller's memory, or memory in the place where the value is
// made, from which finish_outputs() copies.
Status Executor::choose_targets(const Binding& b, std::vector<Tensor>& outputs, const RunOptions& options) {
  const Graph& g = plan_.graph;
  targets_.assign(outputs.size(), Tensor());
  staged_.resize(outputs.size());
  for (size_t j = 0; j < outputs.size(); ++j) {
    const auto v = size_t(b.live.root[size_t(g.outputs[j])]);
    if (b.output_of[v] != int(j)) continue;
    const DType t = g.values[v].info.dtype;
    const Shape& shape = b.shape[size_t(g.outputs[j])];
    const Place p = plan_.place[v];
    const bool here = plan_.memory(p) == kHostMemory || options.outputs_on_device;
    if (!outputs[j] && here) outputs[j] = TRY(allocate(t, shape, p));
    if (outputs[j] && outputs[j].memory() == plan_.memory(p) && usable(outputs[j]) && (!b.lends[j] || can_lend(outputs[j], *inputs_))) {
      targets_[j] = outputs[j];
      continue;
    }
    if (!staged_[j] || staged_[j].shape() != shape || staged_[j].memory() != plan_.memory(p)) staged_[j] = TRY(allocate(t, shape, p));
    targets_[j] = staged_[j];
  }
  return {};
}

// ---- addresses -----------------------------------------------------------------------------------------------------

Status Executor::grow_arena(const Binding& b, Place p) {
  std::shared_ptr<Buffer>& arena = arena_[int(p)];
  const int64_t need = b.memory[int(p)].peak;
  if (arena && arena->size() >= need) return {};
  if (p == Place::device && workspace_limit_ > 0 && need > workspace_limit_)
    return Status(Code::out_of_memory, cat("these shapes need ", human_bytes(uint64_t(need)), " of workspace, the limit is ",
                                           human_bytes(uint64_t(workspace_limit_))), "a smaller batch, or a larger --workspace");
  if (arena) TRY(stream_.synchronize());
  arena.reset();
  const int64_t bytes = std::max<int64_t>(need, 64);
  arena = plan_.memory(p) == kHostMemory ? Buffer::allocate(bytes) : plan_.device->allocate(bytes);
  if (!arena) TRY(stream_.synchronize());  // a device that does nothing more says why
  if (!arena) return Status(Code::out_of_memory, cat("no memory for a workspace of ", human_bytes(uint64_t(need))), "a smaller batch or shape");
  return {};
}

// Gives each value its address: arena, input and output buffers. Cheap when nothing has moved since the last run.
Status Executor::place(Binding& b, const std::vector<Tensor>& inputs, const std::vector<Tensor>& on_host) {
  const Graph& g = plan_.graph;
  std::vector<const void*> in, out;
  for (size_t i = 0; i < inputs.size(); ++i) in.push_back(inputs[i].data()), in.push_back(on_host[i] ? on_host[i].data() : nullptr);
  for (const Tensor& t : targets_) out.push_back(t ? t.data() : nullptr);
  bool moved = in != b.placed_in || out != b.placed_out;
  for (const Place p : {Place::device, Place::host}) {
    if (p == Place::host && !plan_.split) continue;
    TRY(grow_arena(b, p));
    moved = moved || b.placed_arena[int(p)] != arena_[int(p)]->data();
    b.placed_arena[int(p)] = arena_[int(p)]->data();
  }
  if (!moved) return ++b.runs_in_place, Status();
  if (b.recording) TRY(stream_.synchronize());
  b.recording.reset();
  b.runs_in_place = 0;
  b.placed_in = in;
  b.placed_out = out;

  std::vector<const void*> of_root(g.values.size(), nullptr);
  for (size_t v = 0; v < g.values.size(); ++v)
    of_root[v] = g.values[v].is_constant() ? g.values[v].info.constant.data()
                 : b.held[v]               ? b.held[v].data()
                 : b.output_of[v] >= 0     ? targets_[size_t(b.output_of[v])].data()
                 : b.spot[v].offset >= 0   ? address_of(b.spot[v], plan_.place[v])
                                           : nullptr;
  for (size_t i = 0; i < inputs.size(); ++i) of_root[size_t(g.inputs[i])] = on_host[i] ? on_host[i].data() : nullptr;
  // An input that is on the device already need not be copied there.
  for (size_t n = 0; n < b.inputs_end; ++n) {
    const Node& node = *plan_.steps[n].node;
    const auto i = size_t(std::find(g.inputs.begin(), g.inputs.end(), node.inputs[0]) - g.inputs.begin());
    const auto copy = size_t(node.outputs[0]);
    b.steps[n].source = i;
    b.steps[n].skip = inputs[i].memory() != kHostMemory && usable(inputs[i]) && b.output_of[copy] < 0 && b.live.root[copy] == ValueId(copy);
    if (b.steps[n].skip) of_root[copy] = inputs[i].data();
  }
  for (size_t v = 0; v < g.values.size(); ++v) {
    const void* root = of_root[size_t(b.live.root[v])];
    b.data[v] = root ? static_cast<const char*>(root) + b.live.offset[v] : nullptr;
  }
  for (size_t n = 0; n < b.steps.size(); ++n) {
    BoundStep& s = b.steps[n];
    const LoadedStep& step = plan_.steps[n];
    const Node& node = *step.node;
    if (s.late || (!s.launch && b.live.copied[n].empty())) continue;
    for (size_t i = 0; i < s.in.size(); ++i) {
      s.in[i] = address_for(b, step, i);
      if (!s.in[i] && node.inputs[i] != kNoValue && !(plan_.split && (step.wants_value(i) || step.ignores_value(i))))
        return internal_error(describe(node), ": '", g.value(node.inputs[i]).name, "' has no address");
    }
    for (size_t i = 0; i < s.out.size(); ++i)
      s.out[i] = node.outputs[i] == kNoValue ? nullptr : const_cast<void*>(b.data[size_t(node.outputs[i])]);
  }
  return {};
}

void* Executor::address_of(const Spot& spot, Place p) const {
  const void* base = spot.output >= 0 ? targets_[size_t(spot.output)].data() : arena_[int(p)]->data();
  return static_cast<char*>(const_cast<void*>(base)) + spot.offset;
}

// Constants that a kernel of the device reads have an address there too.
const void* Executor::address_for(const Binding& b, const LoadedStep& step, size_t input) const {
  const ValueId v = step.node->inputs[input];
  if (v == kNoValue) return nullptr;
  if (plan_.split && step.place == Place::device) {
    if (step.wants_value(input)) return nullptr;
    if (plan_.graph.is_constant(v) && step.kind == StepKind::kernel) {
      const Tensor& there = plan_.constants[size_t(v)];
      return there ? there.data() : plan_.graph.constant(v).data();  // absorbed: nobody reads it
    }
  }
  return b.data[size_t(v)];
}

// ---- steps ---------------------------------------------------------------------------------------------------------

Status Executor::run_bound(Binding& b, SymbolValues& symbols) {
  size_t n = 0;
  const auto run_to = [&](size_t end) -> Status {
    for (; n < end; ++n) TRY(run_step(b, n, symbols));
    return {};
  };
  uncounted_.clear();
  replayed_ = b.recorded_end > b.inputs_end && !timer_ && b.runs_in_place > 0;
  TRY(run_to(b.inputs_end));
  if (replayed_) {
    if (!b.recording) {
      TRY(stream_.begin_recording());
      const Status status = run_to(b.recorded_end);
      auto recording = stream_.end_recording();  // in any case: the stream must not stay in recording
      TRY(status);
      b.recording = TRY(std::move(recording));
    } else {
      for (; n < b.recorded_end; ++n)
        if (b.steps[n].count >= 0) uncounted_.push_back(n);
    }
    TRY(b.recording->replay());
  }
  TRY(run_to(b.steps.size()));
  return learn_counts(b, symbols);
}

Status Executor::run_step(Binding& b, size_t n, SymbolValues& symbols) {
  BoundStep& s = b.steps[n];
  const LoadedStep& step = plan_.steps[n];
  const std::vector<CopiedPart>& parts = b.live.copied[n];
  if (s.skip || (!s.launch && !s.late && step.kind != StepKind::copy && parts.empty())) return {};
  if (step.place == Place::host && step.kind != StepKind::copy) TRY(settle());
  if (timer_) TRY(begin_timing(b, n));
  TRY(name_node(*step.node, catch_bad_alloc([&]() -> Status {
    if (s.late) return run_late(b, n, symbols);
    if (step.kind == StepKind::copy) {
      Tensor to = tensor_of(b, step.node->outputs[0]);
      return copy(to, n < b.inputs_end ? (*inputs_)[s.source] : tensor_of(b, step.node->inputs[0]));
    }
    for (const CopiedPart& p : parts) TRY(copy_part(step, p, s.out[0], s.in[p.input]));
    if (b.live.placed[n]) return {};
    return launch(b, n, s.scratch.offset >= 0 ? address_of(s.scratch, step.place) : nullptr);
  })));
  if (timer_) TRY(end_timing(b, *step.node, symbols));
  return {};
}

Status Executor::launch(Binding& b, size_t n, void* scratch) {
  BoundStep& s = b.steps[n];
  int64_t* count = nullptr;
  if (s.count >= 0) {
    count = static_cast<int64_t*>(b.counts.data()) + s.count;
    uncounted_.push_back(n);
  }
  return s.launch->run({s.in.data(), s.out.data(), scratch, stream_of(plan_.steps[n]), count});
}

void Executor::set_profile(std::vector<StepTime>* times, int depth) {
  times_ = times;
  depth_ = depth;
  timer_ = times ? std::make_unique<StepTimer>(times, plan_.split ? &stream_ : nullptr, depth) : nullptr;
}

// Work queues up only behind a run with the same addresses: a kernel's first launch may wait for the whole device.
Status Executor::begin_timing(const Binding& b, size_t n) {
  const LoadedStep& step = plan_.steps[n];
  const bool kernel = step.kind == StepKind::kernel && step.place == Place::device;
  return timer_->begin(kernel || step.kind == StepKind::copy, kernel && !b.any_late && b.runs_in_place > 0);
}

Status Executor::end_timing(Binding& b, const Node& node, SymbolValues& symbols) {
  StepTime& time = *TRY(timer_->end(&node));
  TRY(learn_counts(b, symbols));
  const auto operands = [&](const std::vector<ValueId>& values) {
    std::vector<Operand> out;
    for (ValueId v : values)
      out.push_back(v == kNoValue               ? Operand{}
                    : plan_.graph.is_constant(v) ? Operand{plan_.graph.info(v).dtype, plan_.graph.constant(v).shape()}
                                                 : Operand{plan_.graph.info(v).dtype, b.shape[size_t(v)]});
    return out;
  };
  time.in = operands(node.inputs);
  time.out = operands(node.outputs);
  return {};
}

// Outputs that no kernel wrote where they belong: views, inputs and constants passed on, results of late steps, and what
// was made in the other memory.
Status Executor::finish_outputs(Binding& b, std::vector<Tensor>& outputs, const RunOptions& options) {
  const Graph& g = plan_.graph;
  if (!plan_.split) TRY(stream_.synchronize());
  for (size_t j = 0; j < outputs.size(); ++j) {
    const ValueId v = g.outputs[j];
    const auto r = size_t(b.live.root[size_t(v)]);
    if (b.output_of[r] == int(j) && outputs[j] && targets_[j].data() == outputs[j].data()) continue;
    Tensor from = b.output_of[r] == int(j) ? targets_[j] : tensor_of(b, v);
    const bool wanted_here = from.memory() == kHostMemory || options.outputs_on_device;
    // Made for this run alone. Not so a late view of a value that the plan placed: that is in the arena, or another output.
    if (!outputs[j] && wanted_here && b.held[size_t(v)] && b.held[size_t(v)].buffer().use_count() <= 2 && plan_.defined_at[r] >= 0 &&
        !b.known[size_t(v)] && !b.known[r] && !b.uncounted[r]) {
      outputs[j] = from;
      continue;
    }
    if (!outputs[j]) outputs[j] = TRY(allocate(from.dtype(), from.shape(), wanted_here && from.memory() != kHostMemory ? Place::device : Place::host));
    if (outputs[j].shape() != from.shape()) return invalid_argument("output '", escape(g.output_names[j]), "' is bound to shape ", outputs[j].shape(), ", it has ", from.shape());
    TRY(copy(outputs[j], from));
  }
  if (options.wait) TRY(stream_.synchronize()), arriving_ = false;
  else TRY(settle());
  if (b.any_late)
    for (size_t v = 0; v < b.held.size(); ++v)
      if (!b.known[v]) b.held[v] = Tensor();
  return {};
}

}  // namespace tenon
