// Nodes: attributes, upgrades of older forms, subgraphs with their captures made explicit, functions inlined.
#include <algorithm>

#include "ir/infer.h"
#include "ir/interpreter.h"
#include "onnx/scope.h"

namespace tenon::onnx {

constexpr int64_t kMostNodes = 1000000;  // functions that call each other grow without end in a small file

static std::string node_label(const NodeProto& n) {
  std::string_view name = !n.name.empty() ? n.name : !n.outputs.empty() ? n.outputs[0] : "";
  return cat(escape(n.op_type), " '", escape(name), "'");
}

Result<std::optional<AttrValue>> import_attribute(Model& model, Scope& scope, const AttributeProto& a) {
  if (!a.ref.empty()) {
    if (!scope.arguments) return invalid_model("attribute '", escape(a.name), "' refers to '", escape(a.ref), "' outside of a function");
    auto it = scope.arguments->find(a.ref);
    if (it == scope.arguments->end()) return std::optional<AttrValue>();
    Scope caller = scope;  // the argument itself was resolved at the call
    caller.arguments = nullptr;
    return import_attribute(model, caller, it->second);
  }
  // The type field was optional before IR version 2; the filled field tells as well.
  switch (a.type) {
    case 1: return std::optional<AttrValue>(a.f);
    case 2: return std::optional<AttrValue>(a.i);
    case 3: return std::optional<AttrValue>(std::string(a.s));
    case 4: {
      if (a.t.empty()) return invalid_model("attribute '", escape(a.name), "' has no tensor");
      auto t = model.tensors.load(a.t[0]);
      if (!t.ok()) return t.status().with_prefix(cat("attribute '", escape(a.name), "' "));
      return std::optional<AttrValue>(std::move(t).value());
    }
    case 6: return std::optional<AttrValue>(a.floats);
    case 7: return std::optional<AttrValue>(a.ints);
    case 8: {
      Strings strings;
      for (auto s : a.strings) strings.emplace_back(s);
      return std::optional<AttrValue>(std::move(strings));
    }
    case 0:
      if (!a.ints.empty()) return std::optional<AttrValue>(a.ints);
      if (!a.floats.empty()) return std::optional<AttrValue>(a.floats);
      if (!a.s.empty()) return std::optional<AttrValue>(std::string(a.s));
      return std::optional<AttrValue>(a.i);
    default: return unsupported("attribute '", escape(a.name), "' is of kind ", a.type, ", which no operator here takes");
  }
}

// Imports the bodies of a node; afterwards each takes the formal inputs and then every value that any of them captures.
static Status import_bodies(Model& model, Scope& scope, const NodeProto& n, Attrs& attrs, std::vector<std::string>& captures) {
  struct Body {
    std::string attr;
    Graph graph;
    std::unique_ptr<Scope> scope;
    size_t formals = 0;
  };
  std::vector<std::unique_ptr<Body>> bodies;
  for (const AttributeProto& a : n.attributes) {
    const AttributeProto* source = &a;
    if (!a.ref.empty() && scope.arguments) {
      auto it = scope.arguments->find(a.ref);
      if (it == scope.arguments->end()) continue;
      source = &it->second;
    }
    if (source->g.empty()) continue;
    auto body = std::make_unique<Body>();
    body->attr = a.name;
    body->graph.depth = scope.graph->depth + 1;
    body->scope = std::make_unique<Scope>(Scope{&body->graph, &scope, scope.opsets});
    body->scope->arguments = scope.arguments;
    TRY(import_graph(model, *body->scope, source->g[0], false).with_prefix(cat(escape(a.name), ": ")));
    body->formals = body->graph.inputs.size() - body->scope->captured.size();
    for (const std::string& c : body->scope->captured)
      if (std::find(captures.begin(), captures.end(), c) == captures.end()) captures.push_back(c);
    bodies.push_back(std::move(body));
  }
  for (auto& body : bodies) {
    std::vector<ValueId> inputs;
    // Formal inputs come first in the list except where a capture slipped in between; names tell them apart.
    for (ValueId v : body->graph.inputs) {
      const auto& taken = body->scope->captured;
      bool is_capture = std::any_of(taken.begin(), taken.end(), [&](auto& c) { return body->scope->names[c] == v; });
      if (!is_capture) inputs.push_back(v);
    }
    for (const std::string& c : captures) {
      auto it = body->scope->names.find(c);
      const bool own = std::find(body->scope->captured.begin(), body->scope->captured.end(), c) != body->scope->captured.end();
      inputs.push_back(own ? it->second : body->graph.add_value(c));
    }
    body->graph.inputs = std::move(inputs);
    attrs.set(body->attr, std::make_shared<const Graph>(std::move(body->graph)));
  }
  return {};
}

static Status add_node(Model& model, Scope& scope, NodeDef def, const std::vector<std::string>& captures) {
  Graph& g = *scope.graph;
  const Op* op = find_op(def.domain, def.op_type);
  if (!op) return internal_error("no operator ", def.op_type);
  std::vector<ValueId> inputs;
  for (const std::string& name : def.inputs) {
    if (name.empty()) {
      inputs.push_back(kNoValue);
      continue;
    }
    auto v = resolve(scope, name);
    if (!v) return invalid_model("input '", escape(name), "' is not computed by any node before it");
    inputs.push_back(*v);
  }
  while (!inputs.empty() && inputs.back() == kNoValue) inputs.pop_back();
  // Captures come after all formal inputs, absent ones too: a Loop may have nothing but its trip count.
  const auto formals = size_t(std::count_if(op->inputs.begin(), op->inputs.end(), [](const Param& p) { return p.mode != Param::variadic; }));
  if (!captures.empty() && inputs.size() < formals) inputs.resize(formals, kNoValue);
  for (const std::string& c : captures) {
    auto v = resolve(scope, c);
    CHECK(v.has_value());
    inputs.push_back(*v);
  }
  auto takes = [op](std::string_view attr) {
    return std::any_of(op->attrs.begin(), op->attrs.end(), [&](const AttrSpec& s) { return s.name == attr; });
  };
  if (!captures.empty() && takes("captures")) def.attrs.set("captures", int64_t(captures.size()));
  TRY(normalize_attrs(*op, def.attrs));

  TRY(check_output_count(*op, def.outputs.size()));
  std::vector<ValueId> outputs;
  for (const std::string& name : def.outputs) {
    if (name.empty()) {
      outputs.push_back(kNoValue);
      continue;
    }
    if (scope.names.contains(name)) return invalid_model("output '", escape(name), "' is defined twice");
    ValueId v = g.add_value(scope.prefix + name);
    scope.names.emplace(name, v);
    outputs.push_back(v);
  }
  Node& node = g.add_node(op, scope.prefix + def.name, std::move(def.attrs), std::move(inputs), std::move(outputs));
  node.origins = {node.name};
  if (node.inputs.empty() && op->deterministic && op->reference && node.outputs.size() == 1) {
    // A Constant: its value is needed by the inference of what follows.
    auto value = interpret_node(*op, node.attrs, {}, 1);
    TRY(value.status());
    g.value(node.outputs[0]).info = constant_info((*value)[0]);
    g.nodes.pop_back();
    return {};
  }
  // Inputs of a subgraph may come without types; inference of the node that owns it brings them.
  for (ValueId v : node.inputs)
    if (scope.outer && v != kNoValue && g.info(v).dtype == DType::none) return {};
  Status inferred = infer_node(g, node);
  if (!inferred.ok()) {
    // A branch that cannot work for these shapes may never be taken; the node that owns it decides.
    if (!scope.outer) return inferred;
    guess_types(g, node);
  }
  for (ValueId v : node.outputs)
    if (v != kNoValue && g.info(v).dtype == DType::none) return internal_error(describe(node), ": inference gave no type");
  return {};
}

static Status upgrade_and_add(Model& model, Scope& scope, NodeDef def, const std::vector<std::string>& captures) {
  const Op* op = find_op(def.domain, def.op_type);
  auto it = scope.opsets->find(def.domain);
  const int opset = int(it == scope.opsets->end() ? 1 : it->second);
  const OlderForm* older = nullptr;
  if (op && opset < op->compatible_from)
    for (const OlderForm& form : op->older)
      if (form.from <= opset) older = &form;
  if (!older || !older->apply) return add_node(model, scope, std::move(def), captures);
  if (!op->inputs.empty() && (def.inputs.empty() || def.inputs[0].empty())) return invalid_model("input '", op->inputs[0].name, "' is missing");

  Upgrade u{def, opset, {}, {}, {}, nullptr, nullptr};
  u.info = [&scope](const std::string& name) {
    auto v = resolve(scope, name);
    return v ? scope.graph->info(*v) : ValueInfo{};
  };
  u.fresh_name = [&](const char* hint) { return cat(def.name, "/", hint, "#", scope.names.size(), u.constants.size() + u.before.size() + u.after.size()); };
  TRY(older->apply(u));
  for (auto& [name, tensor] : u.constants) scope.names[name] = scope.graph->add_constant(scope.prefix + name, tensor);
  for (NodeDef& n : u.before) TRY(add_node(model, scope, std::move(n), {}));
  TRY(add_node(model, scope, std::move(def), captures));
  for (NodeDef& n : u.after) TRY(add_node(model, scope, std::move(n), {}));
  return {};
}

static Status inline_function(Model& model, Scope& scope, const NodeProto& n, const FunctionProto& f) {
  if (n.inputs.size() > f.inputs.size() || n.outputs.size() > f.outputs.size())
    return invalid_model("calls function '", escape(f.name), "' with too many inputs or outputs");
  std::map<std::string, AttributeProto, std::less<>> arguments;
  for (const AttributeProto& a : f.defaults) arguments.emplace(a.name, a);
  for (const AttributeProto& a : n.attributes) {
    if (a.ref.empty()) {
      arguments.insert_or_assign(std::string(a.name), a);
    } else if (scope.arguments) {
      if (auto it = scope.arguments->find(a.ref); it != scope.arguments->end()) arguments.insert_or_assign(std::string(a.name), it->second);
    }
  }
  const Opsets opsets = opset_map(f.opsets);
  const std::string call(!n.name.empty() ? n.name : !n.outputs.empty() ? n.outputs[0] : f.name);
  Scope body{scope.graph, nullptr, f.opsets.empty() ? scope.opsets : &opsets};
  body.prefix = scope.prefix + call + "/";
  body.arguments = &arguments;
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    if (n.inputs[i].empty()) continue;
    auto v = resolve(scope, n.inputs[i]);
    if (!v) return invalid_model("input '", escape(n.inputs[i]), "' is not computed by any node before it");
    body.names.emplace(f.inputs[i], *v);
  }
  // An argument that was left out is an absent input wherever the body names it.
  std::vector<NodeProto> nodes = f.nodes;
  for (NodeProto& inner : nodes)
    for (auto& name : inner.inputs)
      for (size_t i = 0; i < f.inputs.size(); ++i)
        if (name == f.inputs[i] && !body.names.contains(name) && (i >= n.inputs.size() || n.inputs[i].empty())) name = "";
  TRY(import_nodes(model, body, nodes));
  for (size_t i = 0; i < n.outputs.size(); ++i) {
    if (n.outputs[i].empty()) continue;
    auto it = body.names.find(f.outputs[i]);
    if (it == body.names.end()) return invalid_model("function '", escape(f.name), "' does not compute its output '", escape(f.outputs[i]), "'");
    if (!scope.names.emplace(n.outputs[i], it->second).second) return invalid_model("output '", escape(n.outputs[i]), "' is defined twice");
  }
  return {};
}

static Status import_node(Model& model, Scope& scope, const NodeProto& n) {
  if (++model.nodes > kMostNodes) return invalid_model("the model's functions expand to more than ", kMostNodes, " nodes");
  if (const FunctionProto* f = find_function(model.proto, n.domain, n.op_type, n.overload))
    return inline_function(model, scope, n, *f);
  NodeDef def;
  def.domain = plain_domain(n.domain);
  def.op_type = n.op_type;
  def.name = !n.name.empty() ? n.name : !n.outputs.empty() ? n.outputs[0] : n.op_type;
  def.inputs.assign(n.inputs.begin(), n.inputs.end());
  def.outputs.assign(n.outputs.begin(), n.outputs.end());
  while (!def.outputs.empty() && def.outputs.back().empty()) def.outputs.pop_back();
  if (def.outputs.empty()) return {};  // nothing that anybody could use
  std::vector<std::string> captures;
  for (const AttributeProto& a : n.attributes) {
    const bool graph = !a.g.empty() || a.type == 5 ||
                       (!a.ref.empty() && scope.arguments && scope.arguments->contains(a.ref) && !scope.arguments->find(a.ref)->second.g.empty());
    if (graph) continue;
    auto value = TRY(import_attribute(model, scope, a));
    if (value) def.attrs.set(std::string(a.name), std::move(*value));
  }
  TRY(import_bodies(model, scope, n, def.attrs, captures));
  return upgrade_and_add(model, scope, std::move(def), captures);
}

Status import_nodes(Model& model, Scope& scope, const std::vector<NodeProto>& nodes) {
  if (++model.depth > 64) return invalid_model("functions or subgraphs are nested more than 64 deep (does one call itself?)");
  for (const NodeProto& n : nodes) {
    Status s = import_node(model, scope, n);
    if (!s.ok()) {
      const std::string label = node_label(n);
      return starts_with(s.message(), label) ? s : s.with_prefix(label + ": ");
    }
  }
  --model.depth;
  return {};
}

}  // namespace tenon::onnx
