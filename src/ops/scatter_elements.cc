// ScatterElements: a copy of data in which y[indices[i][j]][j] is replaced by, or combined with, updates[i][j] (axis 0).
#include "ops/common/scatter.h"

namespace tenon::ops {

extern const Op op_scatter_elements{
    .name = "ScatterElements",
    .version = 18,
    .compatible_from = 11,
    .inputs = {{"data", kAny}, {"indices", kIndex, 0}, {"updates", kAny}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(0)}, {"reduction", std::string("none")}},
    .infer = infer_scatter_elements,
    .reference = reference_scatter_elements,
    .samples = {{{{{3, 3}}, {{2, 3}, DType::i64, 0, 0, {1, 0, 2, 0, 2, -2}}, {{2, 3}}}},
                {{{{1, 5}}, {{1, 2}, DType::i32, 0, 0, {1, 1}}, {{1, 2}}},
                 {{"axis", int64_t(1)}, {"reduction", std::string("add")}}},
                {{{{2, 3}}, {{0, 3}, DType::i64}, {{0, 3}}}}},
};

}  // namespace tenon::ops
