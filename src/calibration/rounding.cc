#include "calibration/rounding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <thread>

#include "calibration/narrow.h"
#include "calibration/observe.h"
#include "calibration/work.h"
#include "ir/interpreter.h"
#include "passes/known.h"
#include "passes/layout/channels_last.h"

namespace tenon {

namespace {

// A function pointer would not be inlined.
template <float (*round)(float)>
Tensor each(const Tensor& t) {
  Tensor out = Tensor::make(DType::f32, t.shape());
  std::transform(t.as<float>(), t.as<float>() + t.size(), out.as<float>(), round);
  return out;
}

Tensor rounded(const Tensor& t, Narrow to) {
  switch (to) {
    case Narrow::tf32: return each<narrow_tf32>(t);
    case Narrow::f16: return each<narrow_f16>(t);
    case Narrow::bf16: break;
  }
  return each<narrow_bf16>(t);
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

// The inputs of Sigmoids and Softmaxes that make the answers, or parts of them. Where a drawn input leaves these far out on
// their flat ends, answers hide what a real one, in the middle, would show.
std::vector<ValueId> find_steep(const Graph& g) {
  const Uses uses(g);
  std::vector<ValueId> out, left(g.outputs);
  std::set<ValueId> seen;
  while (!left.empty()) {
    const ValueId v = left.back();
    left.pop_back();
    if (v == kNoValue || uses.producer(v) < 0 || !seen.insert(v).second) continue;
    const Node& node = g.nodes[size_t(uses.producer(v))];
    if (is_op(node, "Sigmoid") || is_op(node, "Softmax")) out.push_back(node.inputs[0]);
    else if (is_op(node, "Concat")) left.insert(left.end(), node.inputs.begin(), node.inputs.end());
    else if (node.op->view || is_op(node, "Transpose") || is_op(node, "Slice")) left.push_back(node.inputs[0]);
  }
  return out;
}

// How far the answer of a Sigmoid or Softmax could move: a quarter of what its input moves, or half of that, since this is the
// worst already and `allowed` leaves room for worse inputs.
double moved_steeply(const Tensor& from, const Tensor& to) {
  if (from.dtype() != DType::f32 || from.shape() != to.shape()) return 0;
  double difference = 0;
  const float *a = from.as<float>(), *b = to.as<float>();
  for (int64_t i = 0, n = from.size(); i < n; ++i)
    if (std::isfinite(a[i]) && std::isfinite(b[i])) difference = std::max(difference, std::fabs(double(a[i]) - double(b[i])));
  return std::min(1.0, difference / 8);
}

// One sample's run, kept whole.
struct Recording {
  const std::vector<Tensor>* sample;
  std::vector<std::vector<Tensor>> results;  // by node
  std::map<ValueId, Tensor> values;
  std::vector<Tensor> answers;
};

// How many of the node's operands round where it does.
size_t rounding_operands(const Graph& g, const Node& node, Narrow to) {
  return to == Narrow::tf32 ? std::min(product_factors(g, node), node.inputs.size()) : node.inputs.size();
}

// Runs in which some nodes round. They run again only what depends on such a node.
class Trials {
 public:
  // `narrow`: the graph with rounded constants, which fast kernels pack.
  Trials(const Graph& graph, HostKernels& kernels, const Graph& narrow, HostKernels& narrow_kernels, Narrow to)
      : graph_(graph), narrow_(narrow), kernels_(kernels), narrow_kernels_(narrow_kernels), to_(to), rounds_(graph.nodes.size()) {
    for (size_t n = 0; n < graph.nodes.size(); ++n) index_[&graph.nodes[n]] = n;
    for (ValueId v : find_steep(graph)) steep_.insert(v);
  }

  Result<Recording> record(const std::vector<Tensor>& sample) {
    Recording out{&sample, std::vector<std::vector<Tensor>>(graph_.nodes.size()), {}, {}};
    InterpretOptions run;
    run.observe = [&](const Node& node, ValueId v, const Tensor& t) {
      out.values[v] = t;
      out.results[index_.at(&node)].push_back(t);
    };
    run.compute = [&](const Node& node, std::span<const Tensor> inputs) { return kernels_.run(node, inputs); };
    for (size_t i = 0; i < sample.size(); ++i) out.values[graph_.inputs[i]] = sample[i];
    out.answers = TRY(interpret(graph_, sample, run));
    return out;
  }

  // How far the answers move when these nodes round.
  Result<double> move(const Recording& as_is, const std::vector<size_t>& nodes) {
    rounds_.assign(graph_.nodes.size(), false);
    for (size_t n : nodes) rounds_[n] = true;
    InterpretOptions run;
    run.compute = [&](const Node& node, std::span<const Tensor> inputs) { return compute(as_is, node, inputs); };
    double most = 0;
    run.observe = [&](const Node&, ValueId v, const Tensor& t) {
      if (steep_.contains(v)) most = std::max(most, moved_steeply(as_is.values.at(v), t));
    };
    const std::vector<Tensor> answers = TRY(interpret(graph_, *as_is.sample, run));
    return std::max(most, moved(as_is.answers, answers));
  }

 private:
  using Results = std::optional<std::vector<Tensor>>;

  static bool as_before(const Recording& as_is, const Node& node, std::span<const Tensor> inputs) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto before = node.inputs[i] == kNoValue ? as_is.values.end() : as_is.values.find(node.inputs[i]);
      if (before != as_is.values.end() && before->second.data() != inputs[i].data()) return false;
    }
    return true;
  }

  Result<Results> compute(const Recording& as_is, const Node& node, std::span<const Tensor> inputs) {
    const size_t n = index_.at(&node);
    const bool all_kept = as_is.results[n].size() == node.outputs.size();  // not where some outputs are absent
    if (!rounds_[n]) return all_kept && as_before(as_is, node, inputs) ? Results(as_is.results[n]) : TRY(kernels_.run(node, inputs));
    std::vector<Tensor> in(inputs.begin(), inputs.end());
    for (size_t i = 0; i < rounding_operands(graph_, node, to_); ++i)
      if (in[i] && in[i].dtype() == DType::f32) in[i] = graph_.is_constant(node.inputs[i]) ? narrow_.constant(node.inputs[i]) : rounded(in[i], to_);
    const Node& narrow = narrow_.nodes[n];
    Results out = TRY(narrow_kernels_.run(narrow, in));
    if (!out) out = TRY(interpret_node(*narrow.op, narrow.attrs, in, narrow.outputs.size()));
    // Attention's probabilities are a factor too; rounding what they give is about as much.
    if (to_ == Narrow::tf32 && product_factors(graph_, node) < 3) return out;
    for (Tensor& t : *out)
      if (t && t.dtype() == DType::f32) t = rounded(t, to_);
    return out;
  }

  const Graph &graph_, &narrow_;
  HostKernels &kernels_, &narrow_kernels_;
  const Narrow to_;
  std::map<const Node*, size_t> index_;
  std::set<ValueId> steep_;
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
  // `once`: the work of a run, by sample.
  Choosing(const Graph& given, std::vector<size_t> places, Trials& trials, std::vector<double> once, const RoundingOptions& options)
      : given_(given), places_(std::move(places)), trials_(trials), once_(std::move(once)), most_work_(options.most_work), weights_(options.weights) {}

  Result<RoundingChoice> run(const std::vector<Rounds>& candidates, std::span<const std::vector<Tensor>> samples, double allowed) {
    RoundingChoice out;
    out.stays.assign(candidates.size(), 0);
    std::vector<size_t> all, optional;
    for (size_t n = 0; n < candidates.size(); ++n) {
      if (candidates[n] != Rounds::no) all.push_back(n);
      if (candidates[n] == Rounds::may) optional.push_back(n);
      if (candidates[n] == Rounds::must) forced_.push_back(n);
    }
    for (size_t s = 0; s < samples.size(); ++s) {
      // Every build pays for the samples; the rest of the work is for asking nodes alone.
      constexpr double kShare = 0.3;
      if (s > 0 && spent_ + 2 * once_[s] > most_work_ * kShare) continue;
      auto recorded = trials_.record(samples[s]);
      if (!recorded.ok() && s > 0) continue;
      Tried tried{TRY(std::move(recorded)), once_[s], weights_.empty() ? 1 : weights_[s], 0, {}};
      tried.all = TRY(move(tried, all));
      spent_ += once_[s];
      out.all = out.left = std::max(out.all, tried.all);
      tried_.push_back(std::move(tried));
    }
    out.samples = tried_.size();
    if (optional.empty() || std::none_of(tried_.begin(), tried_.end(), [&](const Tried& t) { return t.counts(t.all) > allowed; })) return out;
    TRY(ask(optional, allowed));
    TRY(choose(allowed, out));
    return out;
  }

 private:
  struct Tried {
    Recording as_is;
    double once;                // work of a run
    double weight;              // of what it moves
    double all;                 // moved by all candidates
    std::vector<double> alone;  // by group; empty: not asked

    double counts(double moved) const { return moved * weight; }
  };

  Result<double> move(const Tried& on, const std::vector<size_t>& nodes) {
    std::vector<size_t> at;
    for (size_t n : nodes) at.push_back(places_[n]);
    spent_ += on.once;
    return trials_.move(on.as_is, at);
  }

  // Each alone, in groups as small as the work allows, on the samples that move too far: the worst first.
  Status ask(const std::vector<size_t>& all, double allowed) {
    constexpr double kJudging = 4;      // runs of each sample that judge the choice
    constexpr double kShare = 0.55;     // of a run that a group takes: what depends on it
    constexpr size_t kFewest = 12;      // groups that another sample may cost
    std::vector<Tried*> asked;
    for (Tried& t : tried_) asked.push_back(&t);
    std::stable_sort(asked.begin(), asked.end(), [](const Tried* a, const Tried* b) { return a->counts(a->all) > b->counts(b->all); });
    double judging = 0, once = 0;
    for (const Tried* t : asked) judging += kJudging * t->once;
    size_t groups = 0, used = 0;
    for (const Tried* t : asked) {
      if (used > 0 && t->counts(t->all) <= allowed) break;
      const double rest = most_work_ - spent_ - judging;
      const size_t affordable = size_t(std::max(0.0, rest / std::max(kShare * (once + t->once), 1.0)));
      if (used > 0 && affordable < std::min(kFewest, all.size())) break;
      groups = std::min(affordable, all.size());
      once += t->once;
      ++used;
    }
    if (groups < 2) return Status(Code::unavailable, "asking which nodes matter would take long");
    groups_.assign(groups, {});
    for (size_t i = 0; i < all.size(); ++i) groups_[i * groups / all.size()].push_back(all[i]);
    for (size_t k = 0; k < used; ++k)
      for (const std::vector<size_t>& group : groups_) {
        asked[k]->alone.push_back(TRY(move(*asked[k], group)));
        spent_ -= asked[k]->once * (1 - kShare);
      }
    return {};
  }

  // What a group costs where it stays.
  std::vector<double> costs() const {
    const auto symbols = [&] {
      std::vector<Shape> shapes;
      for (const Tensor& t : *tried_[0].as_is.sample) shapes.push_back(t.shape());
      return input_symbols(given_, shapes);
    }();
    constexpr double kNode = 64;  // multiplications that moving one number is worth, where a node does nothing else
    std::vector<double> out;
    for (const std::vector<size_t>& group : groups_) {
      double cost = 1;
      for (size_t n : group) cost += node_work(given_, given_.nodes[n], symbols, 8) * (product_factors(given_, given_.nodes[n]) ? 1 : kNode);
      out.push_back(cost);
    }
    return out;
  }

  Status choose(double allowed, RoundingChoice& out) {
    std::vector<double> most(groups_.size()), moved(groups_.size());
    for (const Tried& t : tried_)
      for (size_t g = 0; g < t.alone.size(); ++g) {
        most[g] = std::max(most[g], t.counts(t.alone[g]));
        moved[g] = std::max(moved[g], t.alone[g]);
      }
    const std::vector<double> cost = costs();
    std::vector<size_t> order(groups_.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return most[a] * most[a] / cost[a] > most[b] * most[b] / cost[b]; });
    // As few as the squares allow. What is more than the sum foretold is asked again with less.
    double least = std::numeric_limits<double>::infinity();
    for (double aim = allowed; aim > allowed / 20; aim /= 2) {
      size_t stay = 0;
      for (const Tried& t : tried_) {
        double squares = 0;
        const auto square = [&](double alone) { return t.counts(alone) * t.counts(alone); };
        for (double a : t.alone) squares += square(a);
        size_t k = 0;
        for (; k < order.size() && !t.alone.empty() && squares > aim * aim; ++k) squares -= square(t.alone[order[k]]);
        stay = std::max(stay, k);
      }
      std::vector<size_t> rounding = forced_;
      for (size_t i = stay; i < order.size(); ++i) rounding.insert(rounding.end(), groups_[order[i]].begin(), groups_[order[i]].end());
      double left = 0, counted = 0;
      for (const Tried& t : tried_) {
        const double by = TRY(move(t, rounding));
        left = std::max(left, by);
        counted = std::max(counted, t.counts(by));
      }
      if (counted >= least) continue;
      least = counted;
      out.left = left;
      std::fill(out.stays.begin(), out.stays.end(), 0);
      for (size_t i = 0; i < stay; ++i)
        for (size_t n : groups_[order[i]]) out.stays[n] = std::max(moved[order[i]], 1e-9);
      if (counted <= allowed) break;
    }
    return {};
  }

  const Graph& given_;
  const std::vector<size_t> places_;
  Trials& trials_;
  const std::vector<double> once_;
  const double most_work_;
  const std::vector<double> weights_;
  double spent_ = 0;
  std::vector<Tried> tried_;
  std::vector<size_t> forced_;
  std::vector<std::vector<size_t>> groups_;  // of candidates that may round
};

}  // namespace

Result<RoundingChoice> choose_by_rounding(const Graph& graph, Narrow to, const std::vector<Rounds>& candidates,
                                          std::span<const std::vector<Tensor>> samples, double allowed, const RoundingOptions& options) {
  Graph converted = graph;
  TRY(convert_windows(converted));  // the fast convolutions want channels last
  const int threads = options.threads > 0 ? options.threads : int(std::max(1u, std::thread::hardware_concurrency()));
  const std::unique_ptr<HostKernels> kernels = TRY(HostKernels::create(converted, threads));
  std::vector<double> once;
  for (const std::vector<Tensor>& sample : samples) once.push_back(run_work(converted, *kernels, sample));
  if (once.empty() || 2 * once[0] > options.most_work) return Status(Code::unavailable, "running the graph would take long");
  std::vector<size_t> at = places(graph, converted);
  Graph narrow = converted;
  for (size_t n = 0; n < candidates.size(); ++n) {
    if (candidates[n] == Rounds::no) continue;
    const Node& node = converted.nodes[at[n]];
    for (size_t i = 0; i < rounding_operands(converted, node, to); ++i) {
      const ValueId v = node.inputs[i];
      if (!converted.is_constant(v) || converted.info(v).dtype != DType::f32) continue;
      Tensor& constant = narrow.value(v).info.constant;
      if (constant.data() == converted.constant(v).data()) constant = rounded(constant, to);
    }
  }
  const std::unique_ptr<HostKernels> narrow_kernels = TRY(HostKernels::create(narrow, threads));
  Trials trials(converted, *kernels, narrow, *narrow_kernels, to);
  return Choosing(graph, std::move(at), trials, std::move(once), options).run(candidates, samples, allowed);
}

}  // namespace tenon
