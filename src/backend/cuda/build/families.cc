// The list of families. A family is a file of families/ and two lines here.
#include "backend/cuda/build/family.h"

namespace tenon::cuda {

extern const Family kMatMul, kConv, kPointwise, kSoftmax, kNorm, kBatchNorm, kReduce, kArgReduce, kPool, kResize;
extern const Family kTranspose, kConcat, kSlice, kExpand, kPad, kGather, kScatter, kRearrange;
extern const Family kTopK, kCumulative, kGridSample, kRoiAlign, kRecurrent, kQuantize, kLrn, kRotary, kRotation, kAttention;
extern const Family kNonZero, kCompress, kNonMaxSuppression;

static constexpr const Family* kFamilies[] = {
    &kMatMul, &kConv, &kPointwise, &kSoftmax, &kNorm, &kBatchNorm, &kReduce, &kArgReduce, &kPool, &kResize,
    &kTranspose, &kConcat, &kSlice, &kExpand, &kPad, &kGather, &kScatter, &kRearrange,
    &kTopK, &kCumulative, &kGridSample, &kRoiAlign, &kRecurrent, &kQuantize,
    &kLrn, &kRotary, &kRotation, &kAttention, &kNonZero, &kCompress, &kNonMaxSuppression,
};

std::span<const Family* const> families() { return kFamilies; }

}  // namespace tenon::cuda
