#include "backend/cpu/families.h"

namespace tenon::cpu {

extern const Family kConv, kMatMul, kPointwise, kReduce, kArgReduce, kSoftmax, kNorm, kPool, kTranspose,
    kGather, kCopy, kPad, kResize, kRecurrent, kGatherND, kScatterND, kElements, kNonZero, kTopK, kCumulative,
    kQuantize, kDynamicQuantize, kInt8MatMul, kInt8Conv, kHalfProducts, kNBits, kAttention;

std::span<const Family* const> families() {
  static const Family* const list[] = {
      &kConv,         &kMatMul,     &kPointwise, &kReduce,          &kArgReduce,  &kSoftmax,
      &kNorm,         &kPool,       &kTranspose, &kGather,          &kCopy,       &kPad,
      &kResize,       &kRecurrent,  &kGatherND,  &kScatterND,       &kElements,   &kNonZero,
      &kTopK,         &kCumulative, &kQuantize,  &kDynamicQuantize, &kInt8MatMul, &kInt8Conv,
      &kHalfProducts, &kNBits,      &kAttention};
  return list;
}

std::vector<int64_t> int_values(const TensorDesc& d) {
  std::vector<int64_t> out(static_cast<size_t>(num_elements(d.shape)));
  load_ints(d.dtype, d.value, 0, int64_t(out.size()), out.data());
  return out;
}

}  // namespace tenon::cpu
