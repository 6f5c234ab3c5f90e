// MelWeightMatrix: triangular filters, evenly spaced on the mel scale, that turn a spectrum of dft_length/2+1
// bins into num_mel_bins bands. mel(f) = 2595 * log10(1 + f / 700).
#include <cmath>

#include "ops/common/cosine_window.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const DType t = TRY(datatype_attr(a.attrs, "output_datatype"));
  const std::optional<Dim> mels = TRY(scalar_dim(a, 0, 1)), length = TRY(scalar_dim(a, 1, 1));
  TRY(scalar_dim(a, 2, 1));
  TRY(scalar_dim(a, 3, 0));
  TRY(scalar_dim(a, 4, 0));
  a.set(0, t,
        {length ? floor_div(*length, Dim(2)) + Dim(1) : a.fresh("bins"), mels ? *mels : a.fresh("mels")});
  return {};
}

static Status reference(RefArgs& a) {
  Tensor& y = a.y(0);
  const int64_t bins = y.dim(0), mels = y.dim(1), length = a.x(1).int_at(0), rate = a.x(2).int_at(0);
  auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double low = mel(a.x(3).at(0)), high = mel(a.x(4).at(0)), step = (high - low) / double(mels + 2);
  // The spectrum bin under corner k of the triangles; filter m rises from corner m to m + 1 and falls to m
  // + 2.
  std::vector<int64_t> corner;
  for (int64_t k = 0; k < mels + 2; ++k) {
    const double hertz = 700 * (std::pow(10, (double(k) * step + low) / 2595) - 1);
    const double bin = std::floor((double(length) + 1) * hertz / double(rate));
    if (!(bin >= 0 && bin < double(bins)))
      return invalid_argument("the mel filters reach beyond the spectrum of ", bins, " bins");
    corner.push_back(int64_t(bin));
  }
  std::vector<double> out(size_t(y.size()), 0.0);
  for (int64_t m = 0; m < mels; ++m) {
    const int64_t left = corner[size_t(m)], top = corner[size_t(m + 1)], right = corner[size_t(m + 2)];
    auto at = [&](int64_t bin) -> double& { return out[size_t(bin * mels + m)]; };
    if (left == top) at(top) = 1;
    for (int64_t k = left; left < top && k <= top; ++k) at(k) = double(k - left) / double(top - left);
    for (int64_t k = top; k < right; ++k) at(k) = double(right - k) / double(right - top);
  }
  for (int64_t i = 0; i < y.size(); ++i) store_truncated(y, i, out[size_t(i)]);
  return {};
}

static SampleInput number(double v, DType t = DType::i64) {
  SampleInput s{{}, t};
  s.values = {v};
  return s;
}

extern const Op op_mel_weight_matrix{
    .name = "MelWeightMatrix",
    .version = 17,
    .compatible_from = 17,
    .inputs = {{"num_mel_bins", kIndex, 'I'},
               {"dft_length", kIndex, 'I'},
               {"sample_rate", kIndex, 'I'},
               {"lower_edge_hertz", kFloats, 'F'},
               {"upper_edge_hertz", kFloats, 'F'}},
    .outputs = {{"output"}},
    .attrs = {{"output_datatype", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .samples = {{{number(8), number(16), number(8192), number(0, DType::f32), number(4096, DType::f32)}},
                {{number(5), number(101), number(16000), number(20, DType::f32), number(7000, DType::f32)}}},
};

}  // namespace tenon::ops
