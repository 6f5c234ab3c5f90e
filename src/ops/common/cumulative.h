// CumSum and CumProd: running sums and products along an axis.
#pragma once

#include "ops/op.h"

namespace tenon {

Status infer_cumulative(InferArgs& a);
Status reference_cum_sum(RefArgs& a);
Status reference_cum_prod(RefArgs& a);

inline constexpr DTypeSet kCumulative = kFloats | DTypeSet{DType::i32, DType::i64, DType::u32, DType::u64};

}  // namespace tenon
