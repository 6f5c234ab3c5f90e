#include "ops/common/quantize.h"

#include <algorithm>
#include <cmath>

#include "ops/common/matmul.h"

namespace tenon {

Status check_scale_shapes(InferArgs& a) {
  const int64_t block = a.attrs.i("block_size");
  if (block < 0 || block > INT32_MAX) return invalid_model("block_size ", block, " is out of range");
  if (!a.ranked(0) || !a.ranked(1)) return {};
  const SymShape &x = a.shape(0), &scale = a.shape(1);
  if (a.ranked(2)) {
    const SymShape& zero = a.shape(2);
    auto count = to_concrete(scale), zero_count = to_concrete(zero);
    // A scalar beside a vector of one element is tolerated: exporters mix them.
    const bool both_single =
        count && zero_count && num_elements(*count) == 1 && num_elements(*zero_count) == 1;
    if (!both_single) {
      if (scale.size() != zero.size())
        return invalid_model("scale has rank ", scale.size(), ", the zero point has rank ", zero.size());
      for (size_t i = 0; i < zero.size(); ++i)
        TRY(unify_dims(scale[i], zero[i], "a dimension of scale and zero point"));
    }
  }
  if (scale.empty() || (block == 0 && scale.size() == 1 && scale[0].is(1))) return {};
  if (x.empty()) return invalid_model("scale of shape ", to_string(scale), " for a scalar input");
  const int64_t rank = int64_t(x.size());
  const size_t axis = rank == 1 ? 0 : size_t(TRY(a.axis(a.attrs.i("axis", 1), rank)));
  if (block == 0) {
    if (scale.size() != 1)
      return invalid_model("scale of rank ", scale.size(), " needs the attribute block_size");
    TRY(unify_dims(scale[0], x[axis], "the quantised axis"));
    return {};
  }
  if (scale.size() != x.size())
    return invalid_model("blocked scale has rank ", scale.size(), ", the input has rank ", x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const Dim want = i == axis ? floor_div(x[i] + Dim(block - 1), Dim(block)) : x[i];
    TRY(unify_dims(scale[i], want, "a dimension of the blocked scale"));
  }
  return {};
}

ScaleLayout scale_layout(const Attrs& attrs, const Shape& x, const Shape& scale) {
  ScaleLayout l;
  const int64_t block = attrs.i("block_size");
  if (scale.empty() || (block == 0 && scale[0] == 1)) return l;
  l.per_tensor = false;
  int64_t axis = x.size() == 1 ? 0 : attrs.i("axis", 1);
  if (axis < 0) axis += int64_t(x.size());
  for (size_t i = size_t(axis) + 1; i < x.size(); ++i) l.inner *= x[i];
  l.size = x[size_t(axis)];
  l.block = block;
  if (block) l.blocks = scale[size_t(axis)];
  return l;
}

double lowest_of(DType t) {
  return is_signed_int(t) ? -std::ldexp(1, bits(t) - 1) : 0;
}
double highest_of(DType t) {
  return std::ldexp(1, is_signed_int(t) ? bits(t) - 1 : bits(t)) - 1;
}

int64_t quantized(double v, double zero_point, DType t) {
  const double low = lowest_of(t), shifted = std::nearbyint(v) + zero_point;
  if (!(shifted > low)) return int64_t(low);
  return int64_t(std::min(shifted, highest_of(t)));
}

void store_quantized(Tensor& y, int64_t i, double v, double zero_point, bool saturate) {
  if (!is_float(y.dtype())) return y.set_int(i, quantized(v, zero_point, y.dtype()));
  v += zero_point;
  if (bits(y.dtype()) == 8)
    y.as<uint8_t>()[i] = uint8_t(encode_float(y.dtype(), v, saturate));
  else
    y.set(i, v);
}

double round_to(DType t, double v) {
  if (t == DType::f32) return double(float(v));
  if (is_float(t) && bits(t) <= 16) return decode_float(t, encode_float(t, v));
  return v;
}

static bool names_type(int64_t v) {
  return v >= 0 && v < kNumDTypes;
}

// ---- QuantizeLinear
// -----------------------------------------------------------------------------------------------

Status infer_quantize_linear(InferArgs& a) {
  const int64_t wanted = a.attrs.i("output_dtype"), precision = a.attrs.i("precision");
  if (!names_type(wanted) || (wanted && !kQuantized.contains(DType(wanted))))
    return unsupported("output_dtype ", wanted, " of QuantizeLinear");
  if (!names_type(precision) || (precision && !kFloats.contains(DType(precision))))
    return unsupported("precision ", precision, " of QuantizeLinear");
  DType t = a.has(2) ? a.dtype(2) : wanted ? DType(wanted) : DType::u8;
  if (wanted && t != DType(wanted))
    return invalid_model("output_dtype is ", name(DType(wanted)), " but the zero point is ", name(t));
  TRY(check_scale_shapes(a));
  if (!a.ranked(0)) return a.set_unranked(0, t), Status();
  a.set(0, t, a.shape(0));
  return {};
}

Status reference_quantize_linear(RefArgs& a) {
  const Tensor &x = a.x(0), &scale = a.x(1);
  Tensor& y = a.y(0);
  const ScaleLayout layout = scale_layout(a.attrs, x.shape(), scale.shape());
  const bool saturate = a.attrs.i("saturate", 1) != 0;
  DType precision = DType(a.attrs.i("precision"));
  if (precision == DType::none) precision = kFloats.contains(scale.dtype()) ? scale.dtype() : DType::f32;
  const std::vector<double> values = x.to_doubles(), scales = scale.to_doubles();
  const std::vector<double> zeros = a.has(2) ? a.x(2).to_doubles() : std::vector<double>(scales.size(), 0.0);
  for (int64_t i = 0; i < y.size(); ++i) {
    const size_t k = size_t(layout.index(i));
    // The quotient is rounded to the precision before it is rounded to a whole number: that decides ties.
    const double q =
        round_to(precision, round_to(precision, values[size_t(i)]) / round_to(precision, scales[k]));
    store_quantized(y, i, q, zeros[k], saturate);
  }
  return {};
}

// ---- DequantizeLinear
// ---------------------------------------------------------------------------------------------

Status infer_dequantize_linear(InferArgs& a) {
  const int64_t wanted = a.attrs.i("output_dtype");
  if (!names_type(wanted) || (wanted && !kFloats.contains(DType(wanted))))
    return unsupported("output_dtype ", wanted, " of DequantizeLinear");
  const DType t = wanted ? DType(wanted) : a.dtype(1);
  if (t == DType::f8e8m0) return invalid_model("a scale of type f8e8m0 needs the attribute output_dtype");
  TRY(check_scale_shapes(a));
  if (!a.ranked(0)) return a.set_unranked(0, t), Status();
  a.set(0, t, a.shape(0));
  return {};
}

Status reference_dequantize_linear(RefArgs& a) {
  const Tensor &x = a.x(0), &scale = a.x(1);
  Tensor& y = a.y(0);
  const ScaleLayout layout = scale_layout(a.attrs, x.shape(), scale.shape());
  std::vector<double> values = x.to_doubles();
  const std::vector<double> scales = scale.to_doubles();
  const std::vector<double> zeros = a.has(2) ? a.x(2).to_doubles() : std::vector<double>(scales.size(), 0.0);
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t k = size_t(layout.index(int64_t(i)));
    values[i] = (values[i] - zeros[k]) * scales[k];
  }
  store_doubles(y.dtype(), y.data(), 0, y.size(), values.data());
  return {};
}

// ---- scales from data
// ---------------------------------------------------------------------------------------------

DynamicRange dynamic_range(float low, float high) {
  const float scale = high == low ? 1.0f : (high - low) / 255.0f;
  return {scale, quantized(double(-low / scale), 0, DType::u8)};
}

DynamicRange dynamic_range(const std::vector<double>& x) {
  float low = 0, high = 0;
  for (double v : x) {
    low = std::min(low, float(v));
    high = std::max(high, float(v));
  }
  return dynamic_range(low, high);
}

}  // namespace tenon
