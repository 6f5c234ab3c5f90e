// What the quantisation operators share: which scale an element uses, and rounding to a quantised type.
#pragma once

#include <vector>

#include "ops/op.h"

namespace tenon {

// Scales and zero points are one for the tensor, one for each index of `axis`, or one for each block along
// `axis`.
struct ScaleLayout {
  int64_t inner = 1;  // elements after the axis
  int64_t size = 1;   // of the axis
  int64_t block = 0;  // elements along the axis that share a scale; 0: all axes but this one do
  int64_t blocks = 1;
  bool per_tensor = true;

  // The scale of element i, counted row-major.
  int64_t index(int64_t i) const {
    if (per_tensor) return 0;
    const int64_t k = i / inner % size;
    return block == 0 ? k : (i / (inner * size) * blocks + k / block) * inner + i % inner;
  }
};

// Checks inputs x, scale and zero point (0, 1, 2) of QuantizeLinear and DequantizeLinear against each other.
Status check_scale_shapes(InferArgs& a);
// REQUIRES: check_scale_shapes() accepted them.
ScaleLayout scale_layout(const Attrs& attrs, const Shape& x, const Shape& scale);

// The range of a quantised integer type, as doubles.
double lowest_of(DType t);
double highest_of(DType t);
// round(v) + zero_point to nearest even, saturated to the integer type; NaN gives the lowest value.
int64_t quantized(double v, double zero_point, DType t);
// The same for any quantised type: float8 and float4 round to their own values.
void store_quantized(Tensor& y, int64_t i, double v, double zero_point, bool saturate);
// v rounded to what the type can hold, where it is a float narrower than double.
double round_to(DType t, double v);

// QuantizeLinear and DequantizeLinear of both domains.
Status infer_quantize_linear(InferArgs& a);
Status reference_quantize_linear(RefArgs& a);
Status infer_dequantize_linear(InferArgs& a);
Status reference_dequantize_linear(RefArgs& a);

// Scale and zero point that map the range of x, stretched to hold 0, onto u8.
struct DynamicRange {
  float scale;
  int64_t zero_point;
};
DynamicRange dynamic_range(const std::vector<double>& x);
// REQUIRES: low <= 0 <= high.
DynamicRange dynamic_range(float low, float high);

inline constexpr DTypeSet kQuantized{
    DType::i8,         DType::u8, DType::i16, DType::u16, DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2,
    DType::f8e5m2fnuz, DType::u4, DType::i4,  DType::u2,  DType::i2,       DType::f4e2m1};

}  // namespace tenon
