// Window: how the kernel of a convolution or a pool slides over the spatial dimensions; shared by both families.
#pragma once

#include <algorithm>
#include <span>

#include "ops/op.h"

namespace tenon {

// One spatial dimension with all sizes known. Output o looks at inputs o*stride - pad_begin + k*dilation.
struct Window {
  int64_t kernel = 1, stride = 1, dilation = 1, pad_begin = 0, pad_end = 0;
  int64_t in = 0, out = 0;

  int64_t at(int64_t o, int64_t k) const { return o * stride - pad_begin + k * dilation; }
  // The k, as [first, second), whose position lies in [low, high).
  std::pair<int64_t, int64_t> taps(int64_t o, int64_t low, int64_t high) const;
  std::pair<int64_t, int64_t> taps(int64_t o) const { return taps(o, 0, in); }
  // The o, as [first, second), that tap k places inside the input.
  std::pair<int64_t, int64_t> outputs(int64_t k) const;
};

// What the attributes say of all spatial dimensions; the kernel may still be symbolic.
struct WindowSpec {
  enum AutoPad : uint8_t { notset, same_upper, same_lower, valid };
  AutoPad auto_pad = notset;
  SymShape kernel;
  Ints strides, dilations, pads;  // pads: all begins, then all ends
  bool ceil_mode = false;

  size_t rank() const { return kernel.size(); }
  Dim extent(size_t d) const { return (kernel[d] - Dim(1)) * Dim(dilations[d]) + Dim(1); }
};

// Reads strides, dilations, pads, auto_pad and ceil_mode. Errors: wrong lengths, values out of range.
Result<WindowSpec> window_spec(const Attrs& attrs, SymShape kernel);
// Size of the output in spatial dimension d. Errors: the window does not fit.
Result<Dim> window_output(const WindowSpec& spec, size_t d, const Dim& in);
// All dimensions with concrete sizes. REQUIRES: inference passed.
std::vector<Window> resolve_windows(const WindowSpec& spec, std::span<const int64_t> in);

// Calls f(offset) for each input element, counted within one plane, that the window of output `o` covers.
template <class F>
void for_each_tap(std::span<const Window> windows, const int64_t* o, int64_t base, F&& f) {
  const Window& w = windows[0];
  const auto [low, high] = w.taps(o[0]);
  for (int64_t k = low; k < high; ++k) {
    const int64_t offset = base * w.in + w.at(o[0], k);
    if (windows.size() == 1) f(offset);
    else for_each_tap(windows.subspan(1), o + 1, offset, f);
  }
}

// Steps a row-major index; false when it wraps around to the start.
bool next_index(Shape& index, std::span<const int64_t> shape);

// ---- layout: [N, C, spatial...], or [N, spatial..., C] where the attribute channels_last is set ------------------

template <class T>
std::vector<T> channels_first(std::vector<T> shape, bool last) {
  if (last && shape.size() > 2) std::rotate(shape.begin() + 1, shape.end() - 1, shape.end());
  return shape;
}
template <class T>
std::vector<T> channels_last(std::vector<T> shape, bool last) {
  if (last && shape.size() > 2) std::rotate(shape.begin() + 1, shape.begin() + 2, shape.end());
  return shape;
}
// The elements of x in the order [N, C, spatial...], and back into a tensor.
std::vector<double> read_channels_first(const Tensor& x, bool last);
void write_channels_first(Tensor& y, const std::vector<double>& values, bool last);

// A vector of parameters, one for each of `n` channels. Errors: another rank or size.
Status check_vector(const InferArgs& a, size_t input, const Dim& n);

}  // namespace tenon
