#include "ops/common/pointwise.h"

#include <algorithm>
#include <cmath>

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

Status check_broadcasts_to(const SymShape& from, const SymShape& to) {
  bool fits = from.size() <= to.size();
  for (size_t i = 0; fits && i < from.size(); ++i) {
    const Dim &x = from[i], &y = to[to.size() - from.size() + i];
    fits = !x.is_const() || !y.is_const() || x == y || x.is(1);
  }
  if (!fits) return invalid_model("shape ", to_string(from), " does not broadcast to ", to_string(to));
  return {};
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

static constexpr int64_t kMostElements = 1024;  // of a tensor that shape arithmetic is followed through

// Types that shape arithmetic is done in. Old models take a detour by way of floats, which is followed while the
// values are whole.
static bool carries_dims(DType t) {
  return kIndex.contains(t) || t == DType::boolean || t == DType::f32 || t == DType::f64;
}

// Whole, and small enough that the type holds its neighbours too.
static bool whole(DType t, double v) {
  return v == std::trunc(v) && std::fabs(v) < (t == DType::f32 ? 0x1p24 : 0x1p53);
}

static std::optional<Dim> truth(bool yes, bool no) {
  if (yes) return Dim(1);
  if (no) return Dim(0);
  return std::nullopt;
}
static bool at_least(const Dim& d, int64_t v) {
  auto low = d.lower_bound();
  return low && *low >= v;
}

static std::optional<Dim> eval_dim(const ScalarInst& inst, const std::vector<std::optional<Dim>>& regs,
                                   const std::vector<std::optional<Dim>>& inputs) {
  if (!carries_dims(inst.type)) return std::nullopt;
  if (inst.prim == Prim::input) return inputs[size_t(inst.input)];
  const bool floating = is_float(inst.type);
  if (inst.prim == Prim::constant) {
    if (!floating) return Dim(inst.int_imm);
    return whole(inst.type, inst.imm) ? std::optional(Dim(int64_t(inst.imm))) : std::nullopt;
  }
  const std::optional<Dim>& a = regs[size_t(inst.args[0])];
  if (!a) return std::nullopt;
  switch (inst.prim) {
    case Prim::cast:
      return inst.type == DType::boolean ? truth(at_least(*a, 1) || at_least(-1 * *a, 1), a->is(0)) : a;
    case Prim::floor:
    case Prim::ceil:
    case Prim::round:
    case Prim::trunc: return a;
    case Prim::neg: return -1 * *a;
    case Prim::abs: return at_least(*a, 0) ? a : at_least(-1 * *a, 0) ? std::optional(-1 * *a) : std::nullopt;
    case Prim::sign:
      return at_least(*a, 1) ? std::optional(Dim(1)) : at_least(-1 * *a, 1) ? std::optional(Dim(-1)) : std::nullopt;
    case Prim::logical_not: return a->is_const() ? truth(a->is(0), !a->is(0)) : std::nullopt;
    case Prim::select: return a->is_const() ? regs[size_t(inst.args[a->is(0) ? 2 : 1])] : std::nullopt;
    default: break;
  }
  if (prim_operands(inst.prim) != 2) return std::nullopt;
  const std::optional<Dim>& b = regs[size_t(inst.args[1])];
  if (!b) return std::nullopt;
  const Dim up = *b - *a, down = *a - *b;
  const bool non_negative = at_least(*a, 0) && at_least(*b, 1);  // then truncation, floor and both remainders agree
  switch (inst.prim) {
    case Prim::add: return *a + *b;
    case Prim::sub: return down;
    case Prim::mul: return *a * *b;
    case Prim::div: {
      if (!non_negative) return std::nullopt;
      Dim quotient = floor_div(*a, *b);
      return !floating || quotient * *b == *a ? std::optional(quotient) : std::nullopt;
    }
    case Prim::mod:
    case Prim::fmod: return non_negative ? std::optional(mod(*a, *b)) : std::nullopt;
    case Prim::min: return min(*a, *b);
    case Prim::max: return max(*a, *b);
    case Prim::eq: return truth(*a == *b, at_least(up, 1) || at_least(down, 1));
    case Prim::lt: return truth(at_least(up, 1), at_least(down, 0));
    case Prim::le: return truth(at_least(up, 0), at_least(down, 1));
    case Prim::logical_and: return truth(a->is(1) && b->is(1), a->is(0) || b->is(0));
    case Prim::logical_or: return truth(a->is(1) || b->is(1), a->is(0) && b->is(0));
    case Prim::logical_xor: return a->is_const() && b->is_const() ? truth(!(*a == *b), *a == *b) : std::nullopt;
    default: return std::nullopt;
  }
}

// The elements of input i, if they are known and whole.
static std::optional<std::vector<Dim>> known_elements(const InferArgs& a, size_t i) {
  if (!carries_dims(a.dtype(i))) return std::nullopt;
  if (a.value(i)) return *a.value(i);
  if (!a.has_constant(i) || a.in[i].constant.size() > kMostElements) return std::nullopt;
  const Tensor& t = a.in[i].constant;
  std::vector<Dim> out;
  for (int64_t k = 0; k < t.size(); ++k) {
    if (is_float(t.dtype()) && !whole(t.dtype(), t.at(k))) return std::nullopt;
    out.push_back(t.int_at(k));
  }
  return out;
}

// Fills the output's symbolic elements when all inputs have theirs and the output is a small vector or scalar.
static void infer_value(InferArgs& a, const ScalarProgram& program) {
  const SymShape& shape = a.out[0].shape;
  if (shape.size() > 1 || (shape.size() == 1 && !shape[0].is_const())) return;
  const int64_t n = shape.empty() ? 1 : shape[0].constant();
  if (n < 0 || n > kMostElements) return;
  std::vector<std::vector<Dim>> elements(a.in.size());
  for (size_t i = 0; i < a.in.size(); ++i) {
    if (!a.has(i)) continue;
    auto known = known_elements(a, i);
    if (!known || (int64_t(known->size()) != n && known->size() != 1)) return;
    elements[i] = std::move(*known);
  }
  std::vector<Dim> result;
  for (int64_t e = 0; e < n; ++e) {
    std::vector<std::optional<Dim>> inputs(a.in.size()), regs;
    std::vector<int64_t> words(a.in.size());
    std::vector<const void*> pointers;
    bool constant = true;
    for (size_t i = 0; i < a.in.size(); ++i) {
      pointers.push_back(&words[i]);
      if (!a.has(i)) continue;
      const Dim& d = elements[i][elements[i].size() == 1 ? 0 : size_t(e)];
      inputs[i] = d;
      if (!d.is_const()) constant = false;
      else if (is_float(a.dtype(i))) store_int(DType::f64, &words[i], 0, d.constant());
      else words[i] = d.constant();
    }
    std::optional<Dim> r;
    if (constant && !is_float(a.out[0].dtype)) {  // exact, with the type's own overflow
      int64_t word = 0;
      void* output = &word;
      run_scalar(program, 1, pointers.data(), &output);
      r = Dim(word);
    } else {
      for (const ScalarInst& inst : program.code) regs.push_back(eval_dim(inst, regs, inputs));
      r = regs[size_t(program.outputs[0])];
    }
    if (!r) return;
    result.push_back(*r);
  }
  a.set_value(0, std::move(result));
}

Status infer_pointwise(InferArgs& a) {
  std::vector<DType> types;
  for (auto& v : a.in) types.push_back(v.dtype);
  const DType out = scalar_output_type(a.op, a.attrs, types);
  SymShape shape;
  for (size_t i = 0; i < a.in.size(); ++i) {
    if (!a.has(i)) continue;
    if (!a.ranked(i)) return a.set_unranked(0, out), Status();
    shape = TRY(broadcast_shapes(shape, a.shape(i)));
  }
  a.set(0, out, std::move(shape));
  if (carries_dims(out)) infer_value(a, scalar_program(a.op, a.attrs, types));
  return {};
}

Status infer_like_first(InferArgs& a) {
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  const SymShape shape = a.shape(0);
  bool ranked = true;
  for (size_t i = 1; i < a.in.size(); ++i) {
    if (!a.has(i)) continue;
    if (a.ranked(i)) TRY(check_broadcasts_to(a.shape(i), shape));
    else ranked = false;
  }
  if (ranked) TRY(infer_pointwise(a));
  a.set(0, a.dtype(0), shape);
  return {};
}

DType bool_type(const Attrs&, const std::vector<DType>&) { return DType::boolean; }

// ---- reference ---------------------------------------------------------------------------------------------------

namespace {
// One input as the program reads it: a block of words, doubles or int64, in the order of the output's elements.
class Reader {
 public:
  Reader(const Tensor& x, const Shape& shape)
      : x_(x), walk_(shape, {broadcast_strides(x.shape(), shape)}), plain_(x.size() == num_elements(shape)) {}
  void read(int64_t begin, int64_t n, void* words) {
    if (plain_) return load(begin, n, words);
    for (int64_t e = 0; e < n; ++e, walk_.next()) load(walk_.offset(0), 1, static_cast<char*>(words) + e * 8);
  }

 private:
  void load(int64_t begin, int64_t n, void* words) const {
    if (is_float(x_.dtype())) load_doubles(x_.dtype(), x_.data(), begin, n, static_cast<double*>(words));
    else load_ints(x_.dtype(), x_.data(), begin, n, static_cast<int64_t*>(words));
  }
  const Tensor& x_;
  Walker walk_;
  bool plain_;  // no broadcasting
};
}  // namespace

// Results of a cast to float8 are rounded already; infinity must stay what it is, so nothing saturates here.
static void store_words(DType t, void* data, int64_t begin, int64_t n, const void* words) {
  const auto* doubles = static_cast<const double*>(words);
  if (!is_float(t)) return store_ints(t, data, begin, n, static_cast<const int64_t*>(words));
  if (!kFloat8s.contains(t)) return store_doubles(t, data, begin, n, doubles);
  for (int64_t i = 0; i < n; ++i)
    static_cast<uint8_t*>(data)[begin + i] = uint8_t(encode_float(t, doubles[i], /*saturate=*/false));
}

Status reference_pointwise(RefArgs& a) {
  std::vector<DType> types;
  for (auto& t : a.in) types.push_back(t ? t.dtype() : DType::none);
  const ScalarProgram program = scalar_program(a.op, a.attrs, types);
  Tensor& y = a.y(0);
  constexpr int64_t kBlock = 1024;
  std::vector<std::vector<int64_t>> words(a.in.size() + 1, std::vector<int64_t>(kBlock));
  std::vector<std::optional<Reader>> readers(a.in.size());
  std::vector<const void*> inputs;
  for (size_t i = 0; i < a.in.size(); ++i) {
    if (a.in[i]) readers[i].emplace(a.in[i], y.shape());
    inputs.push_back(words[i].data());
  }
  void* output = words.back().data();
  const int64_t n = y.size();
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    for (size_t i = 0; i < a.in.size(); ++i)
      if (readers[i]) readers[i]->read(begin, count, words[i].data());
    run_scalar(program, count, inputs.data(), &output);
    store_words(y.dtype(), y.data(), begin, count, output);
  }
  return {};
}

}  // namespace tenon
