#include "lowering/lower.h"

#include "base/memory_limit.h"
#include "engine/step_kind.h"
#include "ir/infer.h"
#include "lowering/copies.h"
#include "lowering/order.h"

namespace tenon {

static bool has_body(const Node& node) {
  if (node.op->domain == "tenon") return false;  // a fused node's body is one kernel, no control flow
  for (const auto& [name, value] : node.attrs)
    if (std::holds_alternative<GraphPtr>(value)) return true;
  return false;
}

namespace {

// In three steps: plan() settles who compiles what and collects the jobs, bodies included; somebody compiles them; finish()
// puts in the copies, which depend on what the kernels read on the host.
class Lowering {
 public:
  Lowering(Graph g, const Compilers& compilers, const LowerOptions& options, std::string where, bool is_body)
      : g_(compilers[0]->on_host() ? std::move(g) : order_by_waits(std::move(g))), compilers_(compilers), options_(options), where_(std::move(where)), device_(!compilers[0]->on_host()),
        steps_(g_.nodes.size()), on_device_(g_.nodes.size()), small_on_host_(g_.values.size()), hopeless_(g_.nodes.size()) {
    if (is_body) find_hopeless();
  }

  Status plan(std::vector<KernelJob>& jobs) {
    for (ValueId v : g_.inputs) small_on_host_[size_t(v)] = is_index(v);
    for (size_t n = 0; n < g_.nodes.size(); ++n)
      TRY(catch_bad_alloc([&] { return hopeless_[n].ok() ? plan_node(n, jobs) : plan_hopeless(n, jobs); }).with_prefix(describe(g_.nodes[n]) + ": "));
    return {};
  }

  Result<Lowered> finish() {
    std::set<ValueId> made_there;
    for (Body& b : bodies_) {
      Lowered inner = TRY(b.lowering->finish());
      const std::vector<ValueId>& results = g_.nodes[b.node].outputs;
      for (size_t i = 0; i < inner.on_device.size() && i < results.size() && passes_through(g_.nodes[b.node]); ++i)
        if (inner.on_device[i] && results[i] != kNoValue) made_there.insert(results[i]);
      for (auto& [name, value] : g_.nodes[b.node].attrs)
        if (name == b.attr) value = std::make_shared<const Graph>(std::move(inner.graph));
      steps_[b.node].bodies.emplace_back(b.attr, std::move(inner.steps));
    }
    if (!device_) return Lowered{std::move(g_), std::move(steps_)};
    return insert_copies(std::move(g_), std::move(steps_), on_device_, made_there);
  }

 private:
  struct Body {
    size_t node;
    std::string attr;
    std::unique_ptr<Lowering> lowering;
  };

  std::string prefix(size_t n) const { return cat(where_, describe(g_.nodes[n]), ": "); }
  KernelRequest request(size_t n) const { return {g_, g_.nodes[n], options_.tf32, options_.profile, {}}; }
  void add_job(size_t n, KernelCompiler& compiler, std::vector<KernelJob>& jobs) {
    jobs.push_back({request(n), &compiler, &steps_[n], prefix(n)});
  }

  Status plan_node(size_t n, std::vector<KernelJob>& jobs) {
    const Node& node = g_.nodes[n];
    StepPlan& step = steps_[n];
    const StepKind kind = step_kind(node);
    const bool index = device_ && is_index_arithmetic(node);
    for (ValueId v : node.outputs)
      if (v != kNoValue) small_on_host_[size_t(v)] = kind == StepKind::dims || (index && is_index(v));
    if (kind != StepKind::kernel) return {};
    if (has_body(node)) return plan_bodies(n, jobs);
    if (index) step.reason = "sizes and indices are computed on the host";
    for (size_t c = index ? 1 : 0; c < compilers_.size(); ++c) {
      const KernelAnswer answer = compilers_[c]->supports(request(n));
      if (!answer.yes) {
        if (c == 0) step.reason = answer.reason;
        continue;
      }
      add_job(n, *compilers_[c], jobs);
      on_device_[n] = device_ && c == 0;
      if (c == 0) {
        step.reason = answer.reason;
      } else if (!index) {
        step.fallback = true;
        if (data_decides(g_, node)) step.reason = cat("its result's size depends on data; ", step.reason);
      }
      return {};
    }
    return Status(Code::no_kernel, cat("no backend has a kernel: ", step.reason), "tenon check MODEL.onnx");
  }

  Status plan_bodies(size_t n, std::vector<KernelJob>& jobs) {
    add_job(n, *compilers_.back(), jobs);
    steps_[n].reason = "control flow: the host decides, the bodies have kernels of their own";
    for (const auto& [name, value] : g_.nodes[n].attrs)
      if (auto* body = std::get_if<GraphPtr>(&value); body && *body) {
        bodies_.push_back({n, name, std::make_unique<Lowering>(**body, compilers_, options_, prefix(n), true)});
        TRY(bodies_.back().lowering->plan(jobs));
      }
    return {};
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

  Status plan_hopeless(size_t n, std::vector<KernelJob>& jobs) {
    if (step_kind(g_.nodes[n]) != StepKind::kernel) return {};
    add_job(n, *compilers_.back(), jobs);
    steps_[n].fallback = true;
    steps_[n].reason = cat("cannot work if it is ever reached: ", hopeless_[n].message());
    return {};
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
  const std::string where_;  // the nodes whose body this is
  const bool device_;        // has memory of its own
  std::vector<StepPlan> steps_;
  std::vector<bool> on_device_, small_on_host_;
  std::vector<Status> hopeless_;  // of each node: why it cannot work
  std::vector<Body> bodies_;
};

}  // namespace

Result<Lowered> lower(Graph g, const Compilers& compilers, const LowerOptions& options) {
  Lowering whole(std::move(g), compilers, options, "", false);
  std::vector<KernelJob> jobs;
  TRY(whole.plan(jobs));
  if (options.choose) TRY(options.choose(jobs));
  TRY(compile_jobs(jobs, options.progress));
  for (const KernelJob& job : jobs)
    if (const std::string& slow = job.step->image.slow; !slow.empty())
      job.step->reason += cat(job.step->reason.empty() ? "" : "; ", "slower than meant: ", slow);
  return whole.finish();
}

}  // namespace tenon
