// DepthToSpace: [N, B*B*C, H, W] to [N, C, H*B, W*B], in the order depth-column-row or column-row-depth.
#include "ops/common/space_depth.h"

namespace tenon::ops {

extern const Op op_depth_to_space{
    .name = "DepthToSpace",
    .version = 28,
    .compatible_from = 1,
    .inputs = {{"input", kAny}},
    .outputs = {{"output"}},
    .attrs = {required_attr("blocksize", AttrKind::i), {"mode", std::string("DCR")}},
    .infer = infer_depth_to_space,
    .reference = reference_depth_to_space,
    .fusion = Fusion::injective,
    .samples = {{{{{1, 8, 2, 3}}}, {{"blocksize", int64_t(2)}}},
                {{{{2, 9, 1, 2}}}, {{"blocksize", int64_t(3)}, {"mode", std::string("CRD")}}},
                {{{{0, 4, 2, 3}}}, {{"blocksize", int64_t(2)}}}},
};

}  // namespace tenon::ops
