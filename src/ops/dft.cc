// DFT: y[k] = sum of x[n] * exp(-2 pi i k n / N) along one axis; `inverse` has +, and divides by N. The last
// dimension holds real and imaginary part. `onesided` forward gives the N/2+1 bins of a real signal, inverse
// takes them back.
#include <algorithm>

#include "ops/common/fourier.h"
#include "ops/common/cosine_window.h"

namespace tenon::ops {

static Status upgrade_dft_17(Upgrade& u) {
  if (!u.node.attrs.has("axis")) u.node.attrs.set("axis", int64_t(1));
  const int64_t axis = u.node.attrs.i("axis");
  if (u.node.inputs.size() < 3) u.node.inputs.resize(3);
  u.node.inputs[2] = u.constant(Tensor::scalar_int(axis));
  u.node.attrs.erase("axis");
  return {};
}

static Status infer(InferArgs& a) {
  const bool inverse = a.attrs.i("inverse") != 0, onesided = a.attrs.i("onesided") != 0;
  const std::optional<Dim> length = TRY(scalar_dim(a, 1, 1));
  TRY(scalar_dim(a, 2, INT64_MIN));
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  const int64_t rank = a.rank(0);
  if (rank < 2) return invalid_model("DFT needs rank 2 or more, the input has rank ", rank);
  SymShape shape = a.shape(0);
  const Dim parts = shape.back();
  if (parts.is_const() && !parts.is(1) && !parts.is(2))
    return invalid_model("the last dimension must be 1 (real) or 2 (complex), it is ", parts.constant());
  if (onesided && parts.is(inverse ? 1 : 2))
    return invalid_model("a onesided ", inverse ? "inverse DFT needs complex input" : "DFT needs real input");
  shape.back() = Dim(onesided && inverse ? 1 : 2);
  const std::optional<Ints> axes = a.has(2) ? a.const_ints(2) : std::optional(Ints{-2});
  if (!axes || axes->size() != 1) {
    for (int64_t i = 0; i + 1 < rank; ++i) shape[size_t(i)] = a.fresh("dft");
    return a.set(0, a.dtype(0), shape), Status();
  }
  const int64_t axis = TRY(a.axis((*axes)[0], rank));
  if (axis == rank - 1)
    return invalid_model("DFT along the last dimension, which holds real and imaginary parts");
  Dim& size = shape[size_t(axis)];
  Dim n = length                ? *length
          : a.has(1)            ? a.fresh("dft")
          : onesided && inverse ? Dim(2) * (size - Dim(1))
                                : size;
  if (n.is_const() && (n.constant() < 1 || n.constant() > 1 << 28))
    return invalid_model("DFT of length ", n.constant());
  size = onesided && !inverse ? floor_div(n, Dim(2)) + Dim(1) : n;
  a.set(0, a.dtype(0), shape);
  return {};
}

static Status reference(RefArgs& a) {
  const bool inverse = a.attrs.i("inverse") != 0, onesided = a.attrs.i("onesided") != 0;
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  int64_t axis = a.has(2) ? a.x(2).int_at(0) : -2;
  if (axis < 0) axis += x.rank();
  const int64_t size = x.dim(axis), out_size = y.dim(axis), parts = x.shape().back(),
                out_parts = y.shape().back();
  int64_t length = a.has(1) ? a.x(1).int_at(0) : onesided && inverse ? 2 * (size - 1) : size;
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < axis; ++i) outer *= x.dim(i);
  for (int64_t i = axis + 1; i + 1 < x.rank(); ++i) inner *= x.dim(i);
  if (y.size() == 0) return {};
  const std::vector<double> in = x.to_doubles();  // [outer, size, inner, parts]
  std::vector<double> out(size_t(y.size()));      // [outer, out_size, inner, out_parts]
  std::vector<Complex> signal;
  signal.resize(size_t(length));
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      std::fill(signal.begin(), signal.end(), Complex());
      for (int64_t k = 0; k < std::min(size, length); ++k) {
        const double* v = in.data() + ((o * size + k) * inner + i) * parts;
        signal[size_t(k)] = {v[0], parts == 2 ? v[1] : 0};
      }
      if (onesided && inverse) {  // the second half mirrors the first
        signal[0] = signal[0].real();
        for (int64_t k = length / 2 + 1; k < length; ++k)
          signal[size_t(k)] = std::conj(signal[size_t(length - k)]);
        if (length % 2 == 0) signal[size_t(length / 2)] = signal[size_t(length / 2)].real();
      }
      const std::vector<Complex> bins = fourier(signal, inverse ? 1 : -1);
      for (int64_t k = 0; k < out_size; ++k) {
        const Complex v = bins[size_t(k)] / (inverse ? double(length) : 1.0);
        double* to = out.data() + ((o * out_size + k) * inner + i) * out_parts;
        to[0] = v.real();
        if (out_parts == 2) to[1] = v.imag();
      }
    }
  store_doubles(y.dtype(), y.data(), 0, y.size(), out.data());
  return {};
}

extern const Op op_dft{
    .name = "DFT",
    .version = 20,
    .compatible_from = 20,
    .older = {{17, upgrade_dft_17}},
    .inputs = {{"input", kFloats},
               {"dft_length", kIndex, 'L', Param::optional},
               {"axis", DType::i64, 0, Param::optional}},
    .outputs = {{"output"}},
    .attrs = {{"inverse", int64_t(0)}, {"onesided", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .tolerance = {.f32 = 32},
    .samples = {{{{{1, 10, 1}}}},
                {{{{2, 7, 2}}}, {{"inverse", int64_t(1)}}},
                {{{{2, 9, 1}}}, {{"onesided", int64_t(1)}}},
                {{{{2, 5, 2}}}, {{"onesided", int64_t(1)}, {"inverse", int64_t(1)}}},
                {{{{0, 4, 1}}}}},
};

}  // namespace tenon::ops
