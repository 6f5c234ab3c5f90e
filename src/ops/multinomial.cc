// Multinomial: draws sample_size class numbers for each row of unnormalised log-probabilities.
#include <algorithm>
#include <cmath>

#include "ops/common/dtype_attr.h"
#include "ops/common/random.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const DType type = TRY(dtype_attr(a.attrs, "dtype", DType::i32, kIndex));
  const int64_t samples = a.attrs.i("sample_size");
  if (samples < 0) return invalid_model("sample_size is ", samples);
  if (a.ranked(0)) {
    if (a.rank(0) != 2) return invalid_model("input has rank ", a.rank(0), ", it must be [batch, classes]");
    if (a.shape(0)[1].is(0)) return invalid_model("there are no classes to draw from");
  }
  a.set(0, type, {a.ranked(0) ? a.shape(0)[0] : a.fresh("batch"), Dim(samples)});
  return {};
}

static Status reference(RefArgs& a) {
  OpRandom random(a.attrs);
  Tensor& y = a.y(0);
  const int64_t batch = a.x(0).dim(0), classes = a.x(0).dim(1), samples = y.dim(1);
  if (y.size() == 0) return {};
  const std::vector<double> x = a.x(0).to_doubles();  // [batch, classes]
  std::vector<double> below(static_cast<size_t>(classes));
  for (int64_t b = 0; b < batch; ++b) {
    const double* row = x.data() + b * classes;
    const double top = *std::max_element(row, row + classes);
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) below[size_t(c)] = sum += std::exp(row[c] - top);
    for (int64_t s = 0; s < samples; ++s) {
      const auto at = std::upper_bound(below.begin(), below.end(), random.uniform() * sum);
      y.set_int(b * samples + s, std::min(int64_t(at - below.begin()), classes - 1));
    }
  }
  return {};
}

extern const Op op_multinomial{
    .name = "Multinomial",
    .version = 22,
    .compatible_from = 7,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output", kIndex}},
    .attrs = {{"dtype", int64_t(DType::i32)},
              {"sample_size", int64_t(1)},
              optional_attr("seed", AttrKind::f)},
    .infer = infer,
    .reference = reference,
    .deterministic = false,
    .samples = {{{{{3, 5}}}, {{"sample_size", int64_t(4)}}}, {{{{1, 2}}}, {{"dtype", int64_t(DType::i64)}}}},
};

}  // namespace tenon::ops
