#include "compiler/io_types.h"

#include <algorithm>

#include "passes/known.h"

namespace tenon {

namespace {

struct Spelling {
  const char* name;
  DType type;
};
constexpr Spelling kSpellings[] = {{"fp32", DType::f32}, {"fp16", DType::f16}, {"bf16", DType::bf16}, {"int32", DType::i32}, {"int64", DType::i64}};

const char* spelling(DType type) {
  const auto it = std::find_if(std::begin(kSpellings), std::end(kSpellings), [&](const Spelling& s) { return s.type == type; });
  return it == std::end(kSpellings) ? name(type) : it->name;
}

bool can_become(DType from, DType to) {
  const auto listed = [](DType type) { return std::any_of(std::begin(kSpellings), std::end(kSpellings), [&](const Spelling& s) { return s.type == type; }); };
  return listed(from) && listed(to) && is_float(from) == is_float(to);
}

// The type that the last matching pattern wants; the tensor's own where there is none.
DType wanted(const std::vector<IoType>& types, const std::string& name, DType own) {
  const auto it = std::find_if(types.rbegin(), types.rend(), [&](const IoType& t) { return can_become(own, t.type) && glob_match(t.pattern, name); });
  return it == types.rend() ? own : it->type;
}

Status check_pattern(const Graph& g, const IoType& t) {
  std::vector<std::string> names, of_other_kind;
  bool found = false;
  const auto look = [&](const std::string& name, DType own) {
    names.push_back(name);
    if (!glob_match(t.pattern, name)) return;
    if (can_become(own, t.type)) found = true;
    else of_other_kind.push_back(cat("'", escape(name), "' is ", spelling(own)));
  };
  for (ValueId v : g.inputs) look(g.value(v).name, g.info(v).dtype);
  for (size_t i = 0; i < g.outputs.size(); ++i) look(g.output_names[i], g.info(g.outputs[i]).dtype);
  if (found) return {};
  if (!of_other_kind.empty())
    return Status(Code::invalid_argument, cat("nothing that '", escape(t.pattern), "' names can be ", spelling(t.type), ": ", join(of_other_kind, ", ")),
                  "floats can be fp32, fp16 or bf16, integers int32 or int64");
  const std::string near = nearest(t.pattern, names);
  return invalid_argument("no input or output is called '", escape(t.pattern), "'; there are: ", escape(join(names, ", ")),
                          near.empty() ? "" : cat(" (did you mean '", escape(near), "'?)"));
}

// Behind the last node; it does the work of none of the model's.
void add_cast(Graph& g, const std::string& name, ValueId from, ValueId to, DType type) {
  g.add_node(find_op("", "Cast"), name, {{"to", int64_t(type)}}, {from}, {to});
  g.nodes.back().origins.clear();
}

}  // namespace

Result<IoType> parse_io_type(std::string_view text) {
  const size_t equals = text.rfind('=');
  const std::string_view type = equals == text.npos ? std::string_view() : text.substr(equals + 1);
  const auto it = std::find_if(std::begin(kSpellings), std::end(kSpellings), [&](const Spelling& s) { return type == s.name; });
  if (it == std::end(kSpellings) || equals == 0)
    return Status(Code::invalid_argument, cat("'", escape(text), "' is not NAME=TYPE of an input or output; types are fp32, fp16, bf16, int32, int64"), "--io '*=fp16'");
  return IoType{std::string(text.substr(0, equals)), it->type};
}

Status apply_io_types(Graph& g, const std::vector<IoType>& types) {
  for (const IoType& t : types) TRY(check_pattern(g, t));
  const size_t given = g.nodes.size();
  for (ValueId v : g.inputs) {
    const ValueInfo own = g.info(v);
    const DType type = wanted(types, g.value(v).name, own.dtype);
    if (type == own.dtype) continue;
    const ValueId inside = g.add_value(cat(g.value(v).name, ".", name(own.dtype)), own);
    replace_uses(g, v, inside);
    g.value(v).info.dtype = type;
    add_cast(g, cat("type of input ", g.value(v).name), v, inside, own.dtype);
  }
  std::rotate(g.nodes.begin(), g.nodes.begin() + ptrdiff_t(given), g.nodes.end());
  for (size_t i = 0; i < g.outputs.size(); ++i) {
    ValueInfo info = g.info(g.outputs[i]);
    const DType own = info.dtype, type = wanted(types, g.output_names[i], own);
    if (type == own) continue;
    info.dtype = type;
    info.constant = {};
    const ValueId outside = g.add_value(cat(g.output_names[i], ".", name(type)), std::move(info));
    add_cast(g, cat("type of output ", g.output_names[i]), g.outputs[i], outside, type);
    g.outputs[i] = outside;
  }
  return {};
}

Graph without_output_casts(Graph g) {
  const Uses uses(g);
  for (ValueId& v : g.outputs) {
    const int producer = uses.producer(v);
    if (producer < 0) continue;
    const Node& node = g.nodes[size_t(producer)];
    if (is_op(node, "Cast") && is_float(g.info(v).dtype) && g.info(node.inputs[0]).dtype == DType::f32) v = node.inputs[0];
  }
  return g;
}

}  // namespace tenon
