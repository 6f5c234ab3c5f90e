#include "ops/common/cosine_window.h"

#include <cmath>

namespace tenon {

Result<std::optional<Dim>> scalar_dim(InferArgs& a, size_t input, int64_t least) {
  const std::string& name = a.op.inputs[input].name;
  if (a.ranked(input)) {
    auto shape = to_concrete(a.shape(input));
    if (a.rank(input) > 1 || (shape && num_elements(*shape) != 1))
      return invalid_model("input '", name, "' must be a scalar, its shape is ", to_string(a.shape(input)));
  }
  if (!a.value(input) || a.value(input)->size() != 1) return std::optional<Dim>();
  const Dim d = (*a.value(input))[0];
  if (d.is_const() && d.constant() < least)
    return invalid_argument("input '", name, "' is ", d.constant(), ", it must be at least ", least);
  return std::optional<Dim>(d);
}

Result<DType> datatype_attr(const Attrs& attrs, const char* attr) {
  const int64_t v = attrs.i(attr);
  if (v <= 0 || v >= kNumDTypes || !kNumeric.contains(DType(v)))
    return invalid_model("attribute '", attr, "' is ", v, ", which is no number type");
  return DType(v);
}

void store_truncated(Tensor& y, int64_t i, double v) {
  if (is_float(y.dtype()))
    y.set(i, v);
  else
    y.set_int(i, std::abs(v) < 9e18 ? int64_t(v) : 0);
}

Status infer_window(InferArgs& a) {
  const DType t = TRY(datatype_attr(a.attrs, "output_datatype"));
  const std::optional<Dim> size = TRY(scalar_dim(a, 0, 0));
  a.set(0, t, {size ? *size : a.fresh("window")});
  return {};
}

Status reference_window(RefArgs& a, const std::array<double, 3>& c) {
  Tensor& y = a.y(0);
  const int64_t n = a.attrs.i("periodic", 1) ? y.size() : y.size() - 1;
  for (int64_t k = 0; k < y.size(); ++k) {
    const double angle = 2 * M_PI * double(k) / double(n);
    // A symmetric window of one sample is 1.
    store_truncated(y, k, n == 0 ? 1 : c[0] - c[1] * std::cos(angle) + c[2] * std::cos(2 * angle));
  }
  return {};
}

std::vector<AttrSpec> window_attrs() {
  return {{"output_datatype", int64_t(1)}, {"periodic", int64_t(1)}};
}

std::vector<Sample> window_samples() {
  auto size = [](double n) {
    SampleInput s{{}, DType::i64};
    s.values = {n};
    return s;
  };
  return {{{size(10)}}, {{size(9)}, {{"periodic", int64_t(0)}}}, {{size(1)}}, {{size(0)}}};
}

}  // namespace tenon
