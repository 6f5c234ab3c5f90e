#include "calibration/observe.h"

#include <algorithm>
#include <thread>

#include "calibration/work.h"
#include "ir/interpreter.h"
#include "passes/layout/channels_last.h"

namespace tenon {

// How many multiplications of a fast kernel take as long as one of a reference.
static constexpr double kReferenceCost = 200;
// How many multiplications take as long as packing one weight, once for all samples: it also bounds the memory for them.
static constexpr double kPackingCost = 20;
// What an open size is taken for, such as how many boxes a NonMaxSuppression leaves.
static constexpr int64_t kOpenSize = 8;

static double packing(const Graph& graph) {
  double weights = 0;
  for (const Node& node : graph.nodes)
    if (node.op->fusion == Fusion::out_elementwise_fusable)
      for (ValueId v : node.inputs)
        if (graph.is_constant(v)) weights += double(graph.constant(v).size());
  return weights * kPackingCost;
}

double run_work(const Graph& graph, const HostKernels& kernels, const std::vector<Tensor>& sample) {
  std::vector<Shape> shapes;
  for (const Tensor& t : sample) shapes.push_back(t.shape());
  const auto symbols = input_symbols(graph, shapes);
  double work = 0;
  for (const Node& node : graph.nodes) work += node_work(graph, node, symbols, kOpenSize) * (kernels.has(node) ? 1 : kReferenceCost);
  return work;
}

Result<ValueRanges> observe(const Graph& given, std::span<const std::vector<Tensor>> samples, const ObserveOptions& options) {
  Graph graph = given;
  TRY(convert_windows(graph));  // the fast convolutions want channels last
  const int threads = options.threads > 0 ? options.threads : int(std::max(1u, std::thread::hardware_concurrency()));
  const std::unique_ptr<HostKernels> kernels = TRY(HostKernels::create(graph, threads));
  std::vector<const std::vector<Tensor>*> affordable;
  double work = packing(graph);
  for (const std::vector<Tensor>& sample : samples) {
    if (sample.size() != graph.inputs.size()) return invalid_argument("the graph takes ", graph.inputs.size(), " inputs, a sample has ", sample.size());
    const double more = run_work(graph, *kernels, sample);
    if (work + more > options.most_work) continue;
    work += more;
    affordable.push_back(&sample);
  }
  if (affordable.empty()) return Status(Code::unavailable, "running the graph would take long");

  std::set<std::string_view> names;
  for (const Value& v : given.values) names.insert(v.name);
  ValueRanges out;
  const auto add = [&](ValueId v, const Tensor& t) {
    if (is_float(t.dtype()) && names.contains(graph.value(v).name)) out[graph.value(v).name].add(t);
  };
  InterpretOptions run;
  run.observe = [&](const Node&, ValueId v, const Tensor& t) { add(v, t); };
  run.compute = [&](const Node& node, std::span<const Tensor> inputs) { return kernels->run(node, inputs); };
  for (const std::vector<Tensor>* sample : affordable) {
    for (size_t i = 0; i < sample->size(); ++i) add(graph.inputs[i], (*sample)[i]);
    TRY(interpret(graph, *sample, run));
  }
  return out;
}

}  // namespace tenon
