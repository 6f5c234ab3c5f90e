#include "ir/random_input.h"

#include "base/random.h"

namespace tenon {

Result<Tensor> random_input(DType dtype, const Shape& shape, uint64_t seed) {
  Tensor t = TRY(Tensor::allocate(dtype, shape));
  Random random(seed);
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::f32) t.as<float>()[i] = float(random.normal());
    else if (is_float(dtype)) t.set(i, random.normal());
    else t.set_int(i, int64_t(random.next() >> 63));
  }
  return t;
}

}  // namespace tenon
