// Parts of NonMaxSuppression's kernels, with holes (fill()).
#pragma once

#include "backend/cuda/build/families/ordering.h"

namespace tenon::cuda::nms {

extern const char kHelpers[], kExact[];  // types, comparing two boxes
extern const char kSort[], kRank[];      // the lists
extern const char kLength[], kPairs[];   // bits for all pairs
extern const char kScan[];               // down a list, with one of the two that follow
extern const char kBitsBegin[], kBitsLook[], kBitsGoOn[];
extern const char kDirectBegin[], kDirectLook[];
extern const char kWrite[];

}  // namespace tenon::cuda::nms
