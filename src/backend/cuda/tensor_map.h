// Tensor maps: views of device memory that the tensor memory accelerator understands (Hopper and later).
#pragma once

#include "backend/cuda/driver.h"
#include "backend/cuda/recipe.h"

namespace tenon::cuda {

// A map whose sizes are known.
struct BoundMap {
  TensorMap map;
  int type = 0, swizzle = 0, l2 = 0;  // the driver's numbers
  std::vector<uint64_t> dims, strides;
};

// Errors: data_loss, for what the driver has no number for; invalid_argument, sizes that are no sizes.
Result<BoundMap> bind_map(const TensorMap& map, const std::function<Result<int64_t>(const Dim&)>& eval);
// Returns the driver's error.
int encode_map(const Driver& driver, const BoundMap& map, DevicePtr address, EncodedMap* out);

}  // namespace tenon::cuda
