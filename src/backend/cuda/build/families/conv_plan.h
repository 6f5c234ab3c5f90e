// What a convolution's node says, with sizes as the recipe names them.
#pragma once

#include "backend/cuda/build/families/epilogue.h"
#include "ops/common/window.h"

namespace tenon::cuda {

struct ConvPlan {
  Anchor anchor;
  int x = 0, w = 1;                 // inputs of the request
  DType type = DType::none;
  bool last = false, transposed = false;
  bool constant_weights = false;
  int64_t groups = 1, in_channels = 0, out_channels = 0;  // channels of one group
  Dim batch;
  SymShape in, out;                 // spatial sizes
  std::vector<int64_t> kernel, stride, dilation;
  SymShape pad, pad_end;            // before the first element and behind the last (of the output, where transposed)
  Epilogue epilogue;
  std::optional<Dim> apart;         // joined_rows() of the result
  std::map<std::string, int64_t> likely;  // OperandDims::likely()

  int64_t taps() const;
};

// Errors: unsupported.
Result<ConvPlan> conv_plan(const KernelRequest& r);

// Depthwise convolutions of channels-last tensors: one input channel for each group. `name` of the kernel.
bool is_depthwise(const ConvPlan& p);
Status write_depthwise(const ConvPlan& p, Program& out);
Result<Tensor> pack_depthwise(const ConvPlan& p, const Tensor& weights);

}  // namespace tenon::cuda
