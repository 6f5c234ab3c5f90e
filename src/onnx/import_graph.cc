// Graphs: inputs with their declared types, weights, nodes, outputs; scopes of names.
#include <algorithm>

#include "ir/infer.h"
#include "onnx/scope.h"

namespace tenon::onnx {

std::optional<ValueId> resolve(Scope& scope, std::string_view name) {
  if (auto it = scope.names.find(name); it != scope.names.end()) return it->second;
  if (!scope.outer) return std::nullopt;
  auto outside = resolve(*scope.outer, name);
  if (!outside) return std::nullopt;
  const ValueInfo& info = scope.outer->graph->info(*outside);
  ValueId v = scope.graph->add_value(std::string(name), info);
  if (!info.constant) {
    scope.graph->inputs.push_back(v);
    scope.captured.emplace_back(name);
  }
  scope.names.emplace(name, v);
  return v;
}

// Exporters write these for "free"; two such dimensions have nothing to do with each other.
static bool names_nothing(std::string_view param) {
  return param == "None" || param == "none" || param == "-1" ||
         std::none_of(param.begin(), param.end(), [](char c) { return isalnum((unsigned char)c); });
}

// A symbol for a dimension that the file gives a free-form name or none.
static Dim dim_from(const DimProto& d, const std::string& fallback) {
  if (d.value && *d.value >= 0) return Dim(*d.value);
  const bool unnamed = names_nothing(d.param);
  if (auto parsed = Dim::parse(d.param); !unnamed && parsed.ok() && parsed->is_symbol() && d.param[0] != '_') return *parsed;
  std::string text = unnamed ? fallback : std::string(d.param);
  for (char& c : text)
    if (!isalnum((unsigned char)c) && c != '_' && c != '.') c = '_';
  if (text.empty() || !isalpha((unsigned char)text[0])) text = "d" + text;
  if (!Dim::is_symbol_name(text)) text += "_";
  return Dim::symbol(text);
}

static Result<ValueInfo> declared_info(const ValueInfoProto& p, const std::string& name) {
  ValueInfo info;
  if (!p.is_tensor) return unsupported("input '", name, "' is a ", p.kind.empty() ? "value without a type" : p.kind, ", only tensors are supported");
  if (p.dtype <= 0 || p.dtype >= kNumDTypes) return invalid_model("input '", name, "' has unknown data type ", p.dtype);
  info.dtype = DType(p.dtype);
  if (!kAny.contains(info.dtype)) return unsupported("input '", name, "' holds ", tenon::name(info.dtype), " values, which are not supported");
  info.ranked = p.has_shape;
  if (p.dims.size() > 64) return invalid_model("input '", name, "' has ", p.dims.size(), " dimensions");
  for (size_t i = 0; i < p.dims.size(); ++i) info.shape.push_back(dim_from(p.dims[i], cat(name, "_", i)));
  return info;
}

static Status import_inputs(Model& model, Scope& scope, const GraphProto& proto, bool top) {
  Graph& g = *scope.graph;
  for (const ValueInfoProto& p : proto.inputs) {
    const std::string name(p.name);
    if (name.empty()) return invalid_model("an input of the graph has no name");
    if (scope.names.contains(name)) {
      // A weight that is also listed as an input (required before IR version 4) is a constant.
      if (g.is_constant(scope.names[name])) continue;
      return invalid_model("two inputs are called '", escape(name), "'");
    }
    ValueInfo info;
    if (top || p.is_tensor) {
      auto declared = declared_info(p, escape(name));
      if (declared.ok()) info = *declared;
      else if (top) return declared.status();
    }
    ValueId v = g.add_value(name, info);
    g.inputs.push_back(v);
    scope.names[name] = v;
  }
  return {};
}

Status import_graph(Model& model, Scope& scope, const GraphProto& proto, bool top) {
  Graph& g = *scope.graph;
  g.name = proto.name.empty() ? "main" : std::string(proto.name);
  auto add_weight = [&](std::string_view name, Result<Tensor> t) -> Status {
    if (!t.ok()) return t.status().with_prefix(cat("weight '", escape(name), "' "));
    if (scope.names.contains(name)) return invalid_model("two weights are called '", escape(name), "'");
    scope.names.emplace(name, g.add_constant(std::string(name), std::move(t).value()));
    return {};
  };
  // Inputs are named first so that they keep their names; weights among them are skipped there.
  std::set<std::string_view> inputs;
  for (const ValueInfoProto& p : proto.inputs) inputs.insert(p.name);
  for (const TensorProto& t : proto.initializers) TRY(add_weight(t.name, model.tensors.load(t)));
  for (const SparseTensorProto& t : proto.sparse_initializers)
    TRY(add_weight(t.values.name, model.tensors.load_sparse(t)));
  TRY(import_inputs(model, scope, proto, top));
  TRY(import_nodes(model, scope, proto.nodes));
  for (const ValueInfoProto& p : proto.outputs) {
    auto v = resolve(scope, p.name);
    if (!v) return invalid_model("the graph's output '", escape(p.name), "' is not computed by any node");
    g.add_output(std::string(p.name), *v);
  }
  if (top && g.outputs.empty()) return invalid_model("the graph has no outputs");
  return {};
}

}  // namespace tenon::onnx
