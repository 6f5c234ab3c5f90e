// The book's index and the calls that everybody makes on an operator.
#include <algorithm>

#include "base/memory_limit.h"
#include "ops/common/pointwise.h"
#include "ops/op.h"

namespace tenon {

// ops.inc is written by CMake: one OP(stem) line for each file of src/ops.
namespace ops {
#define OP(stem) extern const Op op_##stem;
#include "ops.inc"
#undef OP
}  // namespace ops

const std::vector<const Op*>& all_ops() {
  static const std::vector<const Op*> sorted = [] {
    std::vector<const Op*> v = {
#define OP(stem) &ops::op_##stem,
#include "ops.inc"
#undef OP
    };
    std::sort(v.begin(), v.end(),
              [](const Op* a, const Op* b) { return std::tie(a->domain, a->name) < std::tie(b->domain, b->name); });
    return v;
  }();
  return sorted;
}

const Op* find_op(std::string_view domain, std::string_view name) {
  if (domain == "ai.onnx") domain = "";
  const auto& v = all_ops();
  auto key = std::pair(domain, name);
  auto it = std::lower_bound(v.begin(), v.end(), key, [](const Op* op, const auto& k) {
    return std::pair<std::string_view, std::string_view>(op->domain, op->name) < k;
  });
  return it != v.end() && (*it)->domain == domain && (*it)->name == name ? *it : nullptr;
}

const char* fusion_name(Fusion f) {
  static const char* const names[] = {"elementwise", "broadcast", "injective", "reduction", "out_elementwise_fusable",
                                      "opaque"};
  return names[int(f)];
}

// ---- InferArgs, RefArgs, Upgrade ----------------------------------------------------------------------------------

std::optional<Ints> InferArgs::const_ints(size_t i) const {
  if (!has(i)) return std::nullopt;
  constexpr int64_t kMost = int64_t(1) << 24;  // no list of axes, sizes or indices that inference reads is longer
  if (in[i].constant) return in[i].constant.size() > kMost ? std::nullopt : std::optional(in[i].constant.to_ints());
  if (!in[i].value) return std::nullopt;
  return to_concrete(*in[i].value);
}

void InferArgs::set(size_t i, DType t, SymShape shape) {
  if (i >= out.size()) return;
  out[i].dtype = t;
  out[i].ranked = true;
  out[i].shape = std::move(shape);
}

void InferArgs::set_unranked(size_t i, DType t) {
  if (i >= out.size()) return;
  out[i].dtype = t;
  out[i].ranked = false;
}

void InferArgs::set_fresh(size_t i, DType t, size_t rank, const char* hint) {
  if (i >= out.size()) return;
  SymShape shape;
  for (size_t k = 0; k < rank; ++k) shape.push_back(fresh(hint));
  set(i, t, std::move(shape));
}

void InferArgs::set_value(size_t i, std::vector<Dim> value) {
  if (i < out.size()) out[i].value = std::move(value);
}

Result<int64_t> InferArgs::axis(int64_t axis, int64_t rank) const {
  if (axis < -rank || axis >= rank) return invalid_model("axis ", axis, " is out of range for rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

Result<Tensor*> RefArgs::allocate(size_t i, DType t, Shape shape) {
  if (i >= out.size()) return internal_error("output ", i, " was not asked for");
  out[i] = TRY(Tensor::allocate(t, std::move(shape)));
  return &out[i];
}

std::string Upgrade::constant(Tensor t) {
  std::string n = fresh_name("const");
  constants.emplace_back(n, std::move(t));
  return n;
}

void Upgrade::ints_to_input(const char* attr, size_t index) {
  const AttrValue* v = node.attrs.find(attr);
  if (!v) return;
  Ints values;
  if (auto* one = std::get_if<int64_t>(v)) values = {*one};
  else if (auto* many = std::get_if<Ints>(v)) values = *many;
  if (node.inputs.size() <= index) node.inputs.resize(index + 1);
  node.inputs[index] = constant(Tensor::of_ints(values));
  node.attrs.erase(attr);
}

// ---- checks and calls ---------------------------------------------------------------------------------------------

static bool takes_any_number(const Op& op) { return !op.inputs.empty() && op.inputs.back().mode == Param::variadic; }

Status check_input_count(const Op& op, const std::vector<DType>& types) {
  if (types.size() > op.inputs.size() && !takes_any_number(op))
    return invalid_model("has ", types.size(), " inputs, at most ", op.inputs.size(), " are allowed");
  // A list of operands has at least one; the bodies of our own fused nodes may need none.
  if (takes_any_number(op) && op.inputs.size() == 1 && types.empty() && op.domain != "tenon")
    return invalid_model("input '", op.inputs[0].name, "' is missing");
  for (size_t i = 0; i < op.inputs.size(); ++i)
    if (op.inputs[i].mode == Param::required && (i >= types.size() || types[i] == DType::none))
      return invalid_model("input '", op.inputs[i].name, "' is missing");
  return {};
}

Status check_output_count(const Op& op, size_t outputs) {
  const bool any_number = !op.outputs.empty() && op.outputs.back().mode == Param::variadic;
  if (outputs > op.outputs.size() && !any_number)
    return invalid_model("has ", outputs, " outputs, at most ", op.outputs.size(), " are allowed");
  // Those that nobody wants at the end may be left out, but not all.
  if (outputs == 0 && !op.outputs.empty() && op.domain != "tenon") return invalid_model("has no outputs");
  return {};
}

Status check_inputs(const Op& op, const std::vector<DType>& types) {
  TRY(check_input_count(op, types));
  DType bound[128] = {};
  for (size_t i = 0; i < types.size(); ++i) {
    const DType t = types[i];
    if (t == DType::none) continue;
    const Param& p = op.inputs[std::min(i, op.inputs.size() - 1)];
    if (!p.types.contains(t)) return invalid_model("input '", p.name, "' cannot be of type ", name(t));
    if (!p.type_var) continue;
    DType& b = bound[p.type_var & 127];
    if (b == DType::none) b = t;
    else if (b != t)
      return invalid_model("input '", p.name, "' is of type ", name(t), " where an earlier input of the same kind is ", name(b));
  }
  return {};
}

Status infer_op(InferArgs& a) {
  std::vector<DType> types;
  for (auto& v : a.in) types.push_back(v.dtype);
  TRY(check_inputs(a.op, types));
  TRY(a.op.infer ? a.op.infer(a) : a.op.scalar ? infer_pointwise(a) : internal_error("no inference"));
  for (auto& v : a.out)
    if (v.ranked)
      for (const Dim& d : v.shape)
        if (d.is_const() && d.constant() < 0) return invalid_model("output shape ", to_string(v.shape), " is negative");
  return {};
}

Status run_reference(const Op& op, const Attrs& attrs, std::span<const Tensor> inputs, size_t num_outputs,
                     std::vector<Tensor>& outputs, const RunSubgraph& run_subgraph, const InferSubgraph& infer_subgraph,
                     const SymbolValue& symbol) {
  // References write what every such node has, wanted or not.
  for (size_t i = num_outputs; i < op.outputs.size() && op.outputs[i].mode == Param::required; ++i) num_outputs = i + 1;
  InferArgs infer{op, attrs, {}, std::vector<ValueInfo>(num_outputs), nullptr, infer_subgraph};
  int fresh = 0;
  infer.fresh = [&fresh](const char*) { return Dim::symbol(cat("_", fresh++)); };
  for (const Tensor& t : inputs) {
    ValueInfo v;
    if (t) {
      v = {t.dtype(), true, to_sym(t.shape()), t, std::nullopt};
      if (kIndex.contains(t.dtype()) && t.rank() <= 1 && t.size() <= 64) {
        Ints ints = t.to_ints();
        v.value = std::vector<Dim>(ints.begin(), ints.end());
      }
    }
    infer.in.push_back(std::move(v));
  }
  TRY(catch_bad_alloc([&] { return infer_op(infer); }));
  outputs.assign(num_outputs, Tensor());
  for (size_t i = 0; i < num_outputs; ++i)
    if (infer.out[i].ranked)
      if (auto shape = to_concrete(infer.out[i].shape)) outputs[i] = TRY(Tensor::allocate(infer.out[i].dtype, *shape));
  const auto inferred = [&infer]() -> Result<std::vector<ValueInfo>> { return infer.out; };
  RefArgs args{op, attrs, inputs, outputs, run_subgraph, symbol, inferred};
  return catch_bad_alloc([&] { return op.reference ? op.reference(args) : reference_pointwise(args); });
}

double FlopArgs::dim(size_t i, int64_t d) const {
  const int64_t rank = i < in.size() ? int64_t(in[i].shape.size()) : 0;
  if (d < 0) d += rank;
  return d >= 0 && d < rank ? double(in[i].shape[size_t(d)]) : 0;
}

Flops flops_of(const Op& op, const FlopArgs& a) {
  if (op.flops) return op.flops(a);
  if (op.view || op.fusion == Fusion::injective) return {};
  if (op.scalar) {
    std::vector<DType> types;
    for (const Operand& x : a.in) types.push_back(x.dtype);
    double each = 0;
    for (const ScalarInst& inst : scalar_program(op, a.attrs, types).code)
      each += inst.prim != Prim::input && inst.prim != Prim::constant && inst.prim != Prim::cast;
    return {0, each * a.results()};
  }
  return {0, op.fusion == Fusion::reduction ? std::max(a.elements(0), a.results()) : a.results()};
}

Status normalize_attrs(const Op& op, Attrs& attrs) {
  for (const auto& [name, value] : attrs) {
    auto it = std::find_if(op.attrs.begin(), op.attrs.end(), [&, &n = name](const AttrSpec& s) { return s.name == n; });
    if (it == op.attrs.end()) {
      std::vector<std::string> known;
      for (auto& s : op.attrs) known.push_back(s.name);
      return invalid_model("has no attribute '", name, "'; it has: ", known.empty() ? "none" : join(known, ", "));
    }
    AttrKind want = it->kind == AttrKind::none ? kind(it->value) : it->kind;
    if (kind(value) != want)
      return invalid_model("attribute '", name, "' is a ", attr_kind_name(kind(value)), ", not a ", attr_kind_name(want));
  }
  for (const AttrSpec& s : op.attrs) {
    if (attrs.has(s.name)) continue;
    if (s.required) return invalid_model("attribute '", s.name, "' is missing");
    if (s.value.index() != 0) attrs.set(s.name, s.value);
  }
  return {};
}

}  // namespace tenon
