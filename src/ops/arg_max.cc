// ArgMax: the index of the largest element along `axis`; of equals the first, or the last.
#include "ops/common/arg_extreme.h"

namespace tenon::ops {

extern const Op op_arg_max{
    .name = "ArgMax",
    .version = 13,
    .compatible_from = 1,
    .inputs = {{"data", kNumeric}},
    .outputs = {{"reduced", DType::i64, 0}},
    .attrs = {{"axis", int64_t(0)}, {"keepdims", int64_t(1)}, {"select_last_index", int64_t(0)}},
    .infer = infer_arg_extreme,
    .reference = reference_arg_max,
    .fusion = Fusion::reduction,
    .samples = {{{{{2, 5, 3}}}, {{"axis", int64_t(1)}}},
                {{{{4, 6}, DType::i32, 0, 2}},
                 {{"axis", int64_t(-1)}, {"keepdims", int64_t(0)}, {"select_last_index", int64_t(1)}}},
                {{{{3, 0}}}}},
};

}  // namespace tenon::ops
