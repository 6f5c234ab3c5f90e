// MaxUnpool: puts each element back where MaxPool found it (its number in the flattened tensor); zeros elsewhere.
#include <cstring>

#include "ops/common/window.h"

namespace tenon::ops {

// What MaxPool's input must have been, were there no remainder.
static Result<SymShape> plain_shape(const Attrs& attrs, const SymShape& x) {
  const Ints& kernel = attrs.ints("kernel_shape");
  if (x.size() != kernel.size() + 2)
    return invalid_model("a kernel of shape ", kernel, " needs an input of rank ", kernel.size() + 2);
  const WindowSpec spec = TRY(window_spec(attrs, to_sym(kernel)));
  SymShape y = {x[0], x[1]};
  for (size_t d = 0; d < kernel.size(); ++d)
    y.push_back((x[d + 2] - Dim(1)) * Dim(spec.strides[d]) + Dim(kernel[d]) - Dim(spec.pads[d]) -
                Dim(spec.pads[kernel.size() + d]));
  return y;
}

static Status infer(InferArgs& a) {
  const size_t rank = a.attrs.ints("kernel_shape").size() + 2;
  if (a.ranked(0)) TRY(plain_shape(a.attrs, a.shape(0)));
  if (a.ranked(0) && a.ranked(1) && to_concrete(a.shape(0)) && to_concrete(a.shape(1)) && !(a.shape(0) == a.shape(1)))
    return invalid_model("indices of shape ", to_string(a.shape(1)), " for an input of shape ", to_string(a.shape(0)));
  if (a.has(2)) {
    if (a.ranked(2)) TRY(check_vector(a, 2, Dim(int64_t(rank))));
    const std::vector<Dim>* given = a.value(2);
    if (!given) return a.set_fresh(0, a.dtype(0), rank, "unpool"), Status();
    if (given->size() != rank) return invalid_model("input 'output_shape' has ", given->size(), " values for rank ", rank);
    a.set(0, a.dtype(0), *given);
    return {};
  }
  if (!a.ranked(0)) return a.set_fresh(0, a.dtype(0), rank, "unpool"), Status();
  a.set(0, a.dtype(0), TRY(plain_shape(a.attrs, a.shape(0))));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor &x = a.x(0), &indices = a.x(1);
  if (!a.out[0]) return invalid_argument("the output shape is not known");
  Tensor& y = a.y(0);
  if (x.shape() != indices.shape()) return invalid_argument("indices and input differ in shape");
  // Indices count in the plain shape; a larger output_shape only adds zeros behind it in each dimension.
  const Shape plain = *to_concrete(TRY(plain_shape(a.attrs, to_sym(x.shape()))));
  const int64_t total = num_elements(plain), size = byte_size(y.dtype(), 1);
  const Shape strides = row_major_strides(y.shape());
  std::memset(y.data(), 0, size_t(y.bytes()));
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t at = indices.int_at(i), to = 0;
    if (at < 0 || at >= total) return invalid_argument("index ", at, " is out of range [0, ", total, ")");
    bool inside = true;
    for (size_t d = plain.size(); d-- > 0; at /= plain[d]) {
      inside = inside && at % plain[d] < y.dim(int64_t(d));
      to += at % plain[d] * strides[d];
    }
    if (!inside) return invalid_argument("index ", indices.int_at(i), " lies outside of output_shape ", y.shape());
    std::memcpy(y.as<char>() + to * size, x.as<char>() + i * size, size_t(size));
  }
  return {};
}

extern const Op op_max_unpool{
    .name = "MaxUnpool",
    .version = 22,
    .compatible_from = 9,
    .inputs = {{"X", kFloats}, {"I", DType::i64, 'I'}, {"output_shape", DType::i64, 'I', Param::optional}},
    .outputs = {{"output"}},
    .attrs = {required_attr("kernel_shape", AttrKind::ints),
              optional_attr("strides", AttrKind::ints),
              optional_attr("pads", AttrKind::ints)},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{1, 1, 2, 2}}, {{1, 1, 2, 2}, DType::i64, 0, 0, {5, 7, 13, 15}}},
                 {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}},
                {{{{1, 1, 2, 2}},
                  {{1, 1, 2, 2}, DType::i64, 0, 0, {5, 7, 13, 15}},
                  {{4}, DType::i64, 0, 0, {1, 1, 5, 5}}},
                 {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}}},
};

}  // namespace tenon::ops
