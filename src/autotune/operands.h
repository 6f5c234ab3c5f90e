// The operands of a request at the profile's optimum, as kernels that are measured get them.
#pragma once

#include <map>

#include "backend/compiler.h"

namespace tenon {

class Operands {
 public:
  // REQUIRES: has_sizes(request).
  Operands(Device& device, Stream& stream, const KernelRequest& request) : device_(device), stream_(stream), r_(request) {}

  // What bind() is told: shapes at the optimum, values where they are known while building.
  Status describe();
  const std::vector<TensorDesc>& inputs() const { return in_; }
  const std::vector<TensorDesc>& outputs() const { return out_; }
  // Addresses of all operands; `unread` has bit i for each input that this kernel reads nowhere, or on the host. Data:
  // constants as they are, floats near 0, integers 0 or 1. Errors: out_of_memory.
  Status place(uint64_t unread, std::vector<const void*>& inputs, std::vector<void*>& outputs);
  // Shared by all kernels, like an engine's; an address stays valid when another kernel asks for more.
  Result<void*> scratch(int64_t bytes);

 private:
  Result<TensorDesc> describe_value(ValueId v);
  Result<std::shared_ptr<Buffer>> buffer(int64_t bytes);
  Status fill(Buffer& to, const TensorDesc& d, uint64_t seed);

  Device& device_;
  Stream& stream_;
  const KernelRequest& r_;
  std::vector<TensorDesc> in_, out_;
  std::vector<Tensor> values_;  // that descriptions point to
  std::map<int, std::shared_ptr<Buffer>> placed_;  // inputs by number, outputs behind them
  std::vector<std::shared_ptr<Buffer>> scratch_;
};

}  // namespace tenon
