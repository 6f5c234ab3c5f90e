// Einsum: y[output labels] = sum over the other labels of the product of the inputs, as in "bij,bjk->bik".
#include <algorithm>

#include "ops/common/einsum.h"
#include "ops/common/matmul.h"
#include "ops/common/pointwise.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  std::vector<size_t> ranks;
  for (size_t i = 0; i < a.in.size(); ++i) {
    if (!a.ranked(i)) return a.set_unranked(0, a.dtype(0)), Status();
    ranks.push_back(size_t(a.rank(i)));
  }
  const EinsumEquation eq = TRY(parse_einsum(a.attrs.s("equation"), ranks));
  std::vector<Dim> sizes(size_t(eq.labels), Dim(1));
  for (size_t i = 0; i < eq.terms.size(); ++i)
    for (size_t d = 0; d < eq.terms[i].size(); ++d) {
      Dim& size = sizes[size_t(eq.terms[i][d])];
      const Dim& dim = a.shape(i)[d];
      if (size.is(1))
        size = dim;
      else if (!dim.is(1))
        size = TRY(unify_dims(size, dim, "a labelled dimension"));
    }
  SymShape shape;
  for (int label : eq.output) shape.push_back(sizes[size_t(label)]);
  a.set(0, a.dtype(0), shape);
  return {};
}

// An array whose dimensions carry labels; elements are double or int64.
struct Labelled {
  Tensor data;
  std::vector<int> labels;

  // Distance between neighbours along a label: 0 where it is absent or broadcast, a diagonal where it is
  // repeated.
  int64_t stride(int label) const {
    const Shape strides = row_major_strides(data.shape());
    int64_t sum = 0;
    for (size_t d = 0; d < labels.size(); ++d)
      if (labels[d] == label && data.shape()[d] != 1) sum += strides[d];
    return sum;
  }
};

// The product of two arrays, summed over the labels that are not in `keep`.
template <class T>
static Result<Labelled> contract(const Labelled& x, const Labelled& y, const std::vector<int>& keep,
                                 const Shape& sizes) {
  std::vector<int> summed;
  for (const Labelled* l : {&x, &y})
    for (int label : l->labels)
      if (!std::count(keep.begin(), keep.end(), label) && !std::count(summed.begin(), summed.end(), label))
        summed.push_back(label);
  auto dims = [&](const std::vector<int>& labels) {
    Shape shape;
    for (int label : labels) shape.push_back(sizes[size_t(label)]);
    return shape;
  };
  auto strides = [](const Labelled& l, const std::vector<int>& labels) {
    Shape s;
    for (int label : labels) s.push_back(l.stride(label));
    return s;
  };
  Labelled out{TRY(Tensor::allocate(x.data.dtype(), dims(keep))), keep};
  const Shape inner_shape = dims(summed);
  const int64_t inner = num_elements(inner_shape);
  const T *px = x.data.as<T>(), *py = y.data.as<T>();
  T* po = out.data.template as<T>();
  Walker outer(out.data.shape(), {strides(x, keep), strides(y, keep)});
  const Shape sx = strides(x, summed), sy = strides(y, summed);
  for (int64_t o = 0, n = out.data.size(); o < n; ++o, outer.next()) {
    Walker walk(inner_shape, {sx, sy});
    T sum = 0;
    for (int64_t i = 0; i < inner; ++i, walk.next()) {
      const T u = px[outer.offset(0) + walk.offset(0)], v = py[outer.offset(1) + walk.offset(1)];
      if constexpr (std::is_same_v<T, double>)
        sum += u * v;
      else
        sum = T(uint64_t(sum) + uint64_t(u) * uint64_t(v));
    }
    po[o] = sum;
  }
  return out;
}

// Inputs are contracted from left to right; a label is summed as soon as nothing later needs it.
template <class T>
static Status run(RefArgs& a, const EinsumEquation& eq, const Shape& sizes) {
  const DType wide = std::is_same_v<T, double> ? DType::f64 : DType::i64;
  Labelled acc{Tensor::make(wide, {}), {}};
  acc.data.as<T>()[0] = 1;
  for (size_t i = 0; i < a.in.size(); ++i) {
    const Tensor& x = a.x(i);
    Labelled operand{TRY(Tensor::allocate(wide, x.shape())), eq.terms[i]};
    if constexpr (std::is_same_v<T, double>)
      load_doubles(x.dtype(), x.data(), 0, x.size(), operand.data.as<T>());
    else
      load_ints(x.dtype(), x.data(), 0, x.size(), operand.data.as<T>());
    std::vector<int> keep;
    auto needed = [&](int label) {
      if (std::count(eq.output.begin(), eq.output.end(), label)) return true;
      for (size_t k = i + 1; k < eq.terms.size(); ++k)
        if (std::count(eq.terms[k].begin(), eq.terms[k].end(), label)) return true;
      return false;
    };
    if (i + 1 == a.in.size()) {
      keep = eq.output;  // in the order wanted
    } else {
      for (const Labelled* l : {&acc, &operand})
        for (int label : l->labels)
          if (needed(label) && !std::count(keep.begin(), keep.end(), label)) keep.push_back(label);
    }
    acc = TRY(contract<T>(acc, operand, keep, sizes));
  }
  Tensor& y = a.y(0);
  if constexpr (std::is_same_v<T, double>)
    store_doubles(y.dtype(), y.data(), 0, y.size(), acc.data.as<T>());
  else
    store_ints(y.dtype(), y.data(), 0, y.size(), acc.data.as<T>());
  return {};
}

static Status reference(RefArgs& a) {
  std::vector<size_t> ranks;
  for (const Tensor& t : a.in) ranks.push_back(t.shape().size());
  const EinsumEquation eq = TRY(parse_einsum(a.attrs.s("equation"), ranks));
  Shape sizes(size_t(eq.labels), 1);
  for (size_t i = 0; i < eq.terms.size(); ++i)
    for (size_t d = 0; d < eq.terms[i].size(); ++d)
      if (a.x(i).shape()[d] != 1) sizes[size_t(eq.terms[i][d])] = a.x(i).shape()[d];
  return is_float(a.y(0).dtype()) ? run<double>(a, eq, sizes) : run<int64_t>(a, eq, sizes);
}

// As the reference contracts: from left to right, a label summed as soon as nothing later needs it. An upper bound where
// that order is not the best.
static Flops count(const FlopArgs& a) {
  std::vector<size_t> ranks;
  for (const Operand& x : a.in) ranks.push_back(x.shape.size());
  auto eq = parse_einsum(a.attrs.s("equation"), ranks);
  if (!eq.ok()) return {};
  std::vector<double> sizes(size_t(eq->labels), 1);
  for (size_t i = 0; i < eq->terms.size(); ++i)
    for (size_t d = 0; d < ranks[i]; ++d) sizes[size_t(eq->terms[i][d])] = std::max(sizes[size_t(eq->terms[i][d])], a.dim(i, int64_t(d)));
  std::vector<int> alive;
  double products = 0;
  for (size_t i = 0; i < eq->terms.size(); ++i) {
    for (int label : eq->terms[i])
      if (!std::count(alive.begin(), alive.end(), label)) alive.push_back(label);
    double space = a.elements(i) == 0 ? 0 : 1;
    for (int label : alive) space *= sizes[size_t(label)];
    if (i > 0) products += 2 * space;
    std::erase_if(alive, [&](int label) {
      if (std::count(eq->output.begin(), eq->output.end(), label)) return false;
      for (size_t k = i + 1; k < eq->terms.size(); ++k)
        if (std::count(eq->terms[k].begin(), eq->terms[k].end(), label)) return false;
      return true;
    });
  }
  return {products, ranks.size() == 1 ? a.elements(0) : 0};
}

extern const Op op_einsum{
    .name = "Einsum",
    .version = 28,
    .compatible_from = 12,
    .inputs = {{"Inputs", kNumeric, 'T', Param::variadic}},
    .outputs = {{"Output"}},
    .attrs = {required_attr("equation", AttrKind::s)},
    .infer = infer,
    .reference = reference,
    .flops = count,
    .tolerance = {.f32 = 32},
    .samples = {{{{{2, 3, 4}}, {{2, 4, 5}}}, {{"equation", std::string("bij,bjk->bik")}}},
                {{{{3, 4}}}, {{"equation", std::string("ij->ji")}}},
                {{{{2, 3, 3}}}, {{"equation", std::string("...ii->...i")}}},
                {{{{3}}, {{3}}, {{2}}}, {{"equation", std::string("i,i,j")}}},
                {{{{0, 3}}, {{3, 2}}}, {{"equation", std::string("ij,jk->ik")}}}},
};

}  // namespace tenon::ops
