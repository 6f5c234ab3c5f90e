#include "ir/infer.h"

#include "base/memory_limit.h"
#include "ops/common/control_flow.h"

namespace tenon {

// Whether inference made up this symbol in g after it had made up `since` others. With `inside`, also one made up in a
// body inside of g or for such a body. The names are "_hint_number", in bodies "_hint.depth_number".
static bool made_up(const Graph& g, const std::string& s, int64_t since, bool inside = false) {
  const size_t under = s.rfind('_');
  int64_t number, depth = 0;
  if (s[0] != '_' || under == 0 || !parse_int(std::string_view(s).substr(under + 1), number)) return false;
  const size_t dot = s.rfind('.', under);
  if (dot != s.npos && !parse_int(std::string_view(s).substr(dot + 1, under - dot - 1), depth)) return false;
  return depth == g.depth ? number > since || (inside && is_size_of_each_round(s)) : inside && depth > g.depth;
}

// Takes over what is newly known, but keeps an old symbol where inference made up a new one.
static void merge(const Graph& g, ValueInfo& value, ValueInfo inferred, int64_t fresh_before) {
  const bool same_rank = value.ranked && inferred.ranked && value.shape.size() == inferred.shape.size();
  if (same_rank)
    for (size_t i = 0; i < value.shape.size(); ++i)
      if (inferred.shape[i].is_symbol() && made_up(g, inferred.shape[i].to_string(), fresh_before)) inferred.shape[i] = value.shape[i];
  if (!inferred.ranked && value.ranked) inferred.ranked = true, inferred.shape = value.shape;
  inferred.constant = value.constant;
  value = std::move(inferred);
}

static bool same(const ValueInfo& a, const ValueInfo& b) {
  return a.dtype == b.dtype && a.ranked == b.ranked && a.shape == b.shape && a.value == b.value;
}

static Result<std::vector<ValueInfo>> infer_subgraph(Attrs& attrs, const std::string& attr, std::vector<ValueInfo> in, int depth) {
  GraphPtr body = attrs.graph(attr);
  if (!body) return invalid_model("attribute '", attr, "' is missing");
  Graph g = *body;
  g.depth = depth;
  if (in.size() != g.inputs.size())
    return invalid_model("subgraph '", attr, "' takes ", g.inputs.size(), " inputs, ", in.size(), " are given");
  bool changed = false;
  for (size_t i = 0; i < in.size(); ++i) {
    ValueInfo& v = g.value(g.inputs[i]).info;
    changed = changed || !same(v, in[i]);
    v = std::move(in[i]);
    v.constant = Tensor();  // it differs from call to call
  }
  // What followed from other sizes, perhaps those of a loop's first round, is no longer true.
  if (changed)
    for (const Node& n : g.nodes)
      for (ValueId v : n.outputs)
        if (v != kNoValue) g.value(v).info = {g.info(v).dtype, false, {}, Tensor(), std::nullopt};
  // A body that does not work keeps types all the same: it may be a branch that is never taken.
  Status status;
  for (Node& n : g.nodes) {
    Status s = infer_node(g, n);
    if (s.ok()) continue;
    guess_types(g, n);
    if (status.ok()) status = s;
  }
  std::vector<ValueInfo> out;
  for (ValueId v : g.outputs) {
    out.push_back(g.info(v));
    out.back().constant = Tensor();
  }
  attrs.set(attr, std::make_shared<const Graph>(std::move(g)));
  if (!status.ok()) return status;
  return out;
}

void guess_types(Graph& g, Node& node) {
  const Op& op = *node.op;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue || op.outputs.empty()) continue;
    ValueInfo& info = g.value(node.outputs[i]).info;
    const Param& out = op.outputs[std::min(i, op.outputs.size() - 1)];
    DType t = info.dtype;
    for (size_t k = 0; t == DType::none && out.type_var && k < node.inputs.size() && !op.inputs.empty(); ++k)
      if (op.inputs[std::min(k, op.inputs.size() - 1)].type_var == out.type_var && node.inputs[k] != kNoValue)
        t = g.info(node.inputs[k]).dtype;
    if (t == DType::none && out.types.contains(DType::f32)) t = DType::f32;
    for (int k = 1; t == DType::none && k < kNumDTypes; ++k)
      if (out.types.contains(DType(k))) t = DType(k);
    info = {};
    info.dtype = t;
  }
}

namespace {
// Bodies of loops are inferred again and again until their shapes settle, those of nested loops in each round of the
// outer one. The work of one call from outside is bounded, so that a hostile nest ends.
struct Work {
  static constexpr int64_t kMost = 400000;
  static thread_local int64_t depth, nodes;
  Work() { nodes = depth++ == 0 ? 0 : nodes + 1; }
  ~Work() { --depth; }
};
thread_local int64_t Work::depth = 0, Work::nodes = 0;
}  // namespace

Status infer_node(Graph& g, Node& node) {
  Work work;
  if (Work::nodes > Work::kMost) return invalid_model(describe(node), ": its loops are nested so deep that their shapes cannot be found");
  InferArgs a{*node.op, node.attrs, {}, std::vector<ValueInfo>(node.outputs.size()), nullptr, nullptr};
  for (ValueId v : node.inputs) a.in.push_back(v == kNoValue ? ValueInfo{} : g.info(v));
  const int64_t fresh_before = g.fresh_symbols;
  a.fresh = [&g](const char* hint) { return g.fresh_symbol(hint); };
  Attrs refined = node.attrs;
  a.body_input = [&node](const std::string& attr, size_t i) {
    const GraphPtr body = node.attrs.graph(attr);
    return body && i < body->inputs.size() ? body->info(body->inputs[i]) : ValueInfo{};
  };
  a.infer_subgraph = [&](const std::string& attr, std::vector<ValueInfo> in) -> Result<std::vector<ValueInfo>> {
    auto out = infer_subgraph(refined, attr, std::move(in), g.depth + 1);
    if (!out.ok()) return out;
    // A size that only the body's data decides, or that differs from round to round, is unknown anew out here.
    for (ValueInfo& v : *out)
      for (Dim& d : v.shape) {
        std::set<std::string> symbols;
        d.collect_symbols(symbols);
        for (const std::string& symbol : symbols)
          if (made_up(g, symbol, fresh_before, true)) {
            d = g.fresh_symbol("body");
            break;
          }
      }
    return out;
  };
  Status status = catch_bad_alloc([&] { return infer_op(a); });
  if (!status.ok()) return status.with_prefix(describe(node) + ": ");
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoValue) merge(g, g.value(node.outputs[i]).info, std::move(a.out[i]), fresh_before);
  node.attrs = std::move(refined);
  return {};
}

Status infer_graph(Graph& g) {
  for (Node& n : g.nodes) TRY(infer_node(g, n));
  return {};
}

}  // namespace tenon
