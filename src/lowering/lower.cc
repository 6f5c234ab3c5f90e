#include "lowering/lower.h"

#include "base/memory_limit.h"
#include "engine/step_kind.h"
#include "ir/infer.h"
#include "lowering/copies.h"

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

namespace {

class Lowering {
 public:
  Lowering(Graph g, const Compilers& compilers, const LowerOptions& options, bool is_body)
      : g_(std::move(g)), compilers_(compilers), options_(options), device_(!compilers[0]->on_host()), hopeless_(g_.nodes.size()) {
    if (is_body) find_hopeless();
  }

  Result<Lowered> run() {
    on_device_.assign(g_.nodes.size(), false);
    small_on_host_.assign(g_.values.size(), false);
    for (ValueId v : g_.inputs) small_on_host_[size_t(v)] = is_index(v);
    for (size_t n = 0; n < g_.nodes.size(); ++n) {
      if (options_.progress) options_.progress(int64_t(n), int64_t(g_.nodes.size()));
      auto step = catch_bad_alloc([&] { return hopeless_[n].ok() ? lower_node(n) : lower_hopeless(n); });
      if (!step.ok()) return step.status().with_prefix(describe(g_.nodes[n]) + ": ");
      steps_.push_back(std::move(step).value());
    }
    if (!device_) return Lowered{std::move(g_), std::move(steps_)};
    return insert_copies(std::move(g_), std::move(steps_), on_device_);
  }

 private:
  Result<StepPlan> lower_node(size_t n) {
    Node& node = g_.nodes[n];
    StepPlan step;
    const StepKind kind = step_kind(node);
    const bool index = device_ && is_index_arithmetic(node);
    for (ValueId v : node.outputs)
      if (v != kNoValue) small_on_host_[size_t(v)] = kind == StepKind::dims || (index && is_index(v));
    if (kind != StepKind::kernel) return step;
    if (has_body(node)) return lower_bodies(node);
    if (index) step.reason = "sizes and indices are computed on the host";
    for (size_t c = index ? 1 : 0; c < compilers_.size(); ++c) {
      const KernelRequest request{g_, node, options_.tf32};
      const KernelAnswer answer = compilers_[c]->supports(request);
      if (!answer.yes) {
        if (c == 0) step.reason = answer.reason;
        continue;
      }
      step.image = TRY(compilers_[c]->compile(request));
      on_device_[n] = device_ && c == 0;
      if (c == 0) {
        step.reason = answer.reason;
      } else if (!index) {
        step.fallback = true;
        if (data_decides(g_, node)) step.reason = cat("its result's size depends on data; ", step.reason);
      }
      if (const std::string& slow = step.image.slow; !slow.empty()) step.reason += cat(step.reason.empty() ? "" : "; ", "slower than meant: ", slow);
      return step;
    }
    return Status(Code::no_kernel, cat("no backend has a kernel: ", step.reason), "tenon check MODEL.onnx");
  }

  Result<StepPlan> lower_bodies(Node& node) {
    StepPlan step;
    step.image = TRY(compilers_.back()->compile({g_, node}));
    step.reason = "control flow: the host decides, the bodies have kernels of their own";
    for (auto& [name, value] : node.attrs)
      if (auto* body = std::get_if<GraphPtr>(&value); body && *body) {
        const LowerOptions quiet{{}, options_.tf32};
        Lowered inner = TRY(Lowering(**body, compilers_, quiet, true).run());
        *body = std::make_shared<const Graph>(std::move(inner.graph));
        step.bodies.emplace_back(name, std::move(inner.steps));
      }
    return step;
  }

  // A node of a branch that contradicts itself has no sizes or types to choose a kernel by; the reference says what is
  // wrong if the branch is ever taken. Only bodies may have one: in the graph itself the passes would have failed.
  void find_hopeless() {
    Graph inferred = g_;
    for (size_t n = 0; n < inferred.nodes.size(); ++n) {
      const Status s = infer_node(inferred, inferred.nodes[n]);
      if (!has_body(inferred.nodes[n])) hopeless_[n] = s;
    }
  }

  Result<StepPlan> lower_hopeless(size_t n) {
    StepPlan step;
    if (step_kind(g_.nodes[n]) != StepKind::kernel) return step;
    step.image = TRY(compilers_.back()->compile({g_, g_.nodes[n]}));
    step.fallback = true;
    step.reason = cat("cannot work if it is ever reached: ", hopeless_[n].message());
    return step;
  }

  // An integer tensor as shapes, axes and indices are: of rank 0 or 1.
  bool is_index(ValueId v) const {
    const ValueInfo& info = g_.info(v);
    return info.ranked && info.shape.size() <= 1 && (kInts.contains(info.dtype) || info.dtype == DType::boolean);
  }

  // What only works on such tensors that are on the host already: the device would wait for it, not speed it up.
  bool is_index_arithmetic(const Node& node) const {
    bool any = false;
    for (ValueId v : node.inputs) {
      if (v == kNoValue || g_.is_constant(v)) continue;
      if (!small_on_host_[size_t(v)]) return false;
      any = true;
    }
    for (ValueId v : node.outputs)
      if (v != kNoValue && !is_index(v)) return false;
    return any;
  }

  Graph g_;
  const Compilers& compilers_;
  const LowerOptions& options_;
  const bool device_;  // has memory of its own
  std::vector<StepPlan> steps_;
  std::vector<bool> on_device_, small_on_host_;
  std::vector<Status> hopeless_;  // of each node: why it cannot work
};

}  // namespace

Result<Lowered> lower(Graph g, const Compilers& compilers, const LowerOptions& options) {
  return Lowering(std::move(g), compilers, options, false).run();
}

}  // namespace tenon
