// KernelImage: what compiling one node for a device gives, and what the engine file stores of it.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace tenon {

struct KernelImage {
  std::string backend;       // "cpu"
  std::string kernel;        // the variant, for example "matmul.avx512"
  std::string config;        // the kernel's own parameters as text
  std::vector<Tensor> data;  // packed weights or machine code; 64-byte aligned in the engine
  // Inputs that the kernel no longer reads because `data` holds them; their constants need not be stored.
  std::vector<int> absorbed_inputs;
  // Bit i: the kernel reads input i only on the host, when it is bound (Kernel::value_inputs of a device whose memory the
  // host cannot read). Lowering keeps such values on the host. Not stored in the engine.
  uint32_t host_inputs = 0;
  // The kernel can write the rows of output 0's last dimension apart (TensorDesc::pitch).
  bool strides_output = false;
  // Bit i: the kernel reads nothing of input i but its shape (Kernel::unread_inputs): it may stand in either memory. Not stored.
  uint32_t unread_inputs = 0;
  // What makes it slower than it was meant to be, in the words of the report: registers that are spilled. Stored there only.
  std::string slow = {};
};

}  // namespace tenon
