// What convolutions share: inference, and the sums themselves in double.
#pragma once

#include "ops/common/window.h"

namespace tenon {

// Sizes of one convolution. For a transposed one the windows slide over the output: `in` is the size of y there.
struct ConvSizes {
  int64_t batch = 0, groups = 1, in_channels = 0, out_channels = 0;  // channels of one group
  std::vector<Window> windows;
};

// Output shape of a convolution of input 0 with weights [M, C/group, k...] at `weights`, honouring channels_last.
Status infer_conv(InferArgs& a, size_t weights, DType out_type);
// The same sizes for the reference. `x` is [N, C, spatial...].
Result<ConvSizes> conv_sizes(const Attrs& attrs, const Shape& x, const Shape& w);
// And of ConvTranspose, whose padding may follow from the output's size. `y` is [N, M, spatial...].
Result<ConvSizes> conv_transpose_sizes(const Attrs& attrs, const Shape& x, const Shape& w, const Shape& y);

// y[n, m, o] = sum over c, k of x[n, c, o*stride - pad + k*dilation] * w[m, c, k].
std::vector<double> convolve(const ConvSizes& sizes, const std::vector<double>& x, const std::vector<double>& w);
// y[n, m, i*stride - pad + k*dilation] += x[n, c, i] * w[c, m, k].
std::vector<double> convolve_transposed(const ConvSizes& sizes, const std::vector<double>& x,
                                        const std::vector<double>& w);
// y[n, m, :] += bias[m].
void add_channel_bias(std::vector<double>& y, int64_t batch, const std::vector<double>& bias);

}  // namespace tenon
