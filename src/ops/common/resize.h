// Resize as tables: interpolation is separable, so each axis has, for each output position, the input positions it
// reads and their weights.
#pragma once

#include "ops/op.h"

namespace tenon {

// One axis: its sizes, output / input, and the part of the input that is looked at (tf_crop_and_resize).
struct ResizeAxis {
  int64_t in = 0, out = 0;
  double scale = 1, roi_start = 0, roi_end = 1;
};

struct Tap {
  int64_t index;
  double weight;
};
using Taps = std::vector<Tap>;  // empty: outside of the input, to be filled with extrapolation_value

// The attributes, read and checked.
struct ResizeMode {
  enum Kind : uint8_t { nearest, linear, cubic } kind = nearest;
  enum Coords : uint8_t { half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners, asymmetric, tf_crop,
                          tf_half_pixel_for_nn } coords = half_pixel;
  enum Round : uint8_t { prefer_floor, prefer_ceil, floor, ceil } round = prefer_floor;
  enum Aspect : uint8_t { stretch, not_larger, not_smaller } aspect = stretch;
  bool antialias = false, exclude_outside = false;
  double cubic_a = -0.75, extrapolation = 0;
};
Result<ResizeMode> resize_mode(const Attrs& attrs);

// The axes that roi, scales and sizes speak of; all of them by default. Errors: out of range or repeated.
Result<std::vector<size_t>> resize_axes(const Attrs& attrs, size_t rank);
// floor(in * scale), in float as everybody computes it; unknown for a symbol unless the scale is a plain ratio.
std::optional<Dim> scaled_dim(const Dim& in, float scale);
// The concrete plan of all axes; scales or sizes is empty.
Result<std::vector<ResizeAxis>> resize_plan(const Attrs& attrs, const ResizeMode& mode, const Shape& x,
                                            const std::vector<double>& roi, const std::vector<double>& scales,
                                            const Ints& sizes);
// REQUIRES: axis.in > 0.
std::vector<Taps> resize_table(const ResizeMode& mode, const ResizeAxis& axis);

}  // namespace tenon
