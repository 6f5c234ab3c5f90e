#include "calibration/rounding.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <thread>

#include "calibration/observe.h"
#include "ir/interpreter.h"
#include "passes/layout/channels_last.h"

namespace tenon {

namespace {

Tensor rounded(const Tensor& t, DType low) {
  Tensor out = Tensor::make(DType::f32, t.shape());
  const float* from = t.as<float>();
  float* to = out.as<float>();
  for (int64_t i = 0, n = t.size(); i < n; ++i)
    to[i] = low == DType::f16 ? f16_to_f32(f32_to_f16(from[i])) : bf16_to_f32(f32_to_bf16(from[i]));
  return out;
}

double moved(const std::vector<Tensor>& from, const std::vector<Tensor>& to) {
  double most = 0;
  for (size_t o = 0; o < from.size(); ++o) {
    if (from[o].dtype() != DType::f32) continue;
    if (from[o].shape() != to[o].shape()) return 1;
    double largest = 0, difference = 0;
    const float *a = from[o].as<float>(), *b = to[o].as<float>();
    for (int64_t i = 0, n = from[o].size(); i < n; ++i) {
      if (std::isfinite(a[i]) != std::isfinite(b[i])) return 1;
      if (!std::isfinite(a[i])) continue;
      largest = std::max(largest, double(std::fabs(a[i])));
      difference = std::max(difference, std::fabs(double(a[i]) - double(b[i])));
    }
    if (difference > 0) most = std::max(most, std::min(1.0, difference / std::max(largest, 1e-30)));
  }
  return most;
}

// One sample's run, kept whole, and runs of it in which some nodes round. These run again only what depends on such a node.
class Trials {
 public:
  Trials(const Graph& graph, HostKernels& kernels, DType low) : graph_(graph), kernels_(kernels), low_(low), rounds_(graph.nodes.size()) {
    for (size_t n = 0; n < graph.nodes.size(); ++n) index_[&graph.nodes[n]] = n;
  }

  Status record(const std::vector<Tensor>& sample) {
    sample_ = &sample;
    kept_.assign(graph_.nodes.size(), {});
    values_.clear();
    InterpretOptions run;
    run.observe = [&](const Node& node, ValueId v, const Tensor& t) {
      values_[v] = t;
      kept_[index_.at(&node)].push_back(t);
    };
    run.compute = [&](const Node& node, std::span<const Tensor> inputs) { return kernels_.run(node, inputs); };
    for (size_t i = 0; i < sample.size(); ++i) values_[graph_.inputs[i]] = sample[i];
    answers_ = TRY(interpret(graph_, sample, run));
    return {};
  }

  // How far the answers move when these nodes round.
  Result<double> move(const std::vector<size_t>& nodes) {
    rounds_.assign(graph_.nodes.size(), false);
    for (size_t n : nodes) rounds_[n] = true;
    InterpretOptions run;
    run.compute = [&](const Node& node, std::span<const Tensor> inputs) { return compute(node, inputs); };
    return moved(answers_, TRY(interpret(graph_, *sample_, run)));
  }

 private:
  using Results = std::optional<std::vector<Tensor>>;

  bool as_before(const Node& node, std::span<const Tensor> inputs) const {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto before = node.inputs[i] == kNoValue ? values_.end() : values_.find(node.inputs[i]);
      if (before != values_.end() && before->second.data() != inputs[i].data()) return false;
    }
    return true;
  }

  Result<Results> compute(const Node& node, std::span<const Tensor> inputs) {
    const size_t n = index_.at(&node);
    const bool all_kept = kept_[n].size() == node.outputs.size();  // not where some outputs are absent
    if (!rounds_[n]) return all_kept && as_before(node, inputs) ? Results(kept_[n]) : TRY(kernels_.run(node, inputs));
    std::vector<Tensor> in(inputs.begin(), inputs.end());
    for (size_t i = 0; i < in.size(); ++i)
      if (in[i] && in[i].dtype() == DType::f32) in[i] = graph_.is_constant(node.inputs[i]) ? constant(node.inputs[i], in[i]) : rounded(in[i], low_);
    Results out = TRY(kernels_.run(node, in));
    if (!out) out = TRY(interpret_node(*node.op, node.attrs, in, node.outputs.size()));
    for (Tensor& t : *out)
      if (t && t.dtype() == DType::f32) t = rounded(t, low_);
    return out;
  }

  const Tensor& constant(ValueId v, const Tensor& t) {
    Tensor& kept = constants_[v];
    if (!kept) kept = rounded(t, low_);
    return kept;
  }

  const Graph& graph_;
  HostKernels& kernels_;
  const DType low_;
  std::map<const Node*, size_t> index_;
  const std::vector<Tensor>* sample_ = nullptr;
  std::vector<std::vector<Tensor>> kept_;  // results by node
  std::map<ValueId, Tensor> values_, constants_;
  std::vector<Tensor> answers_;
  std::vector<bool> rounds_;
};

// Where the nodes of the given graph are in the one that has its windows converted: at what makes the same value, or in front
// of the Transpose that makes it.
std::vector<size_t> places(const Graph& given, const Graph& converted) {
  std::map<ValueId, size_t> maker;
  for (size_t n = 0; n < converted.nodes.size(); ++n)
    for (ValueId v : converted.nodes[n].outputs)
      if (v != kNoValue) maker[v] = n;
  std::vector<size_t> out;
  for (const Node& node : given.nodes) {
    const auto first = std::find_if(node.outputs.begin(), node.outputs.end(), [](ValueId v) { return v != kNoValue; });
    size_t n = first == node.outputs.end() ? converted.nodes.size() : maker.at(*first);
    if (n < converted.nodes.size() && converted.nodes[n].op != node.op) n = maker.at(converted.nodes[n].inputs[0]);
    out.push_back(n);
  }
  return out;
}

class Choosing {
 public:
  Choosing(const Graph& given, const Graph& converted, HostKernels& kernels, DType low, std::span<const std::vector<Tensor>> samples)
      : samples_(samples), places_(places(given, converted)), trials_(converted, kernels, low) {}

  Result<RoundingChoice> run(const std::vector<bool>& candidates, double allowed, size_t most_groups) {
    RoundingChoice out;
    out.stays.assign(candidates.size(), 0);
    std::vector<size_t> all;
    for (size_t n = 0; n < candidates.size(); ++n)
      if (candidates[n]) all.push_back(n);
    out.all = out.left = TRY(move({all}))[0];
    if (out.all <= allowed || all.empty()) return out;
    if (most_groups < 2) return Status(Code::unavailable, "asking which nodes matter would take long");
    std::vector<std::vector<size_t>> groups(std::min(most_groups, all.size()));
    for (size_t i = 0; i < all.size(); ++i) groups[i * groups.size() / all.size()].push_back(all[i]);
    const std::vector<double> alone = TRY(move(groups));
    std::vector<size_t> order(groups.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return alone[a] > alone[b]; });
    // From the smallest up: as many as the squares allow. What is more than the sum foretold is asked again with less.
    for (double aim = allowed; aim > allowed / 20; aim /= 2) {
      std::vector<size_t> rounding;
      double squares = 0;
      size_t stay = order.size();
      for (; stay > 0; --stay) {
        const size_t g = order[stay - 1];
        if (squares + alone[g] * alone[g] > aim * aim) break;
        squares += alone[g] * alone[g];
        rounding.insert(rounding.end(), groups[g].begin(), groups[g].end());
      }
      const double left = TRY(move({rounding}))[0];
      if (left >= out.left) continue;
      out.left = left;
      std::fill(out.stays.begin(), out.stays.end(), 0);
      for (size_t i = 0; i < stay; ++i)
        for (size_t n : groups[order[i]]) out.stays[n] = std::max(alone[order[i]], 1e-9);
      if (left <= allowed) break;
    }
    return out;
  }

 private:
  // The worst of all samples, for each set of nodes.
  Result<std::vector<double>> move(const std::vector<std::vector<size_t>>& sets) {
    std::vector<double> out(sets.size());
    for (const std::vector<Tensor>& sample : samples_) {
      TRY(trials_.record(sample));
      for (size_t s = 0; s < sets.size(); ++s) {
        std::vector<size_t> nodes;
        for (size_t n : sets[s]) nodes.push_back(places_[n]);
        out[s] = std::max(out[s], TRY(trials_.move(nodes)));
      }
    }
    return out;
  }

  std::span<const std::vector<Tensor>> samples_;
  const std::vector<size_t> places_;
  Trials trials_;
};

}  // namespace

Result<RoundingChoice> choose_by_rounding(const Graph& graph, DType low, const std::vector<bool>& candidates,
                                          std::span<const std::vector<Tensor>> samples, double allowed, const RoundingOptions& options) {
  Graph converted = graph;
  TRY(convert_windows(converted));  // the fast convolutions want channels last
  const int threads = options.threads > 0 ? options.threads : int(std::max(1u, std::thread::hardware_concurrency()));
  const std::unique_ptr<HostKernels> kernels = TRY(HostKernels::create(converted, threads));
  double once = 0;
  for (const std::vector<Tensor>& sample : samples) once += run_work(converted, *kernels, sample);
  // Two runs tell how far all of them move the answers, each group takes about half a run, and a few more judge the choice.
  const double runs = options.most_work / std::max(once, 1.0);
  if (runs < 2) return Status(Code::unavailable, "running the graph would take long");
  const size_t most_groups = runs < 10 ? 0 : size_t((runs - 8) * 1.8);
  return Choosing(graph, converted, *kernels, low, samples).run(candidates, allowed, most_groups);
}

}  // namespace tenon
