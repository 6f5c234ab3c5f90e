// The list of families. A family is a file of families/ and two lines here.
#include "backend/cuda/build/family.h"

namespace tenon::cuda {

extern const Family kMatMul, kConv, kPointwise, kReduce, kArgReduce, kSoftmax, kNorm, kBatchNorm, kPool, kTranspose, kGather, kScatter, kConcat,
    kSlice, kExpand, kPad, kResize, kCumulative, kTopK, kRearrange;

static constexpr const Family* kFamilies[] = {
    &kMatMul,    &kConv,      &kPointwise, &kReduce,  &kArgReduce,  &kSoftmax,    &kNorm,      &kBatchNorm, &kPool,    &kTranspose,
    &kGather,    &kScatter,   &kConcat,    &kSlice,   &kExpand,     &kPad,        &kResize,    &kCumulative, &kTopK,   &kRearrange,
};

std::span<const Family* const> families() { return kFamilies; }

}  // namespace tenon::cuda
