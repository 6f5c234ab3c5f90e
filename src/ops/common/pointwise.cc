#include "ops/common/pointwise.h"

#include <algorithm>

namespace tenon {

ScalarProgram scalar_program(const Op& op, const Attrs& attrs, const std::vector<DType>& types) {
  ScalarProgram program;
  ScalarArgs args{attrs, &program, types};
  S result = op.scalar(args);
  program.outputs = {result.id()};
  return program;
}

DType scalar_output_type(const Op& op, const Attrs& attrs, const std::vector<DType>& types) {
  return op.scalar_type ? op.scalar_type(attrs, types) : types[0];
}

Result<SymShape> broadcast_shapes(const SymShape& a, const SymShape& b) {
  const SymShape &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
  SymShape out = longer;
  for (size_t i = 0; i < shorter.size(); ++i) {
    size_t k = longer.size() - shorter.size() + i;
    const Dim &x = longer[k], &y = shorter[i];
    if (x.is_const() && y.is_const() && !(x == y) && !x.is(1) && !y.is(1))
      return invalid_model("shapes ", to_string(a), " and ", to_string(b), " do not broadcast");
    out[k] = broadcast(x, y);
  }
  return out;
}

Shape broadcast_strides(const Shape& from, const Shape& to) {
  Shape own = row_major_strides(from), out(to.size(), 0);
  size_t shift = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) out[shift + i] = from[i] == 1 ? 0 : own[i];
  return out;
}

Walker::Walker(const Shape& shape, std::vector<Shape> strides)
    : shape_(shape), index_(shape.size(), 0), strides_(std::move(strides)), offsets_(strides_.size(), 0) {}

void Walker::next() {
  for (size_t d = shape_.size(); d-- > 0;) {
    for (size_t k = 0; k < strides_.size(); ++k) offsets_[k] += strides_[k][d];
    if (++index_[d] < shape_[d]) return;
    for (size_t k = 0; k < strides_.size(); ++k) offsets_[k] -= strides_[k][d] * shape_[d];
    index_[d] = 0;
  }
}

// ---- symbolic values: shape arithmetic seen through -------------------------------------------------------------

static std::optional<Dim> eval_dim(const ScalarInst& inst, const std::vector<std::optional<Dim>>& regs,
                                   const std::vector<std::optional<Dim>>& inputs) {
  auto arg = [&](int k) { return regs[size_t(inst.args[k])]; };
  if (inst.prim == Prim::input) return inputs[size_t(inst.input)];
  if (is_float(inst.type)) return std::nullopt;
  if (inst.prim == Prim::constant) return Dim(inst.int_imm);
  auto a = arg(0);
  if (!a) return std::nullopt;
  if (prim_operands(inst.prim) == 1) {
    switch (inst.prim) {
      case Prim::cast: return kIndex.contains(inst.type) ? a : a->is_const() && inst.type == DType::boolean
                                                                   ? std::optional(Dim(!a->is(0)))
                                                                   : std::nullopt;
      case Prim::neg: return Dim(0) - *a;
      case Prim::abs: {
        auto low = a->lower_bound();
        return low && *low >= 0 ? a : a->is_const() ? std::optional(Dim(std::abs(a->constant()))) : std::nullopt;
      }
      case Prim::logical_not: return a->is_const() ? std::optional(Dim(a->is(0))) : std::nullopt;
      default: return std::nullopt;
    }
  }
  if (inst.prim == Prim::select) return a->is_const() ? arg(a->is(0) ? 2 : 1) : std::nullopt;
  auto b = arg(1);
  if (!b) return std::nullopt;
  Dim difference = *b - *a;
  auto low = difference.lower_bound(), high = (Dim(0) - difference).lower_bound();
  auto decided = [&](bool yes, bool no) -> std::optional<Dim> {
    if (yes) return Dim(1);
    if (no) return Dim(0);
    return std::nullopt;
  };
  switch (inst.prim) {
    case Prim::add: return *a + *b;
    case Prim::sub: return *a - *b;
    case Prim::mul: return *a * *b;
    case Prim::div: {
      // ONNX truncates; equal to the floor where neither side is negative.
      if (a->is_const() && b->is_const()) return b->is(0) ? std::nullopt : std::optional(Dim(a->constant() / b->constant()));
      auto la = a->lower_bound(), lb = b->lower_bound();
      return la && lb && *la >= 0 && *lb > 0 ? std::optional(floor_div(*a, *b)) : std::nullopt;
    }
    case Prim::mod: return b->is_const() && b->constant() > 0 ? std::optional(mod(*a, *b)) : std::nullopt;
    case Prim::min: return min(*a, *b);
    case Prim::max: return max(*a, *b);
    case Prim::eq: return decided(*a == *b, (low && *low > 0) || (high && *high > 0));
    case Prim::lt: return decided(low && *low > 0, high && *high >= 0);
    case Prim::le: return decided(low && *low >= 0, high && *high > 0);
    case Prim::logical_and: return a->is_const() && b->is_const() ? std::optional(Dim(!a->is(0) && !b->is(0))) : std::nullopt;
    case Prim::logical_or: return a->is_const() && b->is_const() ? std::optional(Dim(!a->is(0) || !b->is(0))) : std::nullopt;
    default: return std::nullopt;
  }
}

// Fills the output's symbolic elements when all inputs have theirs and the output is a small vector or scalar.
static void infer_value(InferArgs& a, const std::vector<DType>& types) {
  const SymShape& shape = a.out[0].shape;
  if (shape.size() > 1 || (shape.size() == 1 && !shape[0].is_const())) return;
  const size_t n = shape.empty() ? 1 : size_t(shape[0].constant());
  for (size_t i = 0; i < a.in.size(); ++i)
    if (a.has(i) && (!a.value(i) || (a.value(i)->size() != n && a.value(i)->size() != 1))) return;
  ScalarProgram program = scalar_program(a.op, a.attrs, types);
  std::vector<Dim> result;
  for (size_t e = 0; e < n; ++e) {
    std::vector<std::optional<Dim>> inputs(a.in.size()), regs;
    for (size_t i = 0; i < a.in.size(); ++i)
      if (a.has(i)) inputs[i] = (*a.value(i))[a.value(i)->size() == 1 ? 0 : e];
    for (const ScalarInst& inst : program.code) regs.push_back(eval_dim(inst, regs, inputs));
    auto& r = regs[size_t(program.outputs[0])];
    if (!r) return;
    result.push_back(*r);
  }
  a.set_value(0, std::move(result));
}

Status infer_pointwise(InferArgs& a) {
  std::vector<DType> types;
  for (auto& v : a.in) types.push_back(v.dtype);
  DType out = scalar_output_type(a.op, a.attrs, types);
  SymShape shape;
  for (size_t i = 0; i < a.in.size(); ++i) {
    if (!a.has(i)) continue;
    if (!a.ranked(i)) {
      a.set_unranked(0, out);
      return {};
    }
    shape = TRY(broadcast_shapes(shape, a.shape(i)));
  }
  a.set(0, out, shape);
  if (!is_float(out) && out != DType::none) infer_value(a, types);
  return {};
}

Status reference_pointwise(RefArgs& a) {
  std::vector<DType> types;
  for (auto& t : a.in) types.push_back(t ? t.dtype() : DType::none);
  const ScalarProgram program = scalar_program(a.op, a.attrs, types);
  Tensor& y = a.y(0);
  const Shape& shape = y.shape();
  std::vector<Shape> strides;
  for (auto& t : a.in) strides.push_back(t ? broadcast_strides(t.shape(), shape) : Shape(shape.size(), 0));
  Walker walk(shape, strides);

  constexpr int64_t kBlock = 1024;
  std::vector<std::vector<int64_t>> words(a.in.size() + 1, std::vector<int64_t>(kBlock));
  std::vector<const void*> inputs;
  for (size_t i = 0; i < a.in.size(); ++i) inputs.push_back(words[i].data());
  void* output = words.back().data();
  const int64_t n = y.size();
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    for (int64_t e = 0; e < count; ++e, walk.next())
      for (size_t i = 0; i < a.in.size(); ++i) {
        if (!a.in[i]) continue;
        if (is_float(types[i])) load_doubles(types[i], a.in[i].data(), walk.offset(i), 1, (double*)&words[i][size_t(e)]);
        else load_ints(types[i], a.in[i].data(), walk.offset(i), 1, &words[i][size_t(e)]);
      }
    run_scalar(program, count, inputs.data(), &output);
    if (is_float(y.dtype())) store_doubles(y.dtype(), y.data(), begin, count, static_cast<double*>(output));
    else store_ints(y.dtype(), y.data(), begin, count, static_cast<int64_t*>(output));
  }
  return {};
}

}  // namespace tenon
