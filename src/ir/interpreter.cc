#include "ir/interpreter.h"

#include <map>

#include "ir/infer.h"

namespace tenon {

static Result<std::vector<Tensor>> interpret_inside(const Graph& g, std::vector<Tensor> inputs,
                                                    const InterpretOptions& options, const SymbolValue& outer);

RunSubgraph body_interpreter(const Attrs& attrs, const SymbolValue& symbol) {
  return [&attrs, symbol](const std::string& attr, std::vector<Tensor> in) -> Result<std::vector<Tensor>> {
    GraphPtr body = attrs.graph(attr);
    if (!body) return invalid_model("attribute '", attr, "' is missing");
    return interpret_inside(*body, std::move(in), {}, symbol);
  };
}

InferSubgraph body_inference(const Attrs& attrs) {
  return [&attrs](const std::string& attr, std::vector<ValueInfo> in) -> Result<std::vector<ValueInfo>> {
    GraphPtr body = attrs.graph(attr);
    if (!body) return invalid_model("attribute '", attr, "' is missing");
    Graph g = *body;
    if (in.size() != g.inputs.size()) return invalid_model("subgraph '", attr, "' takes ", g.inputs.size(), " inputs");
    for (size_t i = 0; i < in.size(); ++i) {
      g.value(g.inputs[i]).info = in[i];
      g.value(g.inputs[i]).info.constant = Tensor();
    }
    TRY(infer_graph(g));
    std::vector<ValueInfo> out;
    for (ValueId v : g.outputs) out.push_back(g.info(v));
    for (auto& v : out) v.constant = Tensor();
    return out;
  };
}

Result<std::vector<Tensor>> interpret_node(const Op& op, const Attrs& attrs, std::span<const Tensor> inputs,
                                           size_t num_outputs, const SymbolValue& symbol) {
  std::vector<Tensor> outputs;
  TRY(run_reference(op, attrs, inputs, num_outputs, outputs, body_interpreter(attrs, symbol), body_inference(attrs), symbol));
  return outputs;
}

namespace {
// What the symbols of a graph's shapes stand for, as far as tensors have told.
struct Bindings {
  const SymbolValue& outer;
  std::map<std::string, int64_t, std::less<>> known = {};

  void bind(const ValueInfo& info, const Tensor& t) {
    if (!info.ranked || !t || info.shape.size() != t.shape().size()) return;
    for (size_t i = 0; i < info.shape.size(); ++i)
      if (info.shape[i].is_symbol()) known.try_emplace(info.shape[i].to_string(), t.shape()[i]);
  }
  std::optional<int64_t> find(const std::string& symbol) const {
    if (auto it = known.find(symbol); it != known.end()) return it->second;
    return outer ? outer(symbol) : std::nullopt;
  }
};
}  // namespace

Result<std::vector<Tensor>> interpret(const Graph& g, std::vector<Tensor> inputs, const InterpretOptions& options) {
  return interpret_inside(g, std::move(inputs), options, {});
}

static Result<std::vector<Tensor>> run_node(const Node& node, std::span<const Tensor> in, const InterpretOptions& options,
                                            const SymbolValue& symbol) {
  if (options.compute)
    if (auto out = TRY(options.compute(node, in))) return *std::move(out);
  return interpret_node(*node.op, node.attrs, in, node.outputs.size(), symbol);
}

static Result<std::vector<Tensor>> interpret_inside(const Graph& g, std::vector<Tensor> inputs,
                                                    const InterpretOptions& options, const SymbolValue& outer) {
  if (inputs.size() != g.inputs.size())
    return invalid_argument("the graph takes ", g.inputs.size(), " inputs, ", inputs.size(), " are given");
  std::vector<Tensor> values(g.values.size());
  for (size_t v = 0; v < g.values.size(); ++v) values[v] = g.values[v].info.constant;
  Bindings symbols{outer};
  const SymbolValue lookup = [&](const std::string& symbol) { return symbols.find(symbol); };
  for (size_t i = 0; i < inputs.size(); ++i) {
    symbols.bind(g.info(g.inputs[i]), inputs[i]);
    values[size_t(g.inputs[i])] = std::move(inputs[i]);
  }

  std::vector<size_t> last_use(g.values.size(), 0);  // node index + 1
  for (size_t n = 0; n < g.nodes.size(); ++n)
    for (ValueId v : g.nodes[n].inputs)
      if (v != kNoValue) last_use[size_t(v)] = n + 1;
  for (ValueId v : g.outputs) last_use[size_t(v)] = g.nodes.size() + 1;

  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    std::vector<Tensor> in;
    for (ValueId v : node.inputs) in.push_back(v == kNoValue ? Tensor() : values[size_t(v)]);
    auto out = run_node(node, in, options, lookup);
    if (!out.ok()) return out.status().with_prefix(describe(node) + ": ");
    in.clear();
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId v = node.outputs[i];
      if (v == kNoValue) continue;
      if (!(*out)[i]) return internal_error(describe(node), ": the reference left output ", i, " empty");
      if (options.observe) options.observe(node, v, (*out)[i]);
      symbols.bind(g.info(v), (*out)[i]);
      values[size_t(v)] = std::move((*out)[i]);
    }
    for (ValueId v : node.inputs)
      if (v != kNoValue && last_use[size_t(v)] == n + 1) values[size_t(v)] = Tensor();
  }
  std::vector<Tensor> outputs;
  for (ValueId v : g.outputs) outputs.push_back(values[size_t(v)]);
  return outputs;
}

}  // namespace tenon
