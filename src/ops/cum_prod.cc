// CumProd: running products along `axis`; exclusive leaves each element itself out, reverse starts at the
// end.
#include "ops/common/cumulative.h"

namespace tenon::ops {

extern const Op op_cum_prod{
    .name = "CumProd",
    .version = 26,
    .compatible_from = 26,
    .inputs = {{"x", kCumulative}, {"axis", kIndex, 0}},
    .outputs = {{"y"}},
    .attrs = {{"exclusive", int64_t(0)}, {"reverse", int64_t(0)}},
    .infer = infer_cumulative,
    .reference = reference_cum_prod,
    .tolerance = {16, 4},
    .samples = {{{{{2, 5, 3}}, {{}, DType::i64, 0, 0, {1}}}},
                {{{{7}, DType::i32, -3, 3}, {{}, DType::i32, 0, 0, {-1}}},
                 {{"exclusive", int64_t(1)}, {"reverse", int64_t(1)}}},
                {{{{0, 2}}, {{}, DType::i64, 0, 0, {0}}}}},
};

}  // namespace tenon::ops
