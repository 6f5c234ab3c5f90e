// SpaceToDepth: [N, C, H*B, W*B] to [N, B*B*C, H, W], in the order depth-column-row or column-row-depth.
#include "ops/common/space_depth.h"

namespace tenon::ops {

extern const Op op_space_to_depth{
    .name = "SpaceToDepth",
    .version = 28,
    .compatible_from = 1,
    .inputs = {{"input", kAny}},
    .outputs = {{"output"}},
    .attrs = {required_attr("blocksize", AttrKind::i), {"mode", std::string("DCR")}},
    .infer = infer_space_to_depth,
    .reference = reference_space_to_depth,
    .fusion = Fusion::injective,
    .samples = {{{{{1, 2, 4, 6}}}, {{"blocksize", int64_t(2)}}},
                {{{{2, 3, 3, 6}}}, {{"blocksize", int64_t(3)}, {"mode", std::string("CRD")}}},
                {{{{1, 2, 0, 4}}}, {{"blocksize", int64_t(2)}}}},
};

}  // namespace tenon::ops
